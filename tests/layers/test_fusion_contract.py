"""What the fusions that a model knows by name have in common, beside `check_fusion`."""

import keras
import numpy as np
import pytest
from backends import gradients, in_turn, once, run
from harness import assert_close, built, check_low_rank_adaptation, numbers

from keras_mmfusion.models import FUSIONS, get_fusion

OPTIONS = {
    "atd": {"num_heads": 2},
    "step": {"num_heads": 2},
    "cross_attention": {"num_heads": 2},
    "cascade": {"num_heads": 2, "orders": "canonical"},
    "mult": {"num_heads": 2, "num_layers": 1, "memory_layers": 1},
    "tfn": {"max_size": 60},
    "zoom_shift": {"num_heads": 2},
}
CAUSAL = ("atd", "step", "cascade", "cross_attention", "mult", "zoom_shift")
PAIR = ((2, 5, 4), (2, 8, 3))


def maker(fusion, dim=4, every_step=False, **more):
    def make(**kwargs):
        options = {**OPTIONS.get(fusion, {}), **more, **kwargs}
        return get_fusion(fusion, dim, options, every_step=every_step)

    return make


@pytest.mark.parametrize("count", [3, 5])  # `check_fusion` has two
@pytest.mark.parametrize("fusion", FUSIONS)
def test_more_modalities(fusion, count):
    """Of unlike lengths; one is missing from one sample."""
    x = numbers(5, (2, 3, 2), (2, 4, 2), (2, 3, 2), (2, 4, 2), (2, 4, 2))[:count]
    layer = built(maker(fusion, aligned=False), x)
    masks = [np.ones(v.shape[:2], bool) for v in x]
    whole = run(layer, x, masks)
    shape = (2, 1 if fusion in ("lmf", "tfn") else 3, 4)
    assert whole.shape == shape == layer.compute_output_shape([v.shape for v in x])
    masks[-2][0] = False
    x[-2][0] = np.nan
    output = run(layer, x, masks)
    assert np.isfinite(output).all()
    assert_close(output[1], whole[1], 2e-6, "the other sample")
    assert np.abs(output[0] - whole[0]).max() > 1e-3
    if keras.backend.backend() == "torch":  # elsewhere it is compiled for minutes
        by_input, by_weight = gradients(layer, x, masks)
        for gradient in [*by_input, *by_weight.values()]:
            assert np.isfinite(gradient).all() and np.abs(gradient).max() > 0


@once
@pytest.mark.parametrize("fusion", FUSIONS)
def test_other_modalities_than_it_was_built_for(fusion):
    """Some would be fused without a word: fewer, or as many features in another way."""
    x = numbers(3, *PAIR, (2, 5, 2))
    layer = built(maker(fusion, aligned=False), x)
    for other in (x[:2], [*x, x[0]], [x[1], x[0], x[2]]):
        message = rf"for 3 modalities of \(4, 3, 2\).*Received: {len(other)} of"
        with pytest.raises(ValueError, match=message):
            layer(other)


@once
@pytest.mark.parametrize("fusion", FUSIONS)
def test_one_sample_is_not_spread_over_the_batch(fusion):
    x = numbers(2, (2, 5, 4), (2, 5, 3))
    layer = built(maker(fusion), x)
    with pytest.raises(ValueError, match=r"the same samples .*batches of \[2, 1\]"):
        layer([x[0], x[1][:1]])
    for mask in (np.ones((1, 5), bool), np.ones((2, 1), bool), np.ones(5, bool)):
        with pytest.raises(ValueError, match=r"that of their modality.*\(2, 5, 3\)"):
            layer(x, mask=[None, mask])


@pytest.mark.parametrize("fusion", FUSIONS)
def test_scores_are_as_announced(fusion):
    x = numbers(3, *PAIR, (2, 5, 2))
    layer = built(maker(fusion), x)
    _, scores = run(layer, x, return_attention_scores=True)
    shapes = [v.shape for v in x]
    assert [s.shape for s in scores] == layer.attention_shapes(shapes)
    names = layer.attention_names(["a", "b", "c"])
    assert len(names) == len(scores) and (scores or fusion in ("concat", "lmf", "tfn"))
    for weights in scores:
        assert_close(weights.sum(-1), np.ones(weights.shape[:-1]))


