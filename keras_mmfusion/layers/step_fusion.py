"""Step fusion: local, then global guidance."""

import keras

from keras_mmfusion._checks import check_heads, check_positive_int, check_rate
from keras_mmfusion._serialization import register
from keras_mmfusion.layers import _alignment
from keras_mmfusion.layers._composite_layer import zero_where_masked
from keras_mmfusion.layers._fusion_layer import FusionLayer, alignment_of
from keras_mmfusion.layers._guided_attention import guided_attention


class _StepFold(FusionLayer):
    """Step fusion of two modalities."""

    def __init__(
        self,
        dim,
        num_heads=4,
        kernel_size=3,
        dropout=0.0,
        causal=False,
        aligned=None,
        **kwargs,
    ):
        super().__init__(dim, alignment_of(causal, aligned), **kwargs)
        check_positive_int(num_heads=num_heads, kernel_size=kernel_size)
        check_rate(dropout=dropout)
        check_heads(num_heads, dim=dim)
        self.num_heads = int(num_heads)
        self.kernel_size = int(kernel_size)
        self.dropout = dropout
        self.causal = causal

    def build(self, input_shape):
        super().build(input_shape)
        guide, guided = input_shape
        width = (None, None, self.dim)

        def dense(name, shape):
            layer = keras.layers.Dense(
                self.dim, dtype=self.child_policy(name), name=name
            )
            layer.build(shape)
            return layer

        def norm(name):
            layer = keras.layers.LayerNormalization(
                epsilon=1e-6, dtype=self.child_policy(name), name=name
            )
            layer.build(width)
            return layer

        def conv(name):
            layer = keras.layers.Conv1D(
                self.dim,
                self.kernel_size,
                padding="causal" if self.causal else "same",
                data_format="channels_last",
                dtype=self.child_policy(name),
                name=name,
            )
            layer.build(width)
            return layer

        self.guide_projection = dense("guide_projection", guide)
        self.guided_projection = dense("guided_projection", guided)
        self.value_projection = dense("value_projection", guided)
        self.guide_norm = norm("guide_norm")
        self.guided_norm = norm("guided_norm")
        self.local_conv = conv("local_conv")
        self.global_conv = conv("global_conv")
        self.weights_dropout = None
        if self.dropout > 0:
            self.weights_dropout = keras.layers.Dropout(
                self.dropout,
                dtype=self.child_policy("weights_dropout"),
                name="weights_dropout",
            )

    def fuse(self, streams, masks, training, with_scores):
        guide, guided = streams
        guide_mask, guided_mask = masks or (None, None)
        resampling, covered, merged = self.align(guide, guide_mask, guided, guided_mask)
        first = self.guide_norm(self.guide_projection(guide))
        second = self.guided_norm(self.guided_projection(guided))
        value = self.value_projection(guided)
        first = zero_where_masked(first, guide_mask)
        second = zero_where_masked(second, guided_mask)
        value = zero_where_masked(value, guided_mask)

        attended, scores = guided_attention(
            first,
            second,
            value,
            self.num_heads,
            key_mask=guided_mask,
            causal=self.causal,
            dropout=self.weights_dropout,
            training=training,
            with_weights=with_scores,
        )
        local = self.local_conv(zero_where_masked(attended, covered))
        local = zero_where_masked(local, covered) + first
        local = zero_where_masked(local, merged)
        second = _alignment.resample(second, resampling)
        return self.global_conv(local) + zero_where_masked(second, covered), [scores]

    def attention_shapes(self, input_shape):
        batch, time = input_shape[0][:2]
        return [(batch, self.num_heads, time, s[1]) for s in input_shape[1:]]

    def get_config(self):
        config = super().get_config()
        config.update(
            {
                "num_heads": self.num_heads,
                "kernel_size": self.kernel_size,
                "dropout": self.dropout,
                "causal": self.causal,
            }
        )
        return config


