"""Digits of MNIST in three channels: one of 0-2, one of 3-5 and one of 6-8."""

import keras
import numpy as np
from architecture import CHANNELS

from keras_mmfusion.datasets.mnist import load_mnist

# The first 60,000 images of MNIST are its training part.
TRAIN, VALIDATION = slice(0, 55_000), slice(55_000, 60_000)
TEST = slice(60_000, 70_000)
PARTS = {"train": TRAIN, "validation": VALIDATION, "test": TEST}


def load(part, data_dir=None):
    """dict of uint8 arrays `(images, 28, 28, 1)`, a channel each."""
    images, labels = load_mnist(data_dir)
    images, labels = images[PARTS[part]], labels[PARTS[part]]
    return {
        name: images[np.isin(labels, digits)][..., None]
        for name, digits in CHANNELS.items()
    }


class Triples(keras.utils.PyDataset):
    """Batches of an image a channel, drawn anew in each epoch, every image once.

    Channels of more images than the smallest one leave some out.

    Args:
        images: dict as from `load`.
        batch_size: int.
        seed: int.
        redraw: bool. Whether each `epoch` differs from the one before.
        limit: int. At most so many triples an epoch.
    """

    def __init__(self, images, batch_size, seed, redraw=False, limit=None):
        super().__init__()
        self.images, self.batch_size = images, batch_size
        self.count = min(min(map(len, images.values())), limit or 10**9)
        self.seed, self.redraw = seed, redraw
        self.epoch = 0

    @property
    def epoch(self):
        return self._epoch

    @epoch.setter
    def epoch(self, epoch):
        self._epoch = epoch
        rng = np.random.default_rng(self.seed)
        for _ in range(epoch + 1 if self.redraw else 1):
            self.order = {
                name: rng.permutation(len(of))[: self.count]
                for name, of in self.images.items()
            }

    def __len__(self):
        return -(-self.count // self.batch_size)

    def __getitem__(self, index):
        rows = slice(index * self.batch_size, (index + 1) * self.batch_size)
        x = {
            name: (of[self.order[name][rows]] / 255).astype("float32")
            for name, of in self.images.items()
        }
        return x, x

    def whole(self):
        """All triples of the epoch as one dict."""
        batches = [self[i][0] for i in range(len(self))]
        return {name: np.concatenate([b[name] for b in batches]) for name in batches[0]}
