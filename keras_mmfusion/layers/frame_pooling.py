"""Every frame of a sequence made smaller."""

import keras
from keras import ops

from keras_mmfusion._checks import check_positive_int
from keras_mmfusion._serialization import register


@register()
class FramePooling(keras.layers.Layer):
    """Maximum over the tiles of every frame; the mask of the steps is passed on.

    Rows and columns that do not fill a tile are left out.

    Args:
        pool_size: int. Height and width of a tile. Defaults to `2`.
        **kwargs: `name`, `dtype` and so on, as for any Keras layer.

    Call arguments:
        inputs: Tensor `(batch, time, height, width, channels)`.
        mask: None or boolean `(batch, time)`, passed on to the output.

    Input shape:
        `(batch, time, height, width, channels)`, all known but batch and time.

    Output shape:
        `(batch, time, height // pool_size, width // pool_size, channels)`.

    Raises:
        ValueError: for other ranks, unknown sizes, or frames smaller than a tile.

    Example:

    ```python
    import numpy as np
    from keras_mmfusion.layers import FramePooling

    video = np.ones((2, 41, 28, 28, 8), "float32")
    assert FramePooling()(video).shape == (2, 41, 14, 14, 8)
    ```

    Reference:
        Barnum et al., arXiv:2011.07191, A.2: a 2 x 2 max pool after each fused layer.
    """

    def __init__(self, pool_size=2, **kwargs):
        super().__init__(**kwargs)
        check_positive_int(pool_size=pool_size)
        self.pool_size = int(pool_size)
        self.supports_masking = True

    def build(self, input_shape):
        self.compute_output_shape(input_shape)

    def call(self, inputs, mask=None):
        *_, height, width, channels = self.compute_output_shape(inputs.shape)
        steps = inputs.shape[1]
        steps = ops.shape(inputs)[1] if steps is None else steps
        frames = ops.reshape(inputs, (-1, *inputs.shape[2:]))
        # With strides: keras 3.15 on JAX cannot do without.
        frames = ops.max_pool(
            frames,
            self.pool_size,
            strides=self.pool_size,
            data_format="channels_last",
        )
        return ops.reshape(frames, (-1, steps, height, width, channels))

    def compute_output_shape(self, input_shape):
        shape = tuple(input_shape)
        if len(shape) != 5 or None in shape[2:] or min(shape[2:4]) < self.pool_size:
            raise ValueError(
                "FramePooling expects (batch, time, height, width, channels) with "
                f"frames of {self.pool_size} x {self.pool_size} pixels at least. "
                f"Received: shape {shape}"
            )
        height, width = (size // self.pool_size for size in shape[2:4])
        return (*shape[:2], height, width, shape[4])

    def get_config(self):
        return {**super().get_config(), "pool_size": self.pool_size}
