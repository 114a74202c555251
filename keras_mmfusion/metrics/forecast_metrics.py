"""Errors of forecasts, over every window there is."""

import numbers

import numpy as np

from keras_mmfusion._horizons import groups_of_steps, reaches


def forecast_metrics(model, x, y, batch_size=256, horizons=None):
    """Mean squared and mean absolute error over all windows, steps and columns.

    Every window counts, the last batch too, and each alike: the batch size changes
    nothing. Windows may be views; only a batch of them is copied at a time.

    Args:
        model: Keras model from `x` to forecasts `(batch, horizon, columns)`.
        x: array or dict of arrays, one row a window.
        y: Array `(windows, horizon, columns)`.
        batch_size: int. Defaults to `256`.
        horizons: Sequence of ints, the last one that of `y`. For each of them, the
            errors of the steps up to there, over the windows that reach it; others
            have NaN there in `y`. Defaults to `None`: whole windows only.

    Returns:
        dict: `"mse"`, `"mae"`, `"windows"`; arrays `(horizon,)`, `"mse_of_steps"` and
        `"mae_of_steps"`; arrays `(columns,)`, `"mse_of_columns"` and
        `"mae_of_columns"`. With `horizons`, a dict of these.

    Raises:
        ValueError: The model gives another shape than `y` has, `x` has another number
            of windows, or there is none.

    Example:

    ```python
    import keras
    import numpy as np
    from keras_mmfusion.layers import SeasonalNaive
    from keras_mmfusion.metrics import forecast_metrics

    wave = np.arange(40.0)[:, None]
    x = np.stack([wave[i : i + 8] for i in range(30)])
    y = np.stack([wave[i + 8 : i + 10] for i in range(30)])
    model = keras.Sequential([keras.Input((8, 1)), SeasonalNaive(2)])
    found = forecast_metrics(model, x, y)
    assert found["mae"] == 1.5 and found["mse_of_steps"].tolist() == [1.0, 4.0]
    ```
    """
    if not isinstance(batch_size, numbers.Integral) or batch_size < 1:
        raise ValueError(
            "`batch_size` must be a positive integer. "
            f"Received: batch_size={batch_size!r}"
        )
    shape = getattr(y, "shape", ())
    if len(shape) != 3 or not shape[0]:
        raise ValueError(
            "`y` must be an array (windows, horizon, columns) of at least one window. "
            f"Received: {type(y).__name__} of shape {tuple(shape)}. "
            "Of a single column: y[..., None]."
        )
    if not hasattr(model, "predict_on_batch"):
        raise ValueError(
            f"`model` must be a Keras model. Received: {type(model).__name__}"
        )
    arrays = x if isinstance(x, dict) else {"x": x}
    counts = {name: (*np.shape(array), 0)[0] for name, array in arrays.items()}
    if set(counts.values()) != {shape[0]}:
        raise ValueError(
            f"`x` must hold as many windows as `y`, {shape[0]}. Received: "
            + (", ".join(f"{n} of {name!r}" for name, n in counts.items()) or "none")
        )
    whole = horizons is None
    ends = [steps.stop for steps in groups_of_steps(horizons, y.shape[1])]
    squared = [np.zeros((end, y.shape[2])) for end in ends]
    absolute = [np.zeros((end, y.shape[2])) for end in ends]
    windows = [0] * len(ends)
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
        for i, end in enumerate(ends):
            known = error[:, :end]
            known = known if whole else known[reaches(target, slice(end))]
            squared[i] += np.square(known).sum(axis=0)
            absolute[i] += np.abs(known).sum(axis=0)
            windows[i] += len(known)
    found = [
        {
            "windows": count,
            **_means("mse", of_squares, count),
            **_means("mae", of_sizes, count),
        }
        for of_squares, of_sizes, count in zip(squared, absolute, windows, strict=True)
    ]
    return found[0] if whole else dict(zip(ends, found, strict=True))


def _means(name, sums, windows):
    """Of sums `(horizon, columns)` over windows."""
    means = sums / windows
    return {
        name: float(means.mean()),
        f"{name}_of_steps": means.mean(axis=1),
        f"{name}_of_columns": means.mean(axis=0),
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
