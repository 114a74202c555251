import numpy as np
import pytest
from backends import run
from harness import assert_close, built, check_fusion, numbers
from reference import dense, interpolate, layer_norm, multi_head, named_weights

from keras_mmfusion.layers import MulTFusion


def make(**kwargs):
    return MulTFusion(
        6, num_heads=2, num_layers=1, memory_layers=1, stream_dim=4, **kwargs
    )


def test_contract(tmp_path):
    check_fusion(make, tmp_path / "m.keras")


def transformer(x, source, w, name, layers):
    def embed(x):
        steps, dim = x.shape[1:]
        half = dim // 2
        rates = np.exp(-np.log(10000) * np.arange(half) / max(half - 1, 1))
        angles = (1 + np.arange(steps))[:, None] * rates
        waves = [np.sin(angles), np.cos(angles), np.zeros((steps, dim % 2))]
        return np.sqrt(dim) * x + np.concatenate(waves, axis=1)

    scores = []
    x, source = embed(x), None if source is None else embed(source)
    for i in range(layers):
        block = f"{name}/block_{i}"
        query = layer_norm(x, w, f"{block}/norm", 1e-5)
        key = query if source is None else layer_norm(source, w, f"{block}/norm", 1e-5)
        answer, weights = multi_head(query, key, w, f"{block}/attention", 2)
        scores.append(weights)
        x = x + answer
        hidden = dense(layer_norm(x, w, f"{block}/ff_norm", 1e-5), w, f"{block}/ff_in")
        x = x + dense(np.maximum(hidden, 0), w, f"{block}/ff_out")
    return layer_norm(x, w, f"{name}/norm", 1e-5), scores


def mult(layer, x):
    w = named_weights(layer)
    x = [v @ w[f"projection_{m}/kernel"] for m, v in enumerate(x)]
    read, scores = [], []
    for m in range(len(x)):
        reinforced = []
        for n in range(len(x)):
            if n != m:
                name = f"crossmodal_{n}_to_{m}"
                z, weights = transformer(x[m], x[n], w, name, layer.num_layers)
                reinforced.append(z)
                scores += weights
        z = np.concatenate(reinforced, axis=-1)
        z, weights = transformer(z, None, w, f"memory_{m}", layer.memory_layers)
        scores += weights
        read.append(interpolate(z, x[0].shape[1]))
    h = np.concatenate(read, axis=-1)
    hidden = np.maximum(dense(h, w, "residual_in"), 0)
    return dense(h + dense(hidden, w, "residual_out"), w, "output"), scores


def test_equations():
    x = numbers(3, (2, 5, 4), (2, 8, 3), (2, 5, 2))
    layer = built(lambda: MulTFusion(6, 2, 2, 1, stream_dim=6), x)
    expected, expected_scores = mult(layer, x)
    output, scores = run(layer, x, return_attention_scores=True)
    assert_close(output, expected, 2e-5)
    for actual, weights in zip(scores, expected_scores, strict=True):
        assert_close(actual, weights)


def test_padding_in_front_of_unaligned_streams():
    x = numbers(2, (2, 5, 4), (2, 8, 3))
    layer = built(lambda: make(aligned=False), x)
    expected = run(layer, x)
    late = [np.concatenate([np.full_like(v[:, :2], np.nan), v], axis=1) for v in x]
    masks = [np.arange(v.shape[1])[None].repeat(2, 0) >= 2 for v in late]
    assert_close(run(layer, late, masks)[:, 2:], expected, 2e-6)


def test_late_positions_in_half_precision():
    """bfloat16 has eight bits: as features, step 257 would be step 256."""
    x = [np.ones((1, 300, 3), "f"), np.ones((1, 2, 3), "f")]
    full, half = built(make, x), built(make, x, dtype="mixed_bfloat16")
    half.set_weights(full.get_weights())
    expected = run(full, x)[:, 256:]
    assert np.abs(np.diff(expected, axis=1)).max() > 0.3
    assert_close(np.asarray(run(half, x), "float32")[:, 256:], expected, 0.1)


def test_defaults_and_wrong_arguments():
    layer = MulTFusion(8)
    assert (layer.num_layers, layer.memory_layers, layer.stream_dim) == (4, 4, 8)
    assert MulTFusion(8, num_layers=1).memory_layers == 3
    with pytest.raises(ValueError, match="`stream_dim` must be a multiple"):
        MulTFusion(8, stream_dim=6)
    with pytest.raises(ValueError, match="memory_layers"):
        MulTFusion(8, memory_layers=0)
    with pytest.raises(ValueError, match="aligned=False"):
        MulTFusion(8, causal=True, aligned=False)
