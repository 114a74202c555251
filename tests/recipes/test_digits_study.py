"""The digits study: training that goes on where it stopped, scores, presets."""

import csv
import json
import shutil
from pathlib import Path
from types import SimpleNamespace

import keras
import numpy as np
import pytest
from backends import only_on
from digit_files import write_digits
from recipe_modules import recipe_modules

from keras_mmfusion import presets

pytestmark = only_on("torch")


architecture, data, train, evaluate, scoring, figures, release, card = recipe_modules(
    "digits",
    *("architecture", "data", "train", "evaluate", "scoring", "figures", "release"),
    "card",
)
LEVELS = (None, 0.5, 0.25)
SHORT = ("--samples", "1200")


@pytest.fixture(scope="module")
def corpus(tmp_path_factory):
    folder = tmp_path_factory.mktemp("corpus")
    write_digits(folder)
    return folder


@pytest.fixture(autouse=True)
def small(monkeypatch):
    """Few levels of noise: the networks are what takes time. No records."""
    monkeypatch.setattr(data, "LEVELS", LEVELS)
    monkeypatch.setattr(scoring, "RECORDS", Path("nowhere"))


def arguments(corpus, output, *more):
    return ["--data", str(corpus), "--output", str(output), *more]


def weights(run):
    return evaluate.trained(run).get_weights()


def test_parts_are_one_pass_over_the_pairs(corpus):
    digits = data.load("digits", 0, corpus)
    count = len(digits.pairs["train"])
    batches = data.pairs(digits, "train", count, 0, {}, ("sound",), batch_size=4)
    parts = data.Parts(batches, 3)
    assert len(parts) == count // 4 // 3
    sounds = []
    for epoch in range(3):
        parts.epoch = epoch
        for i in range(len(parts)):
            x, _ = parts[i]
            assert np.isnan(x["image"]).all() and x["image"].shape == (4, 1, 28, 28, 1)
            sounds.append(x["sound"])
    expected = [batches[i][0]["sound"] for i in range(3 * len(parts))]
    np.testing.assert_array_equal(sounds, expected)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--pairs", "704"], "more than 704. Received: 704"),
        (["--pairs", "8", "--parts", "0"], "must be at least 1"),
        (["--validation", "0"], "must be at least 1"),
    ],
)
def test_too_few_pairs_for_the_parts(options, message, capsys):
    with pytest.raises(SystemExit):
        train.parse_arguments(options)
    assert message in capsys.readouterr().err
    assert train.parse_arguments(["--pairs", "705"]).pairs == 705


def test_every_network_of_a_seed_sees_the_same_pairs(corpus):
    digits = data.load("digits", 0, corpus)
    seen = {
        network: data.pairs(
            digits, "train", 12, 5, data.NOISE["noisy"], train.seen_by(network)
        )[0]
        for network in ("initial", "image", "sound")
    }
    (both, labels), *alone = seen.values()
    for (x, y), name in zip(alone, train.ALONE, strict=True):
        np.testing.assert_array_equal(x[name], both[name])
        np.testing.assert_array_equal(y, labels)
    others, _ = data.pairs(digits, "train", 12, 6, data.NOISE["noisy"])[0]
    assert np.abs(others["image"] - both["image"]).max() > 0.1


def test_each_seed_leaves_out_another_speaker(corpus):
    tested = []
    for seed in range(3):
        digits = data.load("digits_speaker", seed, corpus)
        numbers = range(len(digits.pairs["test"]))
        _, sounds = digits.pairs["test"][np.asarray(numbers)]
        tested += set(digits.sounds.speakers[sounds].tolist())
    assert tested == ["george", "jackson", "lucas"]
    # What a card says of other seeds, which need not begin at 0.
    grids = {"fc": dict.fromkeys((2, 0, 7))}
    assert release.tested_on(digits, grids, "fc") == ["george", "lucas", "jackson"]


