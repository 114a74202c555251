"""A forecast that is linear in what is known."""

from keras_mmfusion._serialization import register
from keras_mmfusion.layers._linear_forecast import LinearForecastBase


@register()
class LinearForecast(LinearForecastBase):
    """Forecast every column by one linear map of its last steps.

    ```
    y = W x + b
    ```

    All columns share the map. Covariates of the window, such as the phase of the
    year, add `V c`, alike for all columns. Far ahead, a forecast goes back to the mean
    that the layer was fitted to, where that of `NLinear` stays at the level of the
    last value; `fit_closed_form(reversion=0.5)` gives the mean of both.

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
    from keras_mmfusion.layers import LinearForecast

    wave = np.sin(0.3 * np.arange(300, dtype="float32"))
    x = np.stack([wave[i : i + 20] for i in range(270)])[..., None]
    y = np.stack([wave[i + 20 : i + 25] for i in range(270)])[..., None]
    layer = LinearForecast(horizon=5)
    layer.fit_closed_form(x[:200], y[:200], alpha=1e-6)
    forecast = keras.ops.convert_to_numpy(layer(x[200:]))
    assert np.abs(forecast - y[200:]).max() < 0.01
    ```

    Reference:
        Zeng et al., "Are transformers effective for time series forecasting?",
        arXiv:2205.13504 (Linear). The closed form, covariates, reversion and
        smoothing are ours.
    """

    def _check_reversion(self, reversion):
        if not 0 <= reversion <= 1:
            raise ValueError(
                f"`reversion` must be from 0 to 1. Received: reversion={reversion}"
            )
        return reversion
