"""Which beats the template is taken from."""

import numpy as np
from backends import once

from keras_mmfusion.preprocessing import BeatPreprocessor
from keras_mmfusion.preprocessing.reference_beats import reference_beats

pytestmark = once


def times(*intervals):
    return np.cumsum(np.concatenate(intervals))


def test_all_beats_of_a_steady_rhythm():
    rng = np.random.default_rng(0)
    assert reference_beats(times(0.8 + 0.03 * rng.standard_normal(300))).all()


def test_late_beats_where_early_ones_are_the_majority():
    run = [1.4, 0.6, 0.6, 0.6, 0.6]
    late = np.tile([True, False, False, False, False], 60)
    # Nobody knows how long the first beat was waited for.
    np.testing.assert_array_equal(reference_beats(times(run * 60))[1:], late[1:])


def test_all_beats_in_fibrillation():
    rng = np.random.default_rng(0)
    assert reference_beats(times(rng.uniform(0.4, 1.2, 600))).all()


def test_all_beats_where_pauses_are_few():
    assert reference_beats(times([0.8] * 200, [1.4] * 17, [0.8] * 200)).all()
    assert reference_beats(times([1.4, 0.6] * 5)).all()
    assert reference_beats(np.array([])).shape == (0,)
    assert reference_beats(np.array([3.0])).all()


def test_template_is_the_late_beat():
    rng = np.random.default_rng(0)
    ectopic = np.tile([False, True, True, True, True], 60)
    shapes = rng.standard_normal((2, 128, 2)).astype("float32")
    waves = shapes[ectopic.astype(int)]
    described = BeatPreprocessor().describe(
        waves, times([1.4, 0.6, 0.6, 0.6, 0.6] * 60)
    )
    differences = described["ecg"][..., 2:]
    assert not differences[~ectopic].any()
    np.testing.assert_allclose(differences[ectopic][0], shapes[1] - shapes[0])
    # Usual is what the late beat is: its features are the zero of each.
    assert np.abs(described["shape"][~ectopic][:, 1:5]).max() < 1e-6
    assert np.abs(described["shape"][ectopic][:, 3:5]).min() > 1


def test_other_beats_stand_in_for_a_lead_that_no_reference_beat_has():
    ectopic = np.tile([False, True, True, True, True], 60)
    waves = np.ones((300, 128, 2), "float32")
    waves[~ectopic, :, 1] = np.nan
    described = BeatPreprocessor().describe(
        waves, times([1.4, 0.6, 0.6, 0.6, 0.6] * 60)
    )
    assert not described["ecg"][ectopic][..., 2:].any()
