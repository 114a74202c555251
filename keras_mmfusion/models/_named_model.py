"""A functional model that insists on the names and shapes of its inputs."""

import keras


class NamedModel(keras.Model):
    """Check named inputs in every way in, before any computation.

    Keras on JAX only warns about a wrong name and feeds the wrong modality, and a
    step that fails half-way there leaves the model without its weights. So arrays
    are checked before the step begins, and tensors once more inside `call`, where
    data sets come in as well.
    """

    def call(self, inputs, training=None, mask=None):
        self.check_inputs(inputs)
        return super().call(inputs, training=training, mask=mask)

    def fit(self, x=None, *args, **kwargs):
        self._check_arrays(x)
        return super().fit(x, *args, **kwargs)

    def evaluate(self, x=None, *args, **kwargs):
        self._check_arrays(x)
        return super().evaluate(x, *args, **kwargs)

    def predict(self, x, *args, **kwargs):
        self._check_arrays(x)
        return super().predict(x, *args, **kwargs)

    def train_on_batch(self, x, *args, **kwargs):
        self._check_arrays(x)
        return super().train_on_batch(x, *args, **kwargs)

    def test_on_batch(self, x, *args, **kwargs):
        self._check_arrays(x)
        return super().test_on_batch(x, *args, **kwargs)

    def predict_on_batch(self, x):
        self._check_arrays(x)
        return super().predict_on_batch(x)

    def _check_arrays(self, x):
        """Dicts and arrays are checked here; data sets reach `call` soon enough."""
        if isinstance(x, (dict, list, tuple)) or hasattr(x, "shape"):
            self.check_inputs(x)

    def check_inputs(self, inputs):
        """Raise `ValueError` unless `inputs` has just our names and shapes."""
        expected = {name: tensor.shape for name, tensor in self.input.items()}
        names = list(inputs) if isinstance(inputs, dict) else type(inputs).__name__
        if not isinstance(inputs, dict) or set(inputs) != set(expected):
            raise ValueError(
                f"Expected a dict with the modalities {list(expected)}. "
                f"Received: {names}. Fill a modality that is missing with NaN."
            )
        for name, shape in expected.items():
            got = tuple(inputs[name].shape)
            fits = len(got) == len(shape) and all(
                None in (a, b) or a == b
                for a, b in zip(got[1:], shape[1:], strict=True)
            )
            if not fits:
                raise ValueError(
                    f"Modality {name!r} must have the shape (batch, "
                    f"{', '.join(str(n) for n in shape[1:])}). Received: shape {got}."
                )
