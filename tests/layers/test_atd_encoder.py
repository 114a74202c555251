"""The transformer encoder against its equations, and its patches."""

import keras
import numpy as np
import pytest
from backends import run
from harness import (
    assert_close,
    built,
    check_layer,
    check_low_rank_adaptation,
    numbers,
)

from keras_mmfusion.layers import ATDEncoder

ENCODERS = {
    "tokens": ({}, (3, 6, 5)),
    "series": ({"patch": 4, "num_layers": 2}, (3, 12, 2)),
    "series_not_full": ({"patch": 4, "class_token": True}, (3, 10, 2)),
    "images": ({"patch": (2, 3), "class_token": True}, (3, 4, 6, 2)),
}


def encoder(kind, **kwargs):
    settings = {"dim": 8, "num_heads": 2, **ENCODERS[kind][0]}
    if kind != "images":
        settings["max_tokens"] = 12
    return ATDEncoder(**settings, **kwargs)


def patches_of(x, patch):
    """One at a time."""
    if patch is None:
        return x
    if isinstance(patch, int):
        filled = np.zeros((len(x), -(-x.shape[1] // patch) * patch, x.shape[2]))
        filled[:, : x.shape[1]] = x
        starts = range(0, filled.shape[1], patch)
        return np.stack(
            [filled[:, i : i + patch].reshape(len(x), -1) for i in starts], axis=1
        )
    height, width = patch
    return np.stack(
        [
            x[:, i : i + height, j : j + width].reshape(len(x), -1)
            for i in range(0, x.shape[1], height)
            for j in range(0, x.shape[2], width)
        ],
        axis=1,
    )


def reference(layer, x):
    """The equations in float64, a head at a time."""
    weights = {
        v.path.removeprefix(f"{layer.path}/"): keras.ops.convert_to_numpy(v)
        for v in layer.weights
    }

    def dense(name, x):
        bias = weights.get(f"{name}/bias", 0.0)
        return x @ weights[f"{name}/kernel"] + bias

    def norm(name, x):
        x = x - x.mean(-1, keepdims=True)
        x = x / np.sqrt((x**2).mean(-1, keepdims=True) + 1e-5)
        return x * weights[f"{name}/gamma"] + weights[f"{name}/beta"]

    x = dense("embedding", patches_of(x.astype("float64"), layer.patch))
    x = x + weights["positions"][: x.shape[1]]
    if layer.class_token:
        first = np.repeat(weights["class_vector"], len(x), axis=0)
        x = np.concatenate([first, x], axis=1)
    size = layer.dim // layer.num_heads
    for i in range(layer.num_layers):
        block = f"block_{i}"
        normed = norm(f"{block}/norm", x)
        query, key, value = (
            dense(f"{block}/attention/{name}", normed)
            for name in ("query", "key", "value")
        )
        heads = []
        for h in range(layer.num_heads):
            part = slice(h * size, (h + 1) * size)
            logits = query[..., part] @ key[..., part].swapaxes(1, 2) / np.sqrt(size)
            scores = np.exp(logits - logits.max(-1, keepdims=True))
            heads.append(scores / scores.sum(-1, keepdims=True) @ value[..., part])
        x = x + dense(f"{block}/attention/output", np.concatenate(heads, axis=-1))
        hidden = np.maximum(dense(f"{block}/ff_in", norm(f"{block}/ff_norm", x)), 0)
        x = x + dense(f"{block}/ff_out", hidden)
    return norm("norm", x)


@pytest.mark.parametrize("kind", ENCODERS)
def test_the_equations(kind):
    x = numbers(1, *ENCODERS[kind][1])[0]
    layer = built(lambda **kwargs: encoder(kind, **kwargs), x)
    assert_close(run(layer, x), reference(layer, x), 1e-5)


@pytest.mark.parametrize("kind", ENCODERS)
def test_layer(tmp_path, kind):
    x = numbers(1, *ENCODERS[kind][1])[0]
    check_layer(
        lambda **kwargs: encoder(kind, **kwargs),
        x,
        path=tmp_path / "m.keras",
        quantize=True,
        padding=kind != "images",
    )


@pytest.mark.parametrize("kind", ["series_not_full", "images"])
def test_low_rank_adaptation(tmp_path, kind):
    x = numbers(1, *ENCODERS[kind][1])[0]
    check_low_rank_adaptation(lambda: encoder(kind), x, tmp_path / "m.keras")


def test_a_series_of_unknown_length(tmp_path):
    layer = encoder("series")
    model = keras.Sequential([keras.Input((None, 2)), layer])
    assert model.output_shape == (None, None, 8)
    for steps in (3, 12, 39):
        x = numbers(1, 2, steps, 2)[0]
        assert_close(run(model, x), reference(layer, x), 1e-5)


def test_a_patch_is_missing_where_all_its_steps_are():
    x = numbers(1, 2, 12, 2)[0]
    mask = np.ones((2, 12), bool)
    mask[0, 4:8] = False
    mask[0, 9] = False
    layer = built(lambda **kwargs: encoder("series", **kwargs), x)
    output = run(layer, x, mask)
    assert not output[0, 1].any() and output[0, [0, 2]].any()
    found = keras.ops.convert_to_numpy(layer.compute_mask(x, mask))
    assert found.tolist() == [[True, False, True], [True] * 3]
    changed = x.copy()
    changed[0, 4:8] = np.nan
    changed[0, 9] = 99.0
    assert_close(run(layer, changed, mask), output, 0)
    changed[0, 8] += 1
    assert np.abs(run(layer, changed, mask) - output).max() > 1e-3


@pytest.mark.parametrize(
    ("settings", "shape", "message"),
    [
        ({"num_heads": 3}, None, "must divide"),
        ({"patch": 0}, None, "positive integer"),
        ({"patch": (2, 2, 2)}, None, "a pair of ints"),
        ({"max_tokens": 0}, None, "positive integer"),
        ({"dropout": 1.0}, None, "dropout"),
        ({"patch": 4}, (2, 12), r"\(batch, time, channels\)"),
        ({"patch": (2, 2)}, (2, 4, 4), r"\(batch, height, width, channels\)"),
        ({"patch": (2, 3)}, (2, 4, 4, 1), r"patches of \(2, 3\) fill"),
        ({"max_tokens": 2}, (2, 3, 4), "positions of 2 tokens"),
    ],
)
def test_wrong_uses(settings, shape, message):
    with pytest.raises(ValueError, match=message):
        layer = ATDEncoder(**{"dim": 8, "num_heads": 2, **settings})
        layer(np.zeros(shape, "float32"))


def test_more_tokens_than_before():
    layer = ATDEncoder(dim=8, num_heads=2)
    layer(np.zeros((2, 3, 4), "float32"))
    with pytest.raises(ValueError, match="positions of 3 tokens"):
        layer(np.zeros((2, 4, 4), "float32"))
    with pytest.raises(ValueError, match="Set `max_tokens`"):
        ATDEncoder(dim=8)(keras.Input((None, 4)))
