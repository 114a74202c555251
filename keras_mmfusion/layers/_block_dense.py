"""A dense layer whose kernel is block-diagonal."""

import keras
from keras import ops

from keras_mmfusion.layers._composite_layer import CompositeLayer


class BlockDense(CompositeLayer):
    """`(…, blocks * width) -> (…, blocks * width)`, every block by itself."""

    def __init__(self, blocks, use_bias=True, **kwargs):
        super().__init__(**kwargs)
        self.num_blocks = blocks
        self.use_bias = use_bias

    def build(self, input_shape):
        self.width = input_shape[-1] // self.num_blocks
        self.blocks = keras.layers.EinsumDense(
            "bthc,hcd->bthd",
            output_shape=(None, self.num_blocks, self.width),
            bias_axes="hd" if self.use_bias else None,
            dtype=self.child_policy("blocks"),
            name="blocks",
        )
        self.blocks.build((None, None, self.num_blocks, self.width))

    def call(self, x):
        time = x.shape[1] if x.shape[1] is not None else ops.shape(x)[1]
        x = ops.reshape(x, (-1, time, self.num_blocks, self.width))
        x = self.through(self.blocks, x)
        return ops.reshape(x, (-1, time, self.num_blocks * self.width))
