"""Alternative Telescopic Displacement."""

from keras_mmfusion._checks import check_positive_int
from keras_mmfusion._serialization import register
from keras_mmfusion.layers import _alignment
from keras_mmfusion.layers._atd_step import ATDBase, ATDStep


@register()
class ATDFusion(ATDBase):
    """Alternative Telescopic Displacement: one modality guides the other.

    With `I_k` the modalities, projected to `dim` features,

    ```
    Î_k = LayerNorm(I_k)                                   (eq. 9)
    W   = softmax(Î_1 Î_2ᵀ / √d_head)     per head         (eq. 10, 11)
    O   = W V,  V a projection of modality 2               (eq. 12)
    out = F(O) + α Î_1 + (1 − α) Î_2                       (eq. 13)
    ```

    where `F` is a two-layer feed-forward network and `α = sigmoid(a)` is learned
    and starts at 0.5. `num_steps > 1` alternates: modality 1 guides modality 2,
    then modality 2 guides the fused sequence, then modality 1 again, each step
    with weights of its own. More than two modalities are folded from the left.

    Streams of one length are taken as time-aligned. Otherwise modality 2 is
    resampled onto the valid steps of modality 1 by linear interpolation for the
    residual; the attention itself sees it at its own length.

    A modality whose mask is False at a step (aligned) or everywhere in a sample
    (not aligned) contributes nothing there: without modality 2 the output is
    `Î_1`, without modality 1 it is `F(mean V) + Î_2`. Steps that have no data at
    all are zero and masked.

    Args:
        dim: int. Width of the output and of all projections.
        num_heads: int. Heads of the guide; must divide `dim`. Defaults to `4`.
        num_steps: int. Alternating displacements per fold. Defaults to `1`, the
            paper's formula.
        ff_dim: int. Hidden width of `F`. Defaults to `2 * dim`.
        alpha: `"scalar"` for one learned α, `"feature"` for one per feature.
        double_scale: bool. Divide the guide by `√dim` as well, as eq. 10 followed
            by eq. 11 literally do. Defaults to `False`.
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
        return_attention_scores: bool. Whether to return the weights `W` as well.

    Input shape:
        List of tensors `(batch, time_m, features_m)`.

    Output shape:
        `(batch, time_1, dim)`. With `return_attention_scores=True` also a list with
        one `(batch, num_heads, time_1, time_k)` tensor per step of each fold.

    Raises:
        ValueError: for fewer than two modalities, unknown feature counts, masks
            that do not match, or unlike lengths where `causal` or `aligned`
            forbid them.

    Example:

    ```python
    import numpy as np
    from keras_mmfusion.layers import ATDFusion

    ecg, image = np.random.rand(2, 50, 16), np.random.rand(2, 49, 32)
    fused = ATDFusion(dim=24)([ecg.astype("float32"), image.astype("float32")])
    assert fused.shape == (2, 50, 24)
    ```

    Reference:
        Qin et al., "Alternative Telescopic Displacement: An Efficient Multimodal
        Alignment Method", arXiv:2306.16950, eq. 9–13. The text scales the guide
        twice and does not say what `F` is, nor how often to alternate, nor what to
        do with unlike lengths, masks or a third modality: those are ours. Nor does
        it say what `V` is, which is from modality 2 in Algorithm 1 of step fusion.
        The maximum that eq. 10 subtracts changes nothing after eq. 11.
    """

    def __init__(
        self,
        dim,
        num_heads=4,
        num_steps=1,
        ff_dim=None,
        alpha="scalar",
        double_scale=False,
        dropout=0.0,
        activation="gelu",
        causal=False,
        aligned=None,
        **kwargs,
    ):
        super().__init__(
            dim,
            num_heads=num_heads,
            ff_dim=ff_dim,
            alpha=alpha,
            double_scale=double_scale,
            dropout=dropout,
            activation=activation,
            causal=causal,
            aligned=aligned,
            **kwargs,
        )
        check_positive_int(num_steps=num_steps)
        self.num_steps = int(num_steps)

    def build(self, input_shape):
        super().build(input_shape)
        arguments = super().get_config()
        for key in ("name", "trainable", "dtype", "activation", "aligned"):
            arguments.pop(key)
        first = tuple(input_shape[0])
        self.steps = []
        for fold, shape in enumerate(input_shape[1:]):
            fused = first if fold == 0 else (*first[:2], self.dim)
            second, guided = (*first[:2], shape[2]), tuple(shape)
            for step in range(self.num_steps):
                guide = fused if step % 2 == 0 else second
                name = f"fold_{fold}_step_{step}"
                layer = ATDStep(
                    **arguments,
                    activation=self.activation,
                    # After its first step, a fold stays on the axis of modality 1.
                    aligned=self.aligned if step == 0 else True,
                    dtype=self.child_policy(name),
                    name=name,
                )
                layer.build([guide, guided])
                self.steps.append(layer)
                guided = (*first[:2], self.dim)

    def fuse(self, streams, masks, training, with_scores):
        masks = masks or [None] * len(streams)
        fused, fused_mask = streams[0], masks[0]
        steps, scores = iter(self.steps), []
        for other, other_mask in zip(streams[1:], masks[1:], strict=True):
            resampling, covered, merged = self.align(
                fused, fused_mask, other, other_mask
            )
            first = (fused, fused_mask)
            second = (_alignment.resample(other, resampling), covered)
            guided = (other, other_mask)
            for step in range(self.num_steps):
                guide = first if step % 2 == 0 else second
                output = next(steps)(
                    [guide[0], guided[0]],
                    mask=[guide[1], guided[1]],
                    training=training,
                    return_attention_scores=with_scores,
                )
                if with_scores:
                    output, weights = output
                    scores += weights
                guided = (output, merged)
            fused, fused_mask = guided
        return fused, scores

    def attention_shapes(self, input_shape):
        batch, time = input_shape[0][:2]
        keys = [
            shape[1] if step == 0 else time
            for shape in input_shape[1:]
            for step in range(self.num_steps)
        ]
        return [(batch, self.num_heads, time, key) for key in keys]

    def attention_names(self, names):
        pairs, fused = [], names[0]
        for other in names[1:]:
            both = f"{fused}+{other}"
            for step in range(self.num_steps):
                guide = fused if step % 2 == 0 else other
                pairs.append((guide, other if step == 0 else both))
            fused = both
        return pairs

    def get_config(self):
        config = super().get_config()
        config["num_steps"] = self.num_steps
        return config
