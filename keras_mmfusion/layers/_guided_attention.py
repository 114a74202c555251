"""The guide of ATD eq. 10–12 and SF eq. 13–16: attention of one stream over another."""

import math

import keras
from keras import ops

from keras_mmfusion.layers._composite_layer import zero_where_masked
from keras_mmfusion.layers._on_cpu import xla_on_cpu


def guided_attention(
    query,
    key,
    value,
    num_heads,
    key_mask=None,
    causal=False,
    scale=1.0,
    dropout=None,
    training=None,
    with_weights=True,
):
    """Attend from `query` `(B, T_q, D)` to `value` `(B, T_k, D)`, head by head.

    The row maximum of the guide (ATD eq. 10) is subtracted inside the softmax,
    which runs in float32. A row without any key yields zeros.

    Where nobody asks for the weights and none are dropped, the attention is that of
    the backend: one kernel without the weights in memory, where it has one. `causal`
    needs streams of one length; together with a key mask, it takes a mask of all
    pairs of steps, so that memory grows with their square.

    Returns:
        `(output, weights)` of shapes `(B, T_q, D)` and `(B, num_heads, T_q, T_k)`;
        the weights are None without `with_weights`.
    """
    dim = query.shape[-1]
    head_dim = dim // num_heads
    scale = scale / math.sqrt(head_dim)

    def heads(x):
        time = x.shape[1] if x.shape[1] is not None else ops.shape(x)[1]
        return ops.reshape(x, (-1, time, num_heads, head_dim))

    by_hand = with_weights or (dropout is not None and training)
    if keras.backend.standardize_dtype(query.dtype) == "float16" and xla_on_cpu():
        by_hand = True  # That of JAX sums in 32 bits, which XLA cannot do here.
    weights = None
    if by_hand:
        allowed = _allowed(key_mask, causal, key)
        guide = ops.einsum("bqhd,bkhd->bhqk", heads(query), heads(key))
        guide = ops.cast(guide, "float32") * scale
        if allowed is not None:
            guide = ops.where(allowed, guide, -1e9)
        weights = ops.softmax(guide, axis=-1)
        if allowed is not None:
            weights = ops.where(allowed, weights, 0.0)
        weights = ops.cast(weights, value.dtype)
        used = weights if dropout is None else dropout(weights, training=training)
        output = ops.einsum("bhqk,bkhd->bqhd", used, heads(value))
    else:
        # The kernel knows by itself what is past, unless it is given a mask.
        alone = causal and key_mask is None
        output = ops.dot_product_attention(
            heads(query),
            heads(key),
            heads(value),
            mask=None if alone else _allowed(key_mask, causal, key),
            scale=scale,
            is_causal=alone,
        )
        if key_mask is not None:
            output = zero_where_masked(output, answered_steps(key_mask, causal))
    time = query.shape[1] if query.shape[1] is not None else ops.shape(query)[1]
    return ops.reshape(output, (-1, time, dim)), weights if with_weights else None


def _allowed(key_mask, causal, key):
    """Which keys a query sees, broadcast to `(B, 1, T_q, T_k)`; None for all."""
    allowed = None
    if key_mask is not None:
        allowed = ops.expand_dims(ops.expand_dims(key_mask, 1), 1)
    if causal:
        # With all of its arguments: jax2onnx takes none of them for granted.
        steps = ops.arange(0, ops.shape(key)[1], 1)
        past = ops.expand_dims(steps, 1) >= ops.expand_dims(steps, 0)
        past = ops.expand_dims(ops.expand_dims(past, 0), 0)
        allowed = past if allowed is None else ops.logical_and(allowed, past)
    return allowed


def answered_steps(key_mask, causal=False):
    """Steps of the queries that see any key: bool `(B, T_q)`, or `(B, 1)` for all."""
    if not causal:
        return ops.any(key_mask, axis=1, keepdims=True)
    return ops.greater(ops.cumsum(ops.cast(key_mask, "int32"), axis=1), 0)
