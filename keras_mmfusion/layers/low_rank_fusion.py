"""Low-rank multimodal fusion."""

import keras
from keras import ops

from keras_mmfusion._checks import check_positive_int
from keras_mmfusion._serialization import register
from keras_mmfusion.layers._pooled_fusion import PooledFusion


@register()
class LowRankFusion(PooledFusion):
    """Low-rank multimodal fusion (LMF): products of projections, summed over ranks.

    Each modality is averaged over its valid steps to a vector `x_m`. With a 1
    appended to each, the weights of the outer product of all of them are a sum of
    `rank` outer products of factors `W_m⁽ʳ⁾`, so that the product itself, see
    `TensorFusion`, is never made:

    ```
    out = Σ_r v_r Π_m W_m⁽ʳ⁾ [x_m; 1] + b        (element-wise product over m)
    ```

    The factors of a modality are one `Dense` layer whose bias is the column that
    belongs to the 1. That column starts at 1 and `v_r` at `1 / rank`, so that the
    product starts near a sum and does not vanish with many modalities.

    A modality that is missing has the vector `[0, …, 0, 1]`. A sample without any
    modality is zero and masked.

    Args:
        dim: int. Width of the output.
        rank: int. Number of ranks. Defaults to `4`.
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
        training: bool. Not used.
        return_attention_scores: bool. There are none: returns `(out, [])`, so that
            this layer can stand in for any other fusion.

    Input shape:
        List of tensors `(batch, time_m, features_m)`.

    Output shape:
        `(batch, 1, dim)`, or `(batch, time_1, dim)` with `pooling=None`.

    Raises:
        ValueError: for fewer than two modalities, unknown feature counts, masks
            that do not match, or unlike lengths where `aligned` forbids them.

    Example:

    ```python
    import numpy as np
    from keras_mmfusion.layers import LowRankFusion

    voice, text = np.random.rand(2, 30, 16), np.random.rand(2, 12, 8)
    fused = LowRankFusion(dim=24)([voice.astype("float32"), text.astype("float32")])
    assert fused.shape == (2, 1, 24)
    ```

    Reference:
        Liu et al., "Efficient low-rank multimodal fusion with modality-specific
        factors", arXiv:1806.00064: the weights as a sum of products of factors, applied
        to each modality by itself. `v` and `b` are as in the authors' code; how the
        factors start, masks and `pooling=None` are ours.
    """

    def __init__(self, dim, rank=4, pooling="mean", aligned=None, **kwargs):
        super().__init__(dim, pooling=pooling, aligned=aligned, **kwargs)
        check_positive_int(rank=rank)
        self.rank = int(rank)

    def build(self, input_shape):
        super().build(input_shape)
        self.factors = []
        for m, shape in enumerate(input_shape):
            name = f"factor_{m}"
            layer = keras.layers.Dense(
                self.rank * self.dim,
                bias_initializer="ones",
                dtype=self.child_policy(name),
                name=name,
            )
            layer.build((None, None, shape[2]))
            self.factors.append(layer)
        self.rank_weights = keras.layers.Dense(
            1,
            use_bias=False,
            kernel_initializer=keras.initializers.Constant(1 / self.rank),
            dtype=self.child_policy("rank_weights"),
            name="rank_weights",
        )
        self.rank_weights.build((None, None, self.dim, self.rank))
        self.bias = self.add_weight(shape=(self.dim,), initializer="zeros", name="bias")

    def fuse(self, streams, masks, training, with_scores):
        product = None
        for factor, vector in zip(
            self.factors, self.vectors(streams, masks)[0], strict=True
        ):
            projected = factor(vector)
            product = projected if product is None else product * projected
        time = product.shape[1]
        time = ops.shape(product)[1] if time is None else time
        product = ops.reshape(product, (-1, time, self.rank, self.dim))
        product = ops.transpose(product, (0, 1, 3, 2))
        output = ops.squeeze(self.rank_weights(product), -1)
        return output + ops.cast(self.bias, output.dtype), []

    def get_config(self):
        config = super().get_config()
        config["rank"] = self.rank
        return config
