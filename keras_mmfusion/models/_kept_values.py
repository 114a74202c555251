"""The values of a model, for when Keras on JAX fails in the middle of its work."""

import contextlib

import keras


class KeptValues(keras.callbacks.Callback):
    """Give a model its values back after an error in `fit`, `evaluate` or `predict`.

    Keras on JAX takes the values out of the variables before the first step and puts
    them back after the last: an error between leaves the model without weights. What
    is kept here are references, not copies; the first step uses up the arrays, and
    from then on Keras itself has newer ones.

    Args:
        model: A Keras model on JAX.
    """

    def __init__(self, model):
        super().__init__()
        # Not `self.model`: asking for it moves all values.
        self._of = model
        self._values = []

    def on_epoch_begin(self, epoch, logs=None):
        self._keep()

    def on_test_begin(self, logs=None):
        self._keep()

    def on_predict_begin(self, logs=None):
        self._keep()

    def _keep(self):
        model = self._of
        optimizer = getattr(model, "optimizer", None)
        variables = [*model.trainable_variables, *model.non_trainable_variables]
        variables += model.metrics_variables
        variables += optimizer.variables if optimizer else []
        self._values = [(variable, variable.value) for variable in variables]

    @contextlib.contextmanager
    def restored_on_error(self):
        try:
            yield
        except BaseException:
            if any(value.is_deleted() for _, value in self._values):
                self._of.jax_state_sync()
            else:
                for variable, value in self._values:
                    variable.assign(value)
            raise


@contextlib.contextmanager
def kept_values(model, arguments):
    """Keep the values of a model while Keras works on it, where it needs this.

    Args:
        model: A Keras model.
        arguments: dict of the arguments for Keras; a callback is added.
    """
    # Keras has this on JAX only. Validation in `fit` comes with the callbacks of it.
    given = arguments.get("callbacks")
    whole = isinstance(given, keras.callbacks.CallbackList)
    if not hasattr(model, "jax_state_sync") or whole:
        yield
        return
    kept = KeptValues(model)
    arguments["callbacks"] = [*keras.tree.flatten(given or []), kept]
    with kept.restored_on_error():
        yield
