"""What is asked of an `ECGRecord` that is made by hand."""

from dataclasses import replace

import numpy as np

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
    if record.beats is None:
        return replace(record, signals=signals)
    beats = np.asarray(record.beats).reshape(-1)
    inside = (beats >= 0) & (beats < len(signals)) & (beats == np.rint(beats))
    if not inside.all() or (np.diff(beats) < 0).any():
        raise RecordError(
            f"Expected beats of {record.name} as numbers of samples, ascending, from 0 "
            f"to {len(signals) - 1:,}. Received: {beats[:3]} to {beats[-1]}. "
            "np.rint(seconds * fs) makes them of seconds."
        )
    return replace(record, signals=signals, beats=beats.astype("int64"))
