"""Batches that workers make ahead of the training, each in its place."""

import multiprocessing
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor, wait

import keras

from keras_mmfusion._checks import check_positive_int, is_whole


class PrefetchedBatches(keras.utils.PyDataset):
    """A data set whose next batches are made while a model learns from this one.

    Keras' own workers, too, make batches ahead, but what they have made when `fit`
    looks at the first batch, or when an epoch ends, begins the epoch after. Here each
    epoch has its own batches in order, so that a run that went on after an interruption
    sees what it would have seen. Keras is told of no workers.

    A batch may depend on its number, on `epoch` and on what does not change. Set
    `epoch` from a callback to go on where a training was interrupted.

    Args:
        workers: int. Threads or processes that make batches; 0 makes each when it is
            asked for. Defaults to `1`.
        use_multiprocessing: bool. Whether they are processes, each with a copy of the
            data set, for batches that take Python long. A script then needs
            `if __name__ == "__main__":`. Defaults to `False`.
        max_queue_size: int. Batches that are made ahead at most. Defaults to `10`.

    Call arguments:
        `batches[i]` is what the method `batch(i)` of a subclass returns.

    Raises:
        IndexError: There is no such batch.
        ValueError: No number of workers, or no room for a batch.

    Example:

    ```python
    import numpy as np
    from keras_mmfusion.datasets.prefetched_batches import PrefetchedBatches

    class Squares(PrefetchedBatches):
        def __len__(self):
            return 3

        def batch(self, number):
            return (np.array([[number**2]]),)

    assert [int(x[0, 0]) for (x,) in Squares(workers=2)] == [0, 1, 4]
    ```
    """

    def __init__(self, workers=1, use_multiprocessing=False, max_queue_size=10):
        super().__init__()
        if not is_whole(workers) or workers < 0:
            raise ValueError(f"`workers` must be 0 or more. Received: {workers!r}")
        check_positive_int(max_queue_size=max_queue_size)
        self.epoch = 0
        self._team = (workers, bool(use_multiprocessing))
        self._room = max_queue_size
        self._pool, self._made = None, {}

    def batch(self, number):
        """Batch `number` of this epoch."""
        raise NotImplementedError(f"{type(self).__name__} has no method `batch`.")

    def __getitem__(self, number):
        if not 0 <= number < len(self):
            raise IndexError(f"Batches are 0 to {len(self) - 1}. Received: {number}")
        if not self._team[0]:
            return self.batch(number)
        last = min(number + self._room, len(self) - 1)
        wanted = [(self.epoch, i) for i in range(number, last + 1)]
        for key in set(self._made) - set(wanted):
            self._made.pop(key).cancel()
        for key in wanted:
            if key not in self._made:
                self._made[key] = self._begin(*key)
        return self._made.pop(wanted[0]).result()

    def on_epoch_end(self):
        self.forget()
        self.epoch += 1

    def forget(self):
        """Drop what was made ahead, once nobody is at it."""
        begun, self._made = self._made, {}
        wait([future for future in begun.values() if not future.cancel()])

    def _begin(self, epoch, number):
        workers, processes = self._team
        if self._pool is None and processes:
            # Not forked: the threads of a backend would not come along.
            context = multiprocessing.get_context("spawn")
            self._pool = ProcessPoolExecutor(workers, context, _receive, (self,))
        elif self._pool is None:
            self._pool = ThreadPoolExecutor(workers, "batches")
        if not processes:
            return self._pool.submit(self.batch, number)
        return self._pool.submit(_make, epoch, number)

    def __getstate__(self):
        return {**self.__dict__, "_pool": None, "_made": {}, "_team": (0, False)}


# In a process that makes batches.


def _receive(batches):
    global _batches
    _batches = batches


def _make(epoch, number):
    if _batches.epoch != epoch:
        _batches.epoch = epoch
    return _batches.batch(number)
