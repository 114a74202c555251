"""The guide of ATD eq. 10–12 and SF eq. 13–16: attention of one stream over another."""

import math

from keras import ops


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
):
    """Attend from `query` `(B, T_q, D)` to `value` `(B, T_k, D)`, head by head.

    The row maximum of the guide (ATD eq. 10) is subtracted inside the softmax,
    which runs in float32. A row without any key yields zeros.

    Returns:
        `(output, weights)` of shapes `(B, T_q, D)` and `(B, num_heads, T_q, T_k)`.
    """
    dim = query.shape[-1]
    head_dim = dim // num_heads

    def heads(x):
        time = x.shape[1] if x.shape[1] is not None else ops.shape(x)[1]
        return ops.reshape(x, (-1, time, num_heads, head_dim))

    guide = ops.einsum("bqhd,bkhd->bhqk", heads(query), heads(key))
    guide = ops.cast(guide, "float32") * (scale / math.sqrt(head_dim))
    allowed = None
    if key_mask is not None:
        allowed = ops.expand_dims(ops.expand_dims(key_mask, 1), 1)
    if causal:
        # With all of its arguments: jax2onnx takes none of them for granted.
        steps = ops.arange(0, ops.shape(key)[1], 1)
        past = ops.expand_dims(steps, 1) >= ops.expand_dims(steps, 0)
        past = ops.expand_dims(ops.expand_dims(past, 0), 0)
        allowed = past if allowed is None else ops.logical_and(allowed, past)
    if allowed is not None:
        guide = ops.where(allowed, guide, -1e9)
    weights = ops.softmax(guide, axis=-1)
    if allowed is not None:
        weights = ops.where(allowed, weights, 0.0)
    weights = ops.cast(weights, value.dtype)
    used = weights if dropout is None else dropout(weights, training=training)
    output = ops.einsum("bhqk,bkhd->bqhd", used, heads(value))
    time = query.shape[1] if query.shape[1] is not None else ops.shape(query)[1]
    return ops.reshape(output, (-1, time, dim)), weights
