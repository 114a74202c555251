"""Fusion by cross-attention of the first modality over the others."""

import keras
from keras import ops

from keras_mmfusion._checks import check_heads, check_positive_int, check_rate
from keras_mmfusion._serialization import register
from keras_mmfusion.layers import _alignment
from keras_mmfusion.layers._composite_layer import zero_where_masked
from keras_mmfusion.layers._fusion_layer import FusionLayer, alignment_of
from keras_mmfusion.layers._multi_head import MultiHead


@register()
class CrossAttentionFusion(FusionLayer):
    """The first modality attends to each of the others: a transformer decoder block.

    With `P_m` linear projections to `dim` features, `A_m` multi-head attention
    with weights of its own and `F` a two-layer feed-forward network,

    ```
    y   = P_1 x_1 + Σ_m A_m(query=LN(P_1 x_1), key=value=LN_m(P_m x_m)),  m ≥ 2
    out = y + F(LN(y))
    ```

    There are no positions: what encodes a modality has to know its order.

    Where the first modality is missing, at a step (aligned) or from a sample (not
    aligned), the next one that is there takes its place as `P_m x_m`, resampled to
    the steps of the first one where lengths differ. A modality that is missing
    adds nothing. Steps that have no data at all are zero and masked.

    Args:
        dim: int. Width of the output and of all projections.
        num_heads: int. Heads of each attention; must divide `dim`.
            Defaults to `4`.
        ff_dim: int. Hidden width of `F`. Defaults to `2 * dim`.
        dropout: float. Rate on attention weights and inside `F`. Defaults to `0.0`.
        activation: Activation inside `F`. Defaults to `"gelu"`.
        causal: bool. Step t attends to steps up to t only; needs streams of one
            length. Defaults to `False`.
        aligned: bool or None. Whether step t of every modality is the same moment.
            Defaults to `None`: true where lengths, padding included, are equal.
        **kwargs: `name`, `dtype` and so on, as for any Keras layer.

    Call arguments:
        inputs: List of M ≥ 2 tensors `(batch, time_m, features_m)`.
        mask: None, or a list of M boolean masks `(batch, time_m)` or Nones.
        training: bool. Whether dropout is active.
        return_attention_scores: bool. Whether to return the weights as well.

    Input shape:
        List of tensors `(batch, time_m, features_m)`.

    Output shape:
        `(batch, time_1, dim)`. With `return_attention_scores=True` also a list with
        one `(batch, num_heads, time_1, time_m)` tensor per modality but the first.

    Raises:
        ValueError: for fewer than two modalities, unknown feature counts, masks
            that do not match, or unlike lengths where `causal` or `aligned`
            forbid them.

    Example:

    ```python
    import numpy as np
    from keras_mmfusion.layers import CrossAttentionFusion

    voice, text = np.random.rand(2, 30, 16), np.random.rand(2, 12, 8)
    layer = CrossAttentionFusion(dim=24)
    fused = layer([voice.astype("float32"), text.astype("float32")])
    assert fused.shape == (2, 30, 24)
    ```

    Reference:
        Vaswani et al., "Attention is all you need", arXiv:1706.03762, section 3.2.3
        and eq. 1, normalised before each part. Several modalities, masks and what
        stands in for the first are ours.
    """

    def __init__(
        self,
        dim,
        num_heads=4,
        ff_dim=None,
        dropout=0.0,
        activation="gelu",
        causal=False,
        aligned=None,
        **kwargs,
    ):
        super().__init__(dim, alignment_of(causal, aligned), **kwargs)
        ff_dim = 2 * dim if ff_dim is None else ff_dim
        check_positive_int(num_heads=num_heads, ff_dim=ff_dim)
        check_rate(dropout=dropout)
        check_heads(num_heads, dim=dim)
        self.num_heads = int(num_heads)
        self.ff_dim = int(ff_dim)
        self.dropout = dropout
        self.activation = keras.activations.get(activation)
        self.causal = causal

    def build(self, input_shape):
        super().build(input_shape)
        width = (None, None, self.dim)

        def dense(name, features, units=self.dim, activation=None):
            layer = keras.layers.Dense(
                units, activation=activation, dtype=self.child_policy(name), name=name
            )
            layer.build((None, None, features))
            return layer

        def norm(name):
            layer = keras.layers.LayerNormalization(
                epsilon=1e-6, dtype=self.child_policy(name), name=name
            )
            layer.build(width)
            return layer

        self.projections, self.source_norms, self.attentions = [], [], []
        for m, shape in enumerate(input_shape):
            self.projections.append(dense(f"projection_{m}", shape[2]))
            if m == 0:
                continue
            self.source_norms.append(norm(f"source_norm_{m}"))
            name = f"attention_{m}"
            attention = MultiHead(
                self.dim,
                self.num_heads,
                causal=self.causal,
                dropout=self.dropout,
                dtype=self.child_policy(name),
                name=name,
            )
            attention.build(width, width)
            self.attentions.append(attention)
        self.query_norm = norm("query_norm")
        self.ff_norm = norm("ff_norm")
        self.ff_in = dense("ff_in", self.dim, self.ff_dim, self.activation)
        self.ff_out = dense("ff_out", self.ff_dim)
        self.ff_dropout = None
        if self.dropout > 0:
            self.ff_dropout = keras.layers.Dropout(
                self.dropout, dtype=self.child_policy("ff_dropout"), name="ff_dropout"
            )

    def fuse(self, streams, masks, training, with_scores):
        masks = masks or [None] * len(streams)
        projected = [
            zero_where_masked(project(x), mask)
            for project, x, mask in zip(self.projections, streams, masks, strict=True)
        ]
        base, merged = self._base(projected, masks)
        query = self.query_norm(base)
        fused, scores = base, []
        for norm, attention, source, mask in zip(
            self.source_norms, self.attentions, projected[1:], masks[1:], strict=True
        ):
            answer = attention(
                query,
                norm(source),
                source_mask=mask,
                training=training,
                with_weights=with_scores,
            )
            if with_scores:
                answer, weights = answer
                if merged is not None:
                    weights = zero_where_masked(weights, merged[:, None])
                scores.append(weights)
            fused = fused + answer
        hidden = self.ff_in(self.ff_norm(fused))
        if self.ff_dropout is not None:
            hidden = self.ff_dropout(hidden, training=training)
        return fused + self.ff_out(hidden), scores

    def _base(self, projected, masks):
        """The first modality or, where missing, the next one; and the merged mask."""
        base, merged = projected[0], masks[0]
        if merged is None:
            return base, None
        for other, mask in zip(projected[1:], masks[1:], strict=True):
            resampling, covered, both = self.align(base, merged, other, mask)
            other = zero_where_masked(_alignment.resample(other, resampling), covered)
            base = ops.where(ops.expand_dims(merged, -1), base, other)
            merged = both
        return base, merged

    def attention_shapes(self, input_shape):
        batch, time = input_shape[0][:2]
        return [(batch, self.num_heads, time, s[1]) for s in input_shape[1:]]

    def attention_names(self, names):
        return [(names[0], name) for name in names[1:]]

    def get_config(self):
        config = super().get_config()
        config.update(
            {
                "num_heads": self.num_heads,
                "ff_dim": self.ff_dim,
                "dropout": self.dropout,
                "activation": keras.activations.serialize(self.activation),
                "causal": self.causal,
            }
        )
        return config
