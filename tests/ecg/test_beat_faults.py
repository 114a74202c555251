"""Missing samples and flat leads: reasons, and inputs that stay finite."""

from dataclasses import replace

import numpy as np
import pytest
from backends import once
from excerpt_beats import AFTER, BEFORE, ECG, FS, SHAPE, changed, without_warnings

from keras_mmfusion.datasets import ECGRecord
from keras_mmfusion.preprocessing import BeatPreprocessor

pytestmark = once


def beats_inside(record, start, stop):
    """Beats whose whole window lies inside, and those whose window touches."""
    first, last = record.beats - BEFORE, record.beats + AFTER
    return (first >= start) & (last <= stop), (last >= start) & (first < stop)


@pytest.mark.parametrize("causal", [False, True])
@pytest.mark.parametrize(
    "value,reason", [(np.nan, "missing samples"), (np.inf, "missing samples"),
                     (0.0, "flat")],
)  # fmt: skip
def test_fault_in_every_lead_is_a_reason(record, value, reason, causal):
    def spoil(signals):
        signals[20_000:24_000] = value

    spoilt = changed(record, spoil)
    inputs = without_warnings(BeatPreprocessor(causal=causal), spoilt)
    inside, touching = beats_inside(record, 20_000, 24_000)
    assert inside.sum() > 10
    assert set(inputs.reasons[inside]) == {reason}
    assert set(inputs.reasons[~touching]) == {""}
    for name in ("ecg", "image", "shape"):
        assert np.isnan(inputs.modalities[name][inside]).all()
        assert np.isfinite(inputs.modalities[name][~touching]).all()
    assert np.isfinite(inputs.modalities["rhythm"]).all()


@pytest.mark.parametrize("lead", [0, 1])
def test_faults_of_all_leads_are_the_reason(record, lead):
    def spoil(signals):
        signals[20_000:24_000, lead] = np.nan
        signals[20_000:24_000, 1 - lead] = 0.0

    inputs = BeatPreprocessor()(changed(record, spoil))
    inside, touching = beats_inside(record, 20_000, 24_000)
    reason = ["missing samples and flat", "flat and missing samples"][lead]
    assert set(inputs.reasons[inside]) == {reason}
    assert not inputs.reasons[~touching].any()


@pytest.mark.parametrize("causal", [False, True])
@pytest.mark.parametrize("value", [np.nan, 0.0])
@pytest.mark.parametrize("lead", [0, 1])
def test_fault_in_one_lead_leaves_the_other(
    record, offline, past_only, lead, value, causal
):
    def spoil(signals):
        signals[20_000:24_000, lead] = value

    spoilt = changed(record, spoil)
    inputs = without_warnings(BeatPreprocessor(causal=causal), spoilt)
    inside, _ = beats_inside(record, 20_000, 24_000)
    full = past_only if causal else offline
    assert not inputs.reasons.any()
    ecg, shape = inputs.modalities["ecg"], inputs.modalities["shape"]
    assert np.isnan(ecg[inside][..., ECG[lead]]).all()
    assert np.isnan(shape[inside][:, SHAPE[lead]]).all()
    assert np.array_equal(ecg[..., ECG[1 - lead]], full["ecg"][..., ECG[1 - lead]])
    other = SHAPE[1 - lead]
    assert np.array_equal(shape[:, other], full["shape"][:, other])


@pytest.mark.parametrize("causal", [False, True])
@pytest.mark.parametrize("value", [np.nan, 0.0])
def test_a_lead_without_any_signal(record, value, causal):
    def spoil(signals):
        signals[:, 1] = value

    spoilt = changed(record, spoil)
    inputs = without_warnings(BeatPreprocessor(causal=causal), spoilt)
    assert not inputs.reasons.any()
    assert np.isnan(inputs.modalities["ecg"][..., ECG[1]]).all()
    assert np.isnan(inputs.modalities["shape"][:, SHAPE[1]]).all()
    assert np.isfinite(inputs.modalities["ecg"][..., ECG[0]]).all()


@pytest.mark.parametrize("causal", [False, True])
def test_a_few_missing_samples_hardly_matter(record, offline, past_only, causal):
    full = past_only if causal else offline

    def spoil(signals):
        # Between two beats, where the signal is low.
        signals[record.beats[100] + 140 :][:4] = np.nan

    inputs = BeatPreprocessor(causal=causal)(changed(record, spoil))
    assert not inputs.reasons.any()
    assert np.isfinite(inputs.modalities["ecg"]).all()
    assert np.abs(inputs.modalities["ecg"] - full["ecg"]).max() < 0.5


def test_missing_samples_at_the_start_are_no_step(record, past_only):
    def spoil(signals):
        signals += 5.0
        signals[:1000] = np.nan

    inputs = BeatPreprocessor(causal=True)(changed(record, spoil)).modalities["ecg"]
    later = record.beats > 1000 + 2 * FS
    assert np.abs(inputs - past_only["ecg"])[later, :, :2].max() < 0.2


@pytest.mark.parametrize("causal", [False, True])
@pytest.mark.parametrize("leads", [slice(None), slice(0, 1)])
@pytest.mark.parametrize("value", [np.nan, 0.0])
def test_an_interruption_is_no_interval(record, value, leads, causal):
    """Ten minutes without a signal, which made all other intervals seem short."""
    middle, gap = len(record.signals) // 2, round(600 * FS)
    lost = np.repeat(record.signals[middle : middle + 1], gap, axis=0)
    lost[:, leads] = value
    halves = record.signals[:middle], record.signals[middle:]
    interrupted = ECGRecord(
        "interrupted",
        np.concatenate([halves[0], lost, halves[1]]),
        record.leads,
        FS,
        record.beats + gap * (record.beats >= middle),
    )
    preprocessor = BeatPreprocessor(causal=causal)
    whole, found = (
        preprocessor(each).modalities["rhythm"] for each in (record, interrupted)
    )
    after = np.searchsorted(record.beats, middle)
    others = np.delete(np.arange(len(whole)), [after - 1, after])
    np.testing.assert_allclose(found[others], whole[others], atol=0.02)
    assert np.abs(found).max() < np.abs(whole).max() + 0.02


def test_a_pause_of_the_heart_is_an_interval(record):
    beats = record.beats[(record.beats < 20_000) | (record.beats > 22_000)]
    paused = replace(record, beats=beats, symbols=None)
    assert BeatPreprocessor()(paused).modalities["rhythm"].max() == 1.5
