"""The residual block of the one- and two-dimensional encoders."""

import keras
from keras import ops

from keras_mmfusion.layers._composite_layer import CompositeLayer, zero_where_masked

NORMALIZATIONS = ("batch", "layer", None)


class _ResidualBlock(CompositeLayer):
    """`relu(shortcut(x) + norm(conv(dropout(relu(norm(conv(x)))))))`.

    Masked positions are zero before each convolution and do not enter batch
    statistics. Strided convolutions are padded alike on the left whatever the
    length, so that padding at the end of a series changes nothing before it.
    """

    def __init__(
        self,
        rank,
        filters,
        kernel_size,
        strides=1,
        dilation=1,
        causal=False,
        normalization="batch",
        dropout=0.0,
        **kwargs,
    ):
        super().__init__(**kwargs)
        self.rank = rank
        self.filters = filters
        self.kernel_size = kernel_size
        self.strides = strides
        self.dilation = dilation
        self.causal = causal
        self.normalization = normalization
        self.dropout = dropout
        self.supports_masking = True

    def build(self, input_shape):
        out_shape = self.compute_output_shape(input_shape)

        def conv(name, shape, kernel_size, strides=1, dilation=1, padding="same"):
            cls = keras.layers.Conv1D if self.rank == 1 else keras.layers.Conv2D
            layer = cls(
                self.filters,
                kernel_size,
                strides=strides,
                dilation_rate=dilation,
                padding=padding,
                data_format="channels_last",
                use_bias=self.normalization != "batch",
                dtype=self.child_policy(name),
                name=name,
            )
            layer.build(shape)
            return layer

        def norm(name):
            if self.normalization is None:
                return None
            if self.normalization == "batch":
                layer = keras.layers.BatchNormalization(
                    dtype=self.child_policy(name), name=name
                )
            else:
                layer = keras.layers.LayerNormalization(
                    epsilon=1e-6, dtype=self.child_policy(name), name=name
                )
            layer.build(out_shape)
            return layer

        same = "causal" if self.causal else "same"
        self.conv_1 = conv(
            "conv_1",
            input_shape,
            self.kernel_size,
            self.strides,
            self.dilation,
            "valid" if self._pads_itself else same,
        )
        self.norm_1 = norm("norm_1")
        self.conv_2 = conv(
            "conv_2", out_shape, self.kernel_size, 1, self.dilation, same
        )
        self.norm_2 = norm("norm_2")
        self.shortcut = self.shortcut_norm = self.hidden_dropout = None
        if self.strides > 1 or input_shape[-1] != self.filters:
            self.shortcut = conv("shortcut", input_shape, 1)
            self.shortcut_norm = norm("shortcut_norm")
        if self.dropout > 0:
            self.hidden_dropout = keras.layers.Dropout(
                self.dropout,
                dtype=self.child_policy("hidden_dropout"),
                name="hidden_dropout",
            )

    @property
    def _pads_itself(self):
        return self.strides > 1 and not self.causal

    def call(self, inputs, mask=None, training=None):
        x = zero_where_masked(inputs, mask)
        short = x[self._subsampling]
        mask = self.compute_mask(inputs, mask)
        if self._pads_itself:
            total = (self.kernel_size - 1) * self.dilation
            sides = (total // 2, total - total // 2)
            x = ops.pad(x, [(0, 0)] + [sides] * self.rank + [(0, 0)])
        x = self._normalize(self.norm_1, self.conv_1(x), mask, training)
        x = ops.relu(x)
        if self.hidden_dropout is not None:
            x = self.hidden_dropout(x, training=training)
        x = self.conv_2(zero_where_masked(x, mask))
        x = self._normalize(self.norm_2, x, mask, training)
        if self.shortcut is not None:
            short = self.shortcut(short)
            short = self._normalize(self.shortcut_norm, short, mask, training)
        return zero_where_masked(ops.relu(x + short), mask)

    def _normalize(self, norm, x, mask, training):
        if norm is None:
            return x
        if self.normalization == "batch":
            return norm(x, mask=mask, training=training)
        return norm(x)

    @property
    def _subsampling(self):
        every = slice(None, None, self.strides)
        return (slice(None),) + (every,) * self.rank

    def compute_mask(self, inputs, previous_mask):
        return None if previous_mask is None else previous_mask[self._subsampling]

    def compute_output_shape(self, input_shape):
        space = [
            None if size is None else -(-size // self.strides)
            for size in input_shape[1:-1]
        ]
        return (input_shape[0], *space, self.filters)

    def get_config(self):
        config = super().get_config()
        config.update(
            {
                "rank": self.rank,
                "filters": self.filters,
                "kernel_size": self.kernel_size,
                "strides": self.strides,
                "dilation": self.dilation,
                "causal": self.causal,
                "normalization": self.normalization,
                "dropout": self.dropout,
            }
        )
        return config


def per_stage(name, values, stages):
    """Return one value per stage from an int or a sequence of as many."""
    values = tuple(values) if isinstance(values, (list, tuple)) else (values,) * stages
    if len(values) != stages:
        raise ValueError(
            f"`{name}` must be an int or one int per stage ({stages}). "
            f"Received: {name}={values}"
        )
    return values
