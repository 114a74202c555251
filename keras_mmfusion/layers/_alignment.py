"""How a second stream is brought onto the time axis of the first one.

Masks are boolean `(B, T)` tensors, True where a step holds data. Nothing here
uses a dimension's value, only sums of ones, so all of it also runs on symbolic
tensors with unknown lengths, which is what `compute_mask` is given.
"""

import keras
from keras import ops


def known_alignment(shape_1, shape_2, aligned):
    """Return True, False or, while a length is unknown, None."""
    t1, t2 = shape_1[1], shape_2[1]
    if t1 is None or t2 is None:
        return aligned
    if aligned and t1 != t2:
        raise ValueError(
            "Time-aligned streams (`aligned=True` or `causal=True`) must have the "
            f"same number of steps. Received: shapes {tuple(shape_1)} and "
            f"{tuple(shape_2)}. Resample one stream, or use `aligned=None`."
        )
    return t1 == t2 if aligned is None else aligned


def all_valid(x):
    """The mask `(B, T)` of a stream without one."""
    return ops.ones_like(x[:, :, 0], dtype="bool")


def _count(mask):
    return ops.sum(ops.cast(mask, "int32"), axis=1, keepdims=True)


def _rank(mask):
    return ops.cumsum(ops.cast(mask, "int32"), axis=1) - 1


def covered_steps(mask_1, mask_2):
    """Steps of an unaligned first stream that the second one gives data for."""
    present_1 = ops.any(mask_1, axis=1, keepdims=True)
    present_2 = ops.any(mask_2, axis=1, keepdims=True)
    return ops.logical_and(
        present_2, ops.logical_or(mask_1, ops.logical_not(present_1))
    )


def align(mask_1, mask_2, aligned):
    """Resampling weights that put stream 2 on the time axis of stream 1.

    The valid steps of each stream share a [0, 1] axis, between whose ends the
    second stream is interpolated linearly. Only the order of valid steps counts,
    so padding, wherever it is, changes nothing. A first stream without any valid
    step lends all its steps. A single step lies at the middle of the axis.

    Args:
        mask_1: bool tensor `(B, T_1)`.
        mask_2: bool tensor `(B, T_2)`.
        aligned: True, False or None (not known before run time).

    Returns:
        `(weights, mask)`: float32 `(B, T_1, T_2)`, or None for "as it is", and
        the bool mask `(B, T_1)` of the resampled stream 2.
    """
    if aligned:
        return None, mask_2
    steps_1 = ops.ones_like(mask_1, dtype="bool")
    count_1, count_2 = _count(mask_1), _count(mask_2)
    rank_1, rank_2 = _rank(mask_1), _rank(mask_2)
    present_1 = ops.greater(count_1, 0)
    rank_1 = ops.where(present_1, rank_1, _rank(steps_1))
    last_1 = ops.cast(ops.where(present_1, count_1, _count(steps_1)) - 1, "float32")
    last_2 = ops.cast(count_2 - 1, "float32")
    fraction = ops.cast(rank_1, "float32") / ops.maximum(last_1, 1.0)
    position = ops.where(ops.greater(last_1, 0.0), fraction, 0.5) * last_2
    covered = covered_steps(mask_1, mask_2)
    same = None
    if aligned is None:
        steps_2 = ops.ones_like(mask_2, dtype="bool")
        same = ops.equal(_count(steps_1), _count(steps_2))
        position = ops.where(same, ops.cast(_rank(steps_1), "float32"), position)
        rank_2 = ops.where(same, _rank(steps_2), rank_2)
    distance = ops.abs(
        ops.expand_dims(position, 2) - ops.expand_dims(ops.cast(rank_2, "float32"), 1)
    )
    weights = ops.relu(1.0 - distance)
    weights = weights * ops.cast(ops.expand_dims(mask_2, 1), "float32")
    if same is not None:
        here = ops.greater(ops.sum(weights, axis=2), 0.5)
        covered = ops.where(same, here, covered)
    return weights, covered


def merge_masks(mask_1, mask_2, aligned):
    """The mask of what two streams fuse to: either of them has data."""
    if aligned:
        return ops.logical_or(mask_1, mask_2)
    if aligned is False:
        return ops.logical_or(mask_1, covered_steps(mask_1, mask_2))
    return ops.logical_or(mask_1, align(mask_1, mask_2, None)[1])


def resample(x, weights):
    """Apply the weights of `align` to `x` `(B, T_2, D)`."""
    if weights is None:
        return x
    return ops.matmul(ops.cast(weights, keras.backend.standardize_dtype(x.dtype)), x)


def positions(mask, aligned):
    """The number of each step, from 1, int32 `(B, T)`.

    Steps are counted from the first (`aligned=True`), or from the first valid one,
    valid ones only (`aligned=False`), so that padding, wherever it is, changes
    nothing. `aligned` may also be a boolean tensor.
    """
    index = _rank(ops.ones_like(mask, dtype="bool")) + 1
    if aligned is True:
        return index
    rank = _rank(mask) + 1
    return rank if aligned is False else ops.where(aligned, index, rank)
