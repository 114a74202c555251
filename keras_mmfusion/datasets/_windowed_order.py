"""The items of many files in a mixed order that needs no list of all items."""

import numpy as np


class WindowedOrder:
    """Files in a new order each epoch, some at a time, and their items mixed.

    Args:
        sizes: int array `(files,)`, items of each.
        window: int. Files whose items are mixed.
        seed: int; None for files and items as they come.
    """

    def __init__(self, sizes, window, seed):
        self.sizes, self.window, self.seed = np.asarray(sizes), window, seed

    def take(self, epoch, first, last):
        """Items `first` to `last` of an epoch: int arrays of files and of their items.

        Example:

        ```python
        from keras_mmfusion.datasets._windowed_order import WindowedOrder

        files, items = WindowedOrder([2, 1], 1, None).take(0, first=1, last=3)
        assert files.tolist() == [0, 1] and items.tolist() == [1, 0]
        ```
        """
        files = self._shuffled(len(self.sizes), epoch)
        ends = np.add.accumulate(self.sizes[files])
        # Of each window, the number of its last item and one.
        ends = np.append(ends[self.window - 1 : -1 : self.window], ends[-1])
        found = []
        here, there = np.searchsorted(ends, [first, last - 1], "right")
        for number in range(here, there + 1):
            begin = ends[number - 1] if number else 0
            places = self._shuffled(ends[number] - begin, epoch, number)
            places = places[max(first - begin, 0) : last - begin]
            members = files[number * self.window :][: self.window]
            edges = np.add.accumulate(self.sizes[members])
            which = np.searchsorted(edges, places, "right")
            found.append(
                [members[which], places - (edges - self.sizes[members])[which]]
            )
        return np.concatenate(found, axis=1)

    def _shuffled(self, count, *key):
        if self.seed is None:
            return np.arange(count)
        return np.random.default_rng([self.seed, *key]).permutation(count)
