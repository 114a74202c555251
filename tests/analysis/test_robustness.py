"""Curves of robustness, of models whose behaviour is known."""

import warnings

import keras
import numpy as np
import pytest
from backends import once

from keras_mmfusion.analysis import plot_robustness, robustness_curves
from keras_mmfusion.models import FusionClassifier

pytestmark = once
KINDS = ("noise", "missing", "misalignment")


class Reads:
    """Classes `a[step] - b[step] > 0`, computed in numpy; what it was given is kept."""

    def __init__(self, names=("a",), step=4, when_missing=0.0):
        self.names, self.step, self.when_missing = names, step, when_missing
        self.seen = []

    def predict(self, x, batch_size, verbose):
        self.seen.append({name: np.array(values) for name, values in x.items()})
        signs = {"a": 1.0, "b": -1.0}
        value = sum(signs[name] * x[name][:, self.step, 0] for name in self.names)
        value = np.where(np.isnan(value), self.when_missing, value)
        return np.stack([np.zeros_like(value), value], axis=1)


def data(samples=300, steps=9):
    """No value of `a` is near 0, so that weak noise changes no sign."""
    rng = np.random.default_rng(0)
    x = {name: rng.normal(size=(samples, steps, 2)) for name in ("a", "b")}
    x["a"] += 0.5 * np.sign(x["a"])
    return x, (x["a"][:, 4, 0] > 0).astype("int64")


def test_what_is_not_read_changes_nothing_and_what_is_read_does():
    x, y = data()
    found = robustness_curves(Reads(), x, y, repeats=2)
    assert found.clean == {"model": 1.0}
    for kind in KINDS:
        assert set(found.curve("model", kind, "b")[1]) == {1.0}
        # The last level of each is the worst: guessing gives a half, what is missing
        # the share of class 0.
        assert found.curve("model", kind, "a")[1][-1] < 0.65
    assert set(found.curve("model", "noise", "a + b")[1]) != {1.0}
    assert found.curve("model", "noise", "c")[0].shape == (0,)


def test_noise_by_decibels():
    x, y = data()
    model = Reads()
    found = robustness_curves(model, x, y, {"noise": [-20, 60, 3]}, "a", repeats=4)
    levels, means, sds = found.curve("model", "noise", "a")
    assert levels.tolist() == [60, 3, -20]
    assert means[0] == 1.0 and 0.8 < means[1] < 0.99 and abs(means[2] - 0.5) < 0.1
    assert (sds[1:] > 0).all() and sds[0] == 0.0
    assert means[1] == pytest.approx(np.mean(found.rows[1]["scores"]))
    assert sds[1] == pytest.approx(np.std(found.rows[1]["scores"], ddof=1))
    clean, *noisy = model.seen
    np.testing.assert_array_equal(clean["a"], x["a"])
    for seen, decibels in zip(noisy[::4], levels, strict=True):
        noise = seen["a"] - x["a"]
        ratio = np.mean(x["a"] ** 2) / np.mean(noise**2)
        assert 10 * np.log10(ratio) == pytest.approx(decibels, abs=0.2)
        np.testing.assert_array_equal(seen["b"], x["b"])
    # The same draws at every level, others in every repeat.
    np.testing.assert_allclose(
        noisy[8]["a"] - x["a"], (noisy[4]["a"] - x["a"]) * 10 ** (23 / 20), atol=1e-3
    )
    assert not np.allclose(noisy[8]["a"], noisy[9]["a"])


def test_what_is_missing_gets_no_noise():
    x, y = data(20)
    x["a"][:5, :3] = np.nan
    x["a"][5] = np.nan
    model = Reads()
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # numpy's, of the mean of nothing
        robustness_curves(model, x, y, {"noise": [0]}, "a", repeats=1)
    np.testing.assert_array_equal(np.isnan(model.seen[1]["a"]), np.isnan(x["a"]))
    power = np.nanmean(x["a"] ** 2)
    assert np.nanmean((model.seen[1]["a"] - x["a"]) ** 2) == pytest.approx(
        power, rel=0.3
    )


