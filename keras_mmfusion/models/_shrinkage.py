"""How much of what a fusion adds to a forecast helps."""

import numpy as np

from keras_mmfusion._horizons import parts_of


def best_factors(model, x, y, groups, parts, batch_size, whole):
    """The factor from 0 to 1, of each group of steps, that is worse in no part.

    Args:
        model: Keras model from `x` to what is forecast without the fusion, and what
            that adds.
        x: dict of arrays.
        y: array `(samples, horizon, columns)`.
        groups: list of slices of steps.
        parts: int. Consecutive parts of the samples that count for a group.
        batch_size: int.
        whole: bool. Whether all samples count for all steps, or those that reach them.

    Returns:
        array `(groups,)`.
    """
    samples = len(next(iter(x.values())))
    expected = (samples, *model.outputs[0].shape[1:])
    if y.shape != expected:
        raise ValueError(
            f"Expected `y` of shape {expected} for `x` of {samples} samples. "
            f"Received: {y.shape}"
        )
    # The error is a parabola of the factor: these sums say where it is lowest.
    inner, square = np.zeros((2, parts, len(groups)))
    members = [parts_of(y, steps, parts, whole) for steps in groups]
    for start in range(0, len(y), batch_size):
        rows = slice(start, start + batch_size)
        batch = {name: np.asarray(array[rows]) for name, array in x.items()}
        without, added = (
            np.asarray(p, "float64") for p in model.predict_on_batch(batch)
        )
        left = y[rows] - without
        for i, (steps, member) in enumerate(zip(groups, members, strict=True)):
            for part in set(member[rows].tolist()) - {-1}:
                counts = member[rows] == part
                of_part = added[counts, steps]
                inner[part, i] += np.sum(of_part * left[counts, steps])
                square[part, i] += np.sum(np.square(of_part))
    if not np.isfinite(inner).all():
        raise ValueError(
            "`fit_shrinkage` needs numbers throughout. Received: NaN or infinite "
            "values. Fill them, or leave their windows out."
        )
    # A part without windows has no say.
    best = np.divide(inner, square, out=np.ones_like(inner), where=square > 0)
    return np.clip(best.min(axis=0), 0.0, 1.0) * square.any(axis=0)
