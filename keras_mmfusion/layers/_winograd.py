"""A 3 x 3 convolution by few multiplications, as matrix products."""

import keras
import numpy as np
from keras import ops

# Tiles of 4 x 4 outputs, from the 6 x 6 inputs that they see.
TILE = 4
# B, G and A of F(4 x 4, 3 x 3) in Lavin & Gray, "Fast algorithms for convolutional
# neural networks", arXiv:1509.09308, section 4.
_INPUT = [
    [4, 0, -5, 0, 1, 0],
    [0, -4, -4, 1, 1, 0],
    [0, 4, -4, -1, 1, 0],
    [0, -2, -1, 2, 1, 0],
    [0, 2, -1, -2, 1, 0],
    [0, 4, 0, -5, 0, 1],
]
_KERNEL = [
    [1 / 4, 0, 0],
    [-1 / 6, -1 / 6, -1 / 6],
    [-1 / 6, 1 / 6, -1 / 6],
    [1 / 24, 1 / 12, 1 / 6],
    [1 / 24, -1 / 12, 1 / 6],
    [0, 0, 1],
]
_OUTPUT = [
    [1, 1, 1, 1, 1, 0],
    [0, 1, -1, 2, -2, 0],
    [0, 1, 1, 4, 4, 0],
    [0, 1, -1, 8, -8, 1],
]


def convolve_tiles(x, kernel):
    """The "same" convolution of `x` by a 3 x 3 `kernel`, both channels last.

    36 products make 16 outputs of a channel, where the sum over nine neighbours
    takes 144. Rounding errors are a few times those of the sum, so that half
    precision is left for 32 bits.
    """
    dtype = x.dtype
    if keras.backend.standardize_dtype(dtype) in ("float16", "bfloat16"):
        x, kernel = (ops.cast(v, "float32") for v in (x, kernel))
    height, width, channels = x.shape[1:]
    filters = kernel.shape[-1]
    down, across = -(-height // TILE), -(-width // TILE)
    missing = TILE * down - height, TILE * across - width
    x = ops.pad(x, [(0, 0), (0, missing[0]), (0, missing[1]), (0, 0)])
    x = ops.reshape(x, (-1, down, TILE, TILE * across * channels))
    x = ops.reshape(_with_neighbours(x), (-1, across, TILE, channels))
    x = ops.reshape(_with_neighbours(x), (-1, down, 6, across, 6, channels))
    x = _transform(_INPUT, ops.transpose(x, (2, 4, 0, 1, 3, 5)))
    kernel = _transform(_KERNEL, kernel)
    x = ops.matmul(
        ops.reshape(x, (36, -1, channels)), ops.reshape(kernel, (36, channels, filters))
    )
    x = ops.reshape(_transform(_OUTPUT, x), (TILE, TILE, -1, down, across, filters))
    x = ops.transpose(x, (2, 3, 0, 4, 1, 5))
    x = ops.reshape(x, (-1, TILE * down, TILE * across, filters))
    return ops.cast(x[:, :height, :width], dtype)


def _with_neighbours(x):
    """Tiles `(…, tiles, 4, values)` with the lines before and after, of other tiles."""
    before = ops.pad(x[:, :-1, -1:], [(0, 0), (1, 0), (0, 0), (0, 0)])
    after = ops.pad(x[:, 1:, :1], [(0, 0), (0, 1), (0, 0), (0, 0)])
    return ops.concatenate([before, x, after], axis=2)


def _transform(matrix, x):
    """`matrix` times both leading axes of `x`, as one product."""
    both = np.kron(matrix, matrix).astype(keras.backend.standardize_dtype(x.dtype))
    x = ops.reshape(x, (both.shape[1], -1))
    if keras.backend.backend() != "tensorflow":
        return ops.matmul(both, x)

    # Loops would keep `x` of every step for the gradient of the constant.
    @ops.custom_gradient
    def product(x):
        return ops.matmul(both, x), lambda upstream: ops.matmul(both.T, upstream)

    return product(x)
