"""Linear forecasts, and series to fit them to."""

import numpy as np

from keras_mmfusion.layers import DLinear, LinearForecast, NLinear

LINEAR = {
    "linear": lambda horizon=5, **kwargs: LinearForecast(horizon, **kwargs),
    "nlinear": lambda horizon=5, **kwargs: NLinear(horizon, **kwargs),
    "dlinear": lambda horizon=5, **kwargs: DLinear(horizon, width=7, **kwargs),
}


def series(count=300, steps=12, columns=2, seed=0):
    """Windows of noisy waves, what follows them, and a covariate."""
    rng = np.random.default_rng(seed)
    time = np.arange(count + steps + 5)
    waves = np.sin(time[:, None] * [0.5, 0.9][:columns] + rng.random(columns))
    waves += 0.3 * rng.standard_normal(waves.shape) + 2.0
    covariates = rng.standard_normal((count, 2)).astype("float32")
    x = np.stack([waves[i : i + steps] for i in range(count)]).astype("float32")
    y = np.stack([waves[i + steps : i + steps + 5] for i in range(count)])
    y = y + (covariates @ rng.standard_normal((2, 5)))[..., None]
    return x, covariates, y.astype("float32")
