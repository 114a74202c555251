"""What curves, labels of beats and pictures make of unusual arguments."""

from dataclasses import replace

import keras
import numpy as np
import pytest
from backends import once

from keras_mmfusion import analysis
from keras_mmfusion.datasets import ECGRecord

pytestmark = once
RNG = np.random.default_rng(0)
RED = np.full((8, 8, 3), 200, "uint8")
RECORD = ECGRecord(
    "made",
    RNG.normal(size=(900, 1)).astype("float32"),
    ("II",),
    360.0,
    np.array([90, 450, 810]),
    np.array(["N", "V", "N"]),
)
CERTAIN = np.eye(4)[[0, 2, 0]]


def labels(**other):
    settings = {"samples": RECORD.beats, "probabilities": CERTAIN, "leads": ("II",)}
    return analysis.BeatLabels.from_probabilities("made", 360, **{**settings, **other})


def curves(**other):
    a, b = keras.Input((8, 2), name="a"), keras.Input((8, 2), name="b")
    sums = keras.ops.mean(a, axis=1) + keras.ops.mean(b, axis=1)
    x = {name: RNG.random((6, 8, 2)) for name in "ab"}
    settings = {"disturbances": {"noise": [0]}, "repeats": 1, "x": x, "y": [0, 1] * 3}
    model = keras.Model({"a": a, "b": b}, keras.ops.softmax(sums))
    return analysis.robustness_curves(**{"model": model, **settings, **other})


@pytest.mark.parametrize(
    "wrong, message",
    [
        ({"model": None}, "a Keras model, or a dict.*NoneType for 'model'"),
        ({"model": {"mine": "x"}}, "a Keras model, or a dict.*str for 'mine'"),
        ({"y": [1, 2] * 3}, r"classes from 0 to 1.*Received: \[1, 2\]"),
        ({"y": [0, -1] * 3}, r"classes from 0 to 1.*Received: \[-1, 0\]"),
        ({"disturbances": 5}, "`disturbances` must be among"),
        ({"disturbances": {"noise": [1e6]}}, "decibels, from -300 to 300"),
        ({"modalities": 5}, "`modalities` must hold some of.*Received: 5"),
        ({"modalities": [5]}, r"`modalities` must hold some of.*Received: \[5\]"),
        ({"metric": "accuracy"}, "a function .*metric='accuracy'"),
        ({"seed": None}, "`seed` must be 0 or a positive integer"),
    ],
)
def test_curves(wrong, message):
    """Labels from 1 on were all wrong, whatever the model."""
    with pytest.raises(ValueError, match=message):
        curves(**wrong)


@pytest.mark.parametrize(
    "wrong, message",
    [
        ({"samples": [90.5, 450, 810]}, "`samples` must be the sample numbers"),
        ({"samples": [90, 450]}, r"of shape \(2, 4\).*Received: shape \(3, 4\)"),
        ({"probabilities": CERTAIN.T}, r"of shape \(3, 4\).*Received: shape \(4, 3\)"),
        ({"probabilities": None}, r"of shape \(3, 4\).*Received: shape \(\)"),
        ({"classes": ("N", "V")}, r"of shape \(3, 2\).*Received: shape \(3, 4\)"),
        ({"reasons": ["noise"]}, "`reasons` must be a str for each of 3 beats"),
    ],
)
def test_labels(wrong, message):
    """Classes of beats in place of beats of classes were taken as they lay."""
    with pytest.raises(ValueError, match=message):
        labels(**wrong)


def test_labels_of_several_kinds():
    assert labels(classes="NSVF").counts() == {"N": 2, "S": 0, "V": 1, "F": 0, "Q": 0}
    assert labels(reasons=[None, "noise", ""]).labels.tolist() == ["N", "Q", "N"]
    assert labels(leads="II").leads == ("II",)
    with pytest.raises(ValueError, match="`duration` must be a positive number"):
        labels().ectopic_per_hour(0)


