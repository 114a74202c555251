"""The recipe of three channels of digits."""

import numpy as np
import pytest
from backends import once, only_on
from harness import assert_close
from recipe_modules import assert_command_tells_settings, recipe_modules

architecture, data, release, scoring, train = recipe_modules(
    "mnist_channels", "architecture", "data", "release", "scoring", "train"
)
CHANNELS = tuple(architecture.CHANNELS)


def images(*counts, seed=0):
    rng = np.random.default_rng(seed)
    return {
        name: rng.integers(256, size=(count, 28, 28, 1), dtype="uint8")
        for name, count in zip(CHANNELS, counts, strict=True)
    }


@once
def test_triples_hold_every_image_once():
    """But for the channels that have more; an epoch differs from the next if asked."""
    given = images(10, 7, 9)
    triples = data.Triples(given, 3, seed=0, redraw=True)
    assert len(triples) == 3
    first = triples.whole()
    for name in CHANNELS:
        seen = {x.tobytes() for x in np.rint(255 * first[name]).astype("uint8")}
        assert len(seen) == 7 and seen <= {x.tobytes() for x in given[name]}
    x, y = triples[2]
    assert x is y and x["channel_1"].shape == (1, 28, 28, 1)
    triples.epoch = 1
    assert any((first[n] != triples.whole()[n]).any() for n in CHANNELS)
    fixed = data.Triples(given, 3, seed=0)
    before = fixed.whole()
    fixed.epoch = 1
    assert all((before[n] == fixed.whole()[n]).all() for n in CHANNELS)


@once
def test_principal_components_and_errors():
    """Of images made of 20 patterns a channel, 32 components say everything."""
    rng = np.random.default_rng(0)
    patterns = rng.normal(size=(20, 784))
    made = {
        name: (rng.normal(size=(80, 20)) @ patterns).reshape(-1, 28, 28, 1)
        for name in CHANNELS
    }
    found = scoring.principal_components(made, made)
    for outputs in found.values():
        assert scoring.errors(outputs, made)["mse"] < 1e-10
    zeros = {name: np.zeros_like(of) for name, of in made.items()}
    errors = scoring.errors(zeros, made)
    squares = [np.mean(made[name] ** 2) for name in CHANNELS]
    assert errors["mse_channel_2"] == pytest.approx(squares[1])
    assert errors["mse"] == pytest.approx(np.mean(squares))


@once
def test_the_fusion_that_is_released_is_chosen_on_validation():
    def runs(*errors):
        return {i: {"validation": {"channel_1": e}} for i, e in enumerate(errors)}

    facts = {"cascade": runs(0.2, 0.4), "lmf": runs(0.3, 0.2), "separate": runs(0.1)}
    assert release.choose(facts) == "lmf"


@only_on("torch")
def test_runs_of_other_settings_are_not_taken_for_complete(
    tmp_path, monkeypatch, capsys
):
    monkeypatch.setattr(data, "load", lambda part, folder: images(8, 8, 8))
    places = ["--models", "separate", "--seeds", "0", "--output", str(tmp_path)]
    short = ["--epochs", "1", "--triples", "8", "--quiet"]
    train.main([*places, *short])
    capsys.readouterr()
    train.main([*places, *short])
    assert capsys.readouterr().out.endswith("seed0: complete\n")
    (run,) = tmp_path.glob("**/run.json")
    assert_command_tells_settings(run.parent, train)
    match = r"with --epochs 1 --triples 8\. Received: --epochs 12 --triples None"
    with pytest.raises(SystemExit, match=match):
        train.main(places)


@only_on("torch")
@pytest.mark.parametrize("name", ["lmf", "separate", "separate_wide"])
def test_models(name):
    """One code of 96 numbers, or one a channel; all of an image comes back."""
    model = architecture.build(name)
    x = {n: v.astype("float32") / 255 for n, v in images(2, 2, 2).items()}
    outputs = model.predict(x, verbose=0)
    assert {n: v.shape for n, v in outputs.items()} == {
        n: v.shape for n, v in x.items()
    }
    if name == "lmf":
        assert model.code(x).shape == (2, 1, architecture.CODE)
        return
    changed = {**x, "channel_2": 1 - x["channel_2"]}
    again = model.predict(changed, verbose=0)
    assert_close(again["channel_1"], outputs["channel_1"], 1e-6)
    codes = [layer for layer in model.layers if layer.name.endswith("_code")]
    sizes = [layer.output.shape[-1] for layer in codes]
    assert sizes == [architecture.SEPARATE[name]] * 3
