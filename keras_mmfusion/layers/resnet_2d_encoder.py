"""Residual convolutional encoder of a picture."""

from keras import ops

from keras_mmfusion._checks import (
    check_choice,
    check_positive_int,
    check_rate,
    positive_ints,
)
from keras_mmfusion._serialization import register
from keras_mmfusion.layers._composite_layer import CompositeLayer
from keras_mmfusion.layers._residual_block import (
    NORMALIZATIONS,
    _ResidualBlock,
    per_stage,
)


@register()
class ResNet2DEncoder(CompositeLayer):
    """Small residual network of 2-D convolutions; its pixels become tokens.

    Stages of residual blocks, `y = relu(shortcut(x) + F(x))` with two convolutions
    in `F`; the first block of a stage takes steps of `strides` in both directions.
    The last picture is read row by row as a sequence.

    Args:
        filters: Sequence of ints. Width of each stage. Defaults to `(16, 32, 64)`.
        kernel_size: int. Side of the convolutions in pixels. Defaults to `3`.
        strides: int, or one per stage. Defaults to `2`.
        blocks_per_stage: int. Defaults to `1`.
        normalization: `"batch"`, `"layer"` (over features) or `None`.
        dropout: float. Rate between the convolutions of a block. Defaults to `0.0`.
        **kwargs: `name`, `dtype` and so on, as for any Keras layer.

    Call arguments:
        inputs: Tensor `(batch, height, width, channels)`, channels last.
        mask: None or boolean `(batch, height, width)`: False pixels are zeroed
            before every convolution and stay out of batch statistics.
        training: bool. Whether batch statistics and dropout are in use.

    Input shape:
        `(batch, height, width, channels)`.

    Output shape:
        `(batch, height' * width', filters[-1])`; each stage makes
        `ceil(size / stride)` of a side.

    Raises:
        ValueError: for other input ranks.

    Example:

    ```python
    import numpy as np
    from keras_mmfusion.layers import ResNet2DEncoder

    pictures = np.random.rand(2, 32, 32, 1).astype("float32")
    assert ResNet2DEncoder(filters=(8, 16))(pictures).shape == (2, 64, 16)
    ```

    Reference:
        ATD eq. 1–2 and step fusion eq. 1–4; He et al., arXiv:1512.03385, Fig. 2, which
        has the ReLU after the sum. Blocks have two 3×3 convolutions, not one of 3×3 and
        two of 1×1 as in SF's section 3.3; its Fig. 4 has a convolution and six
        residual layers.
    """

    def __init__(
        self,
        filters=(16, 32, 64),
        kernel_size=3,
        strides=2,
        blocks_per_stage=1,
        normalization="batch",
        dropout=0.0,
        **kwargs,
    ):
        super().__init__(**kwargs)
        self.filters = positive_ints("filters", filters)
        self.strides = positive_ints("strides", strides)
        check_positive_int(kernel_size=kernel_size, blocks_per_stage=blocks_per_stage)
        check_choice(NORMALIZATIONS, normalization=normalization)
        check_rate(dropout=dropout)
        self.kernel_size = int(kernel_size)
        self.blocks_per_stage = int(blocks_per_stage)
        self.normalization = normalization
        self.dropout = dropout
        self.supports_masking = True
        strides = self.strides[0] if len(self.strides) == 1 else self.strides
        self._stage_strides = per_stage("strides", strides, len(self.filters))

    def build(self, input_shape):
        self._check(input_shape)
        self.blocks = []
        shape = tuple(input_shape)
        for stage, filters in enumerate(self.filters):
            for block in range(self.blocks_per_stage):
                name = f"stage_{stage}_block_{block}"
                layer = _ResidualBlock(
                    rank=2,
                    filters=filters,
                    kernel_size=self.kernel_size,
                    strides=self._stage_strides[stage] if block == 0 else 1,
                    normalization=self.normalization,
                    dropout=self.dropout,
                    dtype=self.child_policy(name),
                    name=name,
                )
                layer.build(shape)
                shape = layer.compute_output_shape(shape)
                self.blocks.append(layer)

    def _check(self, shape):
        if len(shape) != 4 or shape[-1] is None:
            raise ValueError(
                "ResNet2DEncoder expects (batch, height, width, channels) with a known "
                f"number of channels. Received: shape {tuple(shape)}"
            )

    def call(self, inputs, mask=None, training=None):
        x = inputs
        for block in self.blocks:
            x = block(x, mask=mask, training=training)
            mask = block.compute_mask(None, mask)
        tokens = self.compute_output_shape(inputs.shape)[1]
        if tokens is None:
            tokens = ops.shape(x)[1] * ops.shape(x)[2]
        return ops.reshape(x, (-1, tokens, self.filters[-1]))

    def compute_mask(self, inputs, previous_mask):
        if previous_mask is None:
            return None
        for strides in self._stage_strides:
            previous_mask = previous_mask[:, ::strides, ::strides]
        tokens = previous_mask.shape[1:]
        tokens = None if None in tokens else tokens[0] * tokens[1]
        if tokens is None:
            rows, columns = ops.shape(previous_mask)[1:]
            if rows is None or columns is None:  # a symbolic mask
                return None
            tokens = rows * columns
        return ops.reshape(previous_mask, (-1, tokens))

    def compute_output_shape(self, input_shape):
        self._check(input_shape)
        height, width = input_shape[1:3]
        for strides in self._stage_strides:
            height = None if height is None else -(-height // strides)
            width = None if width is None else -(-width // strides)
        tokens = None if None in (height, width) else height * width
        return (input_shape[0], tokens, self.filters[-1])

    def get_config(self):
        config = super().get_config()
        config.update(
            {
                "filters": self.filters,
                "kernel_size": self.kernel_size,
                "strides": self.strides,
                "blocks_per_stage": self.blocks_per_stage,
                "normalization": self.normalization,
                "dropout": self.dropout,
            }
        )
        return config
