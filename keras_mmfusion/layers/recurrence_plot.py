"""Series as pictures of where they come back to."""

import numbers

import keras
from keras import ops

from keras_mmfusion._checks import check_positive_int
from keras_mmfusion._serialization import register
from keras_mmfusion.layers._pictures import as_if, check_series, segment_means

THRESHOLDS = ("point", "distance")
# The width of the sigmoid whose gradient a threshold has, as a share of it.
WIDTH = 0.1


@register()
class RecurrencePlot(keras.layers.Layer):
    """Turn a series into a picture: the distances between all pairs of its states.

    The state at step i is `s_i = (x_i, x_{i+delay}, …, x_{i+(dimension−1) delay})`,
    channel by channel. The picture is

    ```
    d_ij = ‖s_i − s_j‖              threshold=None
    r_ij = 1 if d_ij < ε else 0     with a threshold
    ```

    The numbers are those of `pyts.image.RecurrencePlot`. It has no weights, runs
    batched and compiled on any backend, and its gradient is finite: that of the
    distance is taken as 0 where two states are equal, and that of the comparison
    is the gradient of `sigmoid((ε − d) / (0.1 ε))` with ε held constant. A flat
    series has distances of 0, and `r` of 0 where ε is relative, 1 where it is not.

    Args:
        image_size: int or None. Each series is first averaged to that many
            segments, as in `GramianAngularField`. Defaults to `None`: all steps.
        dimension: int. Entries of a state. Defaults to `1`.
        delay: int. Steps between two entries of a state. Defaults to `1`.
        threshold: `None` for distances; a float for ε; `"distance"` for a
            percentage of the largest distance; `"point"` for the percentile of all
            distances. Defaults to `None`.
        percentage: float. The percentage of `"distance"` and `"point"`.
            Defaults to `10`.
        **kwargs: `name`, `dtype` and so on, as for any Keras layer.

    Call arguments:
        inputs: Tensor `(batch, ..., time, channels)`.

    Input shape:
        `(batch, time, channels)`, or with further axes after the batch.

    Output shape:
        `(batch, size, size, channels)` with `size` the number of states,
        `steps − (dimension − 1) * delay`; further axes as in the input.

    Raises:
        ValueError: for inputs with fewer than three axes, more pixels than steps, or
            too few steps for a state.

    Example:

    ```python
    import numpy as np
    from keras_mmfusion.layers import RecurrencePlot

    series = np.sin(np.linspace(0, 6, 96)).reshape(1, 96, 1)
    picture = RecurrencePlot(image_size=32)(series)
    assert picture.shape == (1, 32, 32, 1)
    ```

    Reference:
        Eckmann et al., "Recurrence plots of dynamical systems", Europhysics Letters
        4, 1987. The gradient of the comparison is ours.
    """

    def __init__(
        self,
        image_size=None,
        dimension=1,
        delay=1,
        threshold=None,
        percentage=10,
        **kwargs,
    ):
        super().__init__(**kwargs)
        if image_size is not None:
            check_positive_int(image_size=image_size)
        check_positive_int(dimension=dimension, delay=delay)
        number = isinstance(threshold, numbers.Real) and threshold > 0
        if threshold is not None and threshold not in THRESHOLDS and not number:
            raise ValueError(
                "`threshold` must be None, 'point', 'distance' or a positive number. "
                f"Received: threshold={threshold!r}"
            )
        if not 0 <= percentage <= 100:
            raise ValueError(
                "`percentage` must be a number from 0 to 100. "
                f"Received: percentage={percentage!r}"
            )
        self.image_size = image_size and int(image_size)
        self.dimension = int(dimension)
        self.delay = int(delay)
        self.threshold = threshold
        self.percentage = percentage

    def build(self, input_shape):
        self.compute_output_shape(input_shape)

    def call(self, inputs):
        check_series("RecurrencePlot", inputs.shape, self.image_size)
        x = segment_means(ops.cast(inputs, "float32"), self.image_size)
        span = (self.dimension - 1) * self.delay
        size = x.shape[-2] if x.shape[-2] is not None else ops.shape(x)[-2]
        size = size - span
        squares = 0.0
        for shift in range(0, span + 1, self.delay):
            part = x[..., shift : shift + size, :]
            gaps = ops.expand_dims(part, -2) - ops.expand_dims(part, -3)
            if self.dimension == 1:
                distance = ops.abs(gaps)
            squares = squares + ops.square(gaps)
        if self.dimension > 1:
            apart = ops.greater(squares, 0.0)
            distance = ops.sqrt(ops.where(apart, squares, 1.0))
            distance = ops.where(apart, distance, 0.0)
        if self.threshold is not None:
            distance = self._compare(distance)
        return ops.cast(distance, self.compute_dtype)

    def _compare(self, distance):
        if self.threshold == "distance":
            limit = ops.amax(distance, axis=(-3, -2), keepdims=True)
            limit = limit * (self.percentage / 100)
        elif self.threshold == "point":
            limit = ops.quantile(
                distance, self.percentage / 100, axis=(-3, -2), keepdims=True
            )
        else:
            limit = ops.convert_to_tensor(self.threshold, dtype="float32")
        limit = ops.stop_gradient(limit)
        width = WIDTH * ops.where(ops.greater(limit, 0.0), limit, 1.0)
        soft = ops.sigmoid((limit - distance) / width)
        return as_if(ops.cast(ops.less(distance, limit), "float32"), soft)

    def compute_output_shape(self, input_shape):
        check_series("RecurrencePlot", input_shape, self.image_size)
        size = input_shape[-2] if self.image_size is None else self.image_size
        if size is not None:
            span = (self.dimension - 1) * self.delay
            if size <= span:
                raise ValueError(
                    f"A state spans {span + 1} steps, more than there are. Received: "
                    f"dimension={self.dimension}, delay={self.delay} for {size} steps"
                )
            size = size - span
        return (*input_shape[:-2], size, size, input_shape[-1])

    def get_config(self):
        config = super().get_config()
        config.update(
            {
                "image_size": self.image_size,
                "dimension": self.dimension,
                "delay": self.delay,
                "threshold": self.threshold,
                "percentage": self.percentage,
            }
        )
        return config
