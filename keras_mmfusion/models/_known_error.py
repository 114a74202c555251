"""The error of a reconstruction, where there is something to compare it with."""

import keras
from keras import ops

from keras_mmfusion._serialization import register


@register()
class KnownSquaredError(keras.losses.Loss):
    """Mean squared error over the values of a sample that are not NaN.

    A sample without any counts as zero.
    """

    def __init__(self, reduction="sum_over_batch_size", name="known_squared_error"):
        super().__init__(name=name, reduction=reduction)

    def call(self, y_true, y_pred):
        y_true = ops.cast(y_true, y_pred.dtype)
        unknown = ops.isnan(y_true)
        gap = ops.where(unknown, ops.zeros_like(y_pred), y_true - y_pred)
        axes = tuple(range(1, len(y_pred.shape)))
        known = ops.sum(ops.cast(ops.logical_not(unknown), y_pred.dtype), axis=axes)
        return ops.sum(ops.square(gap), axis=axes) / ops.maximum(known, 1.0)