def test_a_growing_share_is_missing():
    x, y = data()
    model = Reads()
    shares = [0, 0.2, 0.6, 1]
    found = robustness_curves(model, x, y, {"missing": shares}, "a", repeats=2)
    gone = [np.isnan(seen["a"]).all(axis=(1, 2)) for seen in model.seen[1:]]
    assert [mask.mean() for mask in gone] == [0.2, 0.2, 0.6, 0.6, 1]
    assert (gone[0] <= gone[2]).all() and (gone[1] <= gone[3]).all()
    assert (gone[0] != gone[1]).any()
    _, means, sds = found.curve("model", "missing", "a")
    # Without it the model says class 0.
    expected = [1 - mask[y == 1].sum() / len(y) for mask in gone]
    assert means[0] == 1.0 and sds[0] == 0.0
    assert means[1] == pytest.approx(np.mean(expected[:2]))
    assert means[3] == pytest.approx(expected[4])


@pytest.mark.parametrize("edges", ["repeat", "missing"])
def test_shifts(edges):
    x, y = data(50)
    model = Reads()
    options = {"modalities": "a", "edges": edges}
    levels = {"misalignment": [0, 2, -2]}
    found = robustness_curves(model, x, y, levels, **options)
    assert found.curve("model", "misalignment", "a")[0].tolist() == [-2, 0, 2]
    early, late = (seen["a"] for seen in model.seen[1:])
    np.testing.assert_array_equal(late[:, 2:], x["a"][:, :-2])
    np.testing.assert_array_equal(early[:, :-2], x["a"][:, 2:])
    fill = x["a"][:, [0, 0]] if edges == "repeat" else np.full((50, 2, 2), np.nan)
    np.testing.assert_array_equal(late[:, :2], fill)
    assert found.curve("model", "misalignment", "a")[1][1] == 1.0


def test_a_shift_undone_gives_the_clean_score():
    x, y = data()
    late = {"a": np.roll(x["a"], 2, axis=1), "b": x["b"]}
    found = robustness_curves(Reads(), late, y, {"misalignment": [0, -2]}, "a")
    early, as_it_is = found.curve("model", "misalignment", "a")[1]
    assert early == 1.0 and as_it_is < 0.65


def test_shifts_by_rows():
    x, y = data(40)
    model = Reads()
    levels = {"misalignment": [1]}
    robustness_curves(model, x, y, levels, "a", along="rows", edges="missing")
    np.testing.assert_array_equal(model.seen[1]["a"][1:], x["a"][:-1])
    assert np.isnan(model.seen[1]["a"][0]).all()


def test_models_side_by_side_see_the_same():
    x, y = data(60)
    models = {"one": Reads(), "both": Reads(("a", "b")), "other": Reads(("b",))}
    found = robustness_curves(models, x, y, seed=3)
    for kept in zip(*(model.seen for model in models.values()), strict=True):
        for name in x:
            np.testing.assert_array_equal(kept[0][name], kept[1][name])
            np.testing.assert_array_equal(kept[0][name], kept[2][name])
    again = robustness_curves(Reads(("a", "b")), x, y, seed=3)
    assert [r["scores"] for r in again.rows] == [
        row["scores"] for row in found.rows if row["model"] == "both"
    ]
    lines = str(found).split("\n")
    assert lines[0].startswith("accuracy, 60 samples; levels: noise signal-to-noise")
    assert lines[1].split() == ["disturbance", "modality", "level", *models]
    assert lines[2].split()[:2] == ["none", "1"]
    assert len(lines) == 3 + len(again.rows)
    noisy = next(line for line in lines if line.startswith("noise         a + b     0"))
    row = next(r for r in again.rows if r["level"] == 0 and "+" in r["modality"])
    assert f"{row['mean']:.4g} ± {row['sd']:.2g}" in noisy


