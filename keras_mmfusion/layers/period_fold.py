"""Series as pictures of their days."""

import keras
from keras import ops

from keras_mmfusion._checks import check_choice, check_positive_int
from keras_mmfusion._serialization import register
from keras_mmfusion.layers._pictures import check_series


@register()
class PeriodFold(keras.layers.Layer):
    """Turn a series into a picture: one row a period, such as days × hours.

    Row r, column c of the picture is step `r * period + c`, so that a column holds
    the same hour of all days. The last pixel is always the last step: where the
    length is no multiple of the period, the oldest steps are left out, or the first
    row is filled up with zeros in front.

    Args:
        period: int. Steps of a row, such as 24 for hourly values.
        remainder: `"drop"` the oldest steps, or `"pad"` the first row.
            Defaults to `"drop"`.
        **kwargs: `name`, `dtype` and so on, as for any Keras layer.

    Call arguments:
        inputs: Tensor `(batch, ..., time, channels)`.

    Input shape:
        `(batch, time, channels)`, or with further axes after the batch.

    Output shape:
        `(batch, rows, period, channels)`, further axes as in the input, with
        `time // period` rows, rounded up for `"pad"`.

    Raises:
        ValueError: for inputs with fewer than three axes, or fewer steps than a
            period that are to be dropped.

    Example:

    ```python
    import numpy as np
    from keras_mmfusion.layers import PeriodFold

    load = np.arange(7 * 24, dtype="float32").reshape(1, 7 * 24, 1)  # a week
    picture = PeriodFold(24)(load)
    assert picture.shape == (1, 7, 24, 1)
    ```

    Reference:
        The folding of Wu et al., "TimesNet: temporal 2D-variation modeling for general
        time series analysis", arXiv:2210.02186, with a given period; which steps are
        left out or filled up is ours.
    """

    def __init__(self, period, remainder="drop", **kwargs):
        super().__init__(**kwargs)
        check_positive_int(period=period)
        check_choice(("drop", "pad"), remainder=remainder)
        self.period = int(period)
        self.remainder = remainder

    def build(self, input_shape):
        self.compute_output_shape(input_shape)

    def call(self, inputs):
        x = ops.cast(inputs, self.compute_dtype)
        time = x.shape[-2] if x.shape[-2] is not None else ops.shape(x)[-2]
        if self.remainder == "drop":
            x = x[..., time % self.period :, :]
        else:
            missing = -time % self.period
            widths = [[0, 0]] * (len(x.shape) - 2) + [[missing, 0], [0, 0]]
            x = ops.pad(x, widths)
        shape = self.compute_output_shape(inputs.shape)
        rows = -1 if shape[-3] is None else shape[-3]
        lead = [ops.shape(x)[i] for i in range(len(shape) - 3)]
        # Of a graph without a batch: a mask is computed in it as well.
        lead = [-1 if size is None else size for size in lead]
        return ops.reshape(x, (*lead, rows, *shape[-2:]))

    def compute_mask(self, inputs, mask=None):
        """A row is missing where all of its steps are."""
        if mask is None:
            return None
        steps = ops.expand_dims(ops.cast(mask, self.compute_dtype), -1)
        return ops.amax(self.call(steps), axis=(-2, -1)) > 0

    def compute_output_shape(self, input_shape):
        check_series("PeriodFold", input_shape)
        time = input_shape[-2]
        rows = None
        if time is not None:
            rows = -(-time // self.period)
            if self.remainder == "drop":
                rows = time // self.period
                if rows == 0:
                    raise ValueError(
                        f"Expected at least one period of {self.period} steps. "
                        f"Received: a series of {time}. Use a shorter period, or "
                        "`remainder='pad'`."
                    )
        return (*input_shape[:-2], rows, self.period, input_shape[-1])

    def get_config(self):
        config = super().get_config()
        config.update({"period": self.period, "remainder": self.remainder})
        return config