def test_an_interrupted_training_goes_on(corpus, tmp_path, monkeypatch):
    options = ["--network", "fc", "--smoke", "--quiet", *SHORT]
    train.main(arguments(corpus, tmp_path / "whole", *options))

    class Stopped(Exception):
        pass

    begin = train.resuming.EpochOf.on_epoch_begin

    def stop(self, epoch, logs=None):
        if epoch == 1:
            raise Stopped
        begin(self, epoch, logs)

    with monkeypatch.context() as patch, pytest.raises(Stopped):
        patch.setattr(train.resuming.EpochOf, "on_epoch_begin", stop)
        train.main(arguments(corpus, tmp_path / "cut", *options))
    # Before the run is complete there is nothing that a later step could take for it.
    cut = tmp_path / "cut" / "digits" / "noisy" / "fc" / "seed0"
    assert not (cut / "run.json").exists()
    match = "seed0 was begun with --learning-rate 0.001. Received: --learning-rate 0.1"
    with pytest.raises(SystemExit, match=match):
        more = "--learning-rate", "0.1"
        train.main(arguments(corpus, tmp_path / "cut", *options, *more))
    train.main(arguments(corpus, tmp_path / "cut", *options))
    whole = tmp_path / "whole" / "digits" / "noisy" / "fc" / "seed0"
    for ours, theirs in zip(weights(cut), weights(whole), strict=True):
        np.testing.assert_allclose(ours, theirs, atol=1e-6)
    with open(cut / "train_log.csv", newline="") as file:
        assert [row["epoch"] for row in csv.DictReader(file)] == ["0", "1"]
    before = (cut / "model.weights.h5").stat().st_mtime_ns
    train.main(arguments(corpus, tmp_path / "cut", *options))
    assert (cut / "model.weights.h5").stat().st_mtime_ns == before
    command = json.loads((cut / "run.json").read_text())["command"]
    told = "--samples 1200 --pairs 32 --validation 8 --parts 2 --batch-size 8"
    assert command.endswith(f"--network fc --size tiny {told}")
    # The folder does not say with which options: other ones are no complete run.
    other = [*options, "--samples", "1400", "--learning-rate", "0.01"]
    match = r"seed0 was trained with --samples 1200 --learning-rate .*Received: --samp"
    with pytest.raises(SystemExit, match=match):
        train.main(arguments(corpus, tmp_path / "cut", *other))


