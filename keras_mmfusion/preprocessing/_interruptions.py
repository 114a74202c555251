"""Stretches of a recording without a signal, and the rhythm around them."""

import numpy as np

from keras_mmfusion._pieces import pieces

# Seconds: a heart may pause for less, and never for more.
_SHORT, _LONG = 3.0, 120.0
_USUAL = 0.8


def unusable(signals, fs):
    """Where samples are missing, or nothing moves for half a second."""
    dark = np.empty(signals.shape, bool)
    reach = max(round(0.25 * fs), 1)
    for piece in pieces(len(signals), width=max(signals.shape[1], 1)):
        first = max(piece.start - reach - 1, 0)
        part = _unusable(signals[first : piece.stop + reach], reach)
        dark[piece] = part[piece.start - first : piece.stop - first]
    return dark


def silent(signals, fs):
    """Which leads have no signal most of the time."""
    return unusable(signals, fs).mean(axis=0) > 0.5


def _unusable(signals, reach):
    missing = ~np.isfinite(signals)
    moves = np.abs(np.diff(np.where(missing, 0, signals), axis=0)) > 1e-6
    moves = np.pad(moves, ((1, 0), (0, 0)))
    total = np.cumsum(np.pad(moves, ((1, 0), (0, 0))), axis=0, dtype="int64")
    each = np.arange(len(signals))
    high = np.minimum(each + reach, len(signals))
    return missing | (total[high] == total[np.maximum(each - reach, 0)])


def heart_times(beats, signals, fs, columns):
    """Times of R peaks in seconds, as if the recording had not been interrupted.

    An interval over which a lead has no signal most of the time is none of the heart,
    and would make all others seem short: it counts as long as the one before it.

    Args:
        beats: int array `(beats,)`, sample number of each R peak.
        signals: array `(samples, leads)`, NaN where a sample is missing.
        fs: float. Sampling rate in hertz.
        columns: Numbers of the leads that are used.

    Returns:
        float64 array `(beats,)`.
    """
    times = beats / fs
    intervals = np.diff(times)
    lost = intervals > _LONG
    for i in np.flatnonzero(~lost & (intervals > _SHORT)):
        between = unusable(signals[beats[i] : beats[i + 1], columns], fs)
        lost[i] = between.any(axis=1).mean() > 0.5
    if not lost.any():
        return times
    # Of those before only, so that this holds for causal models too.
    before = np.maximum.accumulate(np.where(lost, -1, np.arange(len(lost))))
    usual = np.where(before < 0, _USUAL, intervals[before])
    return times[0] + np.cumsum([0, *np.where(lost, usual, intervals)])


def without_gaps(signal, valid, causal):
    """Missing samples take the lead's median, or the last sample before them.

    In the causal case those before the first sample take that one, which the
    band-pass filter, started in its steady state, turns into zero.
    """
    if valid.all():
        return signal
    filled = np.where(valid, signal, 0)
    if not valid.any():
        return filled
    if causal:
        latest = valid.argmax()
        for piece in pieces(len(signal)):
            each = np.arange(piece.start, piece.stop)
            each = np.maximum.accumulate(np.where(valid[piece], each, latest))
            filled[piece], latest = signal[each], each[-1]
        return filled
    filled[~valid] = np.median(signal[valid], overwrite_input=True)
    return filled