def test_what_cannot_be_compared():
    assert analysis.compare(RECORD, labels()).metrics().accuracy == 1
    for other in ({"symbols": None}, {"beats": None}):
        with pytest.raises(ValueError, match="no reference beats with symbols"):
            analysis.compare(replace(RECORD, **other), labels())
    with pytest.raises(ValueError, match=r"symbol for each of the 3 beats.*: 1"):
        analysis.compare(replace(RECORD, symbols=["N"]), labels())
    with pytest.raises(ValueError, match=r"must be BeatLabels.*ndarray"):
        analysis.compare(RECORD, CERTAIN)
    found = analysis.compare(RECORD, labels())
    assert len(analysis.pool(iter([found, found])).reference) == 6
    for wrong in ([], found):
        with pytest.raises(ValueError, match="a list of one or more"):
            analysis.pool(wrong)


@pytest.mark.parametrize("name", ["mutual_information", "deep_correlation"])
def test_features(name):
    """Values whose squares are infinite told nothing of each other."""
    measure, a = getattr(analysis, name), RNG.normal(size=(100, 2))
    with pytest.raises(ValueError, match=r"must be finite.*beyond 1e150"):
        measure(1e200 * a, a)
    for hidden in (None, (2.5,), "64"):
        with pytest.raises(ValueError, match=r"`hidden.* must be a positive integer"):
            measure(a, a, hidden=hidden)
    if name == "deep_correlation":
        for components in ("2", 1.5):
            with pytest.raises(ValueError, match="`components` must be from 1 to"):
                measure(a, a, components=components)


@pytest.mark.parametrize(
    "image, message",
    [
        (RED.astype("float32"), r"from 0 to 1\. Received: 200 to 200.*uint8"),
        (RED.astype("int64") - 300, r"from 0 to 255\. Received: -100 to -100"),
        (np.full((8, 8), np.nan), "from 0 to 1"),
        (RED[None], r"an image \(height.*uint8 of shape \(1, 8, 8, 3\)"),
        (RED[:0], "an image"),
        (None, "an image.*NoneType"),
    ],
)
def test_sheets_of_what_is_no_image(image, message):
    """Floats up to 255 were drawn white."""
    pytest.importorskip("matplotlib")
    with pytest.raises(ValueError, match=message):
        analysis.contact_sheet([("red", [(image, "0.9")])])


def test_sheets_of_other_forms():
    pytest.importorskip("matplotlib")
    for rows in (None, "abc", {"red": []}, [("red", [RED])], [("red", "ab")]):
        with pytest.raises(ValueError, match=r"a list of \(query, found\)"):
            analysis.contact_sheet(rows)
    images = (RED, RED / 255, RED[..., 0] > 3, RED.astype("int64"))
    analysis.contact_sheet((q, [(image, 1) for image in images]) for q in ("a", "b"))


def test_pictures_of_beats():
    pytest.importorskip("matplotlib")
    pd = pytest.importorskip("pandas")
    said = pd.Series(["N", "V", "N"], index=[7, 8, 9])
    figure = analysis.plot_beats(RECORD, labels(), reference=said)
    words = [text.get_text() for text in figure.texts]
    assert any("3 of them labelled like the reference" in text for text in words)
    for wrong in ({"start": None}, {"start": "0"}, {"duration": None}, {"lead": 0}):
        with pytest.raises(ValueError, match=r"(Expected|must be|has no lead)"):
            analysis.plot_beats(RECORD, labels(), **wrong)
    with pytest.raises(ValueError, match="must be BeatLabels"):
        analysis.plot_beats(RECORD, None)
    for wrong in (None, [], {"a": None}):
        with pytest.raises(ValueError, match="`results` must be a dict of results"):
            analysis.plot_estimates(wrong)
    with pytest.raises(
        ValueError, match=r"BeatClassifier or BeatEnsemble. Received: N"
    ):
        analysis.attention_map(None, {})