def test_together_and_tokens():
    x, y = data(40)
    x["words"] = np.arange(1, 241).reshape(40, 6)
    model = Reads()
    pair = ("a", "words")
    robustness_curves(model, x, y, {"missing": [0.5]}, [pair, "b"], repeats=1)
    together, alone = model.seen[1:]
    gone = np.isnan(together["a"]).all(axis=(1, 2))
    assert gone.sum() == 20 and not np.isnan(together["b"]).any()
    np.testing.assert_array_equal((together["words"] == 0).all(axis=1), gone)
    assert np.isnan(alone["b"]).any() and not np.isnan(alone["a"]).any()
    # Left out of the noise, and shifted as far as there are steps.
    found = robustness_curves(Reads(), x, y, repeats=1)
    of_kind = {
        kind: [r for r in found.rows if r["disturbance"] == kind] for kind in KINDS
    }
    assert {r["modality"] for r in of_kind["noise"]} == {"a", "b", "a + b"}
    words = [r["level"] for r in of_kind["misalignment"] if r["modality"] == "words"]
    assert words == [0, 1, 2, 4]


def test_own_metric_and_shapes_of_predictions():
    x, y = data(30)
    given = []

    def mean_error(targets, predictions):
        given.append((targets, predictions.shape))
        return np.mean(np.abs(targets[:, None] - predictions))

    target = x["a"][:, 4, 0]
    found = robustness_curves(
        Reads(), x, target, {"missing": [1]}, "a", metric=mean_error
    )
    assert found.metric == "mean_error" and given[0][1] == (30, 2)
    assert found.clean["model"] == pytest.approx(np.abs(target).mean() / 2)
    assert found.rows[0]["mean"] == pytest.approx(np.abs(target).mean())

    class Binary(Reads):
        def predict(self, x, batch_size, verbose):
            return super().predict(x, batch_size, verbose)[:, 1:] + 0.5

    assert robustness_curves(Binary(), x, y[:, None], "missing").clean["model"] == 1.0


def test_a_fusion_classifier_and_a_network_of_one_modality():
    """The latter is given its own input only, and is left alone by the rest."""
    x, y = data(24)
    fused = FusionClassifier(
        {"a": (9, 2), "b": (9, 2)}, {"a": None, "b": None}, fusion="concat", dim=4
    )
    a = keras.Input((9, 2), name="a")
    summed = keras.ops.mean(keras.ops.nan_to_num(a), axis=1)
    models = {"fused": fused, "a alone": keras.Model({"a": a}, summed)}
    kinds = {"missing": [0, 1], "misalignment": [0, 3]}
    found = robustness_curves(models, x, y, kinds, repeats=1, edges="missing")
    expected = fused.predict({**x, "b": np.full_like(x["b"], np.nan)}, verbose=0)
    score = np.mean(expected.argmax(axis=1) == y)
    assert found.curve("fused", "missing", "b")[1][1] == pytest.approx(score)
    for kind in kinds:
        for model in models:
            assert found.curve(model, kind, "a")[1][0] == found.clean[model]
        assert set(found.curve("a alone", kind, "b")[1]) == {found.clean["a alone"]}
    assert found.curve("a alone", "missing", "a")[1][1] == np.mean(y == 0)


def test_figures(tmp_path):
    x, y = data(40)
    found = robustness_curves(Reads(), x, y, repeats=2)
    figure = found.plot("known")
    assert [axes.get_title() for axes in figure.axes] == list(KINDS)
    noise = figure.axes[0]
    assert noise.xaxis_inverted() and noise.get_ylabel() == "accuracy"
    drawn = {line.get_label(): line for line in noise.lines}
    levels, means, sds = found.curve("model", "noise", "a")
    np.testing.assert_array_equal(drawn["a"].get_xdata(), levels)
    np.testing.assert_array_equal(drawn["a"].get_ydata(), means)
    band = noise.collections[0].get_paths()[0].get_extents()
    assert band.y0 == pytest.approx((means - sds).min())
    labels = [text.get_text() for text in figure.legends[0].get_texts()]
    assert labels == ["a", "b", "a + b"]
    figure.savefig(tmp_path / "one.png", dpi=40)

    both = robustness_curves({"one": Reads(), "two": Reads(("b",))}, x, y, repeats=2)
    figure = plot_robustness(both)
    shown = [axes.get_title() for axes in figure.axes if axes.axison]
    pairs = dict.fromkeys((r["disturbance"], r["modality"]) for r in both.rows)
    assert shown == [f"{kind}: {modality}" for kind, modality in pairs]
    labels = [text.get_text() for text in figure.legends[0].get_texts()]
    assert labels == ["one", "two"]
    figure.savefig(tmp_path / "two.png", dpi=40)


