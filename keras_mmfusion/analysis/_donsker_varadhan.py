"""The Donsker-Varadhan bound of mutual information: as a loss, and of samples."""

import math

import keras
import numpy as np
from keras import ops


class DonskerVaradhan(keras.layers.Layer):
    """Adds minus the bound as loss: `mean(T(joint)) - log(mean(exp(T(shuffled))))`.

    The first half of a batch are values of joint pairs, the second of shuffled ones.
    The gradient of the logarithm of a batch's mean is biased. Its denominator is
    therefore a moving average over batches, kept as a logarithm.

    Args:
        rate: float, weight of a new batch in the moving average.

    Reference:
        Belghazi et al., arXiv:1801.04062, eq. 10 and 12.
    """

    def __init__(self, rate=0.01, **kwargs):
        super().__init__(**kwargs)
        self.rate = rate

    def build(self, input_shape):
        self.log_average = self.add_weight(
            shape=(), initializer="zeros", trainable=False, name="log_average"
        )

    def call(self, inputs):
        half = ops.shape(inputs)[0] // 2
        joint, shuffled = inputs[:half], inputs[half:]
        first = ops.mean(joint)
        count = ops.cast(ops.size(shuffled), "float32")
        log_mean = ops.logsumexp(shuffled) - ops.log(count)
        average = ops.stop_gradient(
            ops.logaddexp(
                self.log_average + math.log1p(-self.rate),
                log_mean + math.log(self.rate),
            )
        )
        self.log_average.assign(average)
        # The value of the bound, with the gradient of the corrected one.
        corrected = first - ops.exp(log_mean - average)
        bound = corrected + ops.stop_gradient(first - log_mean - corrected)
        self.add_loss(-bound)
        return inputs


def bound(joint, shuffled):
    """The bound in float64.

    Args:
        joint: Array, values of the network for pairs of one sample.
        shuffled: Array, those for pairs of two.
    """
    shuffled = np.asarray(shuffled, "float64").ravel()
    log_mean = np.logaddexp.reduce(shuffled) - math.log(shuffled.size)
    return float(np.mean(joint, dtype="float64") - log_mean)
