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


def atd_guide(weights, x, modality, prefix="", conditional=True, statistics=None):
    """Calibrated features of one modality, by its moving statistics unless given."""
    w = below(weights, prefix) if prefix else weights
    mean, variance = statistics or (
        w[f"standardization_{modality}/moving_mean"],
        w[f"standardization_{modality}/moving_variance"],
    )
    standard = (x - mean) / np.sqrt(variance + 1e-3)
    if not conditional:
        return standard
    embedded = np.broadcast_to(w["embedding/embeddings"][modality], (*x.shape[:2], 8))
    hidden = gelu(dense(np.concatenate([x, embedded], -1), w, "ff_in"))
    zoom, shift = np.split(dense(hidden, w, "ff_out"), 2, -1)
    return (1 + zoom) * standard + shift


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


def conv_2d(x, kernel, strides=(1, 1), padding="same"):
    """Convolution of images, location by location."""
    (rows, columns), (down, right) = kernel.shape[:2], strides
    height, width = x.shape[1:3]
    if padding == "same":
        out = (-(-height // down), -(-width // right))
        missing = (
            max((out[0] - 1) * down + rows - height, 0),
            max((out[1] - 1) * right + columns - width, 0),
        )
        sides = [(n // 2, n - n // 2) for n in missing]
        x = np.pad(x, [(0, 0), *sides, (0, 0)])
    else:
        out = ((height - rows) // down + 1, (width - columns) // right + 1)
    result = np.zeros((len(x), *out, kernel.shape[3]))
    for i in range(out[0]):
        for j in range(out[1]):
            patch = x[:, i * down : i * down + rows, j * right : j * right + columns]
            result[:, i, j] = np.einsum("brcf,rcfg->bg", patch, kernel)
    return result


def conv_lstm(weights, frames, vectors, state=None, prefix="cell/", **conv):
    """Outputs of every step, and the last state; either input may be None.

    `frames` is `(B, T, H, W, C)`, or `(B, H, W, C)` for an image that stays.
    """

    def sigmoid(x):
        return 1 / (1 + np.exp(-x))

    w = below(weights, prefix)
    moving = vectors is None or frames.ndim == 5
    h, c = state if state is not None else (0.0, None)
    outputs = []
    for t in range(frames.shape[1] if moving else vectors.shape[1]):
        frame = (frames[:, t] if moving else frames).astype("float64")
        gates = conv_2d(frame, w["frame_projection/kernel"], **conv)
        if vectors is not None:
            added = vectors[:, t].astype("float64") @ w["vector_projection/kernel"]
            gates = gates + added[:, None, None, :]
        gates = gates + w["frame_projection/bias"]
        if c is None:
            h = c = np.zeros((*gates.shape[:3], gates.shape[3] // 4))
        gates = gates + conv_2d(h, w["state_projection/kernel"])
        i, f, g, o = np.split(gates, 4, axis=-1)
        c = sigmoid(f) * c + sigmoid(i) * np.tanh(g)
        h = sigmoid(o) * np.tanh(c)
        outputs.append(h)
    return np.stack(outputs, 1), (h, c)
