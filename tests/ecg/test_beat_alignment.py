"""Beats that were marked at another point than the others of the patient."""

import numpy as np
import pytest
from backends import once

from keras_mmfusion.datasets import ECGRecord
from keras_mmfusion.preprocessing.beat_alignment import alignment
from keras_mmfusion.preprocessing.beat_detection import detect_beats

pytestmark = once
FS = 360.0
TIME = np.arange(-0.36, 0.35, 1 / 180)


def bump(time, centre, width, height):
    return height * np.exp(-(((time - centre) / width) ** 2))


def heart_beat(time):
    """An R peak and an S wave, both of which might be marked, in two leads."""
    wave = bump(time, -0.16, 0.02, 0.1) + bump(time, 0, 0.012, 1.0)
    wave += bump(time, 0.04, 0.012, -0.9) + bump(time, 0.25, 0.03, 0.3)
    return np.stack([wave, -0.5 * wave], axis=-1)


BEAT = heart_beat(TIME)
WIDE = np.stack([bump(TIME, 0.03, 0.06, -1.5)] * 2, axis=-1)


def test_moved_beats_are_moved_back():
    moved = np.stack([np.roll(BEAT, by, axis=0) for by in range(-12, 13)])
    moves = alignment(moved, BEAT, 12)
    np.testing.assert_array_equal(moves, np.arange(-12, 13))


def test_ectopic_beats_stay():
    rng = np.random.default_rng(0)
    wide = np.stack([np.roll(WIDE, by, axis=0) for by in range(-12, 13)])
    wide = wide + 0.05 * rng.standard_normal(wide.shape)
    assert not alignment(wide, BEAT, 12).any()


def test_noise_moves_nothing():
    rng = np.random.default_rng(0)
    noisy = BEAT + 0.1 * rng.standard_normal((200, *BEAT.shape))
    assert not alignment(noisy, BEAT, 12).any()


@pytest.mark.parametrize("lead", [0, 1])
def test_one_lead_is_enough(lead):
    moved = np.roll(BEAT, 6, axis=0)[None].copy()
    moved[..., lead] = np.nan
    assert alignment(moved, BEAT, 12)[0] == 6
    assert alignment(np.full_like(moved, np.nan), BEAT, 12)[0] == 0


def test_equally_large_waves_are_not_mixed_up_by_detection():
    """R in some beats and S in others is the largest; the intervals stay the same."""
    pytest.importorskip("wfdb")
    rng = np.random.default_rng(0)
    peaks = np.arange(1, 101) * 0.8
    time = np.arange(0, 82, 1 / FS)
    signal = np.zeros(len(time))
    for peak in peaks:
        larger = rng.choice([0.8, 1.2])
        signal += bump(time - peak, 0, 0.012, 1.0)
        signal += bump(time - peak, 0.04, 0.012, -larger)
        signal += bump(time - peak, 0.25, 0.03, 0.2)
    found = detect_beats(ECGRecord("two", signal[:, None], ("MLII",), FS))
    assert len(found) == 100
    assert np.abs(np.diff(found) - 0.8 * FS).max() <= 2
