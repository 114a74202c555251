"""What the hypermodels share: a search space, and an objective over folds."""

import copy
import inspect

import keras
import numpy as np

from keras_mmfusion.models._encoding import sample_shapes
from keras_mmfusion.models.fusions import FUSIONS
from keras_mmfusion.tuning._encoders import kinds_of, make_encoder
from keras_mmfusion.tuning._packages import import_keras_tuner
from keras_mmfusion.tuning._search_space import OPTIONS, search_space

keras_tuner = import_keras_tuner()


class FusionHyperModel(keras_tuner.HyperModel):
    """A hypermodel of fused modalities; subclasses make the model and its loss."""

    model_class = None

    def __init__(
        self, inputs, encoders, encoded, ranges, folds, loss, metrics, seed, options
    ):
        super().__init__(name=type(self).__name__)
        self.inputs = sample_shapes(inputs)
        self.encoders = dict(encoders or {})
        self.encoded = list(encoded)
        if unknown := sorted(set(self.encoders) - set(self.encoded)):
            raise ValueError(
                f"`encoders` must be for modalities of {self.encoded}. "
                f"Received: {unknown}"
            )
        taken = sorted({"fusion", "dim", "dropout", "fusion_options"} & set(options))
        if taken:
            raise ValueError(
                f"{taken} are searched; say by `ranges` what to try, such as "
                f"ranges={{'dropout': 0.1}}. Received: {taken[0]}={options[taken[0]]!r}"
            )
        searched = [name for name in self.encoded if name not in self.encoders]
        kinds = {name: kinds_of(name, self.inputs[name]) for name in searched}
        self.space = search_space(ranges, kinds, len(self.encoded))
        self.folds = _checked_folds(folds)
        self.loss, self.metrics = loss, list(metrics)
        self.seed = seed
        self.options = options
        self._like = None

    @classmethod
    def _of_model(cls, model, preprocessor, **kwargs):
        """A hypermodel with the encoders and all settings of a model, but the fusion's.

        What is not searched is rebuilt from the config of the model.
        """
        config = model.get_config()
        encoders = dict(config["encoders"])
        inputs = {name: tuple(shape) for name, shape in config["inputs"]}
        encoded = {name: inputs[name] for name in encoders}
        hypermodel = cls(encoded, encoders=encoders, **kwargs)
        hypermodel.inputs = inputs
        hypermodel._like, hypermodel._preprocessor = model, preprocessor
        return hypermodel

    def declare_hyperparameters(self, hp):
        """Make all that is searched known to a `keras_tuner.HyperParameters`."""
        for hyperparameter in self.space:
            hyperparameter.declare(hp)

    def build(self, hp):
        """A compiled model with the values of a `keras_tuner.HyperParameters`."""
        if self.seed is not None:
            # The same values give the same model, in a trial that begins again too.
            keras.utils.set_random_seed(self.seed)
        self.declare_hyperparameters(hp)
        # All of it is known by now: no need to look for more in further models.
        hp.inactive_scopes.clear()
        values = {h.name: hp.get(h.name) for h in self.space if hp.is_active(h.name)}
        model = self._make(hp, values)
        model.compile(
            keras.optimizers.Adam(values["learning_rate"]),
            loss=self.loss,
            weighted_metrics=self.metrics,
        )
        return model

    def _make(self, hp, values):
        tuned = {"dim": values["dim"], "dropout": values["dropout"]}
        if "fusion" in values:
            options = {name: values[name] for name in OPTIONS if name in values}
            tuned |= {"fusion": values["fusion"], "fusion_options": options}
        if self._like is None:
            encoders = {name: self._encoder(name, hp, values) for name in self.encoded}
            tuned |= {"inputs": self.inputs, "encoders": encoders}
            return self.model_class(**tuned, **self.options)
        config = self._like.get_config()
        # What is made anew has to be trained.
        config.pop("frozen", None)
        if "decoder" in config:
            # It follows the fusion: built anew, for the new width.
            config["decoder"] = _unbuilt(config["decoder"])
        takes = inspect.signature(FUSIONS[tuned.get("fusion", "concat")]).parameters
        if config.get("causal") and "causal" in takes:
            tuned["fusion_options"]["causal"] = True
        model = type(self._like).from_config({**config, **tuned})
        model.preprocessor = self._preprocessor
        return model

    def _encoder(self, name, hp, values):
        if name not in self.encoders:
            kind = values.get(f"{name}/encoder", "conv")
            width = values[f"{name}/encoder_dim"]
            return make_encoder(name, self.inputs[name], kind, width)
        encoder = self.encoders[name]
        if isinstance(encoder, keras.layers.Layer):
            # Each model has its own, with fresh weights.
            return type(encoder).from_config(encoder.get_config())
        return encoder if encoder is None else encoder(hp)

    def fit(self, hp, model, x=None, y=None, sample_weight=None, **kwargs):
        """Train a model; with folds, one for each of them.

        Args:
            hp: `keras_tuner.HyperParameters`.
            model: The model that `build` made; not used with folds.
            x: dict of arrays; without folds, or a linear skip to be fitted, anything
                that `model.fit` takes.
            y: Array `(samples, ...)`.
            sample_weight: Array. Defaults to `None`.
            **kwargs: Further arguments of `model.fit`.

        Returns:
            `keras.callbacks.History`; with folds, the mean of theirs, epoch by epoch,
            over as many epochs as all of them have.

        Raises:
            ValueError: With folds, validation data; with folds or a linear skip,
                something else than arrays.
        """
        if self.folds is None:
            return self.train(model, x, y, sample_weight, **kwargs)
        self._check_data(x, y, kwargs)
        # Its weights are those of a fold, which has seen samples of the others.
        kwargs.pop("initial_epoch", None)
        given = kwargs.pop("callbacks", None) or []
        own = [c for c in given if not _of_keras_tuner(c)]
        callbacks = [copy.deepcopy(own) for _ in self.folds[1:]]
        callbacks = [given, *callbacks]
        histories = []
        for (training, validation), calls in zip(self.folds, callbacks, strict=True):
            parts = [_rows(x, y, sample_weight, i) for i in (training, validation)]
            histories.append(
                self.train(
                    self.build(hp),
                    *parts[0],
                    validation_data=_without_none(parts[1]),
                    callbacks=calls,
                    **kwargs,
                )
            )
        return _mean_history(histories)

    def train(self, model, x, y, sample_weight=None, **kwargs):
        """`model.fit`, with what a kind of model needs beside it."""
        return model.fit(x, y, sample_weight=sample_weight, **kwargs)

    def _check_data(self, x, y, kwargs):
        twice = {"validation_data", "validation_split"} & set(kwargs)
        if twice:
            raise keras_tuner.errors.FatalValueError(
                "The folds say what to validate on. "
                f"Received: {sorted(twice)} as well. Leave it out."
            )
        if not isinstance(x, dict) or y is None:
            raise keras_tuner.errors.FatalValueError(
                "Folds need arrays: x, a dict of one for each modality, and y. "
                f"Received: x of {type(x).__name__}, y of {type(y).__name__}"
            )
        last = max(int(max(map(np.max, pair))) for pair in self.folds)
        short = {k: len(v) for k, v in {**x, "y": y}.items() if len(v) <= last}
        if short:
            raise keras_tuner.errors.FatalValueError(
                f"The folds number samples up to {last}. Received: only {short}"
            )


