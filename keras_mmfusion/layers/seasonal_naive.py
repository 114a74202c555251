"""The forecast that everything goes on as in the last period."""

import keras
from keras import ops

from keras_mmfusion._checks import check_positive_int
from keras_mmfusion._serialization import register


@register()
class SeasonalNaive(keras.layers.Layer):
    """Forecast by repeating the last period, or the last value.

    ```
    y_h = x_{T - period + ((h - 1) mod period)}
    ```

    Nothing is learned: what any forecast has to beat.

    Args:
        horizon: int. Steps to forecast.
        period: int. Steps of a period, such as 24; with `1` the last value goes on
            (persistence). Defaults to `1`.
        **kwargs: `name`, `dtype` and so on, as for any Keras layer.

    Call arguments:
        inputs: Tensor of the series.

    Input shape:
        `(batch, time, columns)` with at least `period` steps.

    Output shape:
        `(batch, horizon, columns)`.

    Raises:
        ValueError: for other ranks or fewer steps than a period.

    Example:

    ```python
    import keras
    import numpy as np
    from keras_mmfusion.layers import SeasonalNaive

    x = np.arange(6.0).reshape(1, 6, 1)
    y = SeasonalNaive(horizon=4, period=3)(x)
    assert keras.ops.convert_to_numpy(y)[0, :, 0].tolist() == [3, 4, 5, 3]
    ```

    Reference:
        Hyndman and Athanasopoulos, "Forecasting: principles and practice", 3rd ed.,
        section 5.2.
    """

    def __init__(self, horizon, period=1, **kwargs):
        super().__init__(**kwargs)
        check_positive_int(horizon=horizon, period=period)
        self.horizon = int(horizon)
        self.period = int(period)

    def call(self, inputs):
        self.compute_output_shape(inputs.shape)
        last = inputs[:, -self.period :]
        times = -(-self.horizon // self.period)
        return ops.tile(last, (1, times, 1))[:, : self.horizon]

    def compute_output_shape(self, input_shape):
        if len(input_shape) != 3:
            raise ValueError(
                "SeasonalNaive expects (batch, time, columns). Received: shape "
                f"{tuple(input_shape)}"
            )
        if input_shape[1] is not None and input_shape[1] < self.period:
            raise ValueError(
                f"SeasonalNaive expects at least a period of {self.period} steps. "
                f"Received: shape {tuple(input_shape)}"
            )
        return (input_shape[0], self.horizon, input_shape[2])

    def get_config(self):
        config = super().get_config()
        config.update({"horizon": self.horizon, "period": self.period})
        return config
