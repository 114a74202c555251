"""The convolution inside the loop of a recurrent layer."""

import keras
from keras import ops

from keras_mmfusion.layers._xla_on_cpu import xla_on_cpu


class StateConvolution(keras.layers.Conv2D):
    """A "same" convolution of the state, by whichever way is fast in a loop.

    In a compiled loop on the CPU, XLA takes many times as long for the gradient of
    a kernel as outside of one. There the neighbourhoods are laid out
    (`"patches"`) and multiplied with the kernel; the layout is made again for the
    gradient instead of being kept for every step. Anywhere else `"direct"`
    convolutions are faster, and so they are wherever no gradient is wanted. `"auto"`
    is `"patches"` on JAX without an accelerator, unless `training` is `False`.
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
            by = "patches" if xla_on_cpu() and training is not False else "direct"
        if by == "direct":
            return super().call(inputs)
        kernel = ops.convert_to_tensor(self.kernel)
        return keras.remat(_convolve_patches)(inputs, kernel)


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
