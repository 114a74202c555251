"""The numbers of the authors' own LMF, TFN and MulT; see ORIGINALS.md."""

from pathlib import Path

import numpy as np
import pytest
from backends import run
from harness import assert_close

from keras_mmfusion.layers import LowRankFusion, MulTFusion, TensorFusion

NAMES = ("audio", "video", "text")


def original(name):
    with np.load(Path(__file__).parent / f"{name}_original.npz") as arrays:
        return dict(arrays)


def assign(layer, values):
    """Give every weight of a built layer its value, by its path below the layer."""
    prefix = layer.path + "/"
    paths = {v.path.removeprefix(prefix): v for v in layer.weights}
    assert set(paths) == set(values)
    for path, value in values.items():
        paths[path].assign(value)


@pytest.mark.parametrize("pooling", ["mean", None])
def test_lmf(pooling):
    a = original("lmf")
    x = [a[f"lmf/input_{name}"][:, None] for name in NAMES]
    rank, _, dim = a["lmf/audio_factor"].shape
    layer = LowRankFusion(dim, rank, pooling=pooling)
    layer.build([v.shape for v in x])
    values = {
        "rank_weights/kernel": a["lmf/fusion_weights"].T,
        "bias": a["lmf/fusion_bias"][0],
    }
    for m, name in enumerate(NAMES):
        # (rank, 1 and features, dim): their 1 comes first.
        factor = a[f"lmf/{name}_factor"].transpose(1, 0, 2).reshape(-1, rank * dim)
        values[f"factor_{m}/bias"], values[f"factor_{m}/kernel"] = factor[0], factor[1:]
    assign(layer, values)
    assert_close(run(layer, x)[:, 0], a["lmf/output"])


@pytest.mark.parametrize("pooling", ["mean", None])
def test_tfn(pooling):
    a = original("tfn")
    x = [a[f"tfn/input_{name}"][:, None] for name in NAMES]
    layer = TensorFusion(a["tfn/output"].shape[1], "relu", pooling=pooling)
    layer.build([v.shape for v in x])
    # Their 1 comes first, ours last, on each axis of the product.
    kernel = a["tfn/kernel"].T.reshape(*(v.shape[-1] + 1 for v in x), -1)
    for axis in range(3):
        kernel = np.roll(kernel, -1, axis)
    kernel = kernel.reshape(-1, layer.dim)
    assign(layer, {"projection/kernel": kernel, "projection/bias": a["tfn/bias"]})
    assert_close(run(layer, x)[:, 0], a["tfn/output"])


def mult_values(a):
    """Our weights of MulT from the flat `state_dict` of theirs."""
    state, start = {}, 0
    for name, shape in zip(a["mult/names"], a["mult/shapes"], strict=True):
        shape = tuple(map(int, shape.split("x")))
        stop = start + int(np.prod(shape))
        state[str(name)] = a["mult/weights"][start:stop].reshape(shape)
        start = stop
    assert start == len(a["mult/weights"])

    def both(ours, theirs):
        values[f"{ours}/kernel"] = state[f"{theirs}.weight"].T
        values[f"{ours}/bias"] = state[f"{theirs}.bias"]

    def norm(ours, theirs):
        values[f"{ours}/gamma"] = state[f"{theirs}.weight"]
        values[f"{ours}/beta"] = state[f"{theirs}.bias"]

    def transformer(ours, theirs):
        norm(f"{ours}/norm", f"{theirs}.layer_norm")
        i = 0
        while f"{theirs}.layers.{i}.fc1.weight" in state:
            block, layer = f"{ours}/block_{i}", f"{theirs}.layers.{i}"
            norm(f"{block}/norm", f"{layer}.layer_norms.0")
            norm(f"{block}/ff_norm", f"{layer}.layer_norms.1")
            both(f"{block}/ff_in", f"{layer}.fc1")
            both(f"{block}/ff_out", f"{layer}.fc2")
            both(f"{block}/attention/output", f"{layer}.self_attn.out_proj")
            kernels = np.split(state[f"{layer}.self_attn.in_proj_weight"], 3)
            biases = np.split(state[f"{layer}.self_attn.in_proj_bias"], 3)
            for k, part in enumerate(("query", "key", "value")):
                values[f"{block}/attention/{part}/kernel"] = kernels[k].T
                if part != "key":  # The bias of the keys has no effect.
                    values[f"{block}/attention/{part}/bias"] = biases[k]
            i += 1

    values = {}
    for m, target in enumerate("lav"):
        values[f"projection_{m}/kernel"] = state[f"proj_{target}.weight"][..., 0].T
        transformer(f"memory_{m}", f"trans_{target}_mem")
        for n, source in enumerate("lav"):
            if n != m:
                transformer(f"crossmodal_{n}_to_{m}", f"trans_{target}_with_{source}")
    both("residual_in", "proj1")
    both("residual_out", "proj2")
    both("output", "out_layer")
    return values


@pytest.mark.parametrize("case", ["mult", "mult_causal"])
def test_mult(case):
    """Their read-out is the last step of ours, for unlike lengths too."""
    a = original("mult")
    x = [a[f"{case}/input_{name}"] for name in "lav"]
    layer = MulTFusion(
        6, num_heads=2, num_layers=2, stream_dim=4, causal=case == "mult_causal"
    )
    assert layer.memory_layers == 3
    layer.build([v.shape for v in x])
    assign(layer, mult_values(a))
    assert_close(run(layer, x)[:, -1], a[f"{case}/output"], 2e-5)
