"""A forecast that is linear in the distance from the last value."""

from keras_mmfusion._serialization import register
from keras_mmfusion.layers._linear_forecast import LinearForecastBase


@register()
class NLinear(LinearForecastBase):
    """Forecast every column by one linear map of its distance from the last value.

    ```
    y = x_last + W (x - x_last) + b
    ```

    A series may so move to another level without the forecast being off by as much.
    All columns share the map. Covariates of the window, such as the phase of the
    year, add `V c`, alike for all columns.

    Args:
        horizon: int. Steps to forecast.
        **kwargs: `name`, `dtype` and so on, as for any Keras layer.

    Call arguments:
        inputs: Tensor of the series, or a list of that and of covariates.

    Input shape:
        `(batch, time, columns)` with a known time; covariates `(batch, features)`.

    Output shape:
        `(batch, horizon, columns)`.

    Raises:
        ValueError: for other ranks or an unknown number of steps.

    Example:

    ```python
    import keras
    import numpy as np
    from keras_mmfusion.layers import NLinear

    ramp = np.arange(300, dtype="float32") / 100
    x = np.stack([ramp[i : i + 20] for i in range(270)])[..., None]
    y = np.stack([ramp[i + 20 : i + 25] for i in range(270)])[..., None]
    layer = NLinear(horizon=5)
    layer.fit_closed_form(x[:100], y[:100], alpha=1e-6)
    forecast = keras.ops.convert_to_numpy(layer(x[200:]))
    assert np.abs(forecast - y[200:]).max() < 0.01
    ```

    Reference:
        Zeng et al., "Are transformers effective for time series forecasting?",
        arXiv:2205.13504 (NLinear). The closed form and covariates are ours.
    """

    def features(self, columns):
        last = columns[:, :, -1:]
        return columns - last, last
