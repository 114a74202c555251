"""A data set whose batches are checked before a model sees them."""

import keras


class CheckedBatches(keras.utils.PyDataset):
    """The batches of another data set, each after a check.

    Args:
        dataset: `keras.utils.PyDataset`, of threads at most: other processes would get
            a copy of the check, and of what it knows.
        check: Callable that takes a batch and returns it, or raises.
    """

    def __init__(self, dataset, check):
        super().__init__(workers=dataset.workers, max_queue_size=dataset.max_queue_size)
        self._dataset = dataset
        self._check = check

    def __getitem__(self, index):
        return self._check(self._dataset[index])

    def __len__(self):
        return len(self._dataset)

    @property
    def num_batches(self):
        return self._dataset.num_batches

    def on_epoch_begin(self):
        self._dataset.on_epoch_begin()

    def on_epoch_end(self):
        self._dataset.on_epoch_end()
