"""From recordings to model inputs: on real beats, at any rate."""

import json
from dataclasses import replace
from itertools import pairwise

import keras
import numpy as np
import pytest
from backends import once
from excerpt_beats import (
    BEFORE,
    ECG,
    FS,
    LENGTH,
    NAMES,
    SHAPE,
    STEP,
    changed,
    without_warnings,
)
from scipy.signal import butter, resample_poly, sosfilt, sosfilt_zi, sosfiltfilt

from keras_mmfusion.datasets import ECGRecord, RecordError, mitbih
from keras_mmfusion.preprocessing import BeatPreprocessor
from keras_mmfusion.preprocessing.beat_detection import detect_beats

pytestmark = once


# The same by plain loops over beats.


def plain(record, causal):
    sos = butter(2, (0.5, 40.0), "bandpass", fs=FS, output="sos")
    num = len(record.beats)
    waves = np.zeros((num, LENGTH, 2))
    for lead in range(2):
        x = record.signals[:, lead].astype("float64")
        if causal:
            x = sosfilt(sos, x, zi=sosfilt_zi(sos) * x[0])[0]
        else:
            x = sosfiltfilt(sos, x, padlen=3 * FS)
        for i, beat in enumerate(record.beats):
            for k in range(LENGTH):
                sample = min(max(beat - BEFORE + STEP * k, 0), len(x) - 1)
                waves[i, k, lead] = x[sample]
    templates = np.zeros_like(waves)
    for i in range(num):
        if not causal:
            past = range(num)
        elif i < 16:
            past = range(i + 1)
        else:
            block = i - i % 16
            past = range(max(0, block - 64), block)
        templates[i] = np.median([waves[k] for k in past], axis=0)
    return waves, templates


def plain_rhythm(record, causal):
    times = record.beats / FS
    intervals = [b - a for a, b in pairwise(times)]
    features = []
    for i in range(len(times)):
        before = intervals[max(i - 1, 0)]
        after = intervals[min(i, len(intervals) - 1)]
        if causal:
            past = [intervals[0]] + intervals[:i]
            features.append([np.log(before / np.mean(past)), 0.0])
        else:
            mean = np.mean(intervals)
            features.append([np.log(before / mean), np.log(after / mean)])
    return np.clip(features, -1.5, 1.5)


def plain_shape(waves, templates, causal):
    """Per beat and lead; R peak at kept sample 65, QRS -14 to +18, P up to 47."""
    raw = np.zeros((len(waves), 2, 5))
    for i, (wave, template) in enumerate(zip(waves, templates, strict=True)):
        for lead in range(2):
            w, t = wave[:, lead], template[:, lead]
            qrs, p = w[51:83], (w - t)[:47]
            change = (w - t)[51:83]
            r = 0.0 if not t.any() else np.corrcoef(w, t)[0, 1]
            raw[i, lead] = (
                np.clip(np.arctanh(np.clip(r, -0.98, 0.98)), -2.5, 2.5),
                np.log(qrs.max() - qrs.min() + 0.05),
                np.log(np.abs(qrs).mean() + 0.02),
                np.log(np.sqrt((change**2).mean()) + 0.02),
                np.log(np.sqrt((p**2).mean()) + 0.01),
            )
    features = raw.copy()
    for i in range(len(raw)):
        seen = range(max(0, i - 63), i + 1) if causal else range(len(raw))
        features[i, :, 1:] -= np.median([raw[k, :, 1:] for k in seen], axis=0)
    return np.clip(features, -3, 3).reshape(len(raw), 10)


@pytest.mark.parametrize("causal", [False, True])
def test_equals_plain_loops(record, offline, past_only, causal):
    inputs = past_only if causal else offline
    waves, templates = plain(record, causal)
    close = {"atol": 1e-5, "rtol": 0}
    np.testing.assert_allclose(inputs["image"], waves, **close)
    np.testing.assert_allclose(inputs["ecg"][..., :2], waves, **close)
    np.testing.assert_allclose(inputs["ecg"][..., 2:], waves - templates, **close)
    np.testing.assert_allclose(inputs["rhythm"], plain_rhythm(record, causal), **close)
    shape = plain_shape(waves, templates, causal)
    np.testing.assert_allclose(inputs["shape"], shape, atol=1e-4)


