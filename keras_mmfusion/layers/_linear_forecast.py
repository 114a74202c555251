"""What linear forecasts share: one map over time for all columns, fitted at once."""

import keras
import numpy as np
from keras import ops

from keras_mmfusion._checks import check_positive_int
from keras_mmfusion._horizons import groups_of_steps, one_each, parts_of
from keras_mmfusion.layers._composite_layer import CompositeLayer
from keras_mmfusion.layers._ridge import (
    RidgeSums,
    best_fits,
    mean_of_fits,
    smoothed,
    surely_better,
    told,
    unseen_features,
)

# Penalties that are tried by default, see `fit_closed_form`.
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
        self.horizon = int(horizon)

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
        self,
        x,
        y,
        alpha="validation",
        validation_data=None,
        horizons=None,
        parts=1,
        alphas=ALPHAS,
        covariate_alphas=ALPHAS,
        lookbacks=None,
        reversion=None,
        smoothing=0.0,
        period=1,
    ):
        """Set the weights to those of ridge regression, at once and exactly.

        For every step by itself, they minimise the mean squared error over windows and
        columns plus `alpha` times the sum of its squared weights; biases are free.

        With `"validation"`, covariates have a penalty of their own, and have to prove
        their worth: their weights stay zero, for all steps, and all is as without
        them, unless they lower the error on `validation_data`. With
        several parts, the mean gain over these must be more than its standard error
        (the rule of one standard error), which a gain in a single season is not.

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
            parts: int. Into so many parts the windows of `validation_data` are cut, in
                their order, to judge covariates by. Defaults to `1`.
            alphas: Sequence of floats, the penalties to try with `"validation"`.
                Defaults to eleven from 0 to 10.
            covariate_alphas: The same for those of covariates.
            lookbacks: Sequence of ints, such as `(336, 504)`: the weights are the mean
                of fits to so many of the last steps. Short ones have less to learn
                from, long ones more to overfit. Defaults to `None`, all steps.
            reversion: float from 0 to 1, of a `LinearForecast`: how far forecasts go
                back to the mean of training. 1: as far as least squares has it; 0: not
                at all, as those of `NLinear`, which go along with a new level; between,
                the mean of these two, so weighted. With `horizons`, a sequence of one
                for the steps up to each will do, too. Defaults to `None`, which is 1.
            smoothing: float, 0 or more. In the end the weights `w[s]` of a step `s`,
                from 0, become the mean of `w[s + k * period]` for `k` from `-r` to `r`,
                where `r` is `smoothing * (s // period)`, rounded, or less where there
                are not as many steps on both sides. Far ahead, neighbours have much the
                same map, and less noise together. Penalties are chosen before it.
                Defaults to `0.0`.
            period: int, the steps of a period, such as 24 hours. Defaults to `1`.

        Returns:
            dict, `"alpha"` that was taken and `"validation_mse"` of each that was
            tried, without covariates, empty without validation data; if there are
            covariates, `"covariate_alpha"`, None if they were left out. With
            `horizons`, a dict of these.

        Raises:
            ValueError: `"validation"` without `validation_data`, arrays that do not
                fit together, NaN in them, a part without windows, or penalties,
                `lookbacks`, `reversion`, `smoothing` or `period` out of their range.
        """
        if alpha == "validation" and validation_data is None:
            raise ValueError(
                '`alpha="validation"` needs `validation_data=(x, y)`. '
                "Received: validation_data=None"
            )
        if alpha != "validation" and float(alpha) < 0:
            raise ValueError(f"`alpha` must be 0 or more. Received: alpha={alpha}")
        for tried in (alphas, covariate_alphas):
            if not len(tried) or min(tried) < 0:
                raise ValueError(
                    "`alphas` and `covariate_alphas` must each be penalties of 0 or "
                    f"more, one at least. Received: {tried}"
                )
        if not 0 <= smoothing < float("inf"):
            raise ValueError(
                f"`smoothing` must be 0 or more. Received: smoothing={smoothing}"
            )
        check_positive_int(parts=parts, period=period)
        known = _pair(x)[0].shape[1]
        steps = groups_of_steps(horizons, self.horizon)
        unseen = unseen_features(self.feature_count(known), known, lookbacks)
        shares = [1.0] * len(steps)
        if reversion is not None:
            shares = one_each("reversion", reversion, steps)
            shares = [self._check_reversion(share) for share in shares]
        solve = [mean_of_fits(unseen, known - 1, share) for share in shares]
        whole = horizons is None
        training = self._sums(x, y, steps, whole)
        held_out = [[]] * len(steps)
        if validation_data is not None:
            held_out = self._sums(*validation_data, steps, whole, parts)
        if alpha == "validation":
            fits = self._chosen_on_validation(
                training, held_out, alphas, covariate_alphas, solve
            )
        else:
            penalties = [[(alpha, alpha)]] * len(steps)
            fits = best_fits(training, held_out, penalties, solve)
        weights = np.concatenate([fit.weights for fit in fits], axis=1)
        self._assign(smoothed(weights, smoothing, period))
        found = [told(fit, self.covariate_weights is not None) for fit in fits]
        return found[0] if whole else dict(zip(horizons, found, strict=True))

    def _check_reversion(self, reversion):
        raise ValueError(
            "`reversion` is for `LinearForecast`, whose map may or may not go along "
            f"with a level. Received: reversion={reversion} for a {type(self).__name__}"
        )

    def _chosen_on_validation(
        self, training, held_out, alphas, covariate_alphas, solve
    ):
        """Fits of all groups: the best without covariates, then the best with them."""
        series = [[(alpha, None) for alpha in alphas]] * len(training)
        plain = best_fits(training, held_out, series, solve)
        if self.covariate_weights is None:
            return plain
        both = [[(fit.penalty[0], a) for a in covariate_alphas] for fit in plain]
        fits = best_fits(training, held_out, both, solve)
        if not surely_better(held_out, fits, plain):
            return plain
        return [
            fit._replace(errors=without.errors)
            for fit, without in zip(fits, plain, strict=True)
        ]

    def _sums(self, x, y, groups, whole, parts=1):
        """`RidgeSums` of every group of steps: a list of those of its parts."""
        # Tensors become arrays; views stay what they are.
        series, covariates, y = (
            None if values is None else np.asarray(values) for values in (*_pair(x), y)
        )
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
        known = 0 if covariates is None else covariates.shape[1]
        sums = [[RidgeSums(known) for _ in range(parts)] for _ in groups]
        members = [parts_of(y, steps, parts, whole) for steps in groups]
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
                more = np.asarray(covariates[part], "float64")[:, None]
                more = np.broadcast_to(more, (*features.shape[:2], known))
                features = np.concatenate([features, more], axis=-1)
            for of_parts, steps, member in zip(sums, groups, members, strict=True):
                for number in set(member[part].tolist()) - {-1}:
                    counts = member[part] == number
                    of_parts[number].add(features[counts], target[counts][..., steps])
        flat = [of_part for of_parts in sums for of_part in of_parts]
        if not all(of_part.is_finite() for of_part in flat):
            raise ValueError(
                "`fit_closed_form` needs numbers throughout. Received: NaN or infinite "
                "values. Fill them, or leave their windows out."
            )
        if not all(of_part.count for of_part in flat):
            raise ValueError(
                "Expected windows that reach every one of `horizons`, in each of "
                f"{parts} parts. Received: {[of_part.count for of_part in flat]} rows "
                "for them."
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


def _is_shape(value):
    return isinstance(value, (tuple, list))


def _pair(inputs):
    return inputs if isinstance(inputs, (list, tuple)) else (inputs, None)


def _shapes_of(series, covariates):
    if covariates is None:
        return tuple(series.shape)
    return [tuple(series.shape), tuple(covariates.shape)]