@pytest.mark.parametrize("fusion", FUSIONS)
def test_low_rank_adaptation(fusion, tmp_path):
    check_low_rank_adaptation(maker(fusion), numbers(2, *PAIR), tmp_path / "m.keras")


def padded(x, mask):
    """With three more steps, which are masked."""
    more = [(0, 0), (0, 3)]
    return np.pad(x, [*more, (0, 0)], constant_values=np.nan), np.pad(mask, more)


@pytest.mark.parametrize("fusion", in_turn([pytest.param(f, id=f) for f in FUSIONS]))
def test_padding_of_one_stream_decides_what_is_aligned(fusion):
    """By the lengths of the arrays, unless `aligned` says what they are."""
    x = numbers(2, *PAIR)
    masks = [np.ones(v.shape[:2], bool) for v in x]
    layer = built(maker(fusion, every_step=True), x)
    unaligned = maker(fusion, every_step=True, aligned=False)()
    run(unaligned, x)
    unaligned.set_weights(layer.get_weights())

    # Unlike streams become equally long.
    expected = run(layer, x, masks)
    short, gone = padded(x[0], masks[0])
    output = run(unaligned, [short, x[1]], [gone, masks[1]])
    assert_close(output[:, :5], expected, 1e-6)
    assert not output[:, 5:].any()
    output = run(layer, [short, x[1]], [gone, masks[1]])
    assert np.abs(output[:, 5:]).max() > 1e-2  # the second stream, at its own steps

    # Simultaneous ones, of which the first has a gap, become unlike.
    x, masks = [x[0], x[1][:, :5]], [masks[0].copy(), masks[1][:, :5]]
    masks[0][:, 2] = False
    expected = run(layer, x, masks)
    assert np.abs(expected[:, 2]).max() > 1e-2
    first, second = map(padded, x, masks)
    output = run(layer, [first[0], second[0]], [first[1], second[1]])
    assert_close(output[:, :5], expected, 1e-6)
    output = run(layer, [x[0], second[0]], [masks[0], second[1]])
    assert not output[:, 2].any()


@pytest.mark.parametrize("fusion", FUSIONS)
def test_unknown_lengths_act_as_known_ones(fusion):
    if keras.backend.backend() != "tensorflow":
        pytest.skip("only TensorFlow traces a graph for unknown lengths")
    import tensorflow as tf

    for steps in [(6, 6), (5, 8)]:
        x = numbers(2, (3, steps[0], 4), (3, steps[1], 3))
        layer = built(maker(fusion, every_step=True), x)
        masks = [np.random.default_rng(3).random(v.shape[:2]) < 0.6 for v in x]
        masks[0][0] = False
        signature = [
            [tf.TensorSpec((None, None, v.shape[-1])) for v in x],
            [tf.TensorSpec((None, None), "bool") for _ in x],
        ]
        traced = tf.function(
            lambda a, b, layer=layer: layer(a, mask=b), input_signature=signature
        )
        assert_close(traced(x, masks), run(layer, x, masks), 2e-6)


@pytest.mark.parametrize("fusion", FUSIONS)
def test_causal(fusion):
    """Every fusion of a model that judges each step can do without the future."""
    x = numbers(2, (2, 6, 4), (2, 6, 3))
    more = {"causal": True} if fusion in CAUSAL else {}
    layer = built(maker(fusion, every_step=True, **more), x)
    before = run(layer, x)
    later = [v.copy() for v in x]
    for v in later:
        v[:, 4:] += 1
    after = run(layer, later)
    assert_close(after[:, :4], before[:, :4], 1e-6)
    assert np.abs(after[:, 4:] - before[:, 4:]).max() > 1e-2
