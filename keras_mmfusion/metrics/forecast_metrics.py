"""Errors of forecasts, over every window there is."""

import numpy as np


def forecast_metrics(model, x, y, batch_size=256):
    """Mean squared and mean absolute error over all windows, steps and columns.

    Every window counts, the last batch too, and each alike: the batch size changes
    nothing. Windows may be views; only a batch of them is copied at a time.

    Args:
        model: Keras model from `x` to forecasts `(batch, horizon, columns)`.
        x: array or dict of arrays, one row a window.
        y: Array `(windows, horizon, columns)`.
        batch_size: int. Defaults to `256`.

    Returns:
        dict: `"mse"`, `"mae"`, `"windows"`, and `"mse_of_steps"`, `"mae_of_steps"`,
        arrays `(horizon,)`.

    Raises:
        ValueError: The model gives another shape than `y` has.

    Example:

    ```python
    import keras
    from keras_mmfusion.layers import SeasonalNaive

    wave = np.arange(40.0)[:, None]
    x = np.stack([wave[i : i + 8] for i in range(30)])
    y = np.stack([wave[i + 8 : i + 10] for i in range(30)])
    model = keras.Sequential([keras.Input((8, 1)), SeasonalNaive(2)])
    found = forecast_metrics(model, x, y)
    assert found["mae"] == 1.5 and found["mse_of_steps"].tolist() == [1.0, 4.0]
    ```
    """
    squared, absolute = np.zeros(y.shape[1]), np.zeros(y.shape[1])
    for start in range(0, len(y), batch_size):
        part = slice(start, start + batch_size)
        target = np.asarray(y[part], "float64")
        forecast = _predict(model, x, part, batch_size)
        if forecast.shape != target.shape:
            raise ValueError(
                f"Expected forecasts of shape {target.shape}, as `y` has. "
                f"Received: {forecast.shape}"
            )
        error = forecast - target
        squared += np.square(error).sum(axis=(0, 2))
        absolute += np.abs(error).sum(axis=(0, 2))
    count = len(y) * y.shape[2]
    return {
        "mse": float(squared.sum() / (count * y.shape[1])),
        "mae": float(absolute.sum() / (count * y.shape[1])),
        "windows": len(y),
        "mse_of_steps": squared / count,
        "mae_of_steps": absolute / count,
    }


def _predict(model, x, part, batch_size):
    """Forecasts of a batch, filled up to the size of all: one shape, compiled once."""
    arrays = x if isinstance(x, dict) else {"": x}
    count, batch = 0, {}
    for name, array in arrays.items():
        rows = np.asarray(array[part])
        count = len(rows)
        filler = np.repeat(rows[-1:], batch_size - count, axis=0)
        batch[name] = np.concatenate([rows, filler])
    forecast = model.predict_on_batch(batch if isinstance(x, dict) else batch[""])
    return np.asarray(forecast, "float64")[:count]
