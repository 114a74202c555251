"""Batches that depend on the seed and the epoch alone, whatever the model."""

import keras
import numpy as np


class Arrays(keras.utils.PyDataset):
    """Batches drawn from arrays without putting back, by the seed and the epoch."""

    def __init__(self, x, y, budget, seed):
        super().__init__()
        self.x, self.y, self.budget, self.seed = x, y, budget, seed
        self.epoch = 0

    def __len__(self):
        return self.budget.steps

    def __getitem__(self, index):
        # A pass over all samples after the other, each in an order of its own.
        first = (self.epoch * len(self) + index) * self.budget.batch_size
        number, place = np.divmod(
            first + np.arange(self.budget.batch_size), len(self.y)
        )
        rows = np.empty_like(place)
        for one in np.unique(number):
            order = np.random.default_rng([self.seed, one]).permutation(len(self.y))
            rows[number == one] = order[place[number == one]]
        return {name: values[rows] for name, values in self.x.items()}, self.y[rows]


class Only(keras.utils.PyDataset):
    """Of batches, the modalities that a model takes."""

    def __init__(self, batches, names):
        super().__init__()
        self.batches, self.names, self.epoch = batches, list(names), 0

    def __len__(self):
        return len(self.batches)

    def __getitem__(self, index):
        self.batches.epoch = self.epoch
        x, *rest = self.batches[index]
        return {name: x[name] for name in self.names}, *rest


def some(x, y, count):
    """At most `count` samples, evenly over all of them."""
    if count is None or count >= len(y):
        return x, y
    rows = np.linspace(0, len(y) - 1, count).astype(int)
    return {name: values[rows] for name, values in x.items()}, y[rows]


class Passes(keras.utils.PyDataset):
    """Captioned pictures: an epoch of the study is several passes over them."""

    def __init__(self, batches, steps):
        super().__init__()
        self.batches, self.steps, self.epoch = batches, steps, 0

    def __len__(self):
        return self.steps

    def __getitem__(self, index):
        index += self.epoch * self.steps
        self.batches.epoch, number = divmod(index, len(self.batches))
        return self.batches[number]
