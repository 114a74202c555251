"""What metrics make of labels, beats and tables of other kinds than the usual ones."""

import keras
import numpy as np
import pytest
from backends import once

from keras_mmfusion import metrics
from keras_mmfusion.layers import SeasonalNaive

pytestmark = once
LABELS, SAID = [0, 1, 1, 0], [0, 1, 0, 0]


@pytest.mark.parametrize("dtype", ["int8", "float32", "bool", "object", "str"])
@pytest.mark.parametrize("of_classes", [(0, 1), (0.0, 1.0), np.arange(2)])
def test_numbers_are_labels_whatever_their_dtype(dtype, of_classes):
    """Floats and bools were none of the classes, and left out without a word."""
    labels = np.array(LABELS)
    labels = labels.astype(dtype)
    found = metrics.confusion_matrix(labels, SAID, of_classes)
    assert found.tolist() == [[2, 0], [1, 1]]
    assert metrics.beat_metrics(labels, SAID, of_classes).accuracy == 0.75


def test_labels_of_several_kinds():
    pd = pytest.importorskip("pandas")
    for labels in (pd.Series(list("NNV")), pd.Categorical(list("NNV")), tuple("NNV")):
        assert metrics.beat_metrics(labels, list("NVV")).accuracy == pytest.approx(
            2 / 3
        )


@pytest.mark.parametrize("labels", ["NNV", b"NNV", None, 3, iter("NNV")])
def test_what_is_no_sequence_of_labels(labels):
    """A str counted as one label, of no class: all was NaN."""
    with pytest.raises(ValueError, match=r"such as list\('NNVS'\)\. Received: "):
        metrics.beat_metrics(labels, labels)


def test_a_class_twice():
    with pytest.raises(ValueError, match="must differ from each other"):
        metrics.confusion_matrix(list("NV"), list("NV"), "NVN")


@pytest.mark.parametrize(
    "beats", [[460, 100], [1.5, 2.5], [np.nan], [[100]], ["100"], None, 100, [True]]
)
def test_what_is_no_sample_number(beats):
    for name, pair in {"reference": (beats, [1]), "detected": ([1], beats)}.items():
        with pytest.raises(ValueError, match=f"`{name}` must be the sample numbers"):
            metrics.match_beats(*pair, fs=360)


def test_samples_of_other_dtypes():
    found = metrics.match_beats(np.array([100.0, 460.0]), np.uint32([101]), fs=360)
    assert [x.tolist() for x in found] == [[0], [0]]
    assert [len(x) for x in metrics.match_beats([], [], fs=360)] == [0, 0]


@pytest.mark.parametrize("wrong", [{"fs": 0}, {"fs": "x"}, {"tolerance": np.nan}])
def test_rate_and_tolerance_of_matches(wrong):
    (name,) = wrong
    with pytest.raises(ValueError, match=f"`{name}` must be .* Received: {name}="):
        metrics.match_beats([1], [1], **{"fs": 360, **wrong})


@pytest.mark.parametrize("count", [0, 2.0, "2", None])
def test_number_of_classes(count):
    with pytest.raises(ValueError, match="`num_classes` must be a positive integer"):
        metrics.emotion_metrics(LABELS, SAID, count)
    assert metrics.unweighted_accuracy(LABELS, SAID, np.int64(2)) == 0.75


def test_objects_are_numbers_or_refused():
    chances = np.eye(2)[SAID].astype(object)
    assert metrics.unweighted_accuracy(LABELS, chances, 2) == 0.75
    chances[0, 0] = "?"
    with pytest.raises(ValueError, match=r"must be numbers\. Received: objects"):
        metrics.unweighted_accuracy(LABELS, chances, 2)
    for none in (None, 1):
        with pytest.raises(ValueError, match="must be"):
            metrics.unweighted_accuracy(none, none, 2)


WAVE = np.arange(40.0)[:, None]
X = np.stack([WAVE[i : i + 8] for i in range(30)])
Y = np.stack([WAVE[i + 8 : i + 10] for i in range(30)])


@pytest.mark.parametrize(
    "wrong, message",
    [
        ({"y": Y.tolist()}, r"array \(windows, horizon, columns\).*Received: list"),
        ({"y": Y[..., 0]}, r"of shape \(30, 2\). Of a single column: y\[..., None\]"),
        ({"y": Y[:0], "x": X[:0]}, r"at least one window.*\(0, 2, 1\)"),
        ({"batch_size": 0}, "positive integer. Received: batch_size=0"),
        ({"batch_size": 2.5}, "positive integer. Received: batch_size=2.5"),
        *[
            ({"horizons": h}, "must rise to 2, .*in whole numbers")
            for h in (1, "ab", [1, 2.0])
        ],
    ],
)
def test_forecasts_that_cannot_be_measured(wrong, message):
    model = keras.Sequential([keras.Input((8, 1)), SeasonalNaive(2)])
    given = {"x": X, "y": Y, **wrong}
    with pytest.raises(ValueError, match=message):
        metrics.forecast_metrics(model, **given)


@pytest.mark.parametrize("at", ["a", 0, (1.5,), (None,), True])
def test_ranks_that_are_none(at):
    with pytest.raises(ValueError, match="`at` must hold whole numbers of at least 1"):
        metrics.retrieval_metrics([[0.5, 0.1]], [0, 0], at=at)


def test_one_rank():
    assert metrics.retrieval_metrics([[0.5, 0.1]], [0, 0], at=1).text_recall == {1: 1.0}


def test_what_cannot_be_ranked():
    """NaN came first, and a query without an answer had a rank."""
    for scores, relevant, message in (
        ([[np.nan, 1]], [[True, False]], "Received: 1 NaN"),
        ([[2.0, 1.0]], [[False, False]], "nothing in 1 of 1"),
        ([2.0, 1.0], [True, False], r"\(queries, gallery\)"),
        ([[2.0, 1.0]], [[0, 1]], "a bool array of that shape"),
        ([["a", "b"]], [[True, False]], "an array of <U1"),
    ):
        with pytest.raises(ValueError, match=message):
            metrics.retrieval_ranks(scores, relevant)
    with pytest.raises(ValueError, match=r"the shape of `scores`, \(2, 3\)"):
        metrics.retrieval_metrics(np.eye(2, 3), [0, 0, 1], np.eye(5, 3))


def test_forecasts_of_what_is_no_model_or_another_number_of_windows():
    """Of more windows than targets, the first ones counted without a word."""
    x, y = np.zeros((9, 4, 1)), np.zeros((6, 2, 1))
    with pytest.raises(ValueError, match=r"a Keras model\. Received: NoneType"):
        metrics.forecast_metrics(None, x, y)
    model = keras.Sequential([keras.Input((4, 1)), SeasonalNaive(2)])
    for wrong in (x, {"series": x}, x[:5], None, {}):
        with pytest.raises(ValueError, match=r"as many windows as `y`, 6\. Rec"):
            metrics.forecast_metrics(model, wrong, y, batch_size=2)
    assert list(metrics.forecast_metrics(model, x[:6], y, horizons=2)) == [2]