# Settings and leads.


def test_shapes_and_dtypes(record, offline):
    shapes = {name: values.shape[1:] for name, values in offline.items()}
    assert shapes == {
        "ecg": (128, 4),
        "image": (128, 2),
        "rhythm": (2,),
        "shape": (10,),
    }
    for values in offline.values():
        assert values.dtype == "float32" and len(values) == len(record.beats)
        assert np.isfinite(values).all()


def test_config_round_trip_through_json(record):
    first = BeatPreprocessor(
        fs=250.0, step=1, before=0.3, length=100, band=(1.0, 30.0), num_leads=1,
        causal=True,
    )  # fmt: skip
    text = json.dumps(keras.saving.serialize_keras_object(first), sort_keys=True)
    again = keras.saving.deserialize_keras_object(json.loads(text))
    assert again.get_config() == first.get_config()
    a, b = first(record).modalities, again(record).modalities
    assert all(np.array_equal(a[name], b[name]) for name in NAMES)
    assert a["ecg"].shape[1:] == (100, 2)


@pytest.mark.parametrize(
    "name,leads",
    [("100", ("MLII", "V5")), ("114", ("MLII", "V5")), ("102", ("V5", "V2")),
     ("104", ("V5", "V2")), ("213", ("MLII", "V1"))],
)  # fmt: skip
def test_leads_are_found_by_name(data_dir, name, leads):
    (record,) = mitbih.load_mitbih([name], data_dir)
    preprocessor = BeatPreprocessor()
    columns = preprocessor.choose_leads(record)
    assert tuple(record.leads[c] for c in columns) == leads
    if name == "114":
        assert columns == [1, 0]


@pytest.mark.parametrize(
    "leads,chosen",
    [
        (("II", "V1"), [0, 1]),
        (("V1", "ECG"), [1, 0]),
        (("V5", "V1"), [1, 0]),
        (("V1",), [None, 0]),
        (("MCL1",), [None, 0]),
        (("aVF",), [0]),
        (("I", "III", "V5"), [0, 2]),
        (("ECG I", "ECG II", "ECG III", "ECG V1"), [1, 3]),
        (("Lead V1", "lead_ii"), [1, 0]),
        (("MDC_ECG_LEAD_I", "MDC_ECG_LEAD_II", "MDC_ECG_LEAD_V2"), [1, 2]),
        (("RESP", "PLETH", "V", "II"), [3, 2]),
        (("II", "ABP"), [0]),
        (("HR", "SpO2", "ECG"), [2]),
        (("RESP",), [0]),
    ],
)
def test_chest_leads_take_the_second_place(leads, chosen):
    record = ECGRecord("x", np.zeros((720, len(leads)), "float32"), leads, 360.0)
    assert BeatPreprocessor().choose_leads(record) == chosen
    assert None not in BeatPreprocessor(num_leads=1).choose_leads(record)


@pytest.mark.parametrize("loose,chosen", [([0], [2, 3]), ([0, 2], [1, 3])])
def test_leads_without_a_signal_are_not_chosen_where_there_are_others(loose, chosen):
    signals = np.random.default_rng(0).normal(size=(720, 4)).astype("float32")
    signals[200:, loose] = [np.nan, 0.1][: len(loose)]
    record = ECGRecord("x", signals, ("II", "I", "V1", "V5"), 360.0)
    assert BeatPreprocessor().choose_leads(record) == chosen
    # That a lead will be lost is not known before.
    assert BeatPreprocessor(causal=True).choose_leads(record) == [0, 2]


def test_leads_by_request(record, offline):
    inputs = BeatPreprocessor()(record, leads=["v1", "mlii"])
    assert inputs.leads == ("MLII", "V1")
    assert all(np.array_equal(inputs.modalities[n], offline[n]) for n in NAMES)


