"""Tensor fusion: the outer product of all modalities."""

import math

import keras
from keras import ops

from keras_mmfusion._checks import check_positive_int, check_rate
from keras_mmfusion._serialization import register
from keras_mmfusion.layers._composite_layer import zero_where_masked
from keras_mmfusion.layers._pooled_fusion import PooledFusion


@register()
class TensorFusion(PooledFusion):
    """Tensor fusion network (TFN): the outer product of all modalities, projected.

    Each modality is averaged over its valid steps to a vector `x_m`, and

    ```
    Z   = [x_1; 1] ⊗ [x_2; 1] ⊗ … ⊗ [x_M; 1]
    out = activation(W vec(Z) + b)
    ```

    The appended 1 keeps the products of fewer modalities, down to each by itself.
    A modality that is missing has the vector `[0, …, 0, 1]`: what is left is the
    tensor of the others. A sample without any modality is zero and masked.

    `Z` has `Π (features_m + 1)` entries, and `W` has `dim` times as many. Where
    that would be more than `max_size`, the widest modalities are first projected
    to fewer features: all that have more than `w` get `w`, the largest number for
    which `Z` fits. `widths` has the numbers of features after that, once the layer
    is built. Three modalities of 64 features get 24 each, five get 5.

    Args:
        dim: int. Width of the output.
        activation: Activation of the projection. Defaults to `None`.
        dropout: float. Rate on the entries of `Z`. Defaults to `0.0`.
        max_size: int. Largest number of entries of `Z`. Defaults to `16384`.
        pooling: `"mean"`, or `None` to fuse every step by itself, on the steps of
            the first modality; a model that classifies every step asks for it.
            Defaults to `"mean"`.
        aligned: bool or None. For `pooling=None`: whether step t of every modality
            is the same moment. Defaults to `None`: true where lengths, padding
            included, are equal; else the others are resampled to the first.
        **kwargs: `name`, `dtype` and so on, as for any Keras layer.

    Call arguments:
        inputs: List of M ≥ 2 tensors `(batch, time_m, features_m)`.
        mask: None, or a list of M boolean masks `(batch, time_m)` or Nones.
        training: bool. Whether dropout is active.
        return_attention_scores: bool. There are none: returns `(out, [])`, so that
            this layer can stand in for any other fusion.

    Input shape:
        List of tensors `(batch, time_m, features_m)`.

    Output shape:
        `(batch, 1, dim)`, or `(batch, time_1, dim)` with `pooling=None`.

    Raises:
        ValueError: for fewer than two modalities, unknown feature counts, masks
            that do not match, unlike lengths where `aligned` forbids them, or a
            `max_size` below `2ᴹ`, which one feature a modality needs.

    Example:

    ```python
    import numpy as np
    from keras_mmfusion.layers import TensorFusion

    voice, text = np.random.rand(2, 30, 16), np.random.rand(2, 12, 8)
    fused = TensorFusion(dim=24)([voice.astype("float32"), text.astype("float32")])
    assert fused.shape == (2, 1, 24)
    ```

    Reference:
        Zadeh et al., "Tensor fusion network for multimodal sentiment analysis",
        arXiv:1707.07250, the tensor fusion layer, for three modalities; the projection
        is the first layer of its inference network. Masks, `max_size` and
        `pooling=None` are ours.
    """

    def __init__(
        self,
        dim,
        activation=None,
        dropout=0.0,
        max_size=16384,
        pooling="mean",
        aligned=None,
        **kwargs,
    ):
        super().__init__(dim, pooling=pooling, aligned=aligned, **kwargs)
        check_rate(dropout=dropout)
        check_positive_int(max_size=max_size)
        self.activation = keras.activations.get(activation)
        self.dropout = dropout
        self.max_size = int(max_size)

    def build(self, input_shape):
        super().build(input_shape)
        features = [shape[2] for shape in input_shape]
        self.widths = _widths(features, self.max_size)
        self.reductions = []
        for m, (size, width) in enumerate(zip(features, self.widths, strict=True)):
            layer = None
            if width < size:
                name = f"reduction_{m}"
                layer = keras.layers.Dense(
                    width, dtype=self.child_policy(name), name=name
                )
                layer.build((None, None, size))
            self.reductions.append(layer)
        self.tensor_dropout = None
        if self.dropout > 0:
            self.tensor_dropout = keras.layers.Dropout(
                self.dropout,
                dtype=self.child_policy("tensor_dropout"),
                name="tensor_dropout",
            )
        self.projection = keras.layers.Dense(
            self.dim,
            activation=self.activation,
            dtype=self.child_policy("projection"),
            name="projection",
        )
        size = math.prod(width + 1 for width in self.widths)
        self.projection.build((None, None, size))

    def fuse(self, streams, masks, training, with_scores):
        product = None
        vectors, present = self.vectors(streams, masks)
        for x, mask, reduce in zip(vectors, present, self.reductions, strict=True):
            if reduce is not None:
                x = zero_where_masked(reduce(x), mask)
            x = ops.concatenate([x, ops.ones_like(x[:, :, :1])], axis=-1)
            if product is None:
                product = x
                continue
            size = product.shape[-1] * x.shape[-1]
            product = ops.expand_dims(product, -1) * ops.expand_dims(x, -2)
            time = product.shape[1]
            time = ops.shape(product)[1] if time is None else time
            product = ops.reshape(product, (-1, time, size))
        if self.tensor_dropout is not None:
            product = self.tensor_dropout(product, training=training)
        return self.projection(product), []

    def get_config(self):
        config = super().get_config()
        config.update(
            {
                "activation": keras.activations.serialize(self.activation),
                "dropout": self.dropout,
                "max_size": self.max_size,
            }
        )
        return config


def _widths(features, max_size):
    """Features of each modality in an outer product of at most `max_size` entries."""

    def capped(width):
        return [min(size, width) for size in features]

    def size(width):
        return math.prod(w + 1 for w in capped(width))

    if size(1) > max_size:
        raise ValueError(
            f"The outer product of {len(features)} modalities has at least {size(1)} "
            f"entries. Received: max_size={max_size}. Allow more, or fuse with "
            "`LowRankFusion`, which does not make the product."
        )
    width = max(features)
    if size(width) > max_size:
        # The largest that fits lies between 1, which does, and this, which does not.
        fits, too_wide = 1, width
        while too_wide - fits > 1:
            middle = (fits + too_wide) // 2
            if size(middle) > max_size:
                too_wide = middle
            else:
                fits = middle
        width = fits
    return capped(width)
