"""Find the heart beats of a recording, or check that given ones belong to it."""

import contextlib
import io
import warnings
from fractions import Fraction
from itertools import pairwise

import numpy as np

from keras_mmfusion._pieces import BLOCK, pieces
from keras_mmfusion.datasets._checked_record import checked_record
from keras_mmfusion.datasets.ecg_record import RecordError
from keras_mmfusion.preprocessing._ecg_leads import lead_rank
from keras_mmfusion.preprocessing._filters import both_ways, resample
from keras_mmfusion.preprocessing._interruptions import silent, unusable
from keras_mmfusion.preprocessing.beat_alignment import alignment
from keras_mmfusion.preprocessing.ecg_beats import MIN_FS

DETECTOR = "xqrs"
_RATE = 360.0
_CHUNK, _OVERLAP = 600.0, 10.0
# Millivolts from trough to peak. XQRS adapts to any height, even that of noise.
_SMALLEST = 0.05
# Times the height that one of a hundred samples has. In MIT-BIH none has 8 times.
_SPIKE = 10.0
# A median of fewer beats is noise.
_FEWEST = 16


def detect_beats(record, lead=None, progress=None):
    """Find the R peaks of a recording with the XQRS detector of wfdb.

    The lead is resampled to 250-500 Hz if needed and searched in stretches of
    ten minutes, each of which learns its own thresholds. A detection is
    then moved to the largest deflection within 75 ms, up or down, where
    annotators put it; where R and S waves are equally large, to the same of them
    in all beats. Beats inside missing or flat stretches are dropped. None of this is
    causal: filters run both ways, and what a usual beat is, the whole record tells.

    Args:
        record: `ECGRecord`. Its `beats` are not looked at.
        lead: str. Name of the lead to search. Defaults to `None`: the usual
            limb lead, or the next best one that holds a signal.
        progress: Callable `(done, total)`, called after each stretch.
            Defaults to `None`.

    Returns:
        int64 array `(beats,)` of ascending sample numbers at the record's rate.

    Raises:
        RecordError: A rate below 100 Hz, an unknown lead, or no beat found.

    Example:

    ```python
    from dataclasses import replace
    from keras_mmfusion.preprocessing.beat_detection import detect_beats

    record = replace(record, beats=detect_beats(record))
    ```
    """
    record = checked_record(record)
    _require_rate(record)
    column = _detection_lead(record, lead)
    name = record.leads[column]
    signal = record.signals[:, column].astype("float64")
    dark = unusable(signal[:, None], record.fs)[:, 0]
    nothing = RecordError(
        f"No heart beat was found in lead {name} of record {record.name}. Choose "
        "another lead (--lead), check that the signal is in mV, or name an "
        "annotation file with the beats (--beats atr)."
    )
    if dark.mean() > 0.999 or len(signal) < 2 * record.fs:
        raise nothing
    _remove_spikes(signal, ~dark)
    _fill(signal)
    fs = record.fs
    if not 250 <= fs <= 500:
        ratio = Fraction(_RATE / fs).limit_denominator(1000)
        signal = resample(signal, *ratio.as_integer_ratio(), "constant")
        fs = fs * ratio.numerator / ratio.denominator
    found = _search(signal, fs, progress)
    filtered = _band(signal, fs, 1.0, 40.0)
    found = _align(filtered, _refine(filtered, found, fs), fs)
    beats = np.rint(found * (record.fs / fs)).astype("int64")
    beats = np.unique(np.clip(beats, 0, len(dark) - 1))
    beats = beats[~dark[beats]]
    if len(beats) == 0:
        raise nothing
    return beats


def silence(record, lead=None):
    """Name of the lead in which beats are detected, and its seconds without a signal.

    Args:
        record: `ECGRecord`.
        lead: str. As for `detect_beats`.
    """
    record = checked_record(record)
    column = _detection_lead(record, lead)
    dark = unusable(record.signals[:, column : column + 1], record.fs)
    return record.leads[column], float(dark.sum() / record.fs)


def check_alignment(record, min_beats=3):
    """Make sure that the beats of a record lie on the QRS complexes of its signal.

    An annotation file of another record can have the right length and rate, and
    would give confident nonsense. The slope energy around each beat is compared
    with the energy at 40 shifts within a second of it. The share of comparisons
    that the beat wins is .5 for foreign beats, and at least .89 in each of the
    48 records of the MIT-BIH Arrhythmia Database; a record needs .60 (a
    little more when it has fewer than 100 beats, where chance has more room).

    Args:
        record: `ECGRecord` with beats.
        min_beats: int. Fewer usable beats than this prove nothing and pass.
            Defaults to `3`.

    Returns:
        float. The share of the best lead, or NaN if nothing could be checked.

    Raises:
        RecordError: The beats do not lie on the QRS complexes, or the rate is
            below 100 Hz.
    """
    record = checked_record(record)
    if record.beats is None:
        raise RecordError(
            f"Record {record.name} has no beats to check. Name an annotation file with "
            "beats, or have them detected."
        )
    _require_rate(record)
    score, count = _alignment(record)
    if count < min_beats:
        return float("nan")
    if score < 0.5 + np.clip(1 / np.sqrt(count), 0.1, 0.25):
        raise RecordError(
            f"The annotated beats of record {record.name} do not lie on the heart "
            "beats of its signal: the annotation file seems to belong to another "
            "record. Name the right one, or have the beats detected (--beats detect)."
        )
    return score


def _require_rate(record):
    if record.fs < MIN_FS:
        raise RecordError(
            f"Record {record.name} is sampled at {record.fs:g} Hz; beats need at "
            f"least {MIN_FS:g} Hz. Use a recording with a higher rate."
        )


