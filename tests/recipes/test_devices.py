"""`--devices` of the recipes: a copy learns, and the model has what it learnt."""

import argparse

import keras
import numpy as np
import pytest
from backends import once, only_on
from recipe_modules import recipe_modules

(train,) = recipe_modules("mnist_channels", "train")
devices = train.devices


def options(**changed):
    usual = {"devices": 1, "coordinator": None, "processes": 1, "process": 0}
    return argparse.Namespace(batch_size=8, **{**usual, **changed})


@only_on("jax")
def test_the_model_has_what_a_copy_learnt(monkeypatch):
    used = []

    def one_for_two(devices):
        used.append(devices)
        return data_parallel(1)

    data_parallel = devices.data_parallel
    monkeypatch.setattr(devices, "data_parallel", one_for_two)
    layers = [keras.layers.Dense(1), keras.layers.Dropout(0.5)]
    model = keras.Sequential([keras.Input((3,)), *layers])
    before = model.get_weights()
    with devices.on_devices(model, options(devices=2)) as copy:
        assert copy is not model and keras.distribution.distribution() is not None
        # Of random numbers, too.
        assert len(copy.variables) == 3
        for ours, own in zip(copy.variables, model.variables, strict=True):
            np.testing.assert_array_equal(ours, own)
        copy.compile("sgd", "mse")
        copy.fit(np.ones((8, 3)), np.ones((8, 1)), batch_size=4, verbose=0)
        learnt = copy.get_weights()
    assert used == [2] and keras.distribution.distribution() is None
    assert np.abs(learnt[0] - before[0]).max() > 1e-3
    np.testing.assert_array_equal(model.get_weights()[0], learnt[0])
    assert model.predict(np.ones((3, 3)), verbose=0).shape == (3, 1)


@once
def test_one_device_needs_nothing():
    model, batches = keras.Sequential(), object()
    devices.begin(options())
    with devices.on_devices(model, options()) as same:
        assert same is model
    assert devices.shares(batches, options()) is batches


@only_on("jax")
@pytest.mark.parametrize(
    "changed, message",
    [
        ({"devices": 3}, "multiple of --devices.*--batch-size 8 --devices 3"),
        ({"devices": 0}, "--batch-size 8 --devices 0"),
        ({"processes": 2}, "go together.*--coordinator None --processes 2"),
        ({"coordinator": "a:1"}, "go together.*--coordinator a:1 --processes 1"),
        ({"process": 1}, "--process must be 0 to 0. Received: --process 1"),
    ],
)
def test_devices_that_cannot_be_used(changed, message):
    with pytest.raises(SystemExit, match=message):
        devices.begin(options(**changed))


@pytest.mark.parametrize("compares", [False, True])
@pytest.mark.parametrize(
    "changed", [{"devices": 2}, {"coordinator": "a:1", "processes": 2}]
)
@pytest.mark.skipif(keras.backend.backend() == "jax", reason="JAX has all of it")
def test_backends_that_have_no_devices(changed, compares):
    backend = keras.backend.backend()
    if backend == "tensorflow" and "devices" in changed and not compares:
        devices.begin(options(**changed))
        return
    with pytest.raises(SystemExit, match=f"KERAS_BACKEND=jax.*Received: {backend}"):
        devices.begin(options(**changed), compares)


class Batches(keras.utils.PyDataset):
    """The last batch is not whole."""

    def __init__(self, weighted):
        super().__init__()
        self.weighted = weighted

    def __len__(self):
        return 2

    def __getitem__(self, index):
        count = (8, 5)[index]
        x = {"a": np.arange(count), "b": np.ones((count, 2))}
        y = np.arange(count) + 10
        weights = np.arange(2.0 * count).reshape(count, 2)
        return (x, y, weights) if self.weighted else (x, y)


@once
@pytest.mark.parametrize("weighted", [False, True])
def test_batches_are_filled_up_and_their_means_stay(weighted):
    batches = Batches(weighted)
    filled = devices.Shares(batches, options(devices=4))
    assert len(filled) == 2
    x, y, weights = filled[0]
    np.testing.assert_array_equal(x["a"], np.arange(8))
    x, y, weights = filled[1]
    np.testing.assert_array_equal(x["a"], [0, 1, 2, 3, 4, 0, 1, 2])
    np.testing.assert_array_equal(y, x["a"] + 10)
    assert x["b"].shape == (8, 2) and not weights[5:].any()
    expected = batches[1][2] if weighted else np.ones(5)
    np.testing.assert_allclose(weights[:5] / 8, expected / 5, rtol=1e-6)


@once
def test_each_process_has_its_part():
    whole = devices.Shares(Batches(True), options(devices=4))
    parts = [
        devices.Shares(Batches(True), options(devices=4, processes=2, process=i))
        for i in range(2)
    ]
    for i in range(2):
        together = keras.tree.map_structure(
            lambda *of: np.concatenate(of), *(part[i] for part in parts)
        )
        keras.tree.map_structure(np.testing.assert_array_equal, together, whole[i])


@once
def test_what_has_no_targets_stays_without():
    class Alone(Batches):
        def __getitem__(self, index):
            return super().__getitem__(0)[:1]

    (x,) = devices.Shares(Alone(False), options(devices=2, processes=2, process=1))[0]
    np.testing.assert_array_equal(x["a"], np.arange(4, 8))
