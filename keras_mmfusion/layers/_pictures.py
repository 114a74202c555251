"""What the layers share that turn a series into a picture."""

import numpy as np
from keras import ops


def check_series(name, shape, image_size=None):
    """Raise unless `shape` is (batch, ..., time, channels), of enough steps."""
    if len(shape) < 3:
        raise ValueError(
            f"{name} expects (batch, ..., time, channels). Received: shape "
            f"{tuple(shape)}. Give a single channel an axis of its own: `x[..., None]`."
        )
    if None not in (image_size, shape[-2]) and image_size > shape[-2]:
        raise ValueError(
            "`image_size` must not exceed the number of steps. Received: "
            f"image_size={image_size} for a series of {shape[-2]} steps"
        )


def segment_means(x, size):
    """Means over `size` segments along the last axis but one; all steps if None."""
    time = x.shape[-2]
    if size is None or size == time:
        return x
    if time is not None:
        # As numpy.linspace(0, time, size + 1) rounds, which pyts goes by. In numpy, so
        # that an exported model has the weights and not their making.
        time = int(time)
        step = time / size
        bounds = np.array([int(i * step) for i in range(size)] + [time])
        start, end = bounds[:-1, None], bounds[1:, None]
        steps = np.arange(time)
        weights = ((steps >= start) & (steps < end)) / (end - start)
        return ops.matmul(ops.convert_to_tensor(weights.astype("float32")), x)
    time = ops.shape(x)[-2]
    bounds = (ops.arange(size + 1, dtype="int32") * time) // size
    steps = ops.arange(time, dtype="int32")
    start, end = ops.expand_dims(bounds[:-1], 1), ops.expand_dims(bounds[1:], 1)
    inside = ops.logical_and(ops.greater_equal(steps, start), ops.less(steps, end))
    weights = ops.cast(inside, "float32") / ops.cast(end - start, "float32")
    return ops.matmul(weights, x)


def as_if(value, soft):
    """`value`, whose gradient is that of `soft`."""
    return ops.stop_gradient(value - soft) + soft
