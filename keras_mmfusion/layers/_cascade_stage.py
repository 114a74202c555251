"""One stage of a cascade: two streams attend to each other and become one."""

import keras
from keras import ops

from keras_mmfusion.layers._alignment import resample
from keras_mmfusion.layers._composite_layer import CompositeLayer, zero_where_masked
from keras_mmfusion.layers._guided_attention import answered_steps
from keras_mmfusion.layers._multi_head import MultiHead


class CascadeStage(CompositeLayer):
    """`CI^{ab} = Conv1×1([CI^{a→b}; CI^{b→a}])`, where `CI^{a→b}` asks as b.

    Args:
        dim: int. Width of both streams and of the result.
        num_heads: int.
        causal, dropout, block_diagonal: See `MultiHead`.
    """

    def __init__(self, dim, num_heads, causal, dropout, block_diagonal, **kwargs):
        super().__init__(**kwargs)
        self.dim = dim
        self.num_heads = num_heads
        self.options = {
            "causal": causal,
            "dropout": dropout,
            "block_diagonal": block_diagonal,
        }

    def build(self, input_shape=None):
        width = (None, None, self.dim)

        def attention(name):
            layer = MultiHead(
                self.dim,
                self.num_heads,
                dtype=self.child_policy(name),
                name=name,
                **self.options,
            )
            layer.build(width, width)
            return layer

        self.to_second = attention("to_second")
        self.to_first = attention("to_first")
        # A convolution of one step is a dense layer.
        self.joint = keras.layers.Dense(
            self.dim, dtype=self.child_policy("joint"), name="joint"
        )
        self.joint.build((None, None, 2 * self.dim))

    def call(self, first, second, masks, alignment, training=None, with_scores=False):
        """Fuse `second` into `first`.

        Args:
            first: Tensor `(B, T_1, dim)`.
            second: Tensor `(B, T_2, dim)`.
            masks: Pair of bool `(B, T_1)` and `(B, T_2)`, or of None.
            alignment: What `FusionLayer.align` says of the two.

        Returns:
            `(fused, scores)`: `(B, T_1, dim)`, and a list of the weights of the second
            asking the first `(B, num_heads, T_2, T_1)`, and of the reverse; None twice
            without `with_scores`.
        """
        (mask, other_mask), (weights, covered, _) = masks, alignment

        def ask(attention, query, query_mask, source, source_mask):
            answer = attention(
                query,
                source,
                source_mask=source_mask,
                training=training,
                with_weights=with_scores,
            )
            answer, scores = answer if with_scores else (answer, None)
            if with_scores and query_mask is not None:
                scores = zero_where_masked(scores, query_mask[:, None])
            return zero_where_masked(answer, query_mask), scores

        of_second, asked_first = ask(self.to_second, second, other_mask, first, mask)
        of_first, asked_second = ask(self.to_first, first, mask, second, other_mask)
        of_second = resample(of_second, weights)
        fused = self.joint(ops.concatenate([of_second, of_first], axis=-1))
        if mask is not None:
            # One that has nobody to attend to goes on as it is.
            second = zero_where_masked(resample(second, weights), covered)
            fused = _where(answered_steps(mask, self.options["causal"]), fused, second)
            there = answered_steps(other_mask, self.options["causal"])
            fused = _where(there, fused, first)
        return fused, [asked_first, asked_second]


def _where(steps, x, other):
    return ops.where(ops.expand_dims(steps, -1), x, other)
