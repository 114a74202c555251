"""What a causal preprocessor does not know: the future."""

from dataclasses import replace

import numpy as np
import pytest
from backends import once
from excerpt_beats import AFTER, NAMES, changed

from keras_mmfusion.preprocessing import BeatPreprocessor

pytestmark = once


def cut_off(record, last):
    """The recording, but all different after the window of beat `last`."""
    rng = np.random.default_rng(1)
    end = record.beats[last] + AFTER
    signals = record.signals.copy()
    signals[end + 1 :] = 3 + rng.normal(size=signals[end + 1 :].shape)
    later = np.arange(record.beats[last] + 100, len(signals) - 200, 217)
    beats = np.append(record.beats[: last + 1], later)
    return replace(record, signals=signals, beats=beats)


# Within the first beats, and within and at the end of a block of the template.
@pytest.mark.parametrize("last", [0, 1, 5, 15, 16, 100, 127, 200])
def test_causal_inputs_do_not_know_the_future(record, past_only, last):
    inputs = BeatPreprocessor(causal=True)(cut_off(record, last)).modalities
    for name in NAMES:
        assert np.array_equal(inputs[name][: last + 1], past_only[name][: last + 1])
    assert not np.array_equal(inputs["ecg"][last + 1], past_only["ecg"][last + 1])


def test_causal_inputs_do_not_know_the_future_of_missing_samples(record):
    def spoil(signals):
        signals[:40] = np.nan
        for beat in record.beats[::7]:
            signals[beat + 60 : beat + 75] = np.nan

    spoilt = changed(record, spoil)
    preprocessor = BeatPreprocessor(causal=True)
    before = preprocessor(spoilt).modalities
    after = preprocessor(cut_off(spoilt, 100)).modalities
    assert np.isfinite(before["ecg"][2:]).all(), "gaps are too long to be filled"
    for name in NAMES:
        np.testing.assert_array_equal(before[name][:101], after[name][:101], name)


@pytest.mark.parametrize("fs, delay", [(100, 0.45), (250, 0.39), (360, 0.35)])
def test_causal_inputs_look_ahead_for_the_delay_and_no_further(record, fs, delay):
    assert BeatPreprocessor(causal=True).delay(fs) == pytest.approx(delay, abs=2e-3)
    other = replace(record, fs=float(fs))
    end = other.beats[100] + round(delay * fs)

    def spoil(signals):
        signals[end + 1 :] = 7

    preprocessor = BeatPreprocessor(causal=True)
    before = preprocessor(other).modalities
    after = preprocessor(changed(other, spoil)).modalities
    for name in NAMES:
        assert np.array_equal(before[name][:101], after[name][:101]), name


@pytest.mark.parametrize("name", NAMES)
def test_offline_inputs_do_know_the_future(record, offline, name):
    inputs = BeatPreprocessor()(cut_off(record, 200)).modalities[name]
    assert np.abs(inputs[:201] - offline[name][:201]).max() > 1e-3