def _alignment(record):
    """Largest share over the leads, and the number of beats it comes from."""
    # Block means of about 100 Hz hold all that the band below lets through.
    block = max(int(record.fs // 100), 1)
    length = len(record.signals) // block
    signals = record.signals[: length * block]
    signals = signals.reshape(length, block, -1)
    fs = record.fs / block
    beats = np.asarray(record.beats, dtype="int64") // block
    beats = beats[(beats >= 0) & (beats < length)]
    if length < fs or not len(beats):
        return float("nan"), 0
    reach = max(round(0.08 * fs), 1)
    shifts = np.rint(np.linspace(-1, 1, 41)[np.arange(41) != 20] * fs).astype("int64")
    best, count = -1.0, 0
    for lead in range(signals.shape[2]):
        signal = sum(signals[:, i, lead] for i in range(block)) / block
        chosen = beats[~unusable(signal[:, None], fs)[beats, 0]]
        if len(chosen) < max(0.2 * len(beats), 1):
            continue
        band = _band(_fill(signal.astype("float64")), fs, 5.0, 20.0)
        total = np.zeros(length + 2 * reach + 1)
        slope = np.subtract(band[1:], band[:-1], out=total[reach + 2 : -reach])
        slope *= slope
        np.cumsum(total, out=total)
        energy = total[2 * reach + 1 :] - total[: -2 * reach - 1]
        around = np.clip(chosen[:, None] + shifts, 0, len(energy) - 1)
        wins = energy[chosen][:, None] > energy[around]
        if wins.mean() > best:
            best, count = float(wins.mean()), len(chosen)
    return best, count


def _detection_lead(record, name):
    if name is not None:
        return record.lead_index(name)
    none = silent(record.signals, record.fs)
    ranks = [lead_rank(lead) for lead in record.leads]
    return min(range(len(ranks)), key=lambda i: (none[i], ranks[i], i))


def _remove_spikes(values, fine):
    """No heart makes what is so high, and it raises the thresholds for minutes."""
    height = values[fine]
    middle = np.median(height, overwrite_input=True)
    np.abs(np.subtract(height, middle, out=height), out=height)
    limit = _SPIKE * np.percentile(height, 99, overwrite_input=True)
    for piece in pieces(len(values)):
        part = values[piece]
        part[np.abs(part - middle) > limit] = np.nan


def _fill(values):
    """Bridge missing samples by straight lines, in place."""
    fine = np.isfinite(values)
    if not fine.any():
        values[:] = 0
    elif not fine.all():
        # Only those beside a missing one tell where a line begins or ends.
        edges = np.flatnonzero(np.diff(fine))
        edges = np.unique([edges, edges + 1])
        edges = edges[fine[edges]]
        missing = np.flatnonzero(~fine)
        values[missing] = np.interp(missing, edges, values[edges])
    return values


def _band(signal, fs, low, high):
    """A signal in that band, in place."""
    from scipy.signal import butter

    sos = butter(2, [low, min(high, 0.45 * fs)], "bandpass", fs=fs, output="sos")
    return both_ways(sos, signal, round(fs), signal)


def _search(signal, fs, progress):
    """XQRS on overlapping stretches; the middle of an overlap parts them."""
    size, overlap = round(_CHUNK * fs), round(_OVERLAP * fs)
    count = max(round(len(signal) / size), 1)
    edges = np.rint(np.linspace(0, len(signal), count + 1)).astype("int64")
    found = []
    for done, (first, last) in enumerate(pairwise(edges), 1):
        start = max(first - overlap, 0)
        beats = _xqrs(signal[start : last + overlap], fs) + start
        found.append(beats[(beats >= first) & (beats < last)])
        if progress:
            progress(done, count)
    return np.concatenate(found)


def _xqrs(signal, fs):
    try:
        from wfdb.processing import XQRS
    except ImportError as error:
        raise ImportError(
            "Detecting beats needs the package wfdb: pip install 'keras_mmfusion[ecg]'"
        ) from error
    detector = XQRS(signal, fs)
    # It divides by zero on flat stretches, and says so on every one of them.
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        with contextlib.redirect_stdout(io.StringIO()):
            try:
                detector.detect(verbose=False)
            except (IndexError, ValueError):
                return np.empty(0, "int64")
    return np.asarray(detector.qrs_inds, dtype="int64").reshape(-1)


def _refine(filtered, beats, fs):
    """Move beats to the largest deflection near by; drop those that have none."""
    reach = round(0.075 * fs)
    around = beats[:, None] + np.arange(-reach, reach + 1)
    around = np.clip(around, 0, len(filtered) - 1)
    values = filtered[around]
    best = np.abs(values).argmax(axis=1)
    tall = np.ptp(values, axis=1) >= _SMALLEST
    return around[np.arange(len(beats)), best][tall]


def _align(filtered, beats, fs):
    """Move beats whose R and S waves are equally large to where most are marked."""
    if len(beats) < _FEWEST:
        return beats
    around = np.arange(-round(0.36 * fs), round(0.36 * fs) + 1)
    some = pieces(len(beats), BLOCK)
    waves = np.empty((len(beats), len(around)))
    for _ in range(2):  # The first template is of beats marked at several points.
        for rows in some:
            index = np.clip(beats[rows, None] + around, 0, len(filtered) - 1)
            waves[rows] = filtered[index]
        columns = [waves[:, part] for part in pieces(len(around), 32)]
        template = np.concatenate([np.median(part, axis=0) for part in columns])
        moves = np.concatenate(
            [
                alignment(waves[rows, :, None], template[:, None], round(0.067 * fs))
                for rows in some
            ]
        )
        if not moves.any():
            break
        beats = beats + moves
    return beats
