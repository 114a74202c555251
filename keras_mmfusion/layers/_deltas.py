"""How a masked sequence changes: derivatives of polynomials by least squares."""

import math

import numpy as np
from keras import ops

from keras_mmfusion.layers._composite_layer import zero_where_masked

# Steps to each side of the one whose change is measured.
REACH = 4
WIDTH = 2 * REACH + 1


def all_of(valid, size, stride=1):
    """Whether all under a moving window is True, bool `(batch, windows)`."""
    gaps = ops.cast(ops.logical_not(ops.cast(valid, "bool")), "float32")[..., None]
    gaps = ops.max_pool(gaps, size, stride, "valid", data_format="channels_last")
    return ops.equal(gaps[..., 0], 0.0)


def deltas_of(x, valid):
    """First and second derivative of polynomials of that degree through 9 steps.

    Such a derivative is the same anywhere on its polynomial, so that towards an end it
    is that around the nearest step with 4 valid ones on either side.

    Args:
        x: float32 tensor `(batch, time, features)`, zero where masked.
        valid: bool tensor `(batch, time)`.

    Returns:
        Two tensors like `x`, zero where fewer than 9 valid steps follow each other.
    """
    steps = np.arange(-REACH, REACH + 1)
    around = _around(x)
    derivatives = []
    for degree in (1, 2):
        fit = np.linalg.pinv(np.vander(steps, degree + 1, increasing=True))
        taps = math.factorial(degree) * fit[degree]
        # A sum and not a product of matrices, which some GPUs round to 10 bits.
        derivatives.append(sum(float(t) * y for t, y in zip(taps, around, strict=True)))
    ends = [(0, 0), (REACH, REACH)]
    whole = all_of(ops.pad(ops.cast(valid, "int32"), ends), WIDTH)
    nearest_first = np.argsort(np.abs(steps), kind="stable")
    near = _around(ops.cast(whole, "int32"))
    near = ops.stack([near[k] for k in nearest_first], axis=-1)
    offsets = ops.convert_to_tensor(steps[nearest_first].astype("int32"))
    usable = ops.any(ops.cast(near, "bool"), axis=-1)
    batch, time = ops.shape(valid)
    place = ops.reshape(ops.arange(batch * time, dtype="int32"), (batch, time))
    place = place + ops.take(offsets, ops.argmax(near, axis=-1))
    # Where nothing is usable, argmax is 0 and so is the offset.
    rows = [ops.reshape(d, (-1, x.shape[-1])) for d in derivatives]
    return [zero_where_masked(ops.take(r, place, axis=0), usable) for r in rows]


def _around(x):
    """`x` from `REACH` steps before to as many after, with zeros beyond its ends."""
    x = ops.pad(x, [(0, 0), (REACH, REACH)] + [(0, 0)] * (len(x.shape) - 2))
    return [x[:, k : k - 2 * REACH or None] for k in range(WIDTH)]
