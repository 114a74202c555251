"""What the fusions share that combine one vector a modality."""

from keras import ops

from keras_mmfusion._checks import check_choice
from keras_mmfusion.layers import _alignment
from keras_mmfusion.layers._composite_layer import zero_where_masked
from keras_mmfusion.layers._fusion_layer import FusionLayer


class PooledFusion(FusionLayer):
    """Base of the fusions of vectors: `(B, 1, dim)`, or `(B, T_1, dim)` step by step.

    With `pooling="mean"` each modality is first averaged over its valid steps.
    With `pooling=None` every step is fused by itself, on the axis of the first
    modality.
    """

    def __init__(self, dim, pooling="mean", aligned=None, **kwargs):
        super().__init__(dim, aligned=aligned, **kwargs)
        check_choice(("mean", None), pooling=pooling)
        self.pooling = pooling

    def check_lengths(self, input_shape):
        # Means need no common axis.
        if self.pooling is None:
            super().check_lengths(input_shape)

    def vectors(self, streams, masks):
        """One `(B, T, D_m)` tensor a modality, and where each holds anything.

        `T` is 1 or T_1. The presence is None, or one bool `(B, T)` a modality; what
        is absent is zero.
        """
        masks = masks or [None] * len(streams)
        if self.pooling == "mean":
            pairs = [_mean(x, m) for x, m in zip(streams, masks, strict=True)]
            return [x for x, _ in pairs], [m for _, m in pairs]
        vectors, present, merged = [streams[0]], [masks[0]], masks[0]
        for other, mask in zip(streams[1:], masks[1:], strict=True):
            resampling, covered, merged = self.align(streams[0], merged, other, mask)
            other = _alignment.resample(other, resampling)
            vectors.append(zero_where_masked(other, covered))
            present.append(covered)
        return vectors, present

    def merged_mask(self, inputs, masks):
        if masks is None or self.pooling is None:
            return super().merged_mask(inputs, masks)
        merged = ops.any(masks[0], axis=1, keepdims=True)
        for mask in masks[1:]:
            merged = ops.logical_or(merged, ops.any(mask, axis=1, keepdims=True))
        return merged

    def compute_output_shape(self, input_shape):
        batch, time, dim = super().compute_output_shape(input_shape)
        return (batch, 1 if self.pooling == "mean" else time, dim)

    def get_config(self):
        config = super().get_config()
        config["pooling"] = self.pooling
        return config


def _mean(x, mask):
    """The mean over valid steps as one step, summed in float32, and its presence."""
    total = ops.cast(x, "float32")
    if mask is None:
        return ops.cast(ops.mean(total, axis=1, keepdims=True), x.dtype), None
    count = ops.sum(ops.cast(mask, "float32"), axis=1, keepdims=True)
    count = ops.expand_dims(ops.maximum(count, 1.0), -1)
    mean = ops.sum(total, axis=1, keepdims=True) / count
    return ops.cast(mean, x.dtype), ops.any(mask, axis=1, keepdims=True)
