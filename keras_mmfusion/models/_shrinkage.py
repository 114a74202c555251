"""How much of what a fusion adds to a forecast helps."""

import numpy as np

from keras_mmfusion._horizons import reaches


def best_factors(model, x, y, groups, parts, batch_size, whole):
    """The factor from 0 to 1, of each group of steps, that is worse in no part.

    Args:
        model: Keras model from `x` to what is forecast without the fusion, and what
            that adds.
        x: dict of arrays.
        y: array `(samples, horizon, columns)`.
        groups: list of slices of steps.
        parts: int. Consecutive parts of the samples.
        batch_size: int.
        whole: bool. Whether all samples count for all steps, or those that reach them.

    Returns:
        array `(groups,)`.
    """
    # The error is a parabola of the factor: these sums say where it is lowest.
    inner, square = np.zeros((2, parts, len(groups)))
    bounds = np.linspace(0, len(y), parts + 1).astype(int)
    for part in range(parts):
        for start in range(bounds[part], bounds[part + 1], batch_size):
            rows = slice(start, min(start + batch_size, bounds[part + 1]))
            batch = {name: np.asarray(array[rows]) for name, array in x.items()}
            without, added = (
                np.asarray(p, "float64") for p in model.predict_on_batch(batch)
            )
            for i, steps in enumerate(groups):
                counts = slice(None) if whole else reaches(y[rows], steps)
                of_group = added[counts, steps]
                left = y[rows][counts, steps] - without[counts, steps]
                inner[part, i] += np.sum(of_group * left)
                square[part, i] += np.sum(np.square(of_group))
    # A part that ends before a group of steps has no say.
    best = np.divide(inner, square, out=np.ones_like(inner), where=square > 0)
    return np.clip(best.min(axis=0), 0.0, 1.0) * square.any(axis=0)