def _unbuilt(saved):
    """The JSON of a layer, without the shapes that it and its parts were built for."""
    if isinstance(saved, dict):
        return {k: _unbuilt(v) for k, v in saved.items() if k != "build_config"}
    return saved


def _checked_folds(folds):
    if folds is None:
        return None
    pairs = [tuple(np.asarray(part) for part in pair) for pair in folds]
    for pair in pairs:
        whole = all(p.ndim == 1 and len(p) and p.dtype.kind in "iu" for p in pair)
        if len(pair) != 2 or not whole:
            raise ValueError(
                "`folds` must be pairs of the numbers of samples, (training, "
                "validation), as `group_folds` gives them. Received: parts of shape "
                f"{[p.shape for p in pair]}"
            )
        if len(np.intersect1d(*pair)):
            raise ValueError(
                "No sample may be in both parts of a fold. Received: "
                f"{len(np.intersect1d(*pair))} that are."
            )
    if not pairs:
        raise ValueError("`folds` must hold a pair at least. Received: none.")
    return pairs


def _rows(x, y, sample_weight, index):
    weight = None if sample_weight is None else np.asarray(sample_weight)[index]
    chosen = {name: np.asarray(values)[index] for name, values in x.items()}
    return chosen, np.asarray(y)[index], weight


def _without_none(values):
    return tuple(v for v in values if v is not None)


def _of_keras_tuner(callback):
    return type(callback).__module__.partition(".")[0] == "keras_tuner"


def _mean_history(histories):
    """A `History` of the mean of all folds; the best epoch is then one for all."""
    mean = keras.callbacks.History()
    for name in histories[0].history:
        curves = [history.history[name] for history in histories]
        epochs = min(map(len, curves))
        curves = np.array([curve[:epochs] for curve in curves], "float64")
        mean.history[name] = curves.mean(axis=0).tolist()
        mean.epoch = list(range(epochs))
    return mean
