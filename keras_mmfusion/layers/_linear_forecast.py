"""What linear forecasts share: one map over time for all columns, fitted at once."""

import keras
import numpy as np
from keras import ops

from keras_mmfusion._horizons import groups_of_steps, reaches
from keras_mmfusion.layers._composite_layer import CompositeLayer, check_positive_int

# Penalties that are tried, see `fit_closed_form`.
ALPHAS = (0.0, 1e-5, 1e-4, 1e-3, 1e-2, 3e-2, 1e-1, 3e-1, 1.0, 3.0, 10.0)
# Windows at a time when a fit is summed up.
CHUNK = 512


class LinearForecastBase(CompositeLayer):
    """Forecasts that are linear in what is known, alike for every column.

    A subclass says what the linear map sees, in `features`.
    """

    def __init__(self, horizon, **kwargs):
        super().__init__(**kwargs)
        check_positive_int(horizon=horizon)
        self.horizon = horizon

    # Shapes.

    def build(self, input_shape):
        series, covariates = self._shapes(input_shape)
        count = self.feature_count(series[1])
        self.weights_over_time = keras.layers.Dense(
            self.horizon,
            dtype=self.child_policy("weights_over_time"),
            name="weights_over_time",
        )
        self.weights_over_time.build((None, None, count))
        self.covariate_weights = None
        if covariates is not None:
            self.covariate_weights = keras.layers.Dense(
                self.horizon,
                use_bias=False,
                kernel_initializer="zeros",
                dtype=self.child_policy("covariate_weights"),
                name="covariate_weights",
            )
            self.covariate_weights.build((None, covariates[1]))

    def _shapes(self, input_shape):
        """Shapes of the series and of the covariates, which may be None."""
        several = _is_shape(input_shape[0])
        if several and len(input_shape) != 2:
            raise ValueError(
                f"{type(self).__name__} expects a series, or a list of a series and "
                f"covariates. Received: shapes {input_shape}"
            )
        series, covariates = input_shape if several else (input_shape, None)
        if len(series) != 3 or series[1] is None:
            raise ValueError(
                f"{type(self).__name__} expects (batch, time, columns) with a known "
                f"number of steps. Received: shape {tuple(series)}"
            )
        if covariates is not None and (len(covariates) != 2 or covariates[1] is None):
            raise ValueError(
                f"{type(self).__name__} expects covariates as (batch, features). "
                f"Received: shape {tuple(covariates)}"
            )
        return series, covariates

    def compute_output_shape(self, input_shape):
        series, _ = self._shapes(input_shape)
        return (series[0], self.horizon, series[2])

    # What a subclass may say.

    def feature_count(self, steps):
        """How many numbers the linear map sees of `steps` steps."""
        return steps

    def features(self, columns):
        """What the linear map sees, and the level that its output is added to.

        Args:
            columns: tensor `(batch, columns, time)`.

        Returns:
            `(features, level)`: `(batch, columns, feature_count)` and
            `(batch, columns, 1)`, or None for no level.
        """
        return columns, None

    def call(self, inputs):
        series, covariates = _pair(inputs)
        features, level = self.features(ops.transpose(series, (0, 2, 1)))
        forecast = self.weights_over_time(features)
        if covariates is not None:
            forecast = forecast + self.covariate_weights(covariates)[:, None]
        if level is not None:
            forecast = forecast + level
        return ops.transpose(forecast, (0, 2, 1))

    # The closed form.

    def fit_closed_form(
        self, x, y, alpha="validation", validation_data=None, horizons=None
    ):
        """Set the weights to those of ridge regression, at once and exactly.

        For every step by itself, they minimise the mean squared error over windows and
        columns plus `alpha` times the sum of its squared weights; biases are free.

        Args:
            x: Array `(windows, time, columns)`, views included; or a list of that
                and of covariates `(windows, features)`.
            y: Array `(windows, horizon, columns)`.
            alpha: float, or `"validation"` for the best one of several on
                `validation_data`. Defaults to `"validation"`.
            validation_data: Pair `(x, y)`. Defaults to `None`.
            horizons: Sequence of ints, the last one that of the layer, such as
                `(96, 192)`: the steps up to each have a penalty of their own, and
                windows that end before it, with NaN in `y`, do not count for them.
                Defaults to `None`: all steps alike, of whole windows.

        Returns:
            dict, `"alpha"` that was taken and `"validation_mse"` of each that was
            tried, empty without validation data. With `horizons`, a dict of these.

        Raises:
            ValueError: `"validation"` without `validation_data`, arrays that do not
                fit together, or NaN in them.
        """
        if alpha == "validation" and validation_data is None:
            raise ValueError(
                '`alpha="validation"` needs `validation_data=(x, y)`. '
                "Received: validation_data=None"
            )
        alphas = ALPHAS if alpha == "validation" else (float(alpha),)
        if min(alphas) < 0:
            raise ValueError(f"`alpha` must be 0 or more. Received: alpha={alpha}")
        steps = groups_of_steps(horizons, self.horizon)
        whole = horizons is None
        training = self._sums(x, y, steps, whole)
        held_out = [None] * len(steps)
        if validation_data is not None:
            held_out = self._sums(*validation_data, steps, whole)
        fits = [_best(*sums, alphas) for sums in zip(training, held_out, strict=True)]
        self._assign(np.concatenate([solution for solution, _ in fits], axis=1))
        found = [of_group for _, of_group in fits]
        return found[0] if whole else dict(zip(horizons, found, strict=True))

    def _sums(self, x, y, groups, whole):
        series, covariates = _pair(x)
        if not self.built:
            self.build(_shapes_of(series, covariates))
        if len(series) != len(y) or tuple(y.shape[1:]) != (
            self.horizon,
            series.shape[2],
        ):
            raise ValueError(
                f"Expected `y` of shape {(len(series), self.horizon, series.shape[2])} "
                f"for `x` of shape {tuple(series.shape)}. Received: {tuple(y.shape)}"
            )
        sums = [_Sums() for _ in groups]
        for start in range(0, len(series), CHUNK):
            part = slice(start, start + CHUNK)
            columns = np.ascontiguousarray(
                np.swapaxes(series[part], 1, 2), dtype="float32"
            )
            features, level = self.features(ops.convert_to_tensor(columns))
            features = ops.convert_to_numpy(features).astype("float64")
            target = np.swapaxes(y[part], 1, 2).astype("float64")
            if level is not None:
                target = target - ops.convert_to_numpy(level)
            if covariates is not None:
                known = np.asarray(covariates[part], "float64")[:, None]
                known = np.broadcast_to(known, (*features.shape[:2], known.shape[-1]))
                features = np.concatenate([features, known], axis=-1)
            for of_group, steps in zip(sums, groups, strict=True):
                counts = slice(None) if whole else reaches(y[part], steps)
                of_group.add(features[counts], target[counts][..., steps])
        if not all(of_group.is_finite() for of_group in sums):
            raise ValueError(
                "`fit_closed_form` needs numbers throughout. Received: NaN or infinite "
                "values. Fill them, or leave their windows out."
            )
        if not all(of_group.count for of_group in sums):
            raise ValueError(
                "Expected windows that reach every one of `horizons`. Received: "
                f"{[of_group.count for of_group in sums]} rows for them."
            )
        return sums

    def _assign(self, solution):
        count = self.weights_over_time.kernel.shape[0]
        kernel, bias = solution[:-1], solution[-1]
        self.weights_over_time.set_weights([kernel[:count], bias])
        if self.covariate_weights is not None:
            self.covariate_weights.set_weights([kernel[count:]])

    def get_config(self):
        config = super().get_config()
        config.update({"horizon": self.horizon})
        return config


