"""Drop whole modalities in training."""

import keras
from keras import ops

from keras_mmfusion._checks import check_rate
from keras_mmfusion._serialization import register
from keras_mmfusion.layers._composite_layer import zero_where_masked


@register()
class ModalityDropout(keras.layers.Layer):
    """Drop whole modalities, sample by sample, while training.

    Each sample loses each of its modalities with probability `rate`, but never
    all that it has: where all would go, one of them, drawn evenly, stays. A
    modality that is dropped, or was missing before, is zero and has a mask of
    all False, which is what the fusion layers take for missing. So a model
    learns to work without a modality, and one network serves every subset.

    Where all M modalities are present, each is lost with probability
    `rate − rateᴹ / M`.

    Args:
        rate: float, or a list of one float per modality, in [0, 1).
        seed: int or None. Seed of the draws. Defaults to `None`.
        **kwargs: `name`, `dtype` and so on, as for any Keras layer.

    Call arguments:
        inputs: List of M ≥ 2 tensors `(batch, time_m, ...)`.
        mask: None, or a list of M boolean masks `(batch, time_m)` or Nones.
        training: bool. Without it, nothing is dropped.

    Input shape:
        List of tensors `(batch, time_m, ...)`.

    Output shape:
        `(outputs, masks)`: a list of tensors shaped like the inputs, and a list of M
        boolean masks `(batch, time_m)`. Hand both to the fusion layer.

    Raises:
        ValueError: for a rate outside [0, 1), fewer than two modalities, or a
            number of rates or masks other than that of the modalities.

    Example:

    ```python
    import numpy as np
    from keras_mmfusion.layers import ATDFusion, ModalityDropout

    inputs = [np.ones((4, 10, 8), "float32"), np.ones((4, 7, 3), "float32")]
    inputs, masks = ModalityDropout(0.3, seed=1)(inputs, training=True)
    fused = ATDFusion(dim=16)(inputs, mask=masks)
    assert fused.shape == (4, 10, 16)
    ```

    Reference:
        Neverova et al., "ModDrop: adaptive multi-modal gesture recognition",
        arXiv:1501.00102, section 3.3. There a sample may lose all its modalities.
    """

    def __init__(self, rate, seed=None, **kwargs):
        super().__init__(**kwargs)
        if isinstance(rate, (list, tuple)):
            rate = list(rate)
            check_rate(**{f"rate[{i}]": r for i, r in enumerate(rate)})
        else:
            check_rate(rate=rate)
        self.rate = rate
        self.seed = seed
        self.seed_generator = keras.random.SeedGenerator(seed)
        self.supports_masking = True

    def build(self, input_shape):
        if not isinstance(input_shape, (list, tuple)) or len(input_shape) < 2:
            raise ValueError(
                "ModalityDropout expects a list of at least two tensors. "
                f"Received: input_shape={input_shape}"
            )
        for shape in input_shape:
            if not isinstance(shape, (list, tuple)) or len(shape) < 3:
                raise ValueError(
                    "ModalityDropout expects tensors (batch, time, ...), one per "
                    f"modality. Received: input_shape={input_shape}"
                )
        if isinstance(self.rate, list) and len(self.rate) != len(input_shape):
            raise ValueError(
                f"`rate` must be one number or one per modality ({len(input_shape)}). "
                f"Received: rate={self.rate}"
            )

    def call(self, inputs, mask=None, training=None):
        mask = [None] * len(inputs) if mask is None else mask
        if not isinstance(mask, (list, tuple)) or len(mask) != len(inputs):
            raise ValueError(
                "ModalityDropout expects `mask` to be None or a list of "
                f"{len(inputs)} masks or Nones. Received: mask={mask}"
            )
        masks = [
            ops.ones(ops.shape(x)[:2], dtype="bool")
            if m is None
            else ops.cast(m, "bool")
            for x, m in zip(inputs, mask, strict=True)
        ]
        if training:
            keep = self._draw(masks)
            masks = [
                ops.logical_and(m, keep[:, i : i + 1]) for i, m in enumerate(masks)
            ]
        outputs = [zero_where_masked(x, m) for x, m in zip(inputs, masks, strict=True)]
        return outputs, masks

    def _draw(self, masks):
        """Which modalities each sample keeps, a bool tensor (batch, M)."""
        present = ops.stack([ops.any(m, axis=1) for m in masks], axis=1)
        shape = ops.shape(present)
        rate = self.rate if isinstance(self.rate, list) else [self.rate] * len(masks)
        rate = ops.convert_to_tensor([rate], dtype="float32")
        draw = keras.random.uniform(shape, dtype="float32", seed=self.seed_generator)
        keep = ops.logical_and(present, ops.greater_equal(draw, rate))
        order = keras.random.uniform(shape, dtype="float32", seed=self.seed_generator)
        order = ops.where(present, order, -1.0)
        spared = ops.one_hot(ops.argmax(order, axis=1), len(masks), dtype="bool")
        empty = ops.logical_not(ops.any(keep, axis=1, keepdims=True))
        rescue = ops.logical_and(ops.logical_and(empty, spared), present)
        return ops.logical_or(keep, rescue)

    def compute_mask(self, inputs, previous_mask):
        # The masks are outputs: they depend on the draw.
        return None

    def compute_output_shape(self, input_shape):
        shapes = [tuple(shape) for shape in input_shape]
        return shapes, [shape[:2] for shape in shapes]

    def compute_output_spec(self, inputs, mask=None, training=None):
        outputs = [
            keras.KerasTensor(
                x.shape,
                dtype=self.compute_dtype if "float" in str(x.dtype) else x.dtype,
            )
            for x in inputs
        ]
        return outputs, [keras.KerasTensor(x.shape[:2], dtype="bool") for x in inputs]

    def get_config(self):
        config = super().get_config()
        config.update({"rate": self.rate, "seed": self.seed})
        return config
