"""A search space of forecasters."""

import math

from keras_mmfusion.models.fusion_forecaster import FusionForecaster
from keras_mmfusion.tuning._hyper_model import FusionHyperModel
from keras_mmfusion.tuning._packages import import_keras_tuner

keras_tuner = import_keras_tuner()


class ForecasterHyperModel(FusionHyperModel):
    """Forecasters of a table, for the tuners of Keras Tuner.

    What is searched is as for `ClassifierHyperModel`. The linear skip of each model is
    fitted in closed form, then what the fusion adds is trained.

    Args:
        inputs: dict, name of a modality to the shape of one sample, the series first,
            see `FusionForecaster`.
        horizon: int. Steps to forecast.
        encoders, ranges, folds, seed: See `ClassifierHyperModel`. What has no time
            goes to the skip alone, and has no encoder.
        alpha: float. Penalty of the linear skip, see
            `FusionForecaster.fit_closed_form`. Defaults to `0.1`.
        loss: Loss of the models. Defaults to `"mse"`.
        metrics: Sequence of metrics. Defaults to `("mae",)`.
        **options: Further arguments of `FusionForecaster`, such as `skip`.

    Raises:
        ValueError: A name or a range that cannot be.
        ImportError: The extra `tuner` is not installed; raised on import.

    Example:

    ```python
    import keras_tuner
    import numpy as np
    from keras_mmfusion.tuning import ForecasterHyperModel

    rng = np.random.default_rng(0)
    x = {"load": rng.random((24, 12, 2)), "calendar": rng.random((24, 12, 3))}
    y = rng.random((24, 4, 2))
    hypermodel = ForecasterHyperModel(
        inputs={"load": (12, 2), "calendar": (12, 3)},
        horizon=4,
        ranges={"fusion": ["concat", "lmf"], "dim": 8, "encoder": "dense"},
    )
    tuner = keras_tuner.RandomSearch(
        hypermodel, "val_loss", max_trials=1, directory="runs", overwrite=True
    )
    last = {name: values[16:] for name, values in x.items()}
    first = {name: values[:16] for name, values in x.items()}
    tuner.search(
        first, y[:16], validation_data=(last, y[16:]), epochs=1, verbose=0
    )
    tuner.get_best_hyperparameters()[0].values["fusion"]
    ```

    Reference:
        Ours; no equation of the papers.
    """

    model_class = FusionForecaster

    def __init__(
        self,
        inputs,
        horizon,
        encoders=None,
        ranges=None,
        folds=None,
        alpha=0.1,
        loss="mse",
        metrics=("mae",),
        seed=0,
        **options,
    ):
        options["horizon"] = horizon
        self.alpha = alpha
        encoded = [name for name, shape in dict(inputs).items() if len(shape) > 1]
        super().__init__(
            inputs, encoders, encoded, ranges, folds, loss, metrics, seed, options
        )

    @classmethod
    def like(cls, model, **kwargs):
        """Models as a given one, but for what is searched of the fusion and training.

        Args:
            model: `FusionForecaster` with a fusion, such as a preset. Its encoders,
                skip and preprocessor stay, its weights do not.
            **kwargs: `ranges`, `folds`, `alpha`, `loss`, `metrics` and `seed`.

        Returns:
            `ForecasterHyperModel`.

        Raises:
            ValueError: Another kind of model.
        """
        if not isinstance(model, FusionForecaster) or not model.modalities:
            raise ValueError(
                "`model` must be a FusionForecaster with a fusion. "
                f"Received: a {type(model).__name__}."
            )
        return cls._of_model(model, model.preprocessor, horizon=model.horizon, **kwargs)

    def train(self, model, x, y, sample_weight=None, **kwargs):
        """`model.fit`, after the linear skip was fitted."""
        if hasattr(model.get_layer("skip"), "fit_closed_form"):
            if not isinstance(x, dict) or y is None:
                raise keras_tuner.errors.FatalValueError(
                    "The linear skip is fitted to arrays: x, a dict of one for each "
                    f"modality, and y. Received: x of {type(x).__name__}, y of "
                    f"{type(y).__name__}. Pass arrays, or skip=None."
                )
            # As Keras splits them: what is validated on is not fitted to.
            split = kwargs.get("validation_split") or 0.0
            rows = slice(math.floor(len(y) * (1.0 - split)))
            known = {name: values[rows] for name, values in x.items()}
            model.fit_closed_form(known, y[rows], self.alpha)
        return super().train(model, x, y, sample_weight, **kwargs)
