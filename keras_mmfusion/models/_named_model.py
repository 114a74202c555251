"""A functional model that insists on the names and shapes of its inputs."""

import inspect
import itertools
import re

import keras
import numpy as np

from keras_mmfusion.layers._composite_layer import set_trainable
from keras_mmfusion.models._checked_batches import CheckedBatches
from keras_mmfusion.models._kept_values import kept_values
from keras_mmfusion.models._labels import check_labels


class NamedModel(keras.Model):
    """Check named inputs in every way in, before any computation.

    Keras on JAX only warns about a wrong name and feeds the wrong modality. So arrays
    and each batch of a generator or `PyDataset` are checked before a step begins, and
    tensors once more inside `call`, where every other source comes in. An error leaves
    the model with its weights.
    """

    def __init__(
        self, inputs, outputs, name=None, trainable=None, frozen=None, **unknown
    ):
        if unknown:
            # Keras takes any argument of a functional model, and does nothing with it.
            raise ValueError(
                f"{type(self).__name__} has no such arguments; check how they are "
                "spelt. Received: "
                + ", ".join(f"{key}={value!r}" for key, value in unknown.items())
                + "."
            )
        try:
            super().__init__(
                inputs=inputs, outputs=outputs, name=name, trainable=trainable
            )
        except ValueError as error:
            _explain(error)
            raise
        if any(x.dtype_policy.name == "mixed_float16" for x in self._flatten_layers()):
            # Keras scales the loss if the policy of the model says so, which is the
            # global one by itself; unscaled, small gradients are 0 in float16.
            self.dtype_policy = "mixed_float16"
        self._frozen_at_first = self._frozen() if frozen is None else None
        for layer in [] if frozen is None else self.layers:
            if layer.name in frozen:
                set_trainable(layer, False)
            elif not layer.trainable:
                # Only where it changes something, since the layers inside follow.
                layer.trainable = True

    def __setattr__(self, name, value):
        if name == "trainable":
            set_trainable(self, bool(value))
        else:
            super().__setattr__(name, value)

    def _frozen(self):
        """Names of the layers that are not to be trained."""
        return [x.name for x in self.layers if x.weights and not x.trainable]

    def _saved_state(self):
        """What every config holds; which layers are frozen, where that was changed.

        Layers that a model makes itself have no config in its own that would say so.
        """
        state = {"name": self.name, "trainable": self.trainable}
        if self.trainable and self._frozen() != self._frozen_at_first:
            state["frozen"] = self._frozen()
        return state

    def call(self, inputs, training=None, mask=None):
        self.check_inputs(inputs)
        return super().call(inputs, training=training, mask=mask)

    _fitting = False

    def fit(self, x=None, *args, **kwargs):
        fit = super().fit
        call = inspect.signature(fit).bind(self._checked(x), *args, **kwargs)
        self._check_targets(**_targets(call))
        given = call.arguments.get("validation_data")
        if isinstance(given, (list, tuple)):
            self._check_batch(tuple(given))
        elif given is not None:
            call.arguments["validation_data"] = self._checked(given)
        self._fitting = True
        try:
            with kept_values(self, call.arguments):
                return fit(*call.args, **call.kwargs)
        finally:
            self._fitting = False

    def evaluate(self, x=None, *args, **kwargs):
        # `fit` validates here, every epoch on the same generator: take nothing from it.
        x = self._checked(x, peek=not self._fitting)
        evaluate = super().evaluate
        call = inspect.signature(evaluate).bind(x, *args, **kwargs)
        self._check_targets(**_targets(call))
        with kept_values(self, call.arguments):
            return evaluate(*call.args, **call.kwargs)

    def predict(self, x, *args, **kwargs):
        predict = super().predict
        call = inspect.signature(predict).bind(self._checked(x), *args, **kwargs)
        with kept_values(self, call.arguments):
            return predict(*call.args, **call.kwargs)

    def train_on_batch(self, x, *args, **kwargs):
        self.check_inputs(x)
        train = super().train_on_batch
        call = inspect.signature(train).bind(x, *args, **kwargs)
        self._check_targets(**_targets(call))
        return train(*call.args, **call.kwargs)

    def test_on_batch(self, x, *args, **kwargs):
        self.check_inputs(x)
        test = super().test_on_batch
        call = inspect.signature(test).bind(x, *args, **kwargs)
        self._check_targets(**_targets(call))
        return test(*call.args, **call.kwargs)

    def predict_on_batch(self, x):
        self.check_inputs(x)
        return super().predict_on_batch(x)

    def _checked(self, x, peek=True):
        """`x`, once its first batch is known to have our names and shapes.

        Each of the others is checked when it is asked for.
        """
        if isinstance(x, (dict, list, tuple)) or hasattr(x, "shape"):
            self.check_inputs(x)
        elif isinstance(x, keras.utils.PyDataset):
            self._check_batch(x[0])
            if not x.use_multiprocessing:
                return CheckedBatches(x, self._check_batch)
        elif hasattr(x, "element_spec"):
            # How `tf.data` describes its batches.
            self._check_batch(x.element_spec)
        elif peek and inspect.isgenerator(x):
            batches = map(self._check_batch, x)
            first = list(itertools.islice(batches, 1))
            return (batch for batch in itertools.chain(first, batches))
        return x

    def _check_batch(self, batch):
        x, y, sample_weight = keras.utils.unpack_x_y_sample_weight(batch)
        self.check_inputs(x)
        self._check_targets(y, sample_weight)
        return batch

    def _check_targets(self, y=None, sample_weight=None, class_weight=None):
        """Raise for labels that are no classes, and for weights that do not fit.

        There are none of samples or classes where there are values of steps: in a batch
        of as many samples as steps, Keras would take the weights of samples for those
        of steps, in any other the error is one of the backend. So it is with the mask
        of steps, where there is one value a step without an axis of its own.
        """
        check_labels(y, sample_weight, self)
        steps = getattr(self.output, "shape", ())[1:-1]
        classes = getattr(self, "num_classes", 0)
        if class_weight is not None and not hasattr(self, "num_classes"):
            raise ValueError(
                f"`class_weight` is for models that classify. A {type(self).__name__} "
                f"has no classes. Received: class_weight={class_weight!r}."
            )
        if not steps or not (classes or hasattr(self, "horizon")):
            return
        if classes == 1 and len(getattr(y, "shape", ())) == 2:
            raise ValueError(
                "A model of one value a step takes targets of shape (batch, "
                f"{steps[0]}, 1). Received: shape {tuple(y.shape)}. Give them the last "
                "axis: y[..., None]."
            )
        wanted = (
            f"A model that {'classifies' if classes else 'forecasts'} every step takes "
            f"`sample_weight` of shape (batch, {steps[0]}), one a step. Received: "
        )
        if classes and class_weight is not None:
            raise ValueError(
                f"{wanted}`class_weight`. An array of the weights of classes gives "
                "those of the steps: sample_weight=weights[y]."
            )
        if len(getattr(sample_weight, "shape", ())) == 1:
            raise ValueError(
                f"{wanted}shape {tuple(sample_weight.shape)}. For weights of samples: "
                "numpy.repeat(weights[:, None], y.shape[1], axis=1)."
            )

    def check_inputs(self, inputs):
        """Raise `ValueError` unless `inputs` has just our names and shapes."""
        expected = {name: tensor.shape for name, tensor in self.input.items()}
        names = list(inputs) if isinstance(inputs, dict) else type(inputs).__name__
        if not isinstance(inputs, dict) or set(inputs) != set(expected):
            raise ValueError(
                f"Expected a dict with the modalities {list(expected)}. "
                f"Received: {names}. Fill a modality that is missing with NaN, "
                "tokens with 0."
            )
        # A list, not a set: while PyTorch traces a model, its sizes are tensors.
        sizes = []
        for name, shape in expected.items():
            got = getattr(inputs[name], "shape", None)
            # Objects, text and times, as tables with cells of several kinds become.
            if getattr(getattr(inputs[name], "dtype", None), "kind", "") in tuple(
                "OSUMm"
            ):
                raise ValueError(
                    f"Modality {name!r} must hold numbers. Received: an array of "
                    f'{inputs[name].dtype}. Make it one, as by .astype("float32"), '
                    "with NaN for what is missing."
                )
            if got is None:
                raise ValueError(
                    f"Modality {name!r} must be an array or a tensor. Received: "
                    f"{type(inputs[name]).__name__}. Fill a modality that is missing "
                    "with NaN."
                )
            if "int" in self.input[name].dtype and _has_nan(inputs[name]):
                raise ValueError(
                    f"Modality {name!r} must hold whole numbers, 0 where one is "
                    "missing. Received: NaN."
                )
            got = tuple(got)
            fits = len(got) == len(shape) and all(
                None in (a, b) or a == b
                for a, b in zip(got[1:], shape[1:], strict=True)
            )
            if not fits:
                raise ValueError(
                    f"Modality {name!r} must have the shape (batch, "
                    f"{', '.join(str(n) for n in shape[1:])}). Received: shape {got}."
                )
            sizes.append(got[0])
        sizes = [size for size in sizes if size is not None]
        if any(size != sizes[0] for size in sizes[1:]):
            raise ValueError(
                "All modalities must hold the same samples. Received: "
                + ", ".join(f"{len(inputs[n])} of {n!r}" for n in expected)
                + "."
            )


def _explain(error):
    """Raise for a name used twice what is to be done about it.

    Keras finds them: which parts there are differs by model and by its settings.
    """
    taken = re.search(r'The name "(.+)" is used \d+ times', str(error))
    if taken:
        raise ValueError(
            "Modalities, and layers that a model is given, need names of their own, "
            "other than those of its parts, such as 'head'. Received: "
            f"{taken[1]!r} twice. Call the modality {taken[1]}_input, for example, or "
            "give the layer another `name`."
        ) from error


def _targets(call):
    """Targets and weights among the arguments of a method of Keras."""
    names = ("y", "sample_weight", "class_weight")
    return {name: call.arguments[name] for name in names if name in call.arguments}


def _has_nan(x):
    """Whether an array has NaN; tensors, which may not be known yet, are not read."""
    return isinstance(x, np.ndarray) and bool(np.isnan(x).any())