@pytest.mark.parametrize("lead", [0, 1])
def test_one_lead_by_request(record, offline, lead):
    inputs = BeatPreprocessor()(record, leads=[record.leads[lead]])
    assert inputs.leads == (record.leads[lead],) and not inputs.reasons.any()
    for name, part in (("ecg", ECG), ("shape", SHAPE)):
        a, b = inputs.modalities[name], offline[name]
        assert np.array_equal(a[..., part[lead]], b[..., part[lead]])
        assert np.isnan(a[..., part[1 - lead]]).all()


@pytest.mark.parametrize(
    "leads,message",
    [(["MLII", "V7"], "has no lead 'V7'.*MLII, V1"), (["MLII"] * 3, "takes 2 leads"),
     (["V1", "v1"], "used once. Received: V1, v1. .*MLII, V1")],
)  # fmt: skip
def test_wrong_leads(record, leads, message):
    with pytest.raises(RecordError, match=message):
        BeatPreprocessor()(record, leads=leads)


@pytest.mark.parametrize("causal", [False, True])
def test_one_lead(record, offline, past_only, causal):
    single = replace(record, signals=record.signals[:, :1], leads=("MLII",))
    inputs = without_warnings(BeatPreprocessor(causal=causal), single)
    full = past_only if causal else offline
    assert inputs.leads == ("MLII",) and not inputs.reasons.any()
    m = inputs.modalities
    assert np.array_equal(m["ecg"][..., ECG[0]], full["ecg"][..., ECG[0]])
    assert np.array_equal(m["shape"][:, SHAPE[0]], full["shape"][:, SHAPE[0]])
    assert np.array_equal(m["rhythm"], full["rhythm"])
    assert np.isnan(m["ecg"][..., ECG[1]]).all()
    assert np.isnan(m["image"][..., 1]).all()
    assert np.isnan(m["shape"][:, SHAPE[1]]).all()


# Rates and gains.


@pytest.mark.parametrize("causal", [False, True])
@pytest.mark.parametrize("fs,tolerance", [(250, 0.05), (2000, 0.02)])
def test_another_rate_gives_the_same_inputs(record, fs, tolerance, causal):
    # Beats at the same instants at both rates, up to the ends of the recording,
    # and an offset, which must not become a step there.
    common = 36
    beats = np.unique(record.beats // common) * common
    beats = np.append(beats, len(record.signals) // common * common - common)
    here = replace(record, beats=beats, signals=record.signals + np.float32(2.0))
    up, down = fs // 10, FS // 10
    edge = 100 * down
    signals = np.pad(here.signals, ((edge, edge), (0, 0)), "edge").astype("float64")
    signals = resample_poly(signals, up, down, axis=0)[100 * up : -100 * up]
    there = replace(here, signals=signals, fs=float(fs), beats=beats * fs // FS)
    preprocessor = BeatPreprocessor(causal=causal)
    a, b = preprocessor(here).modalities, preprocessor(there).modalities
    for name in NAMES:
        np.testing.assert_allclose(b[name], a[name], atol=tolerance, err_msg=name)


@pytest.mark.parametrize("fs", [359.9, 360.1])
def test_a_rate_that_is_no_ratio_moves_no_beat(record, offline, fs):
    """Resampling takes these for 360 Hz; after 150 s that was 15 samples."""
    inputs = BeatPreprocessor()(replace(record, fs=fs)).modalities
    for name in ("ecg", "rhythm"):
        assert np.abs(inputs[name] - offline[name]).max() < 0.02


def test_rate_too_low(record):
    with pytest.raises(RecordError, match=r"99 Hz.*100 Hz"):
        BeatPreprocessor()(replace(record, fs=99.0))


def test_units_are_millivolts(record, offline):
    doubled = BeatPreprocessor()(changed(record, lambda s: s.__imul__(2))).modalities
    np.testing.assert_allclose(doubled["ecg"], 2 * offline["ecg"], atol=1e-5)
    height = np.ptp(np.median(offline["image"][..., 0], axis=0))
    assert 1 < height < 4
    # Features of the shape hardly know the gain.
    assert np.median(np.abs(doubled["shape"] - offline["shape"])) < 0.02


@pytest.mark.parametrize("beats", [None, np.array([], "int64")])
def test_no_beats(record, beats):
    with pytest.raises(RecordError, match="no beats"):
        BeatPreprocessor()(replace(record, beats=beats))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"signals": np.zeros(720)}, "shape .samples, 2.*MLII, V1. Received: .*720,"),
        ({"signals": np.zeros((2, 720))}, r"Received: shape \(2, 720\)"),
        ({"leads": ("II",)}, "shape .samples, 1., a column for each of II"),
        ({"beats": np.array([0.5, 1.3])}, "numbers of samples.*0.5.*of seconds"),
        ({"beats": np.array([700, 300])}, "ascending"),
        ({"beats": np.array([300, 10**7])}, "from 0 to 53,999.*to 10000000"),
        ({"beats": np.array([-1, 300])}, "from 0 to"),
    ],
)
def test_a_record_made_by_hand_is_checked(record, change, message):
    with pytest.raises(RecordError, match=message):
        BeatPreprocessor()(replace(record, **change))
    if "beats" not in change:
        with pytest.raises(RecordError, match=message):
            detect_beats(replace(record, beats=None, **change))


