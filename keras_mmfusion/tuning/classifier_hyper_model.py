"""A search space of classifiers."""

from keras_mmfusion.models.beat_ensemble import BeatEnsemble
from keras_mmfusion.models.fusion_classifier import FusionClassifier
from keras_mmfusion.tuning._hyper_model import FusionHyperModel


class ClassifierHyperModel(FusionHyperModel):
    """Classifiers of named modalities, for the tuners of Keras Tuner.

    Searched are `"fusion"` and its width `"dim"`; `"num_heads"`, `"num_steps"` (of
    `"atd"`), `"kernel_size"` (`"step"`), `"num_layers"` (`"mult"`) and `"rank"`
    (`"lmf"`) where the fusion has them; of each modality `"<name>/encoder"`, which is
    `"dense"`, `"lstm"` or `"conv"`, and `"<name>/encoder_dim"`; `"dropout"` and
    `"learning_rate"`.

    With `folds` the objective of a trial is the mean over them, at the epoch that is
    best for all together. Each fold has a model of its own. `tuner.get_best_models`
    then gives that of the first fold: train one anew, on all data.

    Args:
        inputs: dict, name of a modality to the shape of one sample, time first, see
            `FusionClassifier`.
        num_classes: int.
        encoders: dict, name of a modality to what encodes it instead of a searched
            encoder: a function of the `keras_tuner.HyperParameters` that gives a new
            layer, a layer to be copied, or `None` to fuse it as it is.
            Defaults to `None`: all encoders are searched.
        ranges: dict, name of a hyperparameter to what is tried instead of the usual:
            a list of choices, a pair `(lowest, highest)` of numbers, or one value.
            `"encoder"` and `"encoder_dim"` count for every modality that has no range
            of its own. Defaults to `None`.
        folds: List of pairs of index arrays, `(training, validation)`, such as
            `group_folds` gives. Defaults to `None`: the validation data that
            `tuner.search` is given.
        loss: Loss of the models. Defaults to `"sparse_categorical_crossentropy"`.
        metrics: Sequence of metrics. Defaults to `("accuracy",)`.
        seed: int. Of the initial weights of each model, or `None` for others each
            time, which `executions_per_trial` of a tuner is for. Defaults to `0`.
        **options: Further arguments of `FusionClassifier`, such as `pooling`.

    Raises:
        ValueError: A name or a range that cannot be.
        ImportError: The extra `tuner` is not installed; raised on import.

    Example:

    ```python
    import keras_tuner
    import numpy as np
    from keras_mmfusion.tuning import ClassifierHyperModel

    rng = np.random.default_rng(0)
    x = {"voice": rng.random((24, 6, 4)), "text": rng.random((24, 3, 8))}
    y = rng.integers(2, size=24)
    hypermodel = ClassifierHyperModel(
        inputs={"voice": (6, 4), "text": (3, 8)},
        num_classes=2,
        ranges={"fusion": ["concat", "lmf"], "dim": (8, 16), "encoder": "dense"},
    )
    tuner = keras_tuner.RandomSearch(
        hypermodel, "val_loss", max_trials=1, directory="runs", overwrite=True
    )
    tuner.search(x, y, validation_split=0.25, epochs=1, verbose=0)
    tuner.get_best_hyperparameters()[0].values["fusion"]
    ```

    Reference:
        Ours; no equation of the papers.
    """

    model_class = FusionClassifier

    def __init__(
        self,
        inputs,
        num_classes,
        encoders=None,
        ranges=None,
        folds=None,
        loss="sparse_categorical_crossentropy",
        metrics=("accuracy",),
        seed=0,
        **options,
    ):
        options["num_classes"] = num_classes
        super().__init__(
            inputs, encoders, inputs, ranges, folds, loss, metrics, seed, options
        )

    @classmethod
    def like(cls, model, **kwargs):
        """Models as a given one, but for what is searched of the fusion and training.

        Args:
            model: `FusionClassifier`, `BeatClassifier` or `BeatEnsemble`, such as a
                preset; of an ensemble, its first member. Its encoders, classes and
                preprocessor stay, its weights do not.
            **kwargs: `ranges`, `folds`, `loss`, `metrics` and `seed`.

        Returns:
            `ClassifierHyperModel`.

        Raises:
            ValueError: Another kind of model.
        """
        # Of an ensemble, it is not with the members.
        preprocessor = getattr(model, "preprocessor", None)
        if isinstance(model, BeatEnsemble):
            model = model.members[0]
        if not isinstance(model, FusionClassifier):
            raise ValueError(
                "`model` must be a classifier of this package. "
                f"Received: a {type(model).__name__}."
            )
        return cls._of_model(
            model, preprocessor, num_classes=model.num_classes, **kwargs
        )
