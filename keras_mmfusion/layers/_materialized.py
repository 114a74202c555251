"""Where a sum of residuals is computed once, whoever reads it."""

import keras
from keras import ops


def materialized(x, training):
    """`x` `(..., D)`, times the identity where that makes gradients faster.

    XLA on the CPU fuses a sum of residuals into each of its readers, which compute it
    anew: in the gradient of a stack of L blocks that takes L² additions instead of L,
    in programs that also take long to compile. Nothing is fused beyond a product.
    """
    if not training or not _on_xla_cpu():
        return x
    return ops.matmul(x, ops.eye(x.shape[-1], dtype=x.dtype))


def _on_xla_cpu():
    if keras.backend.backend() != "jax":
        return False
    import jax

    return jax.default_backend() == "cpu"