def test_from_training_to_presets(corpus, tmp_path, capsys):
    """All of the study, small: every network, its scores, the presets."""
    runs, zoo = tmp_path / "runs", tmp_path / "zoo"
    zoo.mkdir()
    fit = ["--quiet", "--seeds", "0", "1", "--pairs", "16", *SHORT]
    fit += ["--validation", "4", "--parts", "2", "--batch-size", "8"]
    train.main(arguments(corpus, runs, *fit))
    fusions = ["--noise", "incomplete", "--network", *architecture.NETWORKS]
    train.main(arguments(corpus, runs, *fit, *fusions))
    count = ["--pairs", "6", "--clean-pairs", "5"]
    evaluate.main(arguments(corpus, runs, *count, "--noise", "incomplete"))
    evaluate.main(arguments(corpus, runs, *count))
    printed = capsys.readouterr().out
    assert "initial - fc" in printed and "of 9 cells" in printed
    grids, _ = scoring.read(runs, "digits", "noisy")
    shapes = {(n, seed): grid.shape for n in grids for seed, grid in grids[n].items()}
    assert shapes == {
        **{(n, seed): (3, 3) for n in architecture.NETWORKS for seed in (0, 1)},
        **{("image", seed): (1, 3) for seed in (0, 1)},
        **{("sound", seed): (3, 1) for seed in (0, 1)},
    }
    # One cell, by hand.
    digits = data.load("digits", 0, corpus)
    run = runs / "digits" / "noisy" / "second" / "seed1"
    model = evaluate.trained(run)
    snr = {"sound": 0.25, "image": 0.5}
    options = {"preprocessor": model.preprocessor}
    x, y = data.pairs(digits, "test", 6, evaluate.TEST_SEED, snr, **options)[0]
    right = model.predict(x, verbose=0).argmax(-1) == y
    assert grids["second"][1][2, 1] == pytest.approx(right.mean())
    # And without the image.
    run = runs / "digits" / "incomplete" / "second" / "seed1"
    model = evaluate.trained(run)
    options["modalities"] = ("sound",)
    x, y = data.pairs(digits, "test", 5, evaluate.TEST_SEED, {}, **options)[0]
    x["image"] = np.full(
        (len(y), *model.preprocessor.shapes["image"]), np.nan, "float32"
    )
    right = model.predict(x, verbose=0).argmax(-1) == y
    _, metrics = scoring.read(runs, "digits", "incomplete")
    assert metrics["second"][1]["accuracy_sound"] == pytest.approx(right.mean())

    release.main(arguments(corpus, runs, "--zoo", str(zoo)))
    for name, network in release.PRESETS.items():
        presets.verify(zoo / name)
        metadata = presets.info(zoo / name)
        mean = metadata["metrics"]["digits"]["accuracy"]["mean"]
        expected = np.mean([of["accuracy"] for of in metrics[network]])
        assert mean == pytest.approx(expected, abs=1e-5)
        card = (zoo / name / "README.md").read_text()
        assert f"{mean:.4f}" in card and "against `fc`" in card
        assert "](over_time_noisy.png)" in card
        assert (zoo / name / "over_time_noisy.png").exists()
        chosen = metadata["recipe"]["seed"]
        accuracy = [
            json.loads((r / "run.json").read_text())["validation_accuracy"]
            for r in sorted((runs / "digits" / "incomplete" / network).iterdir())
        ]
        assert accuracy[chosen] == max(accuracy)
        shipped = presets.load(zoo / name)
        assert shipped.preprocessor.samples == 1200
    # The card alone: the same again, from what was recorded, pictures of networks whose
    # weights are elsewhere included.
    for weights_with_noise in runs.glob("digits/noisy/*/*/model.weights.h5"):
        weights_with_noise.unlink()
    before = {p: p.read_bytes() for p in zoo.glob("*/*") if p.suffix != ".png"}
    release.main(arguments(corpus, runs, "--zoo", str(zoo), "--card"))
    assert before == {p: p.read_bytes() for p in before}
    with open(zoo / "results.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    ours = [row for row in rows if row["protocol"] == "digits"]
    assert {row["model"] for row in ours} == set(architecture.NETWORKS)
    assert {row["preset"] for row in ours} == set(release.PRESETS)
    # Trained with noise: all five networks, of which none is released.
    others = [row for row in rows if row not in ours]
    assert {row["protocol"] for row in others} == {"digits_noisy"}
    assert {row["model"] for row in others} == set(train.NETWORKS)
    assert {row["preset"] for row in others} == {""}


def test_scores_are_read_from_records(corpus, tmp_path, monkeypatch, capsys):
    """Where a run is not at hand; only its weights are then missing."""
    monkeypatch.setattr(scoring, "RECORDS", tmp_path / "records")
    runs = tmp_path / "runs"
    fit = ["--quiet", "--pairs", "8", "--validation", "4", "--parts", "1", *SHORT]
    fit += ["--batch-size", "8", "--noise", "incomplete", "--network", "fc"]
    train.main(arguments(corpus, runs, *fit, "--seeds", "1", "3"))
    score = ["--noise", "incomplete", "--pairs", "6", "--clean-pairs", "5"]
    evaluate.main(arguments(corpus, runs, *score, "--record"))
    expected = scoring.read(runs, "digits", "incomplete")
    found = release.values_of(runs, "fc")
    assert list(found) == [1, 3]

    shutil.rmtree(runs / "digits" / "incomplete" / "fc" / "seed1")
    grids, metrics = scoring.read(runs, "digits", "incomplete")
    np.testing.assert_equal(grids, expected[0])
    assert metrics == expected[1] and release.values_of(runs, "fc") == found
    # Beside a run of fewer pairs, they do not count.
    facts = runs / "digits" / "incomplete" / "fc" / "seed3" / "run.json"
    facts.write_text(facts.read_text().replace('"pairs": 8', '"pairs": 4'))
    assert set(scoring.scored_runs(runs, "digits", "incomplete")) == {("fc", 3)}
    shutil.rmtree(runs)
    with pytest.raises(SystemExit, match=r"train.py --noise incomplete --network fc"):
        release.with_weights(release.best(runs, "fc"))


def test_differences_are_taken_seed_by_seed():
    """A network that gains the same for every seed surely wins, however seeds vary."""
    rng = np.random.default_rng(0)
    theirs = rng.random((3, 3, 3))
    ours = theirs + 0.1
    ours[:, 0, 0] = theirs[:, 0, 0] - 0.1
    ours[:, 0, 1] = theirs[:, 0, 1] + [0.5, -0.6, 0.2]
    # Not in the same places, and one of each without the other.
    seeds = {1: theirs[0], 2: theirs[1], 3: theirs[2], 4: rng.random((3, 3))}
    found = scoring.compare(
        {0: rng.random((3, 3)), 2: ours[1], 1: ours[0], 3: ours[2]}, seeds
    )
    assert found["seeds"] == 3
    counts = {k: found[k] for k in ("cells", "surely_higher", "surely_lower")}
    assert counts == {"cells": 9, "surely_higher": 7, "surely_lower": 1}
    assert (found["higher"], found["lower"]) == (8, 1)
    mean = (ours - theirs).mean(axis=(1, 2))
    assert found["mean"] == pytest.approx(mean.mean())
    assert found["mean_spread"] == pytest.approx(np.std(mean, ddof=1))
    text = scoring.in_words(found)
    assert "Higher in 8 of 9 cells" in text and "lower in 1," in text
    # t of two degrees of freedom beyond twice the root of three: 0.074.
    assert "With 3 seeds, about 1 of 9 cells would be" in text
    assert scoring.by_chance({**found, "cells": 100}) == pytest.approx(7.4, abs=0.05)


def test_of_one_seed_nothing_is_sure():
    found = scoring.compare({0: np.ones((2, 2))}, {0: np.zeros((2, 2))})
    assert "nan" not in scoring.in_words(found)
    assert "+1.0000 of accuracy" in scoring.in_words(found)
    kept = json.dumps(card._kept(found), allow_nan=False)  # as `presets.save` does
    assert json.loads(kept)["difference"] == {"mean": 1.0, "sd": None, "n": 1}


def test_heat_maps_show_the_differences():
    rng = np.random.default_rng(0)
    grids = {n: dict(enumerate(rng.random((2, 3, 3)))) for n in architecture.NETWORKS}
    grids |= {"image": {0: rng.random((1, 3))}, "sound": {0: rng.random((3, 1))}}
    figure = figures.heat_maps(grids, "noisy")
    shown = {axes.get_title(): axes for axes in figure.axes if axes.get_title()}
    assert set(shown) == {
        *(f"{n}: accuracy" for n in grids),
        "initial − second",
        "initial − fc",
    }
    drawn = shown["initial − fc"].images[0].get_array()
    difference = [grids["initial"][seed] - grids["fc"][seed] for seed in (0, 1)]
    np.testing.assert_allclose(drawn, np.mean(difference, axis=0))
    stripes = shown["sound: accuracy"].images[0].get_array()
    np.testing.assert_array_equal(stripes, np.tile(grids["sound"][0], (1, 3)))
    keras.backend.clear_session()


def test_a_card_says_which_networks_saw_fewer_pairs():
    pairs = {("digits", "noisy"): {"fc": 800, "image": 200, "initial": 800}}
    facts = SimpleNamespace(pairs=pairs, run={"pairs": 800})
    told = card._pairs(facts, "digits", "noisy")
    assert told == "Each was trained on 800 pairs, seen once, `image` on 200."
    facts.run["pairs"] = 1000
    assert card._pairs(facts, "digits", "noisy").endswith("their order may be another.")
