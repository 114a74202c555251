"""The convolution inside the loop of a recurrent layer."""

import keras
from keras import ops

from keras_mmfusion.layers._on_cpu import on_cpu
from keras_mmfusion.layers._winograd import TILE, convolve_tiles

# Of the state, for which "winograd" trains faster than what else there is; on
# PyTorch, it does not.
FEWEST_CHANNELS = {"jax": 16, "tensorflow": 64}


class StateConvolution(keras.layers.Conv2D):
    """A "same" convolution of the state, by whichever way is fast in a loop.

    In a compiled loop on the CPU, XLA takes many times as long for the gradient of
    a kernel as outside of one. There the neighbourhoods are laid out
    (`"patches"`) and multiplied with the kernel, or, with enough filters, the
    products of `"winograd"` are made, which are fewer and pay without XLA too. What
    they need is made again for the gradient instead of being kept for every step,
    but for tiles on TensorFlow. Where no gradient is wanted, and anywhere else,
    `"direct"` convolutions are used, which are exported as what they are.
    """

    def __init__(self, filters, kernel_size, by="auto", **kwargs):
        super().__init__(
            filters,
            kernel_size,
            padding="same",
            data_format="channels_last",
            use_bias=False,
            **kwargs,
        )
        self.by = by

    def call(self, inputs, training=None):
        by = self.by
        if by == "auto":
            by = self._fastest(inputs, training)
        if by == "direct":
            return super().call(inputs)
        convolve = convolve_tiles if by == "winograd" else _convolve_patches
        # A tensor: of a variable, TensorFlow's eager gradient would count twice.
        kernel = ops.reshape(self.kernel, self.kernel.shape)
        # TensorFlow would make the products of tiles again, too, not the tiles alone.
        if by == "patches" or keras.backend.backend() != "tensorflow":
            convolve = keras.remat(convolve)
        return convolve(inputs, kernel)

    def _fastest(self, inputs, training):
        backend = keras.backend.backend()
        if backend not in FEWEST_CHANNELS or not on_cpu():
            return "direct"
        # Whoever does not say may want a gradient, which takes JAX too long; models
        # are exported without saying from TensorFlow, where little is lost.
        if training is False or (training is None and backend == "tensorflow"):
            return "direct"
        if (
            self.kernel_size == (3, 3)
            and keras.backend.standardize_dtype(inputs.dtype) in ("float32", "float64")
            and inputs.shape[-1] >= FEWEST_CHANNELS[backend]
            and min(inputs.shape[1:3]) >= TILE
        ):
            return "winograd"
        return "patches" if backend == "jax" else "direct"


def _convolve_patches(x, kernel):
    rows, columns, channels, filters = kernel.shape
    height, width = x.shape[1:3]
    before = ((rows - 1) // 2, (columns - 1) // 2)
    padding = [(n, size - 1 - n) for n, size in zip(before, kernel.shape, strict=False)]
    x = ops.pad(x, [(0, 0), *padding, (0, 0)])
    x = ops.concatenate(
        [
            x[:, row : row + height, column : column + width]
            for row in range(rows)
            for column in range(columns)
        ],
        axis=-1,
    )
    return ops.matmul(x, ops.reshape(kernel, (rows * columns * channels, filters)))
