"""What is asked of an `ECGRecord` that is made by hand."""

from dataclasses import replace

import numpy as np

from keras_mmfusion._checks import check_positive_number
from keras_mmfusion.datasets.ecg_record import RecordError


def checked_record(record):
    """The record with arrays; raises unless it is as `read_wfdb` would have it."""
    if any(not hasattr(record, name) for name in ("signals", "leads", "fs", "beats")):
        raise TypeError(
            "Expected an ECGRecord: `read_wfdb(path)`, `read_csv(path, fs)`, or "
            "`ECGRecord(name, signals, leads, fs, beats)` of arrays. Received: "
            f"{type(record).__name__}."
        )
    signals, leads = np.asarray(record.signals), tuple(record.leads)
    if signals.ndim != 2 or signals.shape[1] != len(leads):
        raise RecordError(
            f"Expected signals of {record.name} of shape (samples, {len(leads)}), a "
            f"column for each of {', '.join(leads)}. Received: shape {signals.shape}."
        )
    if signals.dtype.kind not in "iuf":
        raise RecordError(
            f"Expected signals of {record.name} in millivolts. Received: an array of "
            f"{signals.dtype}. signals.astype('float32') makes them of numbers."
        )
    try:
        check_positive_number(fs=record.fs)
    except ValueError as error:
        raise RecordError(f"{record.name}: {error}, samples a second.") from None
    if record.beats is None:
        return replace(record, signals=signals)
    beats = np.asarray(record.beats).reshape(-1)
    if beats.dtype.kind not in "iuf" and len(beats):
        raise RecordError(
            f"Expected beats of {record.name} as numbers of samples. Received: an "
            f"array of {beats.dtype}. np.flatnonzero makes them of a mask."
        )
    inside = (beats >= 0) & (beats < len(signals)) & (beats == np.rint(beats))
    if not inside.all() or (np.diff(beats) < 0).any():
        raise RecordError(
            f"Expected beats of {record.name} as numbers of samples, ascending, from 0 "
            f"to {len(signals) - 1:,}. Received: {beats[:3]} to {beats[-1]}. "
            "np.rint(seconds * fs) makes them of seconds."
        )
    return replace(record, signals=signals, beats=beats.astype("int64"))
