"""Residual convolutional encoder of a series."""

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
class ResNet1DEncoder(CompositeLayer):
    """Residual network of 1-D convolutions over a series.

    Stages of residual blocks, `y = relu(shortcut(x) + F(x))` with two convolutions
    in `F`; the first block of a stage takes steps of `strides`. With `dilations` the
    stages keep every step and widen their view instead, which makes it a temporal
    convolutional network; with `causal=True` step t sees no later step.

    Masked steps are zeroed before every convolution, stay out of batch statistics
    and are zero in the output. The mask is thinned like the series: output step t
    stands at input step `t · stride`.

    Args:
        filters: Sequence of ints. Width of each stage. Defaults to `(16, 32, 64)`.
        kernel_size: int. Width of the convolutions in steps. Defaults to `5`.
        strides: int, or one per stage. Defaults to `None`: 2, or 1 with `dilations`.
        blocks_per_stage: int. Defaults to `1`.
        dilations: None, int or one per stage, for example `(1, 2, 4)`.
        causal: bool. Pad on the left only. Defaults to `False`.
        normalization: `"batch"`, `"layer"` (over features) or `None`.
        dropout: float. Rate between the convolutions of a block. Defaults to `0.0`.
        **kwargs: `name`, `dtype` and so on, as for any Keras layer.

    Call arguments:
        inputs: Tensor `(batch, time, features)`.
        mask: None or boolean `(batch, time)`.
        training: bool. Whether batch statistics and dropout are in use.

    Input shape:
        `(batch, time, features)`.

    Output shape:
        `(batch, time', filters[-1])`, where each stage makes `ceil(time / stride)`.

    Raises:
        ValueError: for other input ranks, or strides together with dilation.

    Example:

    ```python
    import numpy as np
    from keras_mmfusion.layers import ResNet1DEncoder

    beats = np.random.rand(2, 360, 2).astype("float32")
    assert ResNet1DEncoder(filters=(8, 16))(beats).shape == (2, 90, 16)
    ```

    Reference:
        ATD eq. 2 and step fusion eq. 1–4 (residual blocks), both of images; He et al.,
        arXiv:1512.03385, Fig. 2, which has the ReLU after the sum. Step fusion has a
        convolution and six residual layers (Fig. 4); widths are not given.
    """

    def __init__(
        self,
        filters=(16, 32, 64),
        kernel_size=5,
        strides=None,
        blocks_per_stage=1,
        dilations=None,
        causal=False,
        normalization="batch",
        dropout=0.0,
        **kwargs,
    ):
        super().__init__(**kwargs)
        self.filters = positive_ints("filters", filters)
        if strides is None:
            strides = 2 if dilations is None else 1
        self.strides = positive_ints("strides", strides)
        self.dilations = None
        if dilations is not None:
            self.dilations = positive_ints("dilations", dilations)
            if max(self.strides) > 1 and max(self.dilations) > 1:
                raise ValueError(
                    "Dilated stages cannot have strides. Received: "
                    f"strides={strides}, dilations={dilations}"
                )
        check_positive_int(kernel_size=kernel_size, blocks_per_stage=blocks_per_stage)
        check_choice(NORMALIZATIONS, normalization=normalization)
        check_rate(dropout=dropout)
        self.kernel_size = int(kernel_size)
        self.blocks_per_stage = int(blocks_per_stage)
        self.causal = causal
        self.normalization = normalization
        self.dropout = dropout
        self.supports_masking = True
        self._stage_strides = self._per_stage("strides", self.strides)
        self._stage_dilations = self._per_stage("dilations", self.dilations or (1,))

    def _per_stage(self, name, values):
        stages = len(self.filters)
        return per_stage(name, values[0] if len(values) == 1 else values, stages)

    def build(self, input_shape):
        self._check(input_shape)
        self.blocks = []
        shape = tuple(input_shape)
        for stage, filters in enumerate(self.filters):
            for block in range(self.blocks_per_stage):
                name = f"stage_{stage}_block_{block}"
                layer = _ResidualBlock(
                    rank=1,
                    filters=filters,
                    kernel_size=self.kernel_size,
                    strides=self._stage_strides[stage] if block == 0 else 1,
                    dilation=self._stage_dilations[stage],
                    causal=self.causal,
                    normalization=self.normalization,
                    dropout=self.dropout,
                    dtype=self.child_policy(name),
                    name=name,
                )
                layer.build(shape)
                shape = layer.compute_output_shape(shape)
                self.blocks.append(layer)

    def _check(self, shape):
        if len(shape) != 3 or shape[-1] is None:
            raise ValueError(
                "ResNet1DEncoder expects (batch, time, features) with a known number "
                f"of features. Received: shape {tuple(shape)}"
            )

    def call(self, inputs, mask=None, training=None):
        x = inputs
        for block in self.blocks:
            x = block(x, mask=mask, training=training)
            mask = block.compute_mask(None, mask)
        return x

    def compute_mask(self, inputs, previous_mask):
        if previous_mask is None:
            return None
        for strides in self._stage_strides:
            previous_mask = previous_mask[:, ::strides]
        return previous_mask

    def compute_output_shape(self, input_shape):
        self._check(input_shape)
        time = input_shape[1]
        for strides in self._stage_strides:
            time = None if time is None else -(-time // strides)
        return (input_shape[0], time, self.filters[-1])

    def get_config(self):
        config = super().get_config()
        config.update(
            {
                "filters": self.filters,
                "kernel_size": self.kernel_size,
                "strides": self.strides,
                "blocks_per_stage": self.blocks_per_stage,
                "dilations": self.dilations,
                "causal": self.causal,
                "normalization": self.normalization,
                "dropout": self.dropout,
            }
        )
        return config
