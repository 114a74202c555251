"""Series as pictures of their angles."""

import keras
from keras import ops

from keras_mmfusion._checks import check_choice, check_positive_int
from keras_mmfusion._serialization import register
from keras_mmfusion.layers._pictures import check_series, segment_means


@register()
class GramianAngularField(keras.layers.Layer):
    """Turn a series into a picture: the Gramian angular field.

    Every channel of every sample is averaged to `image_size` segments (piecewise
    aggregate approximation), scaled to [-1, 1] by its own minimum and maximum and
    read as the cosine of an angle `φ`. The picture is

    ```
    "summation":   cos(φ_i + φ_j) = x_i x_j − √(1−x_i²) √(1−x_j²)
    "difference":  sin(φ_i − φ_j) = √(1−x_i²) x_j − x_i √(1−x_j²)
    ```

    The numbers are those of `pyts.image.GramianAngularField`. It has no weights,
    runs batched and compiled on any backend, and its gradient is finite: that of
    the square root is taken as 0 at the extremes of the series. On a flat series
    `x` is 0 (pyts: −1).

    Args:
        image_size: int or None. Side of the picture, at most the number of steps.
            Defaults to `None`: as many as there are steps.
        method: `"summation"` or `"difference"`. Defaults to `"summation"`.
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
    from keras_mmfusion.layers import GramianAngularField

    series = np.sin(np.linspace(0, 6, 96)).reshape(1, 96, 1)
    picture = GramianAngularField(image_size=32)(series)
    assert picture.shape == (1, 32, 32, 1)
    ```

    Reference:
        Wang and Oates, "Imaging time-series to improve classification and
        imputation", arXiv:1506.00327, eq. 1–7. ATD and step fusion make the picture
        of a series from it.
    """

    def __init__(self, image_size=None, method="summation", **kwargs):
        super().__init__(**kwargs)
        if image_size is not None:
            check_positive_int(image_size=image_size)
        check_choice(("summation", "difference"), method=method)
        self.image_size = image_size and int(image_size)
        self.method = method

    def build(self, input_shape):
        self._check(input_shape)

    def _check(self, shape):
        check_series("GramianAngularField", shape, self.image_size)

    def call(self, inputs):
        self._check(inputs.shape)
        x = segment_means(ops.cast(inputs, "float32"), self.image_size)
        low = ops.amin(x, axis=-2, keepdims=True)
        high = ops.amax(x, axis=-2, keepdims=True)
        span = high - low
        flat = ops.less(span, 1e-30)
        # Multiplied by: some compilers divide again for every pixel.
        scale = 1.0 / ops.where(flat, 1.0, span)
        # 1 + x and 1 - x, halved: exact at both ends, where 1 - x² is not.
        above, below = (x - low) * scale, (high - x) * scale
        cosine = above - below
        product = above * below
        # Not 0, where the root has no finite gradient; of a flat series the sine is 1.
        product = ops.where(ops.greater(product, 0.0), product, 1e-30)
        product = ops.where(flat, 0.25, product)
        sine = 2.0 * _root(product)

        def rows(t):
            return ops.expand_dims(t, -2)

        def columns(t):
            return ops.expand_dims(t, -3)

        if self.method == "summation":
            image = rows(cosine) * columns(cosine) - rows(sine) * columns(sine)
        else:
            image = rows(sine) * columns(cosine) - rows(cosine) * columns(sine)
        return ops.cast(image, self.compute_dtype)

    def compute_output_shape(self, input_shape):
        self._check(input_shape)
        size = input_shape[-2] if self.image_size is None else self.image_size
        return (*input_shape[:-2], size, size, input_shape[-1])

    def get_config(self):
        config = super().get_config()
        config.update({"image_size": self.image_size, "method": self.method})
        return config


def _root(x):
    """Square root of positive numbers.

    PyTorch's compiler keeps what has an exponential, and computes anything else anew
    for every pixel.
    """
    if keras.backend.backend() == "torch":
        return ops.exp(0.5 * ops.log(x))
    return ops.sqrt(x)
