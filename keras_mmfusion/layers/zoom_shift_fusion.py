"""Fusion by zoom and shift."""

import keras
from keras import ops

from keras_mmfusion._checks import check_heads, check_positive_int, check_rate
from keras_mmfusion._serialization import register
from keras_mmfusion.layers._alignment import resample
from keras_mmfusion.layers._composite_layer import zero_where_masked
from keras_mmfusion.layers._fusion_layer import FusionLayer, alignment_of
from keras_mmfusion.layers._multi_head import MultiHead
from keras_mmfusion.layers.atd_guide import ATDGuide


@register()
class ZoomShiftFusion(FusionLayer):
    """Calibrated modalities move into each other's space, and keep what is their own.

    With `P_m` linear projections to `dim` features, the guide of `ATDGuide`, and
    `attend` multi-head attention with weights `Θ_mn` of its own for each pair,

    ```
    f̂   = ATDGuide(P_1 x_1, …, P_M x_M)
    g_m = f̂_m + Σ_n attend(Θ_mn; query=f̂_m, key=value=f̂_n),  n ≠ m
    out = W [g_1; …; g_M]
    ```

    The `g_m` are resampled to the steps of the first modality where lengths differ. A
    modality that is missing adds nothing, at a step or from a sample.

    Args:
        dim: int. Width of the output and of all projections.
        num_heads: int. Heads of each attention; must divide `dim`. Defaults to `4`.
        guide: bool. Whether to calibrate the modalities first. Defaults to `True`.
        conditional: bool. Whether the guide zooms and shifts, or only standardises.
            Defaults to `True`.
        dropout: float. Rate on attention weights. Defaults to `0.0`.
        causal: bool. Step t attends to steps up to t only; needs streams of one
            length. In training, the statistics of the guide are of the whole batch
            nevertheless. Defaults to `False`.
        aligned: bool or None. Whether step t of every modality is the same moment.
            Defaults to `None`: true where lengths, padding included, are equal.
        **kwargs: `name`, `dtype` and so on, as for any Keras layer.

    Call arguments:
        inputs: List of M ≥ 2 tensors `(batch, time_m, features_m)`.
        mask: None, or a list of M boolean masks `(batch, time_m)` or Nones.
        training: bool. Whether the guide uses the statistics of the batch, and
            dropout is active.
        return_attention_scores: bool. Whether to return the weights as well.

    Input shape:
        List of tensors `(batch, time_m, features_m)`.

    Output shape:
        `(batch, time_1, dim)`. With `return_attention_scores=True` also a list with
        one `(batch, num_heads, time_m, time_n)` tensor per pair: first asking second,
        first asking third, …, second asking first, and so on.

    Raises:
        ValueError: for fewer than two modalities, unknown feature counts, masks
            that do not match, or unlike lengths where `causal` or `aligned`
            forbid them.

    Example:

    ```python
    import numpy as np
    from keras_mmfusion.layers import ZoomShiftFusion

    image, text = np.random.rand(2, 49, 16), np.random.rand(2, 12, 8)
    layer = ZoomShiftFusion(dim=24)
    fused = layer([image.astype("float32"), text.astype("float32")])
    assert fused.shape == (2, 49, 24)
    ```

    Reference:
        Qin, "Zoom and Shift is All You Need", sections 3.3 and 3.4. The paper's
        "displacement matrices" `Θ` are those of the attention that section 3.1 speaks
        of; more than two modalities, masks and resampling are ours.
    """

    def __init__(
        self,
        dim,
        num_heads=4,
        guide=True,
        conditional=True,
        dropout=0.0,
        causal=False,
        aligned=None,
        **kwargs,
    ):
        super().__init__(dim, alignment_of(causal, aligned), **kwargs)
        check_positive_int(num_heads=num_heads)
        check_rate(dropout=dropout)
        check_heads(num_heads, dim=dim)
        self.num_heads = int(num_heads)
        self.guide = bool(guide)
        self.conditional = bool(conditional)
        self.dropout = dropout
        self.causal = causal

    def build(self, input_shape):
        super().build(input_shape)
        width = (None, None, self.dim)
        count = len(input_shape)

        def dense(name, features):
            layer = keras.layers.Dense(
                self.dim, dtype=self.child_policy(name), name=name
            )
            layer.build((None, None, features))
            return layer

        self.projections = [
            dense(f"projection_{m}", shape[2]) for m, shape in enumerate(input_shape)
        ]
        self.atd_guide = None
        if self.guide:
            self.atd_guide = ATDGuide(
                conditional=self.conditional,
                dtype=self.child_policy("guide"),
                name="guide",
            )
            self.atd_guide.build([width] * count)
        self.displacements = []
        for asking, asked in _pairs(count):
            name = f"displacement_{asking}_{asked}"
            attention = MultiHead(
                self.dim,
                self.num_heads,
                causal=self.causal,
                dropout=self.dropout,
                dtype=self.child_policy(name),
                name=name,
            )
            attention.build(width, width)
            self.displacements.append(attention)
        self.fusion = dense("fusion", count * self.dim)

    def fuse(self, streams, masks, training, with_scores):
        masks = masks or [None] * len(streams)
        calibrated = [
            zero_where_masked(project(x), mask)
            for project, x, mask in zip(self.projections, streams, masks, strict=True)
        ]
        if self.atd_guide is not None:
            calibrated = self.through(
                self.atd_guide, calibrated, mask=masks, training=training
            )
        moved, scores = list(calibrated), []
        pairs = zip(_pairs(len(streams)), self.displacements, strict=True)
        for (asking, asked), attend in pairs:
            answer = attend(
                calibrated[asking],
                calibrated[asked],
                source_mask=masks[asked],
                training=training,
                with_weights=with_scores,
            )
            if with_scores:
                answer, weights = answer
                if masks[asking] is not None:
                    weights = zero_where_masked(weights, masks[asking][:, None])
                scores.append(weights)
            moved[asking] = moved[asking] + zero_where_masked(answer, masks[asking])
        parts = moved[:1]
        for m in range(1, len(streams)):
            weights, covered, _ = self.align(moved[0], masks[0], moved[m], masks[m])
            parts.append(zero_where_masked(resample(moved[m], weights), covered))
        return self.fusion(ops.concatenate(parts, axis=-1)), scores

    def attention_shapes(self, input_shape):
        batch = input_shape[0][0]
        return [
            (batch, self.num_heads, input_shape[asking][1], input_shape[asked][1])
            for asking, asked in _pairs(len(input_shape))
        ]

    def attention_names(self, names):
        return [(names[asking], names[asked]) for asking, asked in _pairs(len(names))]

    def get_config(self):
        config = super().get_config()
        config.update(
            {
                "num_heads": self.num_heads,
                "guide": self.guide,
                "conditional": self.conditional,
                "dropout": self.dropout,
                "causal": self.causal,
            }
        )
        return config


def _pairs(count):
    """Each modality asks all others."""
    return [(m, n) for m in range(count) for n in range(count) if n != m]
