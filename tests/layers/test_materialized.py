"""Sums of residuals are computed once in gradients, on XLA too."""

import re

import numpy as np
from backends import only_on
from keras import ops

from keras_mmfusion.layers._crossmodal import CrossmodalBlock
from keras_mmfusion.layers._materialized import materialized


def test_the_same_numbers():
    x = np.random.default_rng(0).normal(size=(2, 3, 5)).astype("float32")
    for training in (True, False):
        found = materialized(ops.convert_to_tensor(x), training)
        np.testing.assert_array_equal(ops.convert_to_numpy(found), x)


@only_on("jax")
def test_no_reader_adds_all_blocks_anew():
    """What one loop of the compiled gradient reads does not grow with depth."""
    assert most_read(6) == most_read(3)


def most_read(depth):
    """Arrays that go into one fused loop of the gradient of a stack of blocks."""
    import jax

    blocks = [CrossmodalBlock(8, 2) for _ in range(depth)]
    for block in blocks:
        block.build((None, None, 8), (None, None, 8))
    x = np.ones((4, 6, 8), "float32")

    def loss(weights):
        y = x
        for block, values in zip(blocks, weights, strict=True):
            (y, _), _ = block.stateless_call(values, [], y, training=True)
        return ops.sum(y * y)

    weights = [[v.value for v in block.trainable_variables] for block in blocks]
    compiled = jax.jit(jax.grad(loss)).lower(weights).compile().as_text()
    entry = compiled[compiled.index("ENTRY") :]
    reads = re.findall(r" fusion\((.*?)\), kind=", entry)
    assert len(reads) > depth
    return max(found.count("%") for found in reads)
