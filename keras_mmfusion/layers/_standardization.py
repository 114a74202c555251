"""Standardisation by the statistics of the batch or, later, of all batches seen."""

import keras
from keras import ops


class Standardization(keras.layers.Layer):
    """`(x - mean) / sqrt(variance + epsilon)`, feature by feature, of `(B, T, D)`.

    In training, mean and variance are those of the valid steps of the batch, and
    moving averages are kept; else they are these averages. Keras' BatchNormalization
    does not synchronise replicas where there is a mask, and forgets what it knows when
    nothing is valid; a batch without any valid step changes nothing here.
    """

    def __init__(self, momentum, epsilon, **kwargs):
        super().__init__(**kwargs)
        self.momentum = momentum
        self.epsilon = epsilon
        self.supports_masking = True

    def build(self, input_shape):
        def statistic(name, initializer):
            return self.add_weight(
                shape=(input_shape[-1],),
                initializer=initializer,
                trainable=False,
                # Replicas agree on them: they are synchronised below.
                aggregation="mean",
                autocast=False,
                name=name,
            )

        self.moving_mean = statistic("moving_mean", "zeros")
        self.moving_variance = statistic("moving_variance", "ones")

    def call(self, x, mask=None, training=None):
        x = ops.cast(x, "float32")
        if training and self.trainable:
            mean, variance = self._of_batch(x, mask)
        else:
            mean = ops.convert_to_tensor(self.moving_mean)
            variance = ops.convert_to_tensor(self.moving_variance)
        x = (x - mean) * ops.rsqrt(variance + self.epsilon)
        return ops.cast(x, self.compute_dtype)

    def _of_batch(self, x, mask):
        """Mean and variance of the valid steps; the moving ones take a step there."""
        valid = ops.ones_like(x[:, :, :1])
        if mask is not None:
            valid = ops.cast(ops.expand_dims(mask, -1), "float32")
        share = _mean_of_all(valid)
        some = ops.greater(share, 0.0)
        share = ops.where(some, share, 1.0)
        mean = _mean_of_all(x * valid) / share
        variance = _mean_of_all(ops.square(x - mean) * valid) / share
        for moving, value in (
            (self.moving_mean, mean),
            (self.moving_variance, variance),
        ):
            step = ops.where(some, 1.0 - self.momentum, 0.0)
            before = ops.convert_to_tensor(moving)
            moving.assign(before + step * (value - before))
        return mean, variance


def _mean_of_all(x):
    """Mean over batch and time, and over replicas where Keras can take it."""
    synchronized = keras.backend.backend() == "tensorflow"
    return ops.moments(x, (0, 1), synchronized=synchronized)[0]
