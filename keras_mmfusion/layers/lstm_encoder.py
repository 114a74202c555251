"""Recurrent encoder of a series."""

import keras

from keras_mmfusion._checks import check_rate, positive_ints
from keras_mmfusion._serialization import register
from keras_mmfusion.layers._composite_layer import CompositeLayer, zero_where_masked


@register()
class LSTMEncoder(CompositeLayer):
    """A stack of LSTM layers that gives its state at every step.

    Masked steps are skipped: the state passes over them, and their output is zero.

    Args:
        units: Sequence of ints. Width of each layer. Defaults to `(64,)`.
        bidirectional: bool. Read the series both ways and concatenate, which
            doubles the width. Defaults to `False`.
        dropout: float. Rate on the output of each layer. Defaults to `0.0`.
        unroll: bool. Unroll the loop over steps, which short series gain from under
            XLA. Defaults to `False`.
        **kwargs: `name`, `dtype` and so on, as for any Keras layer.

    Call arguments:
        inputs: Tensor `(batch, time, features)`.
        mask: None or boolean `(batch, time)`.
        training: bool. Whether dropout is active.

    Input shape:
        `(batch, time, features)`.

    Output shape:
        `(batch, time, units[-1])`, or `2 * units[-1]` features if bidirectional.

    Raises:
        ValueError: for other input ranks.

    Example:

    ```python
    import numpy as np
    from keras_mmfusion.layers import LSTMEncoder

    series = np.random.rand(2, 24, 7).astype("float32")
    assert LSTMEncoder(units=(8, 16))(series).shape == (2, 24, 16)
    ```

    Reference:
        ATD eq. 3–8 and step fusion eq. 5–10. Layers and widths are not given there.
    """

    def __init__(
        self, units=(64,), bidirectional=False, dropout=0.0, unroll=False, **kwargs
    ):
        super().__init__(**kwargs)
        self.units = positive_ints("units", units)
        check_rate(dropout=dropout)
        self.bidirectional = bidirectional
        self.dropout = dropout
        self.unroll = unroll
        self.supports_masking = True

    def build(self, input_shape):
        self._check(input_shape)
        self.layers, self.dropouts = [], []
        shape = tuple(input_shape)
        for i, units in enumerate(self.units):
            layer = keras.layers.LSTM(
                units,
                return_sequences=True,
                unroll=self.unroll,
                dtype=self.child_policy(f"lstm_{i}"),
                name=f"lstm_{i}",
            )
            if self.bidirectional:
                layer = keras.layers.Bidirectional(
                    layer,
                    dtype=self.child_policy(f"bidirectional_{i}"),
                    name=f"bidirectional_{i}",
                )
            layer.build(shape)
            self.layers.append(layer)
            shape = (*shape[:2], self._width(units))
            if self.dropout > 0:
                self.dropouts.append(
                    keras.layers.Dropout(
                        self.dropout,
                        dtype=self.child_policy(f"dropout_{i}"),
                        name=f"dropout_{i}",
                    )
                )

    def _width(self, units):
        return 2 * units if self.bidirectional else units

    def _check(self, shape):
        if len(shape) != 3 or shape[-1] is None:
            raise ValueError(
                "LSTMEncoder expects (batch, time, features) with a known number of "
                f"features. Received: shape {tuple(shape)}"
            )

    def call(self, inputs, mask=None, training=None):
        x = zero_where_masked(inputs, mask)
        for i, layer in enumerate(self.layers):
            x = zero_where_masked(layer(x, mask=mask, training=training), mask)
            if self.dropouts:
                x = self.dropouts[i](x, training=training)
        return x

    def compute_output_shape(self, input_shape):
        self._check(input_shape)
        return (*input_shape[:2], self._width(self.units[-1]))

    def get_config(self):
        config = super().get_config()
        config.update(
            {
                "units": self.units,
                "bidirectional": self.bidirectional,
                "dropout": self.dropout,
                "unroll": self.unroll,
            }
        )
        return config
