"""`--devices` of the recipes: a copy learns, and the model has what it learnt."""

import sys
from pathlib import Path

import keras
import numpy as np
import pytest
from backends import once, only_on

sys.path.append(str(Path(__file__).parents[2] / "recipes"))

import common


def small():
    return keras.Sequential([keras.Input((3,)), keras.layers.Dense(1)])


@only_on("jax")
def test_the_model_has_what_a_copy_learnt(monkeypatch):
    used = []

    def one_for_two(devices):
        used.append(devices)
        return data_parallel(1)

    data_parallel = common.data_parallel
    monkeypatch.setattr(common, "data_parallel", one_for_two)
    model = small()
    before = model.get_weights()
    with common.on_devices(model, 2, 4) as copy:
        assert copy is not model and keras.distribution.distribution() is not None
        for ours, own in zip(before, copy.get_weights(), strict=True):
            np.testing.assert_array_equal(ours, own)
        copy.compile("sgd", "mse")
        copy.fit(np.ones((8, 3)), np.ones((8, 1)), batch_size=4, verbose=0)
        learnt = copy.get_weights()
    assert used == [2] and keras.distribution.distribution() is None
    assert np.abs(learnt[0] - before[0]).max() > 1e-3
    np.testing.assert_array_equal(model.get_weights()[0], learnt[0])
    assert model.predict(np.ones((3, 3)), verbose=0).shape == (3, 1)


@once
def test_one_device_needs_nothing_and_batches_have_to_be_shared_out():
    model = small()
    with common.on_devices(model, 1, 7) as same:
        assert same is model
    for devices in (2, 0):
        with (
            pytest.raises(SystemExit, match=f"--batch-size 7 --devices {devices}"),
            common.on_devices(model, devices, 7),
        ):
            pass


@once
def test_batches_are_filled_up():
    class Batches(keras.utils.PyDataset):
        epochs = 0

        def __len__(self):
            return 2

        def __getitem__(self, index):
            count = (8, 3)[index]
            x = {"a": np.arange(count), "b": np.ones((count, 2))}
            return x, np.arange(count) + 10, np.ones(count)

        def on_epoch_end(self):
            self.epochs += 1

    own = Batches()
    batches = common.WholeBatches(own, 4)
    assert len(batches) == 2
    x, y, _ = batches[0]
    np.testing.assert_array_equal(x["a"], np.arange(8))
    x, y, counts = batches[1]
    np.testing.assert_array_equal(x["a"], [0, 1, 2, 0])
    np.testing.assert_array_equal(y, [10, 11, 12, 10])
    assert x["b"].shape == (4, 2) and counts.shape == (4,)
    batches.on_epoch_end()
    assert own.epochs == 1
    assert len(common.WholeBatches(own, 8)[1][1]) == 8
