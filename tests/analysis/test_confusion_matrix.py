"""Confusion matrix and scores of emotions, against scikit-learn."""

import numpy as np
import pytest
from backends import once

from keras_mmfusion.analysis import plot_confusion
from keras_mmfusion.metrics import emotion_metrics, unweighted_accuracy

pytestmark = once
NAMES = ("angry", "happy", "neutral", "sad")


@pytest.fixture
def pair():
    rng = np.random.default_rng(0)
    labels = rng.choice(4, 500, p=[0.5, 0.3, 0.15, 0.05])
    return labels, np.where(rng.random(500) < 0.7, labels, rng.integers(0, 4, 500))


def test_equals_scikit_learn(pair):
    from sklearn import metrics

    found = emotion_metrics(*pair, 4)
    np.testing.assert_array_equal(found.confusion, metrics.confusion_matrix(*pair))
    expected = metrics.balanced_accuracy_score(*pair)
    assert found.unweighted_accuracy == pytest.approx(expected)
    assert unweighted_accuracy(*pair, 4) == pytest.approx(expected)
    assert found.accuracy == pytest.approx(metrics.accuracy_score(*pair))
    assert found.unweighted_accuracy != pytest.approx(found.accuracy, abs=1e-3)
    for average in ("macro", "weighted"):
        expected = metrics.f1_score(*pair, average=average)
        assert getattr(found, f"{average}_f1") == pytest.approx(expected)
    np.testing.assert_allclose(found.recall, metrics.recall_score(*pair, average=None))


def test_classes_that_do_not_occur():
    """Class 2 has no sample, class 3 is not even predicted."""
    found = emotion_metrics([0, 0, 1, 1], [0, 2, 1, 1], 4)
    np.testing.assert_array_equal(found.recall, [0.5, 1.0, np.nan, np.nan])
    assert found.unweighted_accuracy == 0.75
    np.testing.assert_allclose(found.f1, [2 / 3, 1.0, 0.0, np.nan])
    assert found.macro_f1 == pytest.approx(5 / 9)
    assert found.weighted_f1 == pytest.approx(5 / 6)


def test_class_values_are_taken_as_their_largest(pair):
    labels, predictions = pair
    values = np.eye(4)[predictions] + 0.1
    assert unweighted_accuracy(labels, values, 4) == unweighted_accuracy(*pair, 4)


def test_picture(pair, tmp_path):
    metrics, figure = plot_confusion(*pair, NAMES, title="test")
    axes = figure.axes[0]
    shares = axes.images[0].get_array()
    np.testing.assert_allclose(shares.sum(axis=1), 1.0)
    np.testing.assert_allclose(np.diag(shares), metrics.recall)
    texts = [text.get_text() for text in axes.texts]
    counts = metrics.confusion
    assert texts[1] == f"{counts[0, 1] / counts[0].sum():.1%}\n{counts[0, 1]}"
    assert [t.get_text() for t in axes.get_yticklabels()] == list(NAMES)
    assert f"UA {metrics.unweighted_accuracy:.1%}" in figure.get_suptitle()
    figure.savefig(tmp_path / "confusion.png", dpi=40)


def test_errors():
    with pytest.raises(ValueError, match=r"shapes \(2,\) and \(3,\)"):
        emotion_metrics([0, 1], [0, 1, 1], 2)
    with pytest.raises(ValueError, match=r"shapes \(0,\)"):
        unweighted_accuracy([], [], 2)
    with pytest.raises(ValueError, match=r"`labels` must be .* Received: \[2\]"):
        plot_confusion([0, 2], [0, 1], ("calm", "angry"))
    with pytest.raises(ValueError, match=r"`predictions` must be .* Received: \[-1\]"):
        emotion_metrics([0, 1], [0, -1], 2)
    with pytest.raises(ValueError, match="NaN for 1 samples"):
        emotion_metrics([0, 1], [[0.4, 0.6], [np.nan, np.nan]], 2)
    with pytest.raises(ValueError, match=r"`predictions` must be whole .*\[0.5\]"):
        emotion_metrics([0, 1], [0, 0.5], 2)
