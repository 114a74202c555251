"""How the shape of each beat differs from the patient's own usual beat."""

import numpy as np

from keras_mmfusion._pieces import BLOCK, pieces

FEATURES_PER_LEAD = 5


def shape_features(waves, differences, r_peak, fs, causal=False, reference=None):
    """Patient-relative shape of beats, without unit.

    Per lead: Fisher's z of the correlation with the template, then logarithms of
    the QRS amplitude, of its mean absolute value, of the difference from the
    template in the QRS and in the P-wave window. Each logarithm is relative to its
    own median over the patient's reference beats (over the beats so far, in the
    causal case), so that patients and gains compare.

    Args:
        waves: array `(beats, length, leads)` in millivolts; NaN where a lead is
            missing.
        differences: array of the same shape, `waves` minus the template.
        r_peak: int. Index of the R peak.
        fs: float. Rate of the beats in hertz.
        causal: bool. Whether medians see the past only. Defaults to `False`.
        reference: bool array `(beats,)`. Beats the medians are over; in the
            causal case they are over the last beats. Defaults to `None`: all.

    Returns:
        float32 array `(beats, 5 * leads)` in [-3, 3], NaN where the lead is missing.

    Reference:
        Ours; no equation of the papers.
    """
    qrs = slice(max(r_peak - round(0.08 * fs), 0), r_peak + max(round(0.1 * fs), 1))
    p_wave = slice(0, max(r_peak - round(0.1 * fs), 1))
    parts = [
        _measures(waves[some], differences[some], qrs, p_wave)
        for some in pieces(len(waves), BLOCK)
    ]
    similarity, *sizes = (np.concatenate(part) for part in zip(*parts, strict=True))
    features = [np.clip(similarity, -2.5, 2.5)]
    features += [log - _usual(log, causal, reference) for log in sizes]
    # Lead by lead, as in the waveform modality: features of one lead lie together.
    stacked = np.stack(features, axis=-1).reshape(len(waves), -1)
    return np.clip(stacked, -3.0, 3.0).astype("float32")


def _measures(waves, differences, qrs, p_wave):
    """Similarity to the template, and logarithms of sizes, `(beats, leads)` each."""
    similarity = np.arctanh(
        np.clip(_correlation(waves, waves - differences), -0.98, 0.98)
    )
    return (
        similarity,
        np.log(np.ptp(waves[:, qrs], axis=1) + 0.05),
        np.log(np.abs(waves[:, qrs]).mean(axis=1) + 0.02),
        np.log(_rms(differences[:, qrs]) + 0.02),
        np.log(_rms(differences[:, p_wave]) + 0.01),
    )


def _rms(x):
    return np.sqrt((x**2).mean(axis=1))


def _correlation(a, b):
    a = a - a.mean(axis=1, keepdims=True)
    b = b - b.mean(axis=1, keepdims=True)
    scale = np.sqrt((a**2).sum(axis=1) * (b**2).sum(axis=1))
    with np.errstate(invalid="ignore"):
        return (a * b).sum(axis=1) / np.maximum(scale, 1e-6)


def _usual(values, causal, reference, memory=64):
    """Median over reference beats, or over the last `memory` beats up to each beat."""
    if not causal:
        usual = np.zeros(values.shape[1])
        for lead, column in enumerate(values.T):
            known = ~np.isnan(column)
            if reference is not None and (known & reference).any():
                known &= reference
            usual[lead] = np.median(column[known]) if known.any() else 0.0
        return usual
    padded = np.concatenate([np.full((memory - 1, values.shape[1]), np.nan), values])
    windows = np.lib.stride_tricks.sliding_window_view(padded, memory, axis=0)
    known = ~np.isnan(windows)
    # NaN sorts last, so the median of the known ones stands at half their number.
    ordered = np.sort(windows, axis=-1)
    count = known.sum(axis=-1, keepdims=True)
    low = np.take_along_axis(ordered, np.maximum((count - 1) // 2, 0), axis=-1)
    high = np.take_along_axis(ordered, count // 2 % memory, axis=-1)
    return np.where(count[..., 0] > 0, (low[..., 0] + high[..., 0]) / 2, 0.0)
