"""Beats that were marked at another point than the others of the patient."""

import numpy as np

SIMILAR = 0.9  # Least correlation with the template, once moved.
GAIN = 0.02  # Least gain of correlation, else a beat stays.


def alignment(waves, template, furthest):
    """Samples by which each beat has to be cut later to look like the template.

    Who marks beats, by hand or by program, may take the R peak in some and the S wave
    in others. Cut there, two equal beats look different. Only beats that look like the
    template once moved are moved, so ectopic ones stay.

    Args:
        waves: array `(beats, length, leads)`, NaN where a lead is missing.
        template: array `(length, leads)`, the patient's usual beat.
        furthest: int. Most samples to move by, in both directions.

    Returns:
        int array `(beats,)`, 0 for most beats.

    Example:

    ```python
    import numpy as np
    from keras_mmfusion.preprocessing.beat_alignment import alignment

    beat = np.sin(np.linspace(0, 6, 128))[:, None] ** 3
    late = np.roll(beat, 5, axis=0)
    assert list(alignment(np.stack([beat, late]), beat, 12)) == [0, 5]
    ```

    Reference:
        Ours; no equation of the papers.
    """
    if furthest == 0 or not len(waves):
        return np.zeros(len(waves), "int64")
    similarity = _similarity(waves, template, furthest)
    best = similarity.max(axis=1)
    better = (best >= SIMILAR) & (best >= similarity[:, furthest] + GAIN)
    return np.where(better, similarity.argmax(axis=1) - furthest, 0)


def _similarity(waves, template, furthest):
    """Correlation over all leads, `(beats, moves)`, with the middle of the template."""
    length = waves.shape[1] - 2 * furthest
    usual = template[furthest : furthest + length]
    usual = usual - usual.mean(axis=0)
    product, energy, usual_energy = 0.0, 0.0, 0.0
    for lead, pattern in enumerate(usual.T):
        present = ~np.isnan(waves[..., lead]).any(axis=1, keepdims=True)
        wave = np.where(present, waves[..., lead], 0.0)
        # A column for each move: all products at once.
        patterns = np.zeros((waves.shape[1], 2 * furthest + 1), wave.dtype)
        for column in range(2 * furthest + 1):
            patterns[column : column + length, column] = pattern
        product = product + wave @ patterns
        energy = energy + _window_energy(wave, length)
        usual_energy = usual_energy + present * (pattern**2).sum()
    return product / np.maximum(np.sqrt(energy * usual_energy), 1e-6)


def _window_energy(wave, length):
    """Sum of squares about the mean of every window of a beat."""
    sums = []
    for values in (wave, wave**2):
        total = np.cumsum(values, axis=1, dtype="float64")
        total = np.pad(total, ((0, 0), (1, 0)))
        sums.append(total[:, length:] - total[:, :-length])
    return np.maximum(sums[1] - sums[0] ** 2 / length, 0.0)
