"""Stretches of a recording without a signal, and the rhythm around them."""

import numpy as np

# Seconds: a heart may pause for less, and never for more.
_SHORT, _LONG = 3.0, 120.0
_USUAL = 0.8


def unusable(signals, fs):
    """Where samples are missing, or nothing moves for half a second."""
    missing = ~np.isfinite(signals)
    moves = np.abs(np.diff(np.where(missing, 0, signals), axis=0)) > 1e-6
    moves = np.pad(moves, ((1, 0), (0, 0)))
    total = np.cumsum(np.pad(moves, ((1, 0), (0, 0))), axis=0, dtype="int64")
    reach = max(round(0.25 * fs), 1)
    each = np.arange(len(signals))
    high = np.minimum(each + reach, len(signals))
    return missing | (total[high] == total[np.maximum(each - reach, 0)])


def heart_times(beats, signals, fs):
    """Times of R peaks in seconds, as if the recording had not been interrupted.

    An interval over which a lead has no signal most of the time is none of the heart,
    and would make all others seem short: it counts as long as the one before it.

    Args:
        beats: int array `(beats,)`, sample number of each R peak.
        signals: array `(samples, leads)`, NaN where a sample is missing.
        fs: float. Sampling rate in hertz.

    Returns:
        float64 array `(beats,)`.
    """
    times = beats / fs
    intervals = np.diff(times)
    lost = intervals > _LONG
    for i in np.flatnonzero(~lost & (intervals > _SHORT)):
        between = unusable(signals[beats[i] : beats[i + 1]], fs)
        lost[i] = between.any(axis=1).mean() > 0.5
    if not lost.any():
        return times
    # Of those before only, so that this holds for causal models too.
    before = np.maximum.accumulate(np.where(lost, -1, np.arange(len(lost))))
    usual = np.where(before < 0, _USUAL, intervals[before])
    return times[0] + np.cumsum([0, *np.where(lost, usual, intervals)])
