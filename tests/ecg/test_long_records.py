"""Long recordings: read, filtered and cut a piece at a time, with the same result."""

import tracemalloc
from dataclasses import replace

import numpy as np
import pytest
from backends import once

from keras_mmfusion import _pieces
from keras_mmfusion.datasets import ECGRecord, RecordError, read_wfdb
from keras_mmfusion.preprocessing import (
    BeatPreprocessor,
    _interruptions,
    beat_detection,
)

wfdb = pytest.importorskip("wfdb")
pytestmark = once
SECONDS = 90


def recording(fs=360, seconds=SECONDS, gaps=True):
    """Heart beats of two leads on a wandering line."""
    samples = round(seconds * fs)
    beats = np.arange(fs // 2, samples - fs // 2, round(0.8 * fs))
    rng = np.random.default_rng(0)
    signals = np.cumsum(rng.normal(0, 0.002, (samples, 2)), axis=0)
    wave = np.hanning(round(0.08 * fs))[:, None] * [1.0, -0.7]
    for beat in beats:
        start = beat - len(wave) // 2
        signals[start : start + len(wave)] += wave * rng.uniform(0.8, 1.2)
    if gaps:
        signals[: fs // 2, 0] = signals[20 * fs : 24 * fs] = np.nan
        signals[40 * fs : 41 * fs, 1] = signals[60 * fs : 64 * fs, 0] = 0.25
        signals[70 * fs, 0] = 400
    return ECGRecord("r", signals.astype("float32"), ("MLII", "V1"), float(fs), beats)


def everything(record, causal):
    """What is made of a record: inputs, beats, and whether they lie on its waves."""
    inputs = BeatPreprocessor(causal=causal)(record)
    made = {**inputs.modalities, "reasons": inputs.reasons}
    made["detected"] = beat_detection.detect_beats(record)
    made["aligned"] = beat_detection.check_alignment(record)
    made["silence"] = beat_detection.silence(record)[1]
    return made


@pytest.mark.parametrize("fs", [128, 360, 1000])
@pytest.mark.parametrize("causal", [False, True])
def test_pieces_give_what_the_whole_gives(monkeypatch, fs, causal):
    record = recording(fs)
    whole = everything(record, causal)
    monkeypatch.setattr(_pieces, "PIECE", 5003)
    parts = everything(record, causal)
    assert whole["reasons"].any() and len(whole["detected"]) > 80
    for name, values in whole.items():
        np.testing.assert_array_equal(values, parts[name], err_msg=name)


@pytest.mark.parametrize("pad", [0, 1, 300, 5000])
def test_filters_give_what_scipy_gives_of_the_whole(monkeypatch, pad):
    from scipy import signal as scipy_signal

    from keras_mmfusion.preprocessing._filters import both_ways, forward, resample

    monkeypatch.setattr(_pieces, "PIECE", 1000)
    sos = scipy_signal.butter(2, [0.5, 40], "bandpass", fs=360, output="sos")
    x = np.random.default_rng(0).normal(3, 1, 4321).astype("float32")
    expected = scipy_signal.sosfiltfilt(sos, x, padlen=min(pad, len(x) - 1))
    np.testing.assert_array_equal(both_ways(sos, x, pad, np.empty(4321)), expected)
    inside = x.astype("float64")
    expected = scipy_signal.sosfiltfilt(sos, inside, padlen=min(pad, len(x) - 1))
    np.testing.assert_array_equal(both_ways(sos, inside, pad, inside), expected)
    state = scipy_signal.sosfilt_zi(sos) * x[0]
    expected, _ = scipy_signal.sosfilt(sos, x, zi=state)
    np.testing.assert_array_equal(forward(sos, x, np.empty(4321)), expected)
    for up, down in ((45, 16), (9, 25), (360, 257)):
        expected = scipy_signal.resample_poly(x, up, down)
        np.testing.assert_array_equal(resample(x, up, down, "constant"), expected)


@pytest.mark.parametrize("fmt", ["16", "212", "24", "32", "80", "310"])
def test_files_are_read_in_pieces(tmp_path, monkeypatch, fmt):
    digital = np.random.default_rng(0).integers(-120, 120, (4001, 3))
    wfdb.wrsamp(
        "r",
        fs=250,
        units=["mV"] * 3,
        sig_name=["I", "II", "V1"],
        d_signal=digital,
        fmt=["212" if fmt == "310" else fmt] * 3,
        adc_gain=[100.0] * 3,
        baseline=[3] * 3,
        write_dir=str(tmp_path),
    )
    whole = read_wfdb(tmp_path / "r").signals
    monkeypatch.setattr(_pieces, "PIECE", 999)
    np.testing.assert_array_equal(read_wfdb(tmp_path / "r").signals, whole)
    np.testing.assert_allclose(whole, (digital - 3) / 100, rtol=1e-6)


def test_skewed_signals_pass_their_checksum(tmp_path, monkeypatch):
    """The checksum is of all samples of a file, whatever is left out at its ends."""
    digital = np.random.default_rng(0).integers(1, 100, (400, 2))
    wfdb.wrsamp(
        "r",
        fs=250,
        units=["mV"] * 2,
        sig_name=["II", "V1"],
        d_signal=digital,
        fmt=["16"] * 2,
        adc_gain=[100.0] * 2,
        baseline=[0] * 2,
        write_dir=str(tmp_path),
    )
    header = tmp_path / "r.hea"
    header.write_text(header.read_text().replace("16 ", "16:3 ", 1))
    monkeypatch.setattr(_pieces, "PIECE", 99)
    signals = read_wfdb(tmp_path / "r").signals
    np.testing.assert_allclose(signals[:-3, 0], digital[3:, 0] / 100, rtol=1e-6)
    np.testing.assert_allclose(signals[:, 1], digital[:, 1] / 100, rtol=1e-6)
    assert np.isnan(signals[-3:, 0]).all()


def test_what_to_do_with_edf(tmp_path):
    path = tmp_path / "r.edf"
    path.write_bytes(b"0")
    with pytest.raises(RecordError, match="wrsamp writes"):
        read_wfdb(path)


def peak(function, *args):
    """Bytes that a function takes at most, and its result."""
    tracemalloc.start()
    try:
        result = function(*args)
        return tracemalloc.get_traced_memory()[1], result
    finally:
        tracemalloc.stop()


def test_memory_of_many_leads(monkeypatch):
    """A piece of twelve leads is no larger than one of two."""
    monkeypatch.setattr(_pieces, "PIECE", 1 << 14)
    record = recording(gaps=False)
    record = replace(
        record, signals=np.tile(record.signals, 6), leads=tuple("ABCDEFGHIJKL")
    )
    size = record.signals.nbytes
    assert peak(_interruptions.unusable, record.signals, 360)[0] < size
    assert peak(beat_detection.check_alignment, record)[0] < size


def test_memory_of_a_long_record(tmp_path, monkeypatch):
    """Beside the recording stands one lead, not ten copies of all."""
    monkeypatch.setattr(_pieces, "PIECE", 1 << 14)
    monkeypatch.setattr(beat_detection, "BLOCK", 256, raising=False)
    record = recording(seconds=1800, gaps=False)
    digital = np.rint(record.signals * 200).astype("int16")
    wfdb.wrsamp(
        "r",
        fs=360,
        units=["mV"] * 2,
        sig_name=list(record.leads),
        d_signal=digital,
        fmt=["16"] * 2,
        adc_gain=[200.0] * 2,
        baseline=[0] * 2,
        write_dir=str(tmp_path),
    )
    size = record.signals.nbytes
    taken, read = peak(read_wfdb, tmp_path / "r")
    assert read.signals.nbytes == size and taken < 1.6 * size
    monkeypatch.setattr(beat_detection, "_search", lambda *args: record.beats)
    assert peak(beat_detection.detect_beats, record)[0] < 4 * size
    made = BeatPreprocessor()
    made(replace(record, beats=record.beats[:9]))  # Imports of scipy count, too.
    taken, inputs = peak(made, record)
    assert taken < 2 * size + sum(x.nbytes for x in inputs.modalities.values())
