"""The block of the weight-sharing autoencoder: convolutions, then attention."""

import math

import keras
from keras import ops

from keras_mmfusion._checks import (
    check_heads,
    check_positive_int,
    check_rate,
    positive_ints,
)
from keras_mmfusion._serialization import register
from keras_mmfusion.layers._composite_layer import CompositeLayer, zero_where_masked
from keras_mmfusion.layers._multi_head import MultiHead


@register()
class ResidualAttentionBlock(CompositeLayer):
    """Two convolutions around which a shortcut leads, then self-attention over time.

    ```
    F(x) = norm(conv(dropout(relu(norm(conv(x))))))
    h = relu(shortcut(x) + F(x))
    y = LayerNorm(h + MultiHead(h, h, h))
    ```

    The first convolution takes steps of `strides`, or with `transposed` is a
    transposed one that undoes them. The features of a time step, which attend to those
    of others, are its bands times channels.

    Args:
        filters: int. Channels of the output.
        kernel_size: int. Size of the convolutions. Defaults to `3`.
        strides: int, or a pair for time and bands. Defaults to `1`.
        num_heads: int. Heads of attention, a divisor of the features of a time step.
            Defaults to `4`.
        transposed: bool. Whether to stretch instead of to shorten.
            Defaults to `False`.
        dropout: float. Rate between the convolutions and of what attention adds.
            Defaults to `0.0`.
        **kwargs: `name`, `dtype` and so on, as for any Keras layer.

    Call arguments:
        inputs: Tensor.
        mask: None or boolean `(batch, time)`: masked steps count nowhere, and are zero
            in the output.
        training: bool. Whether batch statistics and dropout are in use.

    Input shape:
        `(batch, time, channels)` or `(batch, time, bands, channels)`.

    Output shape:
        As the input, with `ceil(size / stride)` of `time` and of `bands`, or
        `size * stride` with `transposed`, and `filters` channels.

    Raises:
        ValueError: for other ranks, or features that heads cannot share.

    Example:

    ```python
    import numpy as np
    from keras_mmfusion.layers import ResidualAttentionBlock

    log_mel = np.random.rand(2, 16, 8, 3).astype("float32")
    code = ResidualAttentionBlock(6, strides=(1, 2))(log_mel)
    assert code.shape == (2, 16, 4, 6)
    back = ResidualAttentionBlock(3, strides=(1, 2), transposed=True)(code)
    assert back.shape == (2, 16, 8, 3)
    ```

    Reference:
        Zheng et al., "Multi-channel weight-sharing autoencoder based on cascade
        multi-head attention", section III.A, Fig. 2, and IV.C: batch normalisation
        with a momentum of 0.9, here what a batch leaves of the averages (PyTorch, which
        the paper used, calls that 0.1), and an epsilon of 1e-5. There, dropout belongs
        to each convolution; here, it is between the two and after attention. Over what
        attention goes and how it is added is left open: both are our reading.
    """

    def __init__(
        self,
        filters,
        kernel_size=3,
        strides=1,
        num_heads=4,
        transposed=False,
        dropout=0.0,
        **kwargs,
    ):
        super().__init__(**kwargs)
        check_positive_int(
            filters=filters, kernel_size=kernel_size, num_heads=num_heads
        )
        check_rate(dropout=dropout)
        pair = positive_ints("strides", strides)
        self.filters = int(filters)
        self.kernel_size = int(kernel_size)
        self.strides = pair[0] if len(pair) == 1 else pair
        self.num_heads = int(num_heads)
        self.transposed = transposed
        self.dropout = dropout
        self.supports_masking = True

    def build(self, input_shape):
        out_shape = self.compute_output_shape(input_shape)
        features = math.prod(out_shape[2:])
        check_heads(self.num_heads, features=features)
        rank = len(input_shape) - 2

        def conv(name, shape, size, strides=1, padding="same", transposed=False):
            kind = f"Conv{rank}D" + "Transpose" * transposed
            layer = getattr(keras.layers, kind)(
                self.filters,
                size,
                strides=strides,
                padding=padding,
                data_format="channels_last",
                use_bias=False,
                dtype=self.child_policy(name),
                name=name,
            )
            layer.build(shape)
            return layer

        def norm(name):
            layer = keras.layers.BatchNormalization(
                momentum=0.9, epsilon=1e-5, dtype=self.child_policy(name), name=name
            )
            layer.build(out_shape)
            return layer

        padding = "same" if self.transposed else "valid"
        self.conv_1 = conv(
            "conv_1",
            input_shape,
            self.kernel_size,
            self.strides,
            padding,
            self.transposed,
        )
        self.norm_1 = norm("norm_1")
        self.conv_2 = conv("conv_2", out_shape, self.kernel_size)
        self.norm_2 = norm("norm_2")
        self.shortcut = self.shortcut_norm = None
        if max(self._strides(rank)) > 1 or input_shape[-1] != self.filters:
            self.shortcut = conv("shortcut", (*out_shape[:-1], input_shape[-1]), 1)
            self.shortcut_norm = norm("shortcut_norm")
        self.attention = MultiHead(
            features,
            self.num_heads,
            dropout=self.dropout,
            dtype=self.child_policy("attention"),
            name="attention",
        )
        self.attention.build((None, None, features))
        self.norm = keras.layers.LayerNormalization(
            epsilon=1e-5, dtype=self.child_policy("norm"), name="norm"
        )
        self.norm.build((None, None, features))
        self.hidden_dropout = None
        if self.dropout > 0:
            self.hidden_dropout = keras.layers.Dropout(
                self.dropout,
                dtype=self.child_policy("hidden_dropout"),
                name="hidden_dropout",
            )

    def call(self, inputs, mask=None, training=None):
        x = zero_where_masked(inputs, mask)
        rank = len(inputs.shape) - 2
        short = self._resized(x)
        mask = self.compute_mask(inputs, mask)
        if not self.transposed:
            # Alike on the left whatever the length, so that steps that are filled in
            # at the end change nothing before them.
            total = self.kernel_size - 1
            sides = (total // 2, total - total // 2)
            x = ops.pad(x, [(0, 0)] + [sides] * rank + [(0, 0)])
        x = ops.relu(self._normal(self.norm_1, self.conv_1(x), mask, training))
        if self.hidden_dropout is not None:
            x = self.hidden_dropout(x, training=training)
        x = self.conv_2(zero_where_masked(x, mask))
        x = self._normal(self.norm_2, x, mask, training)
        if self.shortcut is not None:
            short = self._normal(
                self.shortcut_norm, self.shortcut(short), mask, training
            )
        x = zero_where_masked(ops.relu(x + short), mask)
        batch, time = ops.shape(x)[:2]
        tokens = ops.reshape(x, (batch, time, self.attention.dim))
        tokens = self._attend(tokens, mask, training)
        return ops.reshape(tokens, (batch, time, *x.shape[2:]))

    def _attend(self, x, mask, training):
        attended = self.through(
            self.attention, x, x, source_mask=mask, training=training
        )
        if self.hidden_dropout is not None:
            attended = self.hidden_dropout(attended, training=training)
        return zero_where_masked(self.through(self.norm, x + attended), mask)

    def _normal(self, norm, x, mask, training):
        if mask is not None and len(x.shape) == 4:
            mask = ops.repeat(mask[:, :, None], x.shape[2], axis=2)
        return norm(x, mask=mask, training=training)

    def _strides(self, rank):
        given = self.strides if isinstance(self.strides, tuple) else (self.strides,)
        return given * rank if len(given) == 1 else given

    def _resized(self, x):
        """Every so manieth step, or every step so many times."""
        strides = self._strides(len(x.shape) - 2)
        if not self.transposed:
            every = tuple(slice(None, None, stride) for stride in strides)
            return x[(slice(None), *every)]
        for axis, stride in enumerate(strides, start=1):
            x = ops.repeat(x, stride, axis=axis) if stride > 1 else x
        return x

    def compute_mask(self, inputs, previous_mask=None):
        if previous_mask is None:
            return None
        stride = self._strides(1)[0]
        if self.transposed:
            return ops.repeat(previous_mask, stride, axis=1)
        return previous_mask[:, ::stride]

    def compute_output_shape(self, input_shape):
        rank = len(input_shape) - 2
        strides = self._strides(rank)
        if rank not in (1, 2) or len(strides) != rank or None in input_shape[2:]:
            raise ValueError(
                "ResidualAttentionBlock expects (batch, time, channels), or (batch, "
                "time, bands, channels), all but batch and time known, and as many "
                f"strides. Received: shape {tuple(input_shape)}, "
                f"strides={self.strides}"
            )
        space = [
            size
            if size is None
            else size * stride
            if self.transposed
            else -(-size // stride)
            for size, stride in zip(input_shape[1:-1], strides, strict=True)
        ]
        return (input_shape[0], *space, self.filters)

    def get_config(self):
        config = super().get_config()
        config.update(
            {
                "filters": self.filters,
                "kernel_size": self.kernel_size,
                "strides": self.strides,
                "num_heads": self.num_heads,
                "transposed": self.transposed,
                "dropout": self.dropout,
            }
        )
        return config
