"""Which devices are used, and which weights are cut."""

import keras
import numpy as np
import pytest
from backends import once

from keras_mmfusion.distribution import data_parallel, tensor_parallel_layout
from keras_mmfusion.models import FUSIONS, paper_retriever

several = pytest.mark.skipif(
    keras.backend.backend() == "torch", reason="keras distributes the others only"
)


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


@once
@pytest.mark.parametrize("mesh", [None, "model", (1, 8)])
def test_what_is_no_mesh(mesh):
    with pytest.raises(ValueError, match=r"must be a `keras\.distribution\.DeviceMesh"):
        tensor_parallel_layout(mesh)
