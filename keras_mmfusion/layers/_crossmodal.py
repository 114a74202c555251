"""The transformers of MulT: one stream attends to another, or to itself."""

import math

import keras
from keras import ops

from keras_mmfusion.layers._composite_layer import CompositeLayer
from keras_mmfusion.layers._materialized import materialized
from keras_mmfusion.layers._multi_head import MultiHead


class CrossmodalBlock(CompositeLayer):
    """One layer of MulT: `x += A(LN x, LN source)`, then `x += F(LN x)`."""

    def __init__(self, dim, num_heads, causal=False, dropout=0.0, **kwargs):
        super().__init__(**kwargs)
        self.dim = dim
        self.num_heads = num_heads
        self.causal = causal
        self.dropout = dropout

    def build(self, query_shape, source_shape=None):
        width = (None, None, self.dim)

        def norm(name):
            layer = keras.layers.LayerNormalization(
                epsilon=1e-5, dtype=self.child_policy(name), name=name
            )
            layer.build(width)
            return layer

        def dense(name, features, units, activation=None):
            layer = keras.layers.Dense(
                units, activation=activation, dtype=self.child_policy(name), name=name
            )
            layer.build((None, None, features))
            return layer

        self.norm = norm("norm")
        self.attention = MultiHead(
            self.dim,
            self.num_heads,
            causal=self.causal,
            dropout=self.dropout,
            dtype=self.child_policy("attention"),
            name="attention",
        )
        self.attention.build(width, width)
        self.ff_norm = norm("ff_norm")
        self.ff_in = dense("ff_in", self.dim, 4 * self.dim, "relu")
        self.ff_out = dense("ff_out", 4 * self.dim, self.dim)
        self.residual_dropout = None
        if self.dropout > 0:
            self.residual_dropout = keras.layers.Dropout(
                self.dropout,
                dtype=self.child_policy("residual_dropout"),
                name="residual_dropout",
            )

    def call(
        self, query, source=None, source_mask=None, training=None, with_weights=False
    ):
        def dropped(x):
            if self.residual_dropout is None:
                return x
            return self.residual_dropout(x, training=training)

        normed = self.through(self.norm, query)
        # One normalisation for both, as the authors have it.
        source = normed if source is None else self.through(self.norm, source)
        answer = self.through(
            self.attention,
            normed,
            source,
            source_mask=source_mask,
            training=training,
            with_weights=with_weights,
        )
        answer, weights = answer if with_weights else (answer, None)
        x = materialized(query + dropped(answer), training)
        hidden = self.through(self.ff_in, self.through(self.ff_norm, x))
        x = x + dropped(self.through(self.ff_out, dropped(hidden)))
        return materialized(x, training), weights


class CrossmodalTransformer(CompositeLayer):
    """`num_layers` blocks over scaled features with sinusoidal positions.

    Without a source the stream attends to itself. The source is the same in all
    blocks. Returns the normalised output and a list of attention weights, which are
    None unless they are asked for.
    """

    def __init__(self, dim, num_heads, num_layers, causal=False, dropout=0.0, **kwargs):
        super().__init__(**kwargs)
        self.dim = dim
        self.num_heads = num_heads
        self.num_layers = num_layers
        self.causal = causal
        self.dropout = dropout

    def build(self, query_shape, source_shape=None):
        width = (None, None, self.dim)
        self.blocks = []
        for i in range(self.num_layers):
            block = CrossmodalBlock(
                self.dim,
                self.num_heads,
                causal=self.causal,
                dropout=self.dropout,
                dtype=self.child_policy(f"block_{i}"),
                name=f"block_{i}",
            )
            block.build(width, width)
            self.blocks.append(block)
        self.norm = keras.layers.LayerNormalization(
            epsilon=1e-5, dtype=self.child_policy("norm"), name="norm"
        )
        self.norm.build(width)
        self.input_dropout = None
        if self.dropout > 0:
            self.input_dropout = keras.layers.Dropout(
                self.dropout,
                dtype=self.child_policy("input_dropout"),
                name="input_dropout",
            )

    def call(
        self,
        query,
        source=None,
        query_positions=None,
        source_positions=None,
        source_mask=None,
        training=None,
        with_weights=False,
    ):
        x = self._embed(query, query_positions, training)
        if source is not None:
            source = self._embed(source, source_positions, training)
        scores = []
        for block in self.blocks:
            x, weights = self.through(
                block,
                x,
                source,
                source_mask=source_mask,
                training=training,
                with_weights=with_weights,
            )
            scores.append(weights)
        return self.through(self.norm, x), scores

    def _embed(self, x, positions, training):
        waves = ops.cast(sinusoids(positions, self.dim), x.dtype)
        x = math.sqrt(self.dim) * x + waves
        if self.input_dropout is not None:
            x = self.input_dropout(x, training=training)
        return x


def sinusoids(positions, dim):
    """Sines, then cosines, of positions `(B, T)` at falling rates: `(B, T, dim)`.

    Positions are integers: Keras would cast floats to half precision, in which many
    are the same.
    """
    positions = ops.cast(positions, "float32")
    half = dim // 2
    rates = [10000 ** (-i / max(half - 1, 1)) for i in range(half)]
    rates = ops.convert_to_tensor(rates, dtype="float32")
    angles = ops.expand_dims(positions, -1) * rates
    waves = [ops.sin(angles), ops.cos(angles)]
    if dim % 2:
        waves.append(ops.zeros_like(ops.expand_dims(positions, -1)))
    return ops.concatenate(waves, axis=-1)
