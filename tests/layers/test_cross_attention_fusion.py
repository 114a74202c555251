import numpy as np
import pytest
from backends import run
from harness import assert_close, built, check_fusion, numbers
from reference import dense, gelu, interpolate, layer_norm, multi_head, named_weights

from keras_mmfusion.layers import CrossAttentionFusion


def test_contract(tmp_path):
    def make(**kwargs):
        return CrossAttentionFusion(8, num_heads=2, ff_dim=6, **kwargs)

    check_fusion(make, tmp_path / "m.keras")


def cross_attention(layer, x, base=None, missing=()):
    w = named_weights(layer)
    x = [dense(v.astype("float64"), w, f"projection_{m}") for m, v in enumerate(x)]
    base = x[0] if base is None else base(x)
    query, fused, scores = layer_norm(base, w, "query_norm"), base, []
    for m in range(1, len(x)):
        if m in missing:
            continue
        source = layer_norm(x[m], w, f"source_norm_{m}")
        answer, weights = multi_head(query, source, w, f"attention_{m}", 2)
        fused = fused + answer
        scores.append(weights)
    hidden = dense(layer_norm(fused, w, "ff_norm"), w, "ff_in")
    return fused + dense(gelu(hidden), w, "ff_out"), scores


def test_equations():
    x = numbers(3, (2, 5, 4), (2, 8, 3), (2, 5, 2))
    layer = built(lambda: CrossAttentionFusion(8, 2), x)
    expected, expected_scores = cross_attention(layer, x)
    output, scores = run(layer, x, return_attention_scores=True)
    assert_close(output, expected)
    for actual, weights in zip(scores, expected_scores, strict=True):
        assert_close(actual, weights)
    masks = [None, np.zeros((2, 8), bool), None]
    expected, _ = cross_attention(layer, x, missing=(1,))
    assert_close(run(layer, x, masks), expected)


@pytest.mark.parametrize("steps", [5, 8])
def test_the_next_modality_stands_in_for_the_first(steps):
    x = numbers(2, (2, 5, 4), (2, steps, 3))
    layer = built(lambda: CrossAttentionFusion(8, 2), x)
    expected, _ = cross_attention(layer, x, lambda x: interpolate(x[1], 5))
    masks = [np.zeros((2, 5), bool), None]
    assert_close(run(layer, x, masks), expected)
    if steps == 5:

        def base(x):
            return np.concatenate([x[0][:, :2], x[1][:, 2:3], x[0][:, 3:]], axis=1)

        masks[0][:, [0, 1, 3, 4]] = True
        expected, _ = cross_attention(layer, x, base)
        assert_close(run(layer, x, masks), expected)


def test_wrong_arguments():
    with pytest.raises(ValueError, match="multiple"):
        CrossAttentionFusion(6)
    with pytest.raises(ValueError, match="ff_dim"):
        CrossAttentionFusion(8, ff_dim=0)
    with pytest.raises(ValueError, match="aligned=False"):
        CrossAttentionFusion(8, causal=True, aligned=False)
