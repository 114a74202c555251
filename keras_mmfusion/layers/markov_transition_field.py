"""Series as pictures of how their values follow each other."""

import keras
from keras import ops

from keras_mmfusion._checks import check_choice, check_positive_int
from keras_mmfusion._serialization import register
from keras_mmfusion.layers._pictures import as_if, check_series, segment_means


@register()
class MarkovTransitionField(keras.layers.Layer):
    """Turn a series into a picture: the Markov transition field.

    Every channel of every sample is cut into `num_bins` bins of values. With `q_i`
    the bin of step i and `W` the transition matrix of the bins from one step to the
    next, its rows normalised, the picture is

    ```
    M_ij = W[q_i, q_j]
    ```

    averaged to `image_size × image_size` segments. The numbers are those of
    `pyts.image.MarkovTransitionField`. It has no weights and runs batched and
    compiled on any backend; without the detour of a picture of all steps.

    Which bin a value is in has no gradient. The one used is that of soft bins with
    the same edges, held constant: a value goes from one to the next along a sigmoid
    whose width is a tenth of the range over `num_bins`. On a flat series every step
    is in the same bin, and the picture is 1.

    Args:
        image_size: int or None. Side of the picture, at most the number of steps.
            Defaults to `None`: as many as there are steps.
        num_bins: int. Number of bins, at least 2. Defaults to `8`.
        strategy: `"quantile"` for bins of as many values each, `"uniform"` for bins
            of one width. Defaults to `"quantile"`.
        **kwargs: `name`, `dtype` and so on, as for any Keras layer.

    Call arguments:
        inputs: Tensor `(batch, ..., time, channels)`.

    Input shape:
        `(batch, time, channels)`, or with further axes after the batch.

    Output shape:
        `(batch, image_size, image_size, channels)`, further axes as in the input.

    Raises:
        ValueError: for inputs with fewer than three axes, or more pixels than steps.

    Example:

    ```python
    import numpy as np
    from keras_mmfusion.layers import MarkovTransitionField

    series = np.sin(np.linspace(0, 6, 96)).reshape(1, 96, 1)
    picture = MarkovTransitionField(image_size=32)(series)
    assert picture.shape == (1, 32, 32, 1)
    ```

    Reference:
        Wang and Oates, "Imaging time-series to improve classification and
        imputation", arXiv:1506.00327. The gradient is ours.
    """

    def __init__(self, image_size=None, num_bins=8, strategy="quantile", **kwargs):
        super().__init__(**kwargs)
        if image_size is not None:
            check_positive_int(image_size=image_size)
        check_positive_int(num_bins=num_bins)
        if num_bins < 2:
            raise ValueError(f"`num_bins` must be at least 2. Received: {num_bins}")
        check_choice(("quantile", "uniform"), strategy=strategy)
        self.image_size = image_size and int(image_size)
        self.num_bins = int(num_bins)
        self.strategy = strategy

    def build(self, input_shape):
        check_series("MarkovTransitionField", input_shape, self.image_size)

    def call(self, inputs):
        check_series("MarkovTransitionField", inputs.shape, self.image_size)
        x = ops.moveaxis(ops.cast(inputs, "float32"), -1, -2)  # (..., channels, time)
        bins = self._bins(x)  # (..., channels, time, num_bins)
        before, after = bins[..., :-1, :], bins[..., 1:, :]
        moves = ops.matmul(ops.swapaxes(before, -1, -2), after)
        total = ops.sum(moves, axis=-1, keepdims=True)
        moves = moves / ops.where(ops.greater(total, 0.5), total, 1.0)
        shares = segment_means(bins, self.image_size)
        image = ops.matmul(ops.matmul(shares, moves), ops.swapaxes(shares, -1, -2))
        return ops.cast(ops.moveaxis(image, -3, -1), self.compute_dtype)

    def _bins(self, x):
        """Which bin each value is in, one-hot, with the gradient of soft bins."""
        low = ops.amin(x, axis=-1, keepdims=True)
        span = ops.amax(x, axis=-1, keepdims=True) - low
        if self.strategy == "uniform":
            shares = [i / self.num_bins for i in range(1, self.num_bins)]
            edges = low + span * ops.convert_to_tensor(shares, dtype="float32")
        else:
            edges = self._quantiles(ops.sort(x, axis=-1))
        edges = ops.expand_dims(ops.stop_gradient(edges), -2)
        span = ops.expand_dims(ops.stop_gradient(span), -1)
        width = ops.where(ops.greater(span, 0.0), span, 1.0) / (10 * self.num_bins)
        x = ops.expand_dims(x, -1)
        above = ops.cast(ops.greater(x, edges), "float32")
        above = as_if(above, ops.sigmoid((x - edges) / width))
        one = ops.ones_like(above[..., :1])
        # Above the edge below, and not above the edge above.
        return ops.concatenate([one, above], -1) - ops.concatenate(
            [above, ops.zeros_like(one)], -1
        )

    def _quantiles(self, ordered):
        """Values at the inner `num_bins`-quantiles, in exact integer arithmetic."""
        time = ordered.shape[-1]
        time = ops.shape(ordered)[-1] if time is None else time
        positions = ops.arange(1, self.num_bins, dtype="int32") * (time - 1)
        index = positions // self.num_bins
        share = ops.cast(positions - index * self.num_bins, "float32") / self.num_bins
        low = ops.take(ordered, index, axis=-1)
        high = ops.take(ordered, ops.minimum(index + 1, time - 1), axis=-1)
        return low + share * (high - low)

    def compute_output_shape(self, input_shape):
        check_series("MarkovTransitionField", input_shape, self.image_size)
        size = input_shape[-2] if self.image_size is None else self.image_size
        return (*input_shape[:-2], size, size, input_shape[-1])

    def get_config(self):
        config = super().get_config()
        config.update(
            {
                "image_size": self.image_size,
                "num_bins": self.num_bins,
                "strategy": self.strategy,
            }
        )
        return config