@pytest.mark.parametrize(
    "options, message",
    [
        ({"disturbances": "rain"}, r"must be among \['noise', .* Received: 'rain'"),
        ({"disturbances": []}, r"`disturbances` must be among .* Received: \[\]"),
        ({"disturbances": {"noise": []}}, r"finite numbers, .* Received: \[\]"),
        ({"disturbances": {"noise": [np.inf]}}, r"decibels, .* Received: \[inf\]"),
        ({"disturbances": {"missing": [0, 1.5]}}, r"shares from 0 to 1, .*1\.5\]"),
        ({"disturbances": {"missing": [True]}}, r"shares from 0 to 1, .*True\]"),
        ({"disturbances": {"misalignment": [0.5]}}, r"whole numbers of steps .*0\.5"),
        (
            {"disturbances": {"misalignment": [9]}, "modalities": "a"},
            r"less than the steps of 'a', 9\. Received: level 9, shape \(12, 9, 2\)",
        ),
        ({"disturbances": {"misalignment": [9]}}, r"'misalignment' applies .*\[9\]"),
        (
            {"disturbances": "misalignment", "modalities": [("a", "b")]},
            r"must leave a modality .* Received: modalities \['a', 'b'\]",
        ),
        ({"modalities": ["a", "c"]}, r"some of \['a', 'b'\].* Received: \['a', 'c'\]"),
        ({"along": "columns"}, r"`along` must be one of"),
        ({"edges": "zero"}, r"`edges` must be one of"),
        ({"repeats": 0}, r"`repeats` must be a positive integer"),
    ],
)
def test_errors_of_settings(options, message):
    x, y = data(12)
    with pytest.raises(ValueError, match=message):
        robustness_curves(Reads(), x, y, **options)


def test_errors_of_inputs():
    x, y = data(12)
    with pytest.raises(ValueError, match=r"`x` must be a dict.* Received: ndarray"):
        robustness_curves(Reads(), x["a"], y)
    with pytest.raises(ValueError, match=r"same samples.*12 of 'a', .*11 of 'y'"):
        robustness_curves(Reads(), x, y[1:])
    with pytest.raises(ValueError, match=r"'a' must be an array of numbers.*<U1"):
        robustness_curves(Reads(), {"a": np.array(["b"] * 12)}, y)
    with pytest.raises(ValueError, match=r"`model` must be a model .* Received: \{\}"):
        robustness_curves({}, x, y)
    with pytest.raises(ValueError, match=r"`metric` must be given .* of float64"):
        robustness_curves(Reads(), x, y / 2)
    with pytest.raises(ValueError, match=r"shape \(12,\)\. Received: shape \(12, 2\)"):
        robustness_curves(Reads(), x, np.stack([y, y], axis=1), "missing")
    words = {**x, "words": np.ones((12, 3), "int32")}
    with pytest.raises(ValueError, match=r"floats\. Received: 'words' of int32"):
        robustness_curves(Reads(), words, y, "noise", "words")
    flat = {**x, "b": np.ones((12, 3))}
    with pytest.raises(ValueError, match=r"'b', 1\..*shape \(12, 3\).*along='rows'"):
        robustness_curves(Reads(), flat, y, {"misalignment": [1]}, "b")
    takes_no_gap = Reads(when_missing=np.nan)
    with pytest.raises(ValueError, match=r"'model' must give finite .*'missing' of a,"):
        robustness_curves(takes_no_gap, x, y, {"missing": [0.5]}, "a")
    c = keras.Input((2,), name="c")
    with pytest.raises(ValueError, match=r"'model', \['c'\]\. Received: \['a', 'b'\]"):
        robustness_curves(keras.Model({"c": c}, c), x, y)
