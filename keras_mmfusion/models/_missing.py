"""How a model learns that something is missing: NaN in, masks from there on."""

import keras
from keras import ops

from keras_mmfusion._serialization import register
from keras_mmfusion.models._part import Part


@register()
class SplitMissing(Part):
    """Replace NaN by zero and tell which steps hold anything at all.

    Call arguments:
        inputs: tensor `(batch, time, ...)`; NaN marks what is missing.

    Output shape:
        `(inputs, present)`: the same shape without NaN, and booleans
        `(batch, time)`, False where every feature of a step is NaN.
    """

    def __init__(self, **kwargs):
        # The cast to half precision belongs to the encoders.
        super().__init__(autocast=False, **kwargs)

    def call(self, inputs):
        unknown = ops.isnan(inputs)
        known = ops.logical_not(unknown)
        present = ops.any(known, axis=tuple(range(2, len(inputs.shape))))
        # Not `where(known, ...)`: tf2onnx multiplies by masks, which keeps NaN, unless
        # it sees that NaN is what is asked for.
        filled = ops.where(unknown, ops.zeros_like(inputs), inputs)
        return ops.cast(filled, self._dtype_of(inputs)), present

    def _dtype_of(self, inputs):
        # Of token numbers `(batch, time)`, half precision would make others.
        return "float32" if len(inputs.shape) == 2 else self.compute_dtype

    def compute_output_spec(self, inputs):
        return (
            keras.KerasTensor(inputs.shape, dtype=self._dtype_of(inputs)),
            keras.KerasTensor(inputs.shape[:2], dtype="bool"),
        )

    def build(self, input_shape):
        self.built = True


@register()
class TokenMask(Part):
    """Which tokens `(batch, time)` are there: those that are not the padding, 0."""

    def call(self, inputs):
        return ops.not_equal(inputs, 0)

    def compute_output_spec(self, inputs):
        return keras.KerasTensor(inputs.shape, dtype="bool")

    def build(self, input_shape):
        self.built = True


@register()
class AttachMask(Part):
    """Give encoded features the mask of their modality, as a Keras mask.

    An encoder may drop its mask or change the length of time. Where the length
    is kept, so is the mask; else a modality present anywhere counts as present
    everywhere. Lengths that are unknown are compared when the model runs.

    Call arguments:
        inputs: list of features `(batch, T', features)` and booleans `(batch, T)`,
            and, of an encoder that masks by itself, its mask `(batch, T')`.
    """

    def __init__(self, **kwargs):
        super().__init__(autocast=False, **kwargs)
        self.supports_masking = True

    def call(self, inputs, mask=None):
        return ops.copy(inputs[0])

    def compute_mask(self, inputs, mask=None):
        features, present, *own = inputs
        present = self._as_long(features, present)
        return ops.logical_and(present, own[0]) if own else present

    def _as_long(self, features, present):
        lengths = (features.shape[1], present.shape[1])
        if None not in lengths and lengths[0] == lengths[1]:
            return present
        anywhere = ops.any(present, axis=1, keepdims=True)
        # Not `broadcast_to`: the mask of a functional model is part of its graph,
        # where the batch size is not known.
        every = ops.ones_like(features[:, :, 0], dtype="bool")
        whole = ops.logical_and(anywhere, every)
        if None not in lengths:
            return whole
        step = ops.cumsum(ops.cast(every, "int32"), axis=1)
        length = ops.sum(ops.ones_like(present, dtype="int32"), axis=1, keepdims=True)
        there = ops.minimum(step, length) - 1
        here = ops.take_along_axis(ops.cast(present, "int32"), there, axis=1)
        return ops.where(ops.equal(step[:, -1:], length), ops.cast(here, "bool"), whole)

    def compute_output_shape(self, input_shape):
        return tuple(input_shape[0])

    def build(self, input_shape):
        self.built = True


@register()
class ShowMask(Part):
    """The mask of its input as an output: booleans `(batch, time)`."""

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.supports_masking = True

    def call(self, inputs, mask=None):
        return ops.ones_like(inputs[:, :, 0], dtype="bool") if mask is None else mask

    def compute_mask(self, inputs, mask=None):
        return None

    def compute_output_spec(self, inputs, mask=None):
        return keras.KerasTensor(inputs.shape[:2], dtype="bool")

    def build(self, input_shape):
        self.built = True


@register()
class MaskedMean(Part):
    """Mean over the valid time steps; zero where there is none."""

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.supports_masking = True

    def call(self, inputs, mask=None):
        # In half precision, sums over long series are infinite and counts are rounded.
        dtype = keras.backend.result_type(inputs.dtype, "float32")
        total = ops.cast(inputs, dtype)
        if mask is None:
            return ops.cast(ops.mean(total, axis=1), inputs.dtype)
        weights = ops.cast(mask, dtype)[..., None]
        total = ops.sum(total * weights, axis=1)
        mean = total / ops.maximum(ops.sum(weights, axis=1), 1.0)
        return ops.cast(mean, inputs.dtype)

    def compute_mask(self, inputs, mask=None):
        return None

    def compute_output_shape(self, input_shape):
        return (input_shape[0], input_shape[2])

    def build(self, input_shape):
        self.built = True


@register()
class DropMask(Part):
    """The same values without a mask, for what is to be whole again."""

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.supports_masking = True

    def call(self, inputs, mask=None):
        return ops.copy(inputs)

    def compute_mask(self, inputs, mask=None):
        return None

    def compute_output_shape(self, input_shape):
        return input_shape

    def build(self, input_shape):
        self.built = True
