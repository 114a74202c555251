"""Attention gives the same with the weights and, in one kernel, without them."""

import keras
import numpy as np
import pytest
from backends import only_on, run
from harness import assert_close, numbers
from keras import ops

from keras_mmfusion.layers import MulTFusion, StepFusion
from keras_mmfusion.layers._guided_attention import guided_attention
from keras_mmfusion.models.fusions import FUSIONS, get_fusion

# The second sample has no key at all, the third none before its third step.
MASK = np.array([[1, 1, 0, 1, 0], [0, 0, 0, 0, 0], [0, 0, 1, 1, 1]], bool)
ATTENDING = ("atd", "step", "cascade", "cross_attention", "mult", "zoom_shift")


@pytest.mark.parametrize("masked", [False, True])
@pytest.mark.parametrize("causal", [False, True])
def test_the_same_without_weights(masked, causal):
    query, key, value = numbers(3, 3, 5, 6)
    outputs = []
    for with_weights in (True, False):
        output, weights = guided_attention(
            *(ops.convert_to_tensor(x) for x in (query, key, value)),
            num_heads=2,
            key_mask=ops.convert_to_tensor(MASK) if masked else None,
            causal=causal,
            scale=0.7,
            with_weights=with_weights,
        )
        assert (weights is not None) is with_weights
        outputs.append(ops.convert_to_numpy(output))
    assert_close(*outputs)
    silent = np.abs(outputs[1]).sum(-1) == 0
    expected = np.zeros((3, 5), bool)
    if masked:
        expected[1] = True
        expected[2, :2] = causal
    assert (silent == expected).all()


@only_on("torch")
@pytest.mark.parametrize(
    ("masked", "causal"), [(False, False), (True, False), (False, True)]
)
def test_no_pairs_of_steps_in_memory(masked, causal):
    """PyTorch has the kernel; only a key mask and `causal` together need them."""
    torch = pytest.importorskip("torch")
    steps = 1024
    x = ops.ones((1, steps, 4))
    mask = ops.ones((1, steps), "bool") if masked else None

    def attend():
        guided_attention(x, x, x, 2, mask, causal, with_weights=False)

    attend()
    with torch.profiler.profile(
        activities=[torch.profiler.ProfilerActivity.CPU], profile_memory=True
    ) as profile:
        attend()
    taken = max(event.cpu_memory_usage for event in profile.events())
    assert 0 < taken < steps * steps


@pytest.mark.parametrize("name", ATTENDING)
def test_fusions_make_weights_only_for_who_asks(name, monkeypatch):
    streams = numbers(2, 3, 5, 6)
    masks = [np.ones((3, 5), bool), MASK]
    layer = get_fusion(name, 6, {"num_heads": 2})
    expected, scores = layer(streams, mask=masks, return_attention_scores=True)
    assert scores

    def refuse(*args, **kwargs):
        raise RuntimeError("weights are made")

    monkeypatch.setattr(ops, "softmax", refuse)
    assert_close(run(layer, streams, masks), ops.convert_to_numpy(expected))
    with pytest.raises(RuntimeError, match="weights are made"):
        layer(streams, mask=masks, return_attention_scores=True)


def test_all_fusions_with_attention_are_tested():
    shapes = [(None, 5, 6)] * 2
    found = [n for n in FUSIONS if get_fusion(n, 8).attention_shapes(shapes)]
    assert sorted(found) == sorted(ATTENDING)


@pytest.mark.parametrize("make", [MulTFusion, StepFusion])
def test_dropout_on_the_weights_is_kept(make):
    """It needs the weights: in training only."""
    streams = numbers(2, 3, 5, 8)
    layer = make(8, dropout=0.5)
    plain = run(layer, streams)
    assert_close(run(layer, streams), plain)
    keras.utils.set_random_seed(1)
    dropped = ops.convert_to_numpy(layer(streams, training=True))
    assert np.abs(dropped - plain).max() > 1e-3
