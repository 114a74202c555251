"""The block of MCWSA against its formulas, and as an encoder and a decoder."""

import keras
import numpy as np
import pytest
from backends import run
from harness import (
    assert_close,
    built,
    check_layer,
    check_low_rank_adaptation,
    check_training,
    numbers,
)

from keras_mmfusion.layers import ResidualAttentionBlock

# Bands and channels behind time, strides.
KINDS = {"series": ((4,), 2), "bands": ((4, 3), (1, 2)), "plain": ((8,), 1)}


def block(kind, **kwargs):
    return ResidualAttentionBlock(8, strides=KINDS[kind][1], **kwargs)


@pytest.mark.parametrize("kind", KINDS)
def test_contract(tmp_path, kind):
    x = numbers(1, 3, 7, *KINDS[kind][0])[0]
    mask = np.arange(7) < np.array([[7], [4], [6]])
    layer = check_layer(
        lambda **kwargs: block(kind, **kwargs),
        x,
        mask,
        path=tmp_path / "m.keras",
        padding=True,
        quantize=True,
        train=kind != "bands",
    )
    if kind == "bands":  # The losses of Keras do not spread a mask of steps over them.
        check_training(layer, x, None, run(layer, x), xla_training=False)


def test_a_decoder_stretches(tmp_path):
    x = numbers(1, 3, 4, 2, 8)[0]
    check_layer(
        lambda **kwargs: ResidualAttentionBlock(
            3, strides=(1, 2), num_heads=2, transposed=True, **kwargs
        ),
        x,
        path=tmp_path / "m.keras",
    )


@pytest.mark.parametrize("kind", ["series", "bands"])
def test_low_rank_adaptation(tmp_path, kind):
    x = numbers(1, 3, 7, *KINDS[kind][0])[0]
    check_low_rank_adaptation(lambda: block(kind), x, tmp_path / "m.keras")


@pytest.mark.parametrize("kind", KINDS)
def test_equations(kind):
    """In inference, with the statistics that a step of training leaves."""
    x = numbers(1, 2, 6, *KINDS[kind][0])[0]
    layer = built(lambda: block(kind), x)
    layer(keras.ops.convert_to_tensor(x), training=True)
    w = {
        v.path.split("/", 1)[-1]: np.float64(keras.ops.convert_to_numpy(v))
        for v in layer.weights
    }
    strides = np.broadcast_to(KINDS[kind][1], x.ndim - 2)

    def norm(name, value):
        gain = w[f"{name}/gamma"] / np.sqrt(w[f"{name}/moving_variance"] + 1e-5)
        return (value - w[f"{name}/moving_mean"]) * gain + w[f"{name}/beta"]

    h = norm("norm_1", convolve(np.float64(x), w["conv_1/kernel"], strides))
    h = convolve(np.maximum(h, 0), w["conv_2/kernel"], [1] * len(strides))
    short = x[(slice(None), *(slice(None, None, s) for s in strides))]
    if "shortcut/kernel" in w:
        kernel = w["shortcut/kernel"].reshape(x.shape[-1], 8)
        short = norm("shortcut_norm", short @ kernel)
    h = np.maximum(norm("norm_2", h) + short, 0)
    tokens = h.reshape(*h.shape[:2], -1)
    y = tokens + attention(tokens, w)
    mean, variance = y.mean(-1, keepdims=True), y.var(-1, keepdims=True)
    y = (y - mean) / np.sqrt(variance + 1e-5) * w["norm/gamma"] + w["norm/beta"]
    assert_close(run(layer, x), y.reshape(h.shape), 1e-5)


def convolve(x, kernel, strides):
    """Of odd size, with zeros around; any number of dimensions."""
    half = kernel.shape[0] // 2
    sizes = x.shape[1:-1]
    x = np.pad(x, [(0, 0), *[(half, half)] * len(sizes), (0, 0)])
    total = 0
    for offset in np.ndindex(*kernel.shape[:-2]):
        run = zip(offset, sizes, strides, strict=True)
        at = (slice(first, first + size, step) for first, size, step in run)
        total = total + x[(slice(None), *at)] @ kernel[offset]
    return total


def attention(x, w, heads=4):
    def project(name, bias=True):
        y = x @ w[f"attention/{name}/kernel"]
        y = y + w[f"attention/{name}/bias"] if bias else y
        return y.reshape(*x.shape[:2], heads, -1).transpose(0, 2, 1, 3)

    q, k, v = project("query"), project("key", bias=False), project("value")
    logits = q @ k.transpose(0, 1, 3, 2) / np.sqrt(q.shape[-1])
    weights = np.exp(logits - logits.max(-1, keepdims=True))
    weights /= weights.sum(-1, keepdims=True)
    joined = (weights @ v).transpose(0, 2, 1, 3).reshape(x.shape)
    kernel, bias = (w[f"attention/output/{name}"] for name in ("kernel", "bias"))
    return joined @ kernel + bias


@pytest.mark.parametrize(
    ("shape", "options", "message"),
    [
        ((2, 6), {}, "expects"),
        ((2, 6, 4), {"strides": (1, 2)}, "as many strides"),
        ((2, 6, 4), {"num_heads": 3}, "multiple of `num_heads`"),
    ],
)
def test_what_it_refuses(shape, options, message):
    with pytest.raises(ValueError, match=message):
        ResidualAttentionBlock(8, **options)(np.zeros(shape, "float32"))
