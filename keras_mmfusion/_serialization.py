"""The one place that knows the name under which Keras finds our classes again."""

import functools

import keras

PACKAGE = "keras_mmfusion"

register = functools.partial(keras.saving.register_keras_serializable, package=PACKAGE)
