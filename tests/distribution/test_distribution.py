"""Several virtual devices and processes give the numbers of one device."""

import socket
import subprocess
import sys
from pathlib import Path

import keras
import numpy as np
import pytest
from backends import once, only_on

from keras_mmfusion.distribution import data_parallel, tensor_parallel_layout
from keras_mmfusion.models import FUSIONS, paper_retriever

SCRIPT = Path(__file__).with_name("on_devices.py")
several = pytest.mark.skipif(
    keras.backend.backend() == "torch", reason="keras distributes the others only"
)


def started(*arguments):
    command = [sys.executable, SCRIPT, *map(str, arguments)]
    return subprocess.Popen(command, stderr=subprocess.PIPE, text=True)


def ended(*processes):
    try:
        for process in processes:
            _, errors = process.communicate(timeout=240)
            assert process.returncode == 0, errors[-3000:]
    finally:
        for process in processes:
            process.kill()


@pytest.fixture(scope="module")
def one_device(tmp_path_factory):
    file = tmp_path_factory.mktemp("one") / "1.npz"
    ended(started("classifier", 1, file))
    return dict(np.load(file))


def assert_alike(found, one_device):
    assert found.keys() == one_device.keys() == {"loss", "accuracy", "predictions"}
    # It learns something, so that there is something to differ in.
    assert found["loss"].shape == (5,) and found["loss"][-1] < 0.9 * found["loss"][0]
    for name, value in one_device.items():
        np.testing.assert_allclose(found[name], value, atol=1e-4, err_msg=name)


@several
def test_four_devices_learn_what_one_does(tmp_path, one_device):
    ended(started("classifier", 4, tmp_path / "4.npz"))
    assert_alike(dict(np.load(tmp_path / "4.npz")), one_device)


@only_on("jax")
def test_two_processes_learn_what_one_does(tmp_path, one_device):
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    files = [tmp_path / f"{process}.npz" for process in range(2)]
    ended(*(started("classifier", 1, file, port, i) for i, file in enumerate(files)))
    for file in files:
        assert_alike(dict(np.load(file)), one_device)


@pytest.fixture(scope="module")
def retrievers(tmp_path_factory):
    file = tmp_path_factory.mktemp("retrievers") / "all.npz"
    ended(started("retriever", 4, file))
    found = {}
    for key, value in np.load(file).items():
        mesh, name = key.split("/", 1)
        found.setdefault(mesh, {})[name] = value
    return found


@only_on("jax")
@pytest.mark.parametrize("mesh", ["1x4", "2x2"])
def test_a_retriever_cut_into_parts(retrievers, mesh):
    whole, found = retrievers["whole"], retrievers[mesh]
    assert len(whole["loss"]) == 3 and whole["loss"][2] < whole["loss"][0]
    names = [name for name in found if "parts/" not in name]
    assert len(names) == 3 + ("loss" in found) and ("loss" in found) == (mesh == "2x2")
    for name in names:
        np.testing.assert_allclose(found[name], whole[name], atol=1e-5, err_msg=name)
    columns = int(mesh[-1])
    parts = {k.removeprefix("parts/"): v for k, v in found.items() if "parts/" in k}
    cut = {path for path, count in parts.items() if count == columns}
    assert {int(parts[path]) for path in set(parts) - cut} == {1}
    tower, attention = "image_encoder/vit/block_0", "fusion/displacement_0_1"
    assert cut >= {
        f"{tower}/attention/query/kernel",
        f"{tower}/ff_in/kernel",
        f"{tower}/ff_out/kernel",
        "text_encoder/words/embeddings",
        f"{attention}/value/bias",
        f"{attention}/output/kernel",
        "fusion/fusion/kernel",
    }
    if "loss" in found:  # what the optimizer keeps of them
        assert "adam/text_encoder_words_embeddings_velocity" in cut
    assert not cut & {f"{tower}/norm/gamma", f"{attention}/output/bias", "head/kernel"}


@once
@pytest.mark.parametrize("fusion", ["zoom_shift", "atd", "cascade", "mult"])
def test_layout_of_the_papers_retriever(fusion):
    """Nearly all weights are cut, into 8 equal parts."""
    mesh = keras.distribution.DeviceMesh(
        (1, 8), ("batch", "model"), [f"gpu:{i}" for i in range(8)]
    )
    layout = tensor_parallel_layout(mesh)
    with keras.device("meta"):
        model = paper_retriever("transformer_vit", fusion)
    total = cut = 0
    for weight in model.weights:
        found = layout[weight.path]
        total += np.prod(weight.shape)
        if found is None:
            assert len(weight.shape) < 2 or np.prod(weight.shape) < 200_000, weight.path
            continue
        assert len(found.axes) == len(weight.shape), weight.path
        axis = found.axes.index("model")
        assert weight.shape[axis] % 8 == 0, weight.path
        cut += np.prod(weight.shape)
    assert cut > 0.99 * total


@once
@pytest.mark.parametrize("fusion", FUSIONS)
def test_no_weight_has_two_layouts(fusion):
    """Of any fusion, and every layout fits the axes of its weight."""
    from keras_mmfusion.models.fusions import get_fusion

    mesh = keras.distribution.DeviceMesh((2,), ("model",), ["gpu:0", "gpu:1"])
    layout = tensor_parallel_layout(mesh)
    fuse = get_fusion(fusion, 8, None)
    fuse.build([(None, 6, 4), (None, 6, 8)])
    found = [(w.shape, layout[f"fusion/{w.path}"]) for w in fuse.weights]
    cut = [(shape, f.axes) for shape, f in found if f is not None]
    assert cut and all(len(shape) == len(axes) for shape, axes in cut)


@once
def test_layout_errors():
    mesh = keras.distribution.DeviceMesh((1,), ("batch",), ["cpu:0"])
    with pytest.raises(ValueError, match=r"axis of the mesh, \['batch'\].*'model'"):
        tensor_parallel_layout(mesh)


@once
def test_not_on_pytorch():
    with (
        pytest.raises(RuntimeError, match=r"'tensorflow'\. Received: 'torch'"),
        data_parallel(1),
    ):
        pass


@several
@pytest.mark.parametrize(
    "devices, message",
    [
        (2, r"at most 1, as many as there are: \['cpu:0'\]. Received: devices=2"),
        (0, "`devices` must be a positive integer"),
        (["gpu:7"], r"some of \['cpu:0'\], each once. Received: \['gpu:7'\]"),
        ([], r"each once. Received: \[\]"),
    ],
)
def test_devices_that_are_not_there(devices, message):
    with pytest.raises(ValueError, match=message), data_parallel(devices):
        pass


@several
@pytest.mark.parametrize("devices", [1, None, ["CPU:0"]])
def test_one_device_by_number_or_name(devices):
    with data_parallel(devices):
        model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(1)])
        model.compile("sgd", "mse")
        log = model.fit(np.ones((8, 3)), np.ones((8, 1)), batch_size=4, verbose=0)
    assert np.isfinite(log.history["loss"]).all()
    assert keras.distribution.distribution() is None