def test_lists_are_as_good_as_arrays(record, offline):
    listed = replace(record, beats=record.beats.tolist(), leads=list(record.leads))
    modalities = BeatPreprocessor()(listed).modalities
    assert all(np.array_equal(modalities[n], offline[n]) for n in NAMES)
    with pytest.raises(TypeError, match=r"an ECGRecord.*Received: ndarray"):
        BeatPreprocessor()(record.signals)


def test_template_is_the_median_of_the_good_beats(record):
    def spoil(signals):
        signals[30_000:40_000] = np.nan

    inputs = BeatPreprocessor()(changed(record, spoil))
    ecg = inputs.modalities["ecg"]
    fine = inputs.reasons == ""
    assert 0 < fine.sum() < len(fine)
    template = ecg[fine][..., :2] - ecg[fine][..., 2:]
    expected = np.median(ecg[fine][..., :2], axis=0)
    np.testing.assert_allclose(template, np.broadcast_to(expected, template.shape),
                               atol=1e-6)  # fmt: skip


@pytest.mark.parametrize("causal", [False, True])
@pytest.mark.parametrize("count", [1, 2, 3])
def test_very_few_beats(record, count, causal):
    few = replace(record, beats=record.beats[:count])
    inputs = without_warnings(BeatPreprocessor(causal=causal), few)
    for name in NAMES:
        assert inputs.modalities[name].shape[0] == count
        assert np.isfinite(inputs.modalities[name]).all()
    if count == 1:
        assert not inputs.modalities["ecg"][..., 2:].any()
        assert not inputs.modalities["rhythm"].any()


@pytest.mark.parametrize("causal", [False, True])
def test_recording_shorter_than_the_filter(causal):
    signals = np.random.default_rng(0).normal(size=(100, 1)).astype("float32")
    record = ECGRecord("short", signals, ("II",), 360.0, np.array([50]))
    inputs = without_warnings(BeatPreprocessor(causal=causal), record)
    assert np.isfinite(inputs.modalities["ecg"][..., 0]).all()


def test_leads_as_modalities_of_their_own():
    """Only if asked: a model of four modalities takes no more than these."""
    times = 0.8 * np.arange(20)
    waves = np.random.default_rng(0).normal(size=(20, 128, 2)).astype("float32")
    plain = BeatPreprocessor().describe(waves, times)
    assert list(plain) == ["ecg", "image", "rhythm", "shape"]
    prepare = BeatPreprocessor(separate_leads=True)
    found = BeatPreprocessor.from_config(prepare.get_config()).describe(waves, times)
    assert list(found) == [*plain, "lead_1", "lead_2"]
    np.testing.assert_array_equal(found["lead_2"][..., 0], waves[..., 1])
    np.testing.assert_array_equal(found["lead_2"][..., 1], plain["ecg"][..., 3])
