"""The encoder pair of the ATD and step fusion papers, in sequence."""

from keras_mmfusion._serialization import register
from keras_mmfusion.layers._composite_layer import CompositeLayer
from keras_mmfusion.layers.lstm_encoder import LSTMEncoder
from keras_mmfusion.layers.resnet_1d_encoder import ResNet1DEncoder


@register()
class ResNetLSTMEncoder(CompositeLayer):
    """Residual convolutions over a series, then an LSTM over what they give.

    Args:
        filters: Sequence of ints. Width of each stage. Defaults to `(16, 32, 64)`.
        units: Sequence of ints. Width of each LSTM layer. Defaults to `(64,)`.
        kernel_size: int. Width of the convolutions in steps. Defaults to `5`.
        strides: int, or one per stage. Defaults to `None`: 2, or 1 with `dilations`.
        blocks_per_stage: int. Defaults to `1`.
        dilations: None, int or one per stage.
        causal: bool. Pad the convolutions on the left only. Defaults to `False`.
        normalization: `"batch"`, `"layer"` (over features) or `None`.
        bidirectional: bool. Read both ways. Defaults to `False`.
        dropout: float. Rate in both parts. Defaults to `0.0`.
        unroll: bool. Unroll the LSTM. Defaults to `False`.
        **kwargs: `name`, `dtype` and so on, as for any Keras layer.

    Call arguments:
        inputs: Tensor `(batch, time, features)`.
        mask: None or boolean `(batch, time)`.
        training: bool. Whether batch statistics and dropout are in use.

    Input shape:
        `(batch, time, features)`.

    Output shape:
        `(batch, time', units[-1])`, or `2 * units[-1]` features if bidirectional;
        each stage makes `ceil(time / stride)` steps.

    Raises:
        ValueError: as `ResNet1DEncoder` and `LSTMEncoder` do, and for
            `causal=True` with `bidirectional=True`.

    Example:

    ```python
    import numpy as np
    from keras_mmfusion.layers import ResNetLSTMEncoder

    beats = np.random.rand(2, 360, 2).astype("float32")
    assert ResNetLSTMEncoder(filters=(8, 16), units=(12,))(beats).shape == (2, 90, 12)
    ```

    Reference:
        ATD section 3.3–3.4 and step fusion section 3.3–3.4, which use the residual
        network on one modality and the LSTM on the other.
    """

    def __init__(
        self,
        filters=(16, 32, 64),
        units=(64,),
        kernel_size=5,
        strides=None,
        blocks_per_stage=1,
        dilations=None,
        causal=False,
        normalization="batch",
        bidirectional=False,
        dropout=0.0,
        unroll=False,
        **kwargs,
    ):
        super().__init__(**kwargs)
        if causal and bidirectional:
            raise ValueError(
                "A bidirectional LSTM is not causal. "
                f"Received: causal={causal}, bidirectional={bidirectional}"
            )
        self.resnet = ResNet1DEncoder(
            filters=filters,
            kernel_size=kernel_size,
            strides=strides,
            blocks_per_stage=blocks_per_stage,
            dilations=dilations,
            causal=causal,
            normalization=normalization,
            dropout=dropout,
            dtype=self.child_policy("resnet"),
            name="resnet",
        )
        self.lstm = LSTMEncoder(
            units=units,
            bidirectional=bidirectional,
            dropout=dropout,
            unroll=unroll,
            dtype=self.child_policy("lstm"),
            name="lstm",
        )
        self.filters = self.resnet.filters
        self.units = self.lstm.units
        self.kernel_size = kernel_size
        self.strides = self.resnet.strides
        self.blocks_per_stage = blocks_per_stage
        self.dilations = self.resnet.dilations
        self.causal = causal
        self.normalization = normalization
        self.bidirectional = bidirectional
        self.dropout = dropout
        self.unroll = unroll
        self.supports_masking = True

    def build(self, input_shape):
        self.resnet.build(input_shape)
        self.lstm.build(self.resnet.compute_output_shape(input_shape))

    def call(self, inputs, mask=None, training=None):
        x = self.resnet(inputs, mask=mask, training=training)
        mask = self.resnet.compute_mask(inputs, mask)
        return self.lstm(x, mask=mask, training=training)

    def compute_mask(self, inputs, previous_mask):
        return self.resnet.compute_mask(inputs, previous_mask)

    def compute_output_shape(self, input_shape):
        shape = self.resnet.compute_output_shape(input_shape)
        return self.lstm.compute_output_shape(shape)

    def get_config(self):
        config = super().get_config()
        names = (
            "filters",
            "units",
            "kernel_size",
            "strides",
            "blocks_per_stage",
            "dilations",
            "causal",
            "normalization",
            "bidirectional",
            "dropout",
            "unroll",
        )
        config.update({name: getattr(self, name) for name in names})
        return config
