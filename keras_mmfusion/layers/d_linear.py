"""A forecast that is linear in a trend and in what is left."""

from keras import ops

from keras_mmfusion._checks import check_positive_int
from keras_mmfusion._serialization import register
from keras_mmfusion.layers._linear_forecast import LinearForecastBase


@register()
class DLinear(LinearForecastBase):
    """Forecast every column by linear maps of its trend and of the remainder.

    ```
    trend = moving mean of x,   y = W_t trend + W_s (x - trend) + b
    ```

    At both ends, the first and the last value go on for the moving mean. All columns
    share the maps. Covariates of the window add `V c`, alike for all columns.

    Args:
        horizon: int. Steps to forecast.
        width: int. Steps of the moving mean, an odd number. Defaults to `25`.
        **kwargs: `name`, `dtype` and so on, as for any Keras layer.

    Call arguments:
        inputs: Tensor of the series, or a list of that and of covariates.

    Input shape:
        `(batch, time, columns)` with a known time; covariates `(batch, features)`.

    Output shape:
        `(batch, horizon, columns)`.

    Raises:
        ValueError: for other ranks, an unknown number of steps or an even `width`.

    Example:

    ```python
    import numpy as np
    from keras_mmfusion.layers import DLinear

    x = np.random.default_rng(0).normal(size=(8, 48, 3)).astype("float32")
    assert DLinear(horizon=12, width=13)(x).shape == (8, 12, 3)
    ```

    Reference:
        Zeng et al., "Are transformers effective for time series forecasting?",
        arXiv:2205.13504 (DLinear), with one bias for both maps. The closed form and
        covariates are ours.
    """

    def __init__(self, horizon, width=25, **kwargs):
        super().__init__(horizon, **kwargs)
        check_positive_int(width=width)
        if width % 2 == 0:
            raise ValueError(f"`width` must be odd. Received: width={width}")
        self.width = int(width)

    def feature_count(self, steps):
        return 2 * steps

    def features(self, columns):
        side, steps = self.width // 2, columns.shape[-1]
        first, last = columns[:, :, :1], columns[:, :, -1:]
        ends = [ops.repeat(x, side, axis=-1) for x in (first, last)]
        padded = ops.concatenate([ends[0], columns, ends[1]], axis=-1)
        # Sums of a window are differences of running sums; from the first value on,
        # so that these stay small.
        running = ops.cumsum(ops.pad(padded - first, [[0, 0], [0, 0], [1, 0]]), axis=-1)
        total = running[:, :, self.width :] - running[:, :, :steps]
        trend = first + total / self.width
        return ops.concatenate([trend, columns - trend], axis=-1), None

    def get_config(self):
        config = super().get_config()
        config.update({"width": self.width})
        return config
