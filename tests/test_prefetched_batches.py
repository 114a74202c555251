"""Batches made ahead: each in its place, in every epoch, by threads or processes."""

import time

import keras
import numpy as np
import pytest
from backends import once

from keras_mmfusion.datasets.prefetched_batches import PrefetchedBatches


class Numbers(PrefetchedBatches):
    """A batch tells its epoch and its number; later ones are made sooner."""

    def __init__(self, count=6, broken=None, **kwargs):
        super().__init__(**kwargs)
        self.count, self.broken = count, broken

    def __len__(self):
        return self.count

    def batch(self, number):
        if number == self.broken:
            raise RuntimeError("a broken file")
        epoch = self.epoch
        time.sleep(0.002 * (number % 3 == 0))
        value = np.full((1, 1), 100.0 * epoch + number, "float32")
        return value, value


TEAMS = [{"workers": 0}, {"workers": 1}, {"workers": 3, "max_queue_size": 2}]


@pytest.mark.parametrize("team", TEAMS)
@once
def test_every_batch_in_its_place(team):
    batches = Numbers(**team)
    for epoch in range(3):
        assert [int(x[0, 0]) for x, _ in batches] == [100 * epoch + i for i in range(6)]
        batches.on_epoch_end()
    batches.epoch = 7  # While others are made ahead.
    assert [int(batches[i][0][0, 0]) for i in (4, 0, 5)] == [704, 700, 705]


@once
def test_errors():
    batches = Numbers(broken=2, workers=2)
    assert int(batches[1][0][0, 0]) == 1
    with pytest.raises(RuntimeError, match="a broken file"):
        batches[2]
    assert int(batches[3][0][0, 0]) == 3  # The others are still there.
    for number in (-1, 6):
        with pytest.raises(IndexError, match="0 to 5"):
            batches[number]
    for wrong in (-1, True, 1.5):
        with pytest.raises(ValueError, match="`workers` must be 0 or more"):
            Numbers(workers=wrong)
    with pytest.raises(ValueError, match="max_queue_size"):
        Numbers(max_queue_size=0)
    with pytest.raises(NotImplementedError, match="no method `batch`"):
        PrefetchedBatches().batch(0)


class Seen(keras.layers.Layer):
    """Adds up what it is shown, weighing it by its place."""

    def build(self, input_shape):
        self.total = self.add_weight(shape=(), initializer="zeros", trainable=False)
        self.w = self.add_weight(shape=(), initializer="ones")

    def call(self, x):
        self.total.assign(self.total * 2 + keras.ops.sum(x) % 100)
        return x * self.w


class EpochOf(keras.callbacks.Callback):
    def __init__(self, batches):
        super().__init__()
        self.batches = batches

    def on_epoch_begin(self, epoch, logs=None):
        self.batches.epoch = epoch


@pytest.mark.parametrize("team", TEAMS[::2])
def test_a_model_sees_each_epoch_whole_and_in_order(team):
    """What Keras' own workers do not do: they begin with batches of an epoch before."""
    batches = Numbers(**team)
    layer = Seen()
    model = keras.Sequential([keras.Input((1,)), layer])
    model.compile(keras.optimizers.SGD(0.0), "mse")
    totals = []
    model.fit(
        batches,
        epochs=3,
        shuffle=False,
        verbose=0,
        callbacks=[
            EpochOf(batches),
            keras.callbacks.LambdaCallback(
                on_epoch_begin=lambda epoch, logs: layer.total.assign(0.0),
                on_epoch_end=lambda epoch, logs: totals.append(float(layer.total)),
            ),
        ],
    )
    # 0 to 5 in order: ((((0 · 2 + 1) · 2 + 2) · 2 + 3) · 2 + 4) · 2 + 5.
    assert totals == [57.0] * 3
