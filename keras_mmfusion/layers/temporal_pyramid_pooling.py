"""Sequences of any length as a fixed number of rows."""

import math

import keras
import numpy as np
from keras import ops

from keras_mmfusion._checks import positive_ints
from keras_mmfusion._serialization import register
from keras_mmfusion.layers._composite_layer import zero_where_masked


@register()
class TemporalPyramidPooling(keras.layers.Layer):
    """Means over the regions of a pyramid, coarse to fine, and the maximum of all.

    At a level of L regions, the n valid steps of a sample are cut into L parts, part i
    from step `⌊i n / L⌋` to the one before `⌊(i + 1) n / L⌋`, and each is averaged. A
    sample with fewer steps than regions is continued with zeros, one a region. The
    last row is the maximum over the valid steps. What is masked, padding above all,
    counts for nothing; a sample without any valid step gives zeros and is masked.

    Args:
        levels: Sequence of ints, regions of each level. Defaults to
            `(1, 2, 4, 8, 16)`: 32 rows, those of pictures and text in the paper.
            `(1, 2, 4, 8, 16, 32, 64)` gives the 128 of its audio.
        global_max: bool. Whether the maximum over all steps is the last row.
            Defaults to `True`.
        **kwargs: `name`, `dtype` and so on, as for any Keras layer.

    Call arguments:
        inputs: Tensor `(batch, time, …)`.
        mask: None or boolean `(batch, time)`.

    Input shape:
        `(batch, time, …)`, all known but batch and time.

    Output shape:
        `(batch, rows, …)`, the sum of `levels` and one row for the maximum.

    Raises:
        ValueError: for levels that are no positive integers, fewer than three axes,
            or an unknown size of features.

    Example:

    ```python
    import numpy as np
    from keras_mmfusion.layers import TemporalPyramidPooling

    words = np.random.rand(2, 23, 300).astype("float32")
    assert TemporalPyramidPooling()(words).shape == (2, 32, 300)
    ```

    Reference:
        Zheng et al., "Multi-channel weight-sharing autoencoder based on cascade
        multi-head attention for multimodal emotion recognition", IV.B, IV.C and
        Fig. 3. Level 0 of its text is read as one region, which its 32 and 128 rows
        ask for. Where regions begin is not said there.
    """

    def __init__(self, levels=(1, 2, 4, 8, 16), global_max=True, **kwargs):
        super().__init__(**kwargs)
        self.levels = positive_ints("levels", levels)
        self.global_max = bool(global_max)
        self.supports_masking = True

    def build(self, input_shape):
        self.compute_output_shape(input_shape)

    def call(self, inputs, mask=None):
        shape = self.compute_output_shape(inputs.shape)
        time = inputs.shape[1] if inputs.shape[1] is not None else ops.shape(inputs)[1]
        x = ops.reshape(inputs, (-1, time, math.prod(shape[2:])))
        valid = ops.ones_like(x[:1, :, 0], dtype="bool")
        if mask is not None:
            valid = ops.cast(mask, "bool")
            x = zero_where_masked(x, valid)
        rows = ops.matmul(ops.cast(self._weights(valid), x.dtype), x)
        if self.global_max:
            least = ops.where(ops.expand_dims(valid, -1), x, ops.full_like(x, -np.inf))
            largest = ops.amax(least, axis=1, keepdims=True)
            anything = ops.any(valid, axis=1, keepdims=True)
            rows = ops.concatenate([rows, zero_where_masked(largest, anything)], axis=1)
        return ops.reshape(rows, (-1, *shape[1:]))

    def _weights(self, valid):
        """What each step counts in each region, float32 `(batch, regions, time)`."""
        steps = ops.cast(valid, "int32")
        rank = ops.expand_dims(ops.cumsum(steps, axis=1) - 1, 1)
        count = ops.sum(steps, axis=1)[:, None, None]
        number = np.concatenate([np.arange(n) for n in self.levels])
        regions, number = (
            ops.convert_to_tensor(values[None, :, None].astype("int32"))
            for values in (np.repeat(self.levels, self.levels), number)
        )
        whole = ops.maximum(count, regions)
        begin = number * whole // regions
        end = (number + 1) * whole // regions
        inside = ops.logical_and(begin <= rank, rank < end)
        inside = ops.logical_and(inside, ops.expand_dims(valid, 1))
        return ops.cast(inside, "float32") / ops.cast(end - begin, "float32")

    def compute_mask(self, inputs, mask=None):
        """Every row of a sample with any valid step."""
        if mask is None:
            return None
        anything = ops.any(ops.cast(mask, "bool"), axis=1, keepdims=True)
        rows = sum(self.levels) + self.global_max
        return ops.repeat(anything, rows, axis=1)

    def compute_output_shape(self, input_shape):
        shape = tuple(input_shape)
        if len(shape) < 3 or None in shape[2:]:
            raise ValueError(
                "TemporalPyramidPooling expects (batch, time, …) with known features. "
                f"Received: shape {shape}"
            )
        return (shape[0], sum(self.levels) + self.global_max, *shape[2:])

    def get_config(self):
        config = super().get_config()
        config.update({"levels": self.levels, "global_max": self.global_max})
        return config
