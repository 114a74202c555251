"""One step of Alternative Telescopic Displacement."""

import math

import keras
from keras import ops

from keras_mmfusion._checks import (
    check_choice,
    check_heads,
    check_positive_int,
    check_rate,
)
from keras_mmfusion.layers import _alignment
from keras_mmfusion.layers._composite_layer import zero_where_masked
from keras_mmfusion.layers._fusion_layer import FusionLayer, alignment_of
from keras_mmfusion.layers._guided_attention import guided_attention


class ATDBase(FusionLayer):
    """The arguments that `ATDFusion` and its steps share."""

    def __init__(
        self,
        dim,
        num_heads=4,
        ff_dim=None,
        alpha="scalar",
        double_scale=False,
        dropout=0.0,
        activation="gelu",
        causal=False,
        aligned=None,
        **kwargs,
    ):
        super().__init__(dim, alignment_of(causal, aligned), **kwargs)
        ff_dim = 2 * dim if ff_dim is None else ff_dim
        check_positive_int(num_heads=num_heads, ff_dim=ff_dim)
        check_choice(("scalar", "feature"), alpha=alpha)
        check_rate(dropout=dropout)
        check_heads(num_heads, dim=dim)
        self.num_heads = int(num_heads)
        self.ff_dim = int(ff_dim)
        self.alpha = alpha
        self.double_scale = double_scale
        self.dropout = dropout
        self.activation = keras.activations.get(activation)
        self.causal = causal

    def get_config(self):
        config = super().get_config()
        config.update(
            {
                "num_heads": self.num_heads,
                "ff_dim": self.ff_dim,
                "alpha": self.alpha,
                "double_scale": self.double_scale,
                "dropout": self.dropout,
                "activation": keras.activations.serialize(self.activation),
                "causal": self.causal,
            }
        )
        return config


class ATDStep(ATDBase):
    """One displacement: `[guide, guided]` to the guide's length (ATD eq. 9–13)."""

    def build(self, input_shape):
        super().build(input_shape)
        guide, guided = input_shape

        def dense(name, shape, units=self.dim, activation=None):
            layer = keras.layers.Dense(
                units, activation=activation, dtype=self.child_policy(name), name=name
            )
            layer.build(shape)
            return layer

        def norm(name):
            layer = keras.layers.LayerNormalization(
                epsilon=1e-6, dtype=self.child_policy(name), name=name
            )
            layer.build((None, None, self.dim))
            return layer

        self.guide_projection = dense("guide_projection", guide)
        self.guided_projection = dense("guided_projection", guided)
        self.value_projection = dense("value_projection", guided)
        self.guide_norm = norm("guide_norm")
        self.guided_norm = norm("guided_norm")
        self.ff_in = dense(
            "ff_in", (*guide[:2], self.dim), self.ff_dim, self.activation
        )
        self.ff_out = dense("ff_out", (*guide[:2], self.ff_dim))
        self.weights_dropout = self.ff_dropout = None
        if self.dropout > 0:
            self.weights_dropout = keras.layers.Dropout(
                self.dropout,
                dtype=self.child_policy("weights_dropout"),
                name="weights_dropout",
            )
            self.ff_dropout = keras.layers.Dropout(
                self.dropout, dtype=self.child_policy("ff_dropout"), name="ff_dropout"
            )
        self.alpha_logit = self.add_weight(
            shape=(1 if self.alpha == "scalar" else self.dim,),
            initializer="zeros",
            name="alpha_logit",
        )

    def fuse(self, streams, masks, training, with_scores):
        guide, guided = streams
        guide_mask, guided_mask = masks or (None, None)
        resampling, covered, _ = self.align(guide, guide_mask, guided, guided_mask)

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
            scale=1 / math.sqrt(self.dim) if self.double_scale else 1.0,
            dropout=self.weights_dropout,
            training=training,
            with_weights=with_scores,
        )
        attended = zero_where_masked(attended, covered)
        hidden = self.ff_in(attended)
        if self.ff_dropout is not None:
            hidden = self.ff_dropout(hidden, training=training)
        transformed = zero_where_masked(self.ff_out(hidden), covered)

        second = _alignment.resample(second, resampling)
        second = zero_where_masked(second, covered)
        alpha = ops.cast(ops.sigmoid(self.alpha_logit), first.dtype)
        residual = alpha * first + (1 - alpha) * second
        if covered is not None:
            both = ops.expand_dims(ops.logical_and(guide_mask, covered), -1)
            residual = ops.where(both, residual, first + second)
        return transformed + residual, [scores]
