"""Multi-head attention of one stream over another, made of dense layers."""

import keras

from keras_mmfusion.layers._block_dense import BlockDense
from keras_mmfusion.layers._composite_layer import CompositeLayer, zero_where_masked
from keras_mmfusion.layers._guided_attention import answered_steps, guided_attention


class MultiHead(CompositeLayer):
    """`(query (B, T_q, D), source (B, T_k, D)) -> (B, T_q, D)` and the weights.

    Only the answer unless the weights are asked for.

    The projection of the keys has no bias: it would shift all logits of a query
    alike, which the softmax does not see. A query without any key gets zeros, not
    the bias of the output.

    With `block_diagonal`, every head sees its share of the features only.
    """

    def __init__(
        self,
        dim,
        num_heads,
        causal=False,
        dropout=0.0,
        block_diagonal=False,
        **kwargs,
    ):
        super().__init__(**kwargs)
        self.dim = dim
        self.num_heads = num_heads
        self.causal = causal
        self.dropout = dropout
        self.block_diagonal = block_diagonal

    def build(self, query_shape, source_shape=None):
        def dense(name, bias=True, blocks=False):
            if blocks:
                layer = BlockDense(
                    self.num_heads,
                    use_bias=bias,
                    dtype=self.child_policy(name),
                    name=name,
                )
            else:
                layer = keras.layers.Dense(
                    self.dim, use_bias=bias, dtype=self.child_policy(name), name=name
                )
            layer.build((None, None, self.dim))
            return layer

        blocks = self.block_diagonal
        self.query_projection = dense("query", blocks=blocks)
        self.key_projection = dense("key", bias=False, blocks=blocks)
        self.value_projection = dense("value", blocks=blocks)
        self.output_projection = dense("output")
        self.weights_dropout = None
        if self.dropout > 0:
            self.weights_dropout = keras.layers.Dropout(
                self.dropout,
                dtype=self.child_policy("weights_dropout"),
                name="weights_dropout",
            )

    def call(self, query, source, source_mask=None, training=None, with_weights=False):
        attended, weights = guided_attention(
            self.through(self.query_projection, query),
            self.through(self.key_projection, source),
            self.through(self.value_projection, source),
            self.num_heads,
            key_mask=source_mask,
            causal=self.causal,
            dropout=self.weights_dropout,
            training=training,
            with_weights=with_weights,
        )
        output = self.through(self.output_projection, attended)
        if source_mask is not None:
            answered = answered_steps(source_mask, self.causal)
            output = zero_where_masked(output, answered)
        return (output, weights) if with_weights else output
