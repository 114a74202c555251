"""Multimodal transformer fusion."""

import keras
from keras import ops

from keras_mmfusion._checks import check_heads, check_positive_int, check_rate
from keras_mmfusion._serialization import register
from keras_mmfusion.layers import _alignment
from keras_mmfusion.layers._composite_layer import zero_where_masked
from keras_mmfusion.layers._crossmodal import CrossmodalTransformer
from keras_mmfusion.layers._fusion_layer import FusionLayer, alignment_of


@register()
class MulTFusion(FusionLayer):
    """Multimodal transformer (MulT): each modality is reinforced by every other.

    All modalities are projected to `stream_dim` features. For each ordered pair a
    crossmodal transformer lets modality m attend to modality n, layer by layer;
    the M − 1 results for m are concatenated and pass a self-attention transformer:

    ```
    Z_{n→m} = crossmodal(query=x_m, key=value=x_n)
    Z_m     = self_attention([Z_{n→m} for n ≠ m])
    h       = [Z_1; …; Z_M]
    out     = W (h + W_b relu(W_a h)) + b
    ```

    The authors read the last step of each `Z_m`; here all steps are kept, each
    `Z_m` resampled to the steps of the first modality where lengths differ, so
    that their read-out is the last step of the output.

    Positions are sinusoidal. They count from the first step of streams of one
    length, and the valid steps of others. A modality that is missing is neither
    attended to nor read. Steps that have no data at all are zero and masked.

    There are M (M − 1) crossmodal transformers of width `stream_dim` and M others
    of width `(M − 1) * stream_dim`: expensive with more than three modalities.

    Args:
        dim: int. Width of the output.
        num_heads: int. Heads of all transformers; must divide `stream_dim`.
            Defaults to `4`.
        num_layers: int. Layers of the crossmodal transformers. Defaults to `4`.
        memory_layers: int. Layers of the self-attention transformers. Defaults to
            `max(num_layers, 3)`, as the authors have it.
        stream_dim: int. Width of the projected modalities. Defaults to `dim`.
        dropout: float. Rate on projected inputs, attention weights, inside the
            feed-forward parts, on what they add and before `W_b`.
            Defaults to `0.0`.
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
        `(batch, time_1, dim)`. With `return_attention_scores=True` also a list of
        tensors: for each m, `num_layers` of `(batch, num_heads, time_m, time_n)`
        for each n ≠ m, then `memory_layers` of `(batch, num_heads, time_m, time_m)`.

    Raises:
        ValueError: for fewer than two modalities, unknown feature counts, masks
            that do not match, or unlike lengths where `causal` or `aligned`
            forbid them.

    Example:

    ```python
    import numpy as np
    from keras_mmfusion.layers import MulTFusion

    voice, text = np.random.rand(2, 30, 16), np.random.rand(2, 12, 8)
    layer = MulTFusion(dim=24, num_layers=1, memory_layers=1)
    fused = layer([voice.astype("float32"), text.astype("float32")])
    assert fused.shape == (2, 30, 24)
    ```

    Reference:
        Tsai et al., "Multimodal transformer for unaligned multimodal language
        sequences", arXiv:1906.00295, and the authors' code where the paper is silent:
        scaled inputs, one normalisation for queries and keys, the residual block
        before the output. Masks, the output at every step and the number of
        modalities are ours. The keys have no bias, which has no effect.
    """

    def __init__(
        self,
        dim,
        num_heads=4,
        num_layers=4,
        memory_layers=None,
        stream_dim=None,
        dropout=0.0,
        causal=False,
        aligned=None,
        **kwargs,
    ):
        super().__init__(dim, alignment_of(causal, aligned), **kwargs)
        check_positive_int(num_heads=num_heads, num_layers=num_layers)
        memory_layers = max(num_layers, 3) if memory_layers is None else memory_layers
        stream_dim = dim if stream_dim is None else stream_dim
        check_positive_int(memory_layers=memory_layers, stream_dim=stream_dim)
        check_rate(dropout=dropout)
        check_heads(num_heads, stream_dim=stream_dim)
        self.num_heads = int(num_heads)
        self.num_layers = int(num_layers)
        self.memory_layers = int(memory_layers)
        self.stream_dim = int(stream_dim)
        self.dropout = dropout
        self.causal = causal

    def build(self, input_shape):
        super().build(input_shape)

        def dense(name, features, units, activation=None, bias=True):
            layer = keras.layers.Dense(
                units,
                activation=activation,
                use_bias=bias,
                dtype=self.child_policy(name),
                name=name,
            )
            layer.build((None, None, features))
            return layer

        def transformer(name, dim, num_layers):
            layer = CrossmodalTransformer(
                dim,
                self.num_heads,
                num_layers,
                causal=self.causal,
                dropout=self.dropout,
                dtype=self.child_policy(name),
                name=name,
            )
            layer.build((None, None, dim))
            return layer

        count = len(input_shape)
        joined = (count - 1) * self.stream_dim
        self.projections, self.crossmodal, self.memories = [], [], []
        for m, shape in enumerate(input_shape):
            self.projections.append(
                dense(f"projection_{m}", shape[2], self.stream_dim, bias=False)
            )
            for n in _others(m, count):
                name = f"crossmodal_{n}_to_{m}"
                self.crossmodal.append(
                    transformer(name, self.stream_dim, self.num_layers)
                )
            self.memories.append(transformer(f"memory_{m}", joined, self.memory_layers))
        width = count * joined
        self.residual_in = dense("residual_in", width, width, "relu")
        self.residual_out = dense("residual_out", width, width)
        self.output_projection = dense("output", width, self.dim)
        self.residual_dropout = None
        if self.dropout > 0:
            self.residual_dropout = keras.layers.Dropout(
                self.dropout,
                dtype=self.child_policy("residual_dropout"),
                name="residual_dropout",
            )

    def fuse(self, streams, masks, training, with_scores):
        masks = masks or [None] * len(streams)
        positions = self._positions(streams, masks)
        projected = [
            self.through(project, x)
            for project, x in zip(self.projections, streams, strict=True)
        ]
        crossmodal, scores, read, merged = iter(self.crossmodal), [], [], masks[0]
        for m, (memory, mask) in enumerate(zip(self.memories, masks, strict=True)):
            reinforced = []
            for n in _others(m, len(streams)):
                output, weights = self.through(
                    next(crossmodal),
                    projected[m],
                    projected[n],
                    query_positions=positions[m],
                    source_positions=positions[n],
                    source_mask=masks[n],
                    training=training,
                    with_weights=with_scores,
                )
                reinforced.append(output)
                scores += [_of_valid(w, mask) for w in weights]
            output, weights = self.through(
                memory,
                ops.concatenate(reinforced, axis=-1),
                query_positions=positions[m],
                source_mask=mask,
                training=training,
                with_weights=with_scores,
            )
            scores += [_of_valid(w, mask) for w in weights]
            output = zero_where_masked(output, mask)
            if m > 0:
                resampling, mask, merged = self.align(
                    streams[0], merged, streams[m], mask
                )
                output = _alignment.resample(output, resampling)
                output = zero_where_masked(output, mask)
            read.append(output)
        joined = ops.concatenate(read, axis=-1)
        hidden = self.residual_in(joined)
        if self.residual_dropout is not None:
            hidden = self.residual_dropout(hidden, training=training)
        return self.output_projection(joined + self.residual_out(hidden)), scores

    def _positions(self, streams, masks):
        """The number of each step of each stream, see `_alignment.positions`."""
        first, others = streams[0], streams[1:]
        aligned = [self.is_aligned(first, x) for x in others]
        if None in aligned:
            aligned = [ops.equal(ops.shape(first)[1], ops.shape(x)[1]) for x in others]
            of_first = ops.any(ops.stack(aligned))
        else:
            of_first = any(aligned)
        return [
            _alignment.positions(
                _alignment.all_valid(x[:1]) if mask is None else mask, known
            )
            for x, mask, known in zip(streams, masks, [of_first, *aligned], strict=True)
        ]

    def attention_shapes(self, input_shape):
        batch, times = input_shape[0][0], [shape[1] for shape in input_shape]
        shapes = []
        for m, time in enumerate(times):
            for n in _others(m, len(times)):
                shapes += [(time, times[n])] * self.num_layers
            shapes += [(time, time)] * self.memory_layers
        return [(batch, self.num_heads, *shape) for shape in shapes]

    def attention_names(self, names):
        pairs = []
        for m, name in enumerate(names):
            for n in _others(m, len(names)):
                pairs += [(name, names[n])] * self.num_layers
            pairs += [(name, name)] * self.memory_layers
        return pairs

    def get_config(self):
        config = super().get_config()
        config.update(
            {
                "num_heads": self.num_heads,
                "num_layers": self.num_layers,
                "memory_layers": self.memory_layers,
                "stream_dim": self.stream_dim,
                "dropout": self.dropout,
                "causal": self.causal,
            }
        )
        return config


def _of_valid(weights, mask):
    """Attention weights if any, zero for the queries that are masked."""
    if weights is None or mask is None:
        return weights
    return zero_where_masked(weights, mask[:, None])


def _others(m, count):
    return [n for n in range(count) if n != m]