class _Sums:
    """Sums of products that ridge regression and its error are made of."""

    def __init__(self):
        self.count, self.inner, self.cross, self.square = 0, 0.0, 0.0, 0.0

    def add(self, features, target):
        """Add arrays `(windows, columns, features)` and `(windows, columns, steps)`."""
        features = features.reshape(-1, features.shape[-1])
        target = target.reshape(len(features), target.shape[-1])
        features = np.concatenate([features, np.ones((len(features), 1))], axis=1)
        self.count += len(features)
        self.inner = self.inner + features.T @ features
        self.cross = self.cross + features.T @ target
        self.square += float(np.sum(np.square(target)))

    def is_finite(self):
        return np.isfinite(self.square) and np.isfinite(self.inner).all()

    def ridge(self, alpha):
        """Weights `(features + 1, horizon)`, the last row the bias."""
        penalty = np.full(len(self.inner), alpha * self.count)
        penalty[-1] = 0.0
        inner = self.inner + np.diag(penalty)
        if alpha == 0:
            # There may be fewer windows than weights, or features that follow from
            # others as those of DLinear do: the smallest of all solutions.
            return np.linalg.lstsq(inner, self.cross, rcond=None)[0]
        return np.linalg.solve(inner, self.cross)

    def mse(self, solution):
        """Mean squared error of a solution, over all rows and steps."""
        error = np.sum(solution * (self.inner @ solution - 2 * self.cross))
        return float(self.square + error) / (self.count * solution.shape[1])


def _best(training, held_out, alphas):
    """The solution with the least error on data held out, and what was tried."""
    solutions = {alpha: training.ridge(alpha) for alpha in alphas}
    errors = {}
    if held_out is not None:
        errors = {alpha: held_out.mse(solutions[alpha]) for alpha in alphas}
    best = min(errors, key=errors.get) if len(alphas) > 1 else alphas[0]
    return solutions[best], {"alpha": best, "validation_mse": errors}


def _is_shape(value):
    return isinstance(value, (tuple, list))


def _pair(inputs):
    return inputs if isinstance(inputs, (list, tuple)) else (inputs, None)


def _shapes_of(series, covariates):
    if covariates is None:
        return tuple(series.shape)
    return [tuple(series.shape), tuple(covariates.shape)]