@register()
class StepFusion(_StepFold):
    """Step fusion: guided attention, then local and global guidance in two steps.

    With `Î_k = LayerNorm(I_k)` of the modalities projected to `dim` features,

    ```
    W   = softmax(Î_1 Î_2ᵀ / √d_head)     per head         (eq. 13–15)
    O   = W V,  V a projection of modality 2               (eq. 16)
    S_1 = Conv_1(O) + Î_1                 local guidance   (eq. 17)
    S_2 = Conv_2(S_1) + Î_2               global guidance  (eq. 18)
    ```

    and `S_2` is the output. The convolutions run over time and keep length and
    width. More than two modalities are folded from the left, each fold with
    weights of its own.

    Streams of one length are taken as time-aligned. Otherwise modality 2 is
    resampled onto the valid steps of modality 1 by linear interpolation for the
    residual. A modality whose mask is False at a step (aligned) or everywhere in a
    sample (not aligned) contributes nothing there: without modality 2 the output
    is `Conv_2(Î_1)`, without modality 1 it is `Conv_2(Conv_1(mean V)) + Î_2`. Steps
    that have no data at all are zero and masked.

    Args:
        dim: int. Width of the output and of all projections.
        num_heads: int. Heads of the guide; must divide `dim`. Defaults to `4`.
        kernel_size: int. Width of both convolutions in steps. Defaults to `3`.
        dropout: float. Rate on the attention weights. Defaults to `0.0`.
        causal: bool. Step t sees steps up to t only, in the attention and in the
            convolutions; needs streams of one length. Defaults to `False`.
        aligned: bool or None. Whether step t of every modality is the same moment.
            Defaults to `None`: true where lengths, padding included, are equal.
        **kwargs: `name`, `dtype` and so on, as for any Keras layer.

    Call arguments:
        inputs: List of M ≥ 2 tensors `(batch, time_m, features_m)`.
        mask: None, or a list of M boolean masks `(batch, time_m)` or Nones.
        training: bool. Whether dropout is active.
        return_attention_scores: bool. Whether to return the weights `W` as well.

    Input shape:
        List of tensors `(batch, time_m, features_m)`.

    Output shape:
        `(batch, time_1, dim)`. With `return_attention_scores=True` also a list with
        one `(batch, num_heads, time_1, time_k)` tensor per fold.

    Raises:
        ValueError: for fewer than two modalities, unknown feature counts, masks
            that do not match, or unlike lengths where `causal` or `aligned`
            forbid them.

    Example:

    ```python
    import numpy as np
    from keras_mmfusion.layers import StepFusion

    image, series = np.random.rand(2, 49, 32), np.random.rand(2, 96, 7)
    fused = StepFusion(dim=24)([image.astype("float32"), series.astype("float32")])
    assert fused.shape == (2, 49, 24)
    ```

    Reference:
        Qin et al., "Step fusion: Local and global mutual guidance", Algorithm 1 and
        eq. 11–18. Eq. 13 and 15 scale the guide twice; it is scaled once here. Eq. 13,
        17 and 18 write the features before normalisation, where the text has the
        "normalized original features"; and eq. 17 and 18 begin with the same output,
        where the algorithm has one convolution after the other: here, both are as in
        the latter. Modality 1 is the image there, and modality 2 the series. Heads and
        kernels have no sizes, and there are no unlike lengths, masks or third
        modality: those are ours.
    """

    def build(self, input_shape):
        FusionLayer.build(self, input_shape)  # not the one fold of `_StepFold`
        arguments = super().get_config()
        for key in ("name", "trainable", "dtype"):
            arguments.pop(key)
        first = tuple(input_shape[0])
        self.folds = []
        for fold, shape in enumerate(input_shape[1:]):
            name = f"fold_{fold}"
            layer = _StepFold(**arguments, dtype=self.child_policy(name), name=name)
            layer.build([first, tuple(shape)])
            self.folds.append(layer)
            first = (*first[:2], self.dim)

    def fuse(self, streams, masks, training, with_scores):
        masks = masks or [None] * len(streams)
        fused, fused_mask, scores = streams[0], masks[0], []
        for fold, other, mask in zip(self.folds, streams[1:], masks[1:], strict=True):
            pair, pair_masks = [fused, other], [fused_mask, mask]
            fused = fold(
                pair,
                mask=pair_masks,
                training=training,
                return_attention_scores=with_scores,
            )
            if with_scores:
                fused, weights = fused
                scores += weights
            if fused_mask is not None:
                fused_mask = self.merged_mask(pair, pair_masks)
        return fused, scores

    def attention_names(self, names):
        return [("+".join(names[:m]), names[m]) for m in range(1, len(names))]
