"""Batches of turns, in an order that depends on the seed and the epoch alone."""

import keras
import numpy as np


class Turns(keras.utils.PyDataset):
    """Arrays of turns, batch by batch.

    Args:
        arrays: Tuple of what `fit` takes: inputs, targets and, if any, weights. Each is
            an array with a row for each turn, or a dict of such.
        batch_size: int. The last batch has what is left.
        seed: int. Each `epoch` is in an order of its own; `None` for that of the
            arrays.
    """

    def __init__(self, arrays, batch_size, seed=None):
        super().__init__()
        self.arrays, self.batch_size, self.seed = arrays, batch_size, seed
        self.epoch = 0
        self.count = len(keras.tree.flatten(arrays)[0])

    def __len__(self):
        return -(-self.count // self.batch_size)

    def __getitem__(self, index):
        rows = np.arange(self.count)
        if self.seed is not None:
            rows = np.random.default_rng([self.seed, self.epoch]).permutation(rows)
        rows = rows[index * self.batch_size :][: self.batch_size]
        return keras.tree.map_structure(lambda array: array[rows], self.arrays)
