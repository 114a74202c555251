"""Images or videos beside vectors, and the layer that fuses them."""

import numpy as np
from harness import numbers

from keras_mmfusion.layers import ConvLSTMFusion

SHAPES = {
    "image": [(3, 5, 4, 2), (3, 6, 7)],
    "video": [(3, 6, 5, 4, 2), (3, 6, 7)],
    "one_frame": [(3, 1, 5, 4, 2), (3, 6, 7)],
    "static_vector": [(3, 6, 5, 4, 2), (3, 7)],
}


def make(**kwargs):
    return ConvLSTMFusion(3, **kwargs)


def inputs(name="image"):
    return numbers(2, *SHAPES[name])


def everywhere(x, rank, steps=6):
    """What is static, repeated at every step."""
    if x.ndim == rank:
        return np.repeat(x, steps, axis=1) if x.shape[1] == 1 else x
    return np.repeat(x[:, None], steps, axis=1)


def masks_of(name="image"):
    vectors = np.arange(6) < np.array([[6], [4], [1]])
    if name == "image":
        return [np.ones((3, 1), bool), vectors]
    frames = np.arange(6) < np.array([[6], [2], [1]])
    frames[0, 3] = False
    return [frames, vectors]
