"""Columns of a table as samples of their own, and back."""

from keras import ops

from keras_mmfusion._serialization import register
from keras_mmfusion.models._part import Part


class _Plain(Part):
    """Without weights; NaN goes through, so nothing may be cast to halves."""

    def __init__(self, **kwargs):
        super().__init__(autocast=False, **kwargs)

    def build(self, input_shape):
        self.built = True


@register()
class ColumnsToBatch(_Plain):
    """`(batch, time, columns)` to `(batch * columns, time, 1)`."""

    def call(self, inputs):
        time = inputs.shape[1]
        return ops.reshape(ops.transpose(inputs, (0, 2, 1)), (-1, time, 1))

    def compute_output_shape(self, input_shape):
        batch, time, columns = input_shape
        return (None if batch is None else batch * columns, time, 1)


@register()
class RepeatForColumns(_Plain):
    """What holds for all n columns, for each: `(batch, ...)` to `(n * batch, ...)`."""

    def __init__(self, columns, **kwargs):
        super().__init__(**kwargs)
        self.columns = columns

    def call(self, inputs):
        return ops.repeat(inputs, self.columns, axis=0)

    def compute_output_shape(self, input_shape):
        batch, *rest = input_shape
        return (None if batch is None else batch * self.columns, *rest)

    def get_config(self):
        return {**super().get_config(), "columns": self.columns}


@register()
class ColumnsFromBatch(_Plain):
    """`(batch * columns, horizon)` to `(batch, horizon, columns)`."""

    def __init__(self, columns, **kwargs):
        super().__init__(**kwargs)
        self.columns = columns

    def call(self, inputs):
        rows = ops.reshape(inputs, (-1, self.columns, inputs.shape[1]))
        return ops.transpose(rows, (0, 2, 1))

    def compute_output_shape(self, input_shape):
        batch, horizon = input_shape
        batch = None if batch is None else batch // self.columns
        return (batch, horizon, self.columns)

    def get_config(self):
        return {**super().get_config(), "columns": self.columns}


@register()
class StepsToFeatures(_Plain):
    """`(batch, time, dim)` to `(batch, time * dim)`; masked steps are zero already."""

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.supports_masking = True

    def call(self, inputs, mask=None):
        _, time, dim = inputs.shape
        return ops.reshape(inputs, (-1, time * dim))

    def compute_mask(self, inputs, mask=None):
        return None

    def compute_output_shape(self, input_shape):
        batch, time, dim = input_shape
        return (batch, time * dim)


@register()
class SinceLast(_Plain):
    """A series as its distance from the last value; NaN throughout without one."""

    def call(self, inputs):
        return inputs - inputs[:, -1:]

    def compute_output_shape(self, input_shape):
        return tuple(input_shape)


@register()
class ZeroForMissing(_Plain):
    """Zeros for NaN."""

    def call(self, inputs):
        unknown = ops.isnan(inputs)
        return ops.where(unknown, ops.zeros_like(inputs), inputs)

    def compute_output_shape(self, input_shape):
        return tuple(input_shape)


@register()
class Shrinkage(Part):
    """A part of a forecast, times a factor a step that training leaves alone."""

    def build(self, input_shape):
        self.factor = self.add_weight(
            shape=(input_shape[1], 1),
            initializer="ones",
            trainable=False,
            name="factor",
        )

    def call(self, inputs):
        return inputs * ops.cast(self.factor, inputs.dtype)

    def compute_output_shape(self, input_shape):
        return tuple(input_shape)
