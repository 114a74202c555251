import numpy as np
import pytest
from backends import once

from keras_mmfusion.metrics import (
    NO_BEAT,
    beat_metrics,
    confusion_matrix,
    match_beats,
)

pytestmark = once


NSVF = ("N", "S", "V", "F")
WORDS = {"N": "normal", "S": "supraventricular", "V": "ventricular", "F": "fusion"}


@pytest.fixture
def labellings():
    random = np.random.default_rng(0)
    reference = random.choice(list(NSVF), 5000, p=[0.8, 0.1, 0.08, 0.02])
    guess = random.choice(list(NSVF), 5000)
    predicted = np.where(random.random(5000) < 0.8, reference, guess)
    return reference, predicted


def test_equals_scikit_learn(labellings):
    from sklearn import metrics

    reference, predicted = labellings
    result = beat_metrics(reference, predicted)
    names = list(NSVF)
    precision, recall, f1, support = metrics.precision_recall_fscore_support(
        reference, predicted, labels=names
    )
    np.testing.assert_allclose(result.precision, precision)
    np.testing.assert_allclose(result.sensitivity, recall)
    np.testing.assert_allclose(result.f1, f1)
    np.testing.assert_array_equal(result.support, support)
    assert result.accuracy == pytest.approx((reference == predicted).mean())
    assert result.macro_f1 == pytest.approx(f1.mean())
    assert result.macro_f1_nsv == pytest.approx(f1[:3].mean())
    assert result.kappa == pytest.approx(metrics.cohen_kappa_score(*labellings))
    np.testing.assert_array_equal(
        confusion_matrix(reference, predicted, NSVF),
        metrics.confusion_matrix(reference, predicted, labels=names),
    )


def test_kappa_with_unclassifiable_predictions_equals_scikit_learn(labellings):
    from sklearn.metrics import cohen_kappa_score

    reference, predicted = labellings[0], labellings[1].copy()
    predicted[::7] = "Q"
    result = beat_metrics(reference, predicted)
    assert result.kappa == pytest.approx(cohen_kappa_score(reference, predicted))
    assert result.accuracy == pytest.approx((reference == predicted).mean())


def test_by_hand():
    # Reference: 6 N, 2 S, 2 V. Right: 5 N, 1 S, 2 V.
    result = beat_metrics(list("NNNNNNSSVV"), list("NNNNNSSNVV"))
    assert result.accuracy == 0.8
    np.testing.assert_allclose(result.sensitivity[:3], [5 / 6, 0.5, 1.0])
    np.testing.assert_allclose(result.precision[:3], [5 / 6, 0.5, 1.0])
    assert np.isnan(result.f1[3])  # F does not occur
    assert result.macro_f1 == result.macro_f1_nsv == pytest.approx((5 / 6 + 1.5) / 3)
    kappa = (0.8 - 0.44) / (1 - 0.44)  # chance: .6 * .6 + .2 * .2 + .2 * .2
    assert result.kappa == pytest.approx(kappa)
    assert result.j == pytest.approx(0.5 + 0.5 + 1 + 1)
    assert result.j_kappa == pytest.approx(kappa / 2 + 3 / 8)


def test_reference_q_is_left_out_and_predicted_q_is_an_error():
    result = beat_metrics(list("NNQQ"), list("NQNQ"))
    assert result.support.sum() == 2
    assert result.accuracy == 0.5
    assert result.sensitivity[0] == 0.5 and result.precision[0] == 1.0


def test_missed_beats_count_against_se_and_extra_ones_against_precision():
    reference, predicted = list("NNVV"), ["N", "N", "V", NO_BEAT]
    result = beat_metrics(reference, predicted, extra=["V", "N", "N"])
    v = NSVF.index("V")
    assert result.sensitivity[v] == 0.5 and result.precision[v] == 0.5
    assert result.sensitivity[0] == 1.0 and result.precision[0] == 0.5
    assert result.accuracy == 0.75


def test_a_class_never_found_is_zero_not_undefined():
    result = beat_metrics(list("NNSV"), list("NNNV"))
    assert result.f1[1] == 0 and np.isnan(result.precision[1])
    assert result.j == pytest.approx(2.0)


def test_no_beats():
    result = beat_metrics([], [])
    assert np.isnan([result.accuracy, result.kappa, result.macro_f1]).all()


def test_unequal_lengths():
    with pytest.raises(ValueError, match="3 reference and 2 predicted"):
        beat_metrics(list("NNN"), list("NN"))


def test_match_beats():
    reference = np.array([100, 460, 820, 1180])
    detected = np.array([95, 470, 480, 700, 1235])
    mine, theirs = match_beats(reference, detected, fs=360.0)
    assert mine.tolist() == [0, 1] and theirs.tolist() == [0, 1]
    assert [a.tolist() for a in match_beats([], detected, 360.0)] == [[], []]


def test_match_beats_is_one_to_one():
    random = np.random.default_rng(1)
    reference = np.unique(random.integers(0, 20000, 300))
    detected = np.unique(random.integers(0, 20000, 300))
    mine, theirs = match_beats(reference, detected, fs=360.0)
    assert len(set(mine)) == len(mine) == len(set(theirs))
    assert np.all(np.diff(theirs) > 0)
    assert np.abs(reference[mine] - detected[theirs]).max() <= 54


def test_labels_may_be_words(labellings):
    """Of more than eight letters: such beats were left out."""
    words = [[WORDS[label] for label in labels] for labels in labellings]
    found = beat_metrics(*words, tuple(WORDS.values()), extra=["supraventricular"])
    expected = beat_metrics(*labellings, extra=["S"])
    assert found.accuracy == expected.accuracy
    assert (found.confusion == expected.confusion).all()
    assert (found.precision == expected.precision).all()
