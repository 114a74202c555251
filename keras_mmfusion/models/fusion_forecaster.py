"""A forecaster: a linear skip, and a fusion of modalities on top of it."""

import keras
import numpy as np

from keras_mmfusion._checks import check_positive_int
from keras_mmfusion._horizons import groups_of_steps
from keras_mmfusion._serialization import register
from keras_mmfusion.models import _columns
from keras_mmfusion.models._encoding import check_encoders, sample_shapes
from keras_mmfusion.models._forecast_parts import add_fusion, add_skip, check_shapes
from keras_mmfusion.models._fusion_model import FusionModel, restored, restored_layers
from keras_mmfusion.models._policies import policy_of, with_quantized
from keras_mmfusion.models._shrinkage import best_factors


@register()
class FusionForecaster(FusionModel):
    """Forecast a table: a linear map of each column, plus what a fusion adds to it.

    The linear skip is fitted in closed form (`fit_closed_form`) and then left alone.
    The fusion starts as zero, learns what is left (`fit`), and is shrunk by a factor
    chosen on validation (`fit_shrinkage`), so that it is never worse there.

    The columns of the series are forecast one by one, by the same weights. Encoders
    see the distance of a column from its last value. NaN marks what is missing, see
    `FusionClassifier`; to the skip a missing value is zero, the mean of training.

    Args:
        inputs: dict, name of a modality to the shape of one sample. The first is the
            series, `(time, columns)`. One of the same shape is the series again, such
            as for an encoder that draws it. Others are `(time, features)`, alike for
            all columns, such as a calendar. One without time, `(features,)`, goes to
            the linear skip alone, such as the phase of the year.
        encoders: dict, name of a modality with time to a Keras layer or model that
            yields `(batch, time, features)`, of single columns; `None` to fuse it as
            it is. Empty for the skip alone.
        horizon: int. Steps to forecast.
        fusion: str or layer, see `FusionClassifier`. Not used when one modality is
            encoded only. Defaults to `"atd"`.
        dim: int. Width of the fused features. Defaults to `16`.
        fusion_options: dict, further arguments of the fusion. Defaults to `None`.
        skip: `"nlinear"`, `"dlinear"`, `"linear"`, or `None` for the last value alone.
            Defaults to `"nlinear"`.
        modality_dropout: float or list of floats. Share of the samples in training
            that lose a modality. Defaults to `0.0`.
        dropout: float. Dropout before the last layer of the fusion.
            Defaults to `0.0`.
        dtype: Dtype policy of all but the encoders and the sum.
            Defaults to `None`, the global policy.
        **kwargs: `name` and `trainable`, as for any Keras model.

    Call arguments:
        inputs: dict of tensors `(batch, *shape)`, with exactly the names in `inputs`.

    Input shape:
        `{name: (batch, *inputs[name])}`.

    Output shape:
        `(batch, horizon, columns)`, in the units of the series.

    Raises:
        ValueError: Names or shapes of modalities differ from `inputs`, or there is
            nothing to forecast by.

    Example:

    ```python
    import keras
    import numpy as np
    from keras_mmfusion.models import FusionForecaster

    model = FusionForecaster(
        inputs={"series": (48, 2), "calendar": (48, 3), "phase": (2,)},
        encoders={
            "series": keras.layers.LSTM(8, return_sequences=True),
            "calendar": keras.layers.Dense(8),
        },
        horizon=12,
        fusion="concat",
    )
    rng = np.random.default_rng(0)
    x = {name: rng.random((64, *s)) for name, s in model.shapes.items()}
    y = rng.random((64, 12, 2))
    model.fit_closed_form(x, y, alpha=0.1)
    model.compile("adam", "mse")
    model.fit(x, y, verbose=0)
    model.fit_shrinkage(x, y)  # on validation data
    model.predict(x, verbose=0).shape  # (64, 12, 2)
    ```

    Reference:
        Step fusion (Qin et al.), section 3.2, for the modalities; the linear skip is
        that of Zeng et al., arXiv:2205.13504. That the fusion adds to it is ours.
    """

    def __init__(
        self,
        inputs,
        encoders,
        horizon,
        fusion="atd",
        dim=16,
        fusion_options=None,
        skip="nlinear",
        modality_dropout=0.0,
        dropout=0.0,
        dtype=None,
        **kwargs,
    ):
        shapes = sample_shapes(inputs)
        covariates = check_shapes(shapes, skip)
        check_positive_int(horizon=horizon, dim=dim)
        horizon, dim = int(horizon), int(dim)
        series, *others = shapes
        encoders = dict(encoders or {})
        # The series may be for the skip alone; what else has time is for the fusion.
        encoded = [name for name in others if name != covariates]
        encoded += [series] * (series in encoders)
        if encoders or encoded:
            check_encoders(encoded, encoders)
        own_policy = keras.dtype_policies.get(dtype or keras.config.dtype_policy())
        columns = shapes[series][1]
        tensors = {
            name: keras.Input(shape, name=name, dtype="float32")
            for name, shape in shapes.items()
        }
        of_skip = [tensors[name] for name in (series, covariates) if name is not None]
        forecast = add_skip(of_skip, skip, horizon, own_policy)
        branch, to_fuse, fuse = None, None, None
        if encoders:
            branch, to_fuse, fuse = add_fusion(
                {name: tensors[name] for name in encoders},
                encoders,
                shapes[series],
                fusion,
                dim,
                fusion_options,
                modality_dropout,
                own_policy,
            )
            x = _columns.StepsToFeatures(name="flat")(branch)
            if dropout:
                x = keras.layers.Dropout(
                    dropout, name="dropout", dtype=policy_of(own_policy, "")
                )(x)
            x = keras.layers.Dense(
                horizon,
                kernel_initializer="zeros",
                name="head",
                dtype=policy_of(own_policy, "head", "float32"),
            )(x)
            x = _columns.ColumnsFromBatch(columns, name="of_columns")(x)
            x = _columns.Shrinkage(name="shrinkage", dtype="float32")(x)
            forecast = keras.layers.Add(name="forecast", dtype="float32")([forecast, x])
        super().__init__(inputs=tensors, outputs=forecast, **kwargs)
        self.shapes = shapes
        self.modalities = list(encoders)
        self.horizon = horizon
        self.preprocessor = None
        self._settings = {
            "horizon": horizon,
            "fusion": fusion,
            "dim": dim,
            "fusion_options": dict(fusion_options or {}),
            "skip": skip,
            "modality_dropout": modality_dropout,
            "dropout": dropout,
        }
        self._encoder_names = {
            name: encoder.name if encoder is not None else None
            for name, encoder in encoders.items()
        }
        self._fusion_name = None if fuse is None else fuse.name
        self._fused = to_fuse, branch
        self._policy = own_policy

    def fit_closed_form(
        self, x, y, alpha="validation", validation_data=None, **options
    ):
        """Fit the linear skip, at once and exactly; see `NLinear.fit_closed_form`.

        Args:
            x: dict of arrays, views included; what the skip does not see may be left
                out.
            y: Array `(samples, horizon, columns)`.
            alpha: float, or `"validation"`. Defaults to `"validation"`.
            validation_data: Pair `(x, y)`. Defaults to `None`.
            options: `horizons`, `parts`, `alphas`, `lookbacks` and so on, as there.

        Returns:
            dict of `"alpha"`, `"validation_mse"` and, where there are covariates,
            `"covariate_alpha"`; with `horizons`, a dict of these.

        Raises:
            ValueError: There is no linear skip.
        """
        skip = self.get_layer("skip")
        if not hasattr(skip, "fit_closed_form"):
            raise ValueError(
                "`fit_closed_form` needs a linear skip. Received: a model with "
                "skip=None. Make one with skip='nlinear'."
            )
        if validation_data is not None:
            validation_data = self._of_skip(validation_data[0]), validation_data[1]
        return skip.fit_closed_form(
            self._of_skip(x), y, alpha, validation_data, **options
        )

    def fit_shrinkage(self, x, y, batch_size=256, horizons=None, parts=1):
        """Set the factor of the fusion to the best one from 0 to 1 for these data.

        Best is least squares, which is exact. With data that the model was not trained
        on, such as those to validate on, the fusion is then no worse than without; with
        several parts, in none of them. A gain in one season only is none in the next.

        Args:
            x: dict of arrays, as for `predict`.
            y: Array `(samples, horizon, columns)`.
            batch_size: int. Defaults to `256`.
            horizons: Sequence of ints, see `fit_closed_form`: the steps up to each
                have a factor of their own. Defaults to `None`: one for all.
            parts: int. Into so many parts the samples of a horizon are cut, in their
                order; the smallest of their best factors is taken. Defaults to `1`.

        Returns:
            float, the factor; with `horizons`, a dict of them.

        Raises:
            ValueError: There is no fusion in the model, fewer samples than parts, or
                not a number for every step that counts.
        """
        if not 1 <= parts <= len(y):
            raise ValueError(
                f"`parts` must be from 1 to {len(y)}, the number of samples. "
                f"Received: parts={parts}"
            )
        if not self.modalities:
            raise ValueError(
                "`fit_shrinkage` needs a fusion. Received: a model without encoders."
            )
        self.check_inputs(x)
        groups = groups_of_steps(horizons, self.horizon)
        outputs = [self.get_layer(n).output for n in ("skip", "of_columns")]
        best = best_factors(
            keras.Model(self.input, outputs),
            *(x, np.asarray(y), groups, parts, batch_size),
            whole=horizons is None,
        )
        sizes = [steps.stop - steps.start for steps in groups]
        self.get_layer("shrinkage").factor.assign(np.repeat(best, sizes)[:, None])
        if horizons is None:
            return float(best[0])
        return dict(zip(horizons, best.tolist(), strict=True))

    def forecast(self, table, horizon=None, level=0.9):
        """Forecast what follows a table, in the units of its columns.

        Args:
            table: `SeriesTable`, see `keras_mmfusion.datasets.ett.read_series`.
            horizon: int, up to that of the model. Defaults to `None`: all of it.
            level: float, of the intervals; one of those that the preprocessor has
                been calibrated for. Without any there are none. Defaults to `0.9`.

        Returns:
            `keras_mmfusion.analysis.Forecast`.

        Raises:
            ValueError: The model has no preprocessor, or a shorter horizon.
            RecordError: The table is too short, lacks a column, or is not as
                `read_series` would have it.
        """
        from keras_mmfusion.analysis.forecast import Forecast

        if self.preprocessor is None:
            raise ValueError(
                "`forecast` needs a model with a `preprocessor`, such as a preset. "
                "Received: preprocessor=None."
            )
        horizon = self.horizon if horizon is None else horizon
        whole = isinstance(horizon, (int, np.integer))
        if not whole or not 1 <= horizon <= self.horizon:
            raise ValueError(
                f"`horizon` must be a whole number from 1 to {self.horizon}, for which "
                f"the model was made. Received: horizon={horizon!r}"
            )
        prepare = self.preprocessor
        scaled = self.predict(prepare(table), verbose=0)[0, :horizon]
        inverse, ends = prepare.scaler.inverse, (None, None)
        if prepare.intervals is not None:
            half = prepare.intervals(level)[:horizon]
            ends = inverse(scaled - half), inverse(scaled + half)
        return Forecast(
            table.name,
            prepare.future_times(table, horizon),
            prepare.columns,
            inverse(scaled),
            *ends,
            level=None if prepare.intervals is None else level,
        )

    def _of_skip(self, x):
        names = [
            n for i, (n, s) in enumerate(self.shapes.items()) if not i or len(s) < 2
        ]
        arrays = [x[name] for name in names]
        return arrays[0] if len(arrays) == 1 else arrays

    def get_config(self):
        names = ["skip", "head"] + [self._fusion_name] * (self._fusion_name is not None)
        own = [layer for layer in self.layers if layer.name in names]
        return {
            **self._settings,
            **self._saved_state(),
            "dtype": keras.dtype_policies.serialize(with_quantized(self._policy, own)),
            "fusion": self._saved_fusion(),
            # Pairs, since the order of the modalities counts.
            "inputs": [[name, list(shape)] for name, shape in self.shapes.items()],
            "encoders": [
                [k, self._saved_layer(v)] for k, v in self._encoder_names.items()
            ],
        }

    @classmethod
    def from_config(cls, config, custom_objects=None):
        config = dict(config)
        config["encoders"] = restored_layers(config["encoders"], custom_objects)
        for key in ("fusion", "dtype"):
            config[key] = restored(config.get(key), custom_objects)
        return cls(**config)
