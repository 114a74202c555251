"""The papers' equations in float64 numpy, written without looking at the layers."""

import math

import keras
import numpy as np


def named_weights(layer):
    """Weights by their path below the layer, in float64."""
    prefix = layer.path + "/"
    return {
        v.path.removeprefix(prefix): keras.ops.convert_to_numpy(v).astype("float64")
        for v in layer.variables
    }


def layer_norm(x, weights, name, epsilon=1e-6):
    mean = x.mean(-1, keepdims=True)
    deviation = np.sqrt(x.var(-1, keepdims=True) + epsilon)
    return (x - mean) / deviation * weights[f"{name}/gamma"] + weights[f"{name}/beta"]


def dense(x, weights, name):
    return x @ weights[f"{name}/kernel"] + weights[f"{name}/bias"]


def gelu(x):
    return x * 0.5 * (1 + np.vectorize(math.erf)(x / math.sqrt(2)))


def interpolate(x, steps):
    """Linear interpolation on a common [0, 1] axis."""
    length = x.shape[1]
    old = np.linspace(0, 1, length) if length > 1 else np.array([0.5])
    new = np.linspace(0, 1, steps) if steps > 1 else np.array([0.5])
    rows = [
        [np.interp(new, old, x[b, :, d]) for d in range(x.shape[2])]
        for b in range(len(x))
    ]
    return np.array(rows).transpose(0, 2, 1)


def attention(first, second, value, heads, scale=1.0):
    """Guide, weights and output of ATD eq. 10–12, head by head."""
    width = first.shape[-1] // heads
    outputs, weights = [], []
    for h in range(heads):
        part = slice(h * width, (h + 1) * width)
        guide = first[..., part] @ second[..., part].transpose(0, 2, 1)
        guide = guide / math.sqrt(width)
        guide = (guide - guide.max(-1, keepdims=True)) * scale
        w = np.exp(guide)
        w = w / w.sum(-1, keepdims=True)
        weights.append(w)
        outputs.append(w @ value[..., part])
    return np.concatenate(outputs, -1), np.stack(weights, 1)


def multi_head(query, source, weights, name, heads):
    """Multi-head attention with projections, the keys' without a bias."""
    query = dense(query, weights, f"{name}/query")
    key = source @ weights[f"{name}/key/kernel"]
    value = dense(source, weights, f"{name}/value")
    attended, scores = attention(query, key, value, heads)
    return dense(attended, weights, f"{name}/output"), scores


def _projected(w, x1, x2):
    x1, x2 = x1.astype("float64"), x2.astype("float64")
    first = layer_norm(dense(x1, w, "guide_projection"), w, "guide_norm")
    second = layer_norm(dense(x2, w, "guided_projection"), w, "guided_norm")
    return first, second, dense(x2, w, "value_projection")


def below(weights, prefix):
    return {k.removeprefix(prefix): v for k, v in weights.items() if prefix in k}


def atd(weights, x1, x2, heads, double=False, prefix="fold_0_step_0/", part=None):
    w = below(weights, prefix)
    first, second, value = _projected(w, x1, x2)
    if part == "first":
        return first
    scale = 1 / math.sqrt(first.shape[-1]) if double else 1.0
    attended, scores = attention(first, second, value, heads, scale)
    transformed = dense(gelu(dense(attended, w, "ff_in")), w, "ff_out")
    alpha = 1 / (1 + np.exp(-w["alpha_logit"]))
    second = interpolate(second, first.shape[1])
    return transformed + alpha * first + (1 - alpha) * second, scores


def conv(x, weights, name, causal):
    kernel = weights[f"{name}/kernel"]
    size = len(kernel)
    left = size - 1 if causal else (size - 1) // 2
    padded = np.pad(x, [(0, 0), (left, size - 1 - left), (0, 0)])
    total = sum(padded[:, k : k + x.shape[1]] @ kernel[k] for k in range(size))
    return total + weights[f"{name}/bias"]


def step_fusion(weights, x1, x2, heads, causal=False, prefix="fold_0/", part=None):
    w = below(weights, prefix)
    first, second, value = _projected(w, x1, x2)
    if part == "first":
        return first
    attended, scores = attention(first, second, value, heads)
    local = conv(attended, w, "local_conv", causal) + first
    second = interpolate(second, first.shape[1])
    return conv(local, w, "global_conv", causal) + second, scores
