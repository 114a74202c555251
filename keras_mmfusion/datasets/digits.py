"""Digits seen and heard: every image of MNIST with every recording of its digit.

The pairs of "On the benefits of early fusion in multimodal representation learning",
arXiv:2011.07191, section 4.1. Its 11,202,076 training pairs are those of 70,000 images
with 2,500 recordings; the release of today has 3,000 and makes 13.4 million.
"""

from dataclasses import dataclass

import numpy as np

from keras_mmfusion.datasets.fsdd import load_fsdd
from keras_mmfusion.datasets.mnist import load_mnist

SPLITS = ("train", "validation", "test")
PROTOCOLS = ("digits", "digits_speaker")


class DigitPairs:
    """All pairs of an image and a recording of the same digit, by number.

    Pairs are computed when asked for: eleven million take no more memory than the
    lists of images and of recordings.

    Args:
        image_labels: int array, the digit of every image.
        sound_labels: int array, the digit of every recording.
        images: int array, the images to pair. Defaults to `None`: all.
        sounds: int array, the recordings to pair. Defaults to `None`: all.

    Call arguments:
        `pairs[number]`, an int, a slice or an array of ints, gives `(image, sound)`:
        which image and which recording. `len(pairs)` is their number.

    Raises:
        IndexError: There is no such pair.

    Example:

    ```python
    import numpy as np
    from keras_mmfusion.datasets.digits import DigitPairs

    pairs = DigitPairs(image_labels=[3, 1, 3], sound_labels=[3, 3, 1])
    assert len(pairs) == 5  # two images of a 3 by two recordings, one 1 by one
    image, sound = pairs[np.arange(5)]
    assert image.tolist() == [1, 0, 0, 2, 2] and sound.tolist() == [2, 0, 1, 0, 1]
    ```
    """

    def __init__(self, image_labels, sound_labels, images=None, sounds=None):
        self._images, image_labels = _items(image_labels, images)
        self._sounds, sound_labels = _items(sound_labels, sounds)
        digits = np.union1d(image_labels, sound_labels)
        self._images = [self._images[image_labels == digit] for digit in digits]
        self._sounds = [self._sounds[sound_labels == digit] for digit in digits]
        counts = [
            len(i) * len(s) for i, s in zip(self._images, self._sounds, strict=True)
        ]
        self._ends = np.cumsum([0, *counts])

    def __len__(self):
        return int(self._ends[-1])

    def __getitem__(self, number):
        if isinstance(number, slice):
            number = np.arange(*number.indices(len(self)))
        number = np.asarray(number)
        # Of no numbers, numpy makes floats; masks and fractions are numbers of nothing.
        whole = not number.size or np.issubdtype(number.dtype, np.integer)
        if not whole or ((number < 0) | (number >= len(self))).any():
            raise IndexError(
                f"Pairs are numbered from 0 to {len(self) - 1:,}. Received: {number}"
            )
        number = number.astype("int64")
        flat = number.reshape(-1)
        digit = np.searchsorted(self._ends, flat, side="right") - 1
        image, sound = np.empty((2, len(flat)), "int64")
        for d in np.unique(digit):
            here = digit == d
            row, column = np.divmod(flat[here] - self._ends[d], len(self._sounds[d]))
            image[here] = self._images[d][row]
            sound[here] = self._sounds[d][column]
        return image.reshape(number.shape)[()], sound.reshape(number.shape)[()]

    def sample(self, count, seed=0):
        """Numbers of `count` different pairs, drawn evenly.

        Args:
            count: int. At most the number of pairs.
            seed: int. Defaults to `0`.

        Returns:
            int64 array `(count,)`, in random order.
        """
        return np.random.default_rng(seed).choice(len(self), count, replace=False)


@dataclass(frozen=True)
class Digits:
    """Images, recordings, and the pairs of each split.

    Attributes:
        images: uint8 array `(images, 28, 28)`.
        image_labels: int array `(images,)`.
        sounds: `SpokenDigits`.
        pairs: dict of `DigitPairs`, by `"train"`, `"validation"` and `"test"`.
    """

    images: np.ndarray
    image_labels: np.ndarray
    sounds: object
    pairs: dict


def load_digits(protocol="digits", data_dir=None, seed=0, speakers=None):
    """Read MNIST and FSDD, split both, and pair what is in the same split.

    Args:
        protocol: `"digits"`: images and recordings split 8:1:1, each by itself, at
            random, as in the paper; every speaker is in every split. Or
            `"digits_speaker"`: speakers are in one split only.
            Defaults to `"digits"`.
        data_dir: Folder above `mnist` and `fsdd`. Defaults to `None`:
            `KERAS_MMFUSION_DATA`, then the cache.
        seed: int. Of the random split; for `"digits_speaker"` it also says whose
            turn it is to be tested on. Defaults to `0`.
        speakers: str or sequence of str, whose recordings to read. Defaults to `None`:
            the six of the release.

    Returns:
        `Digits`.

    Raises:
        RecordError: The data are not there; the message says how to get them.

    Example:

    ```python
    from keras_mmfusion.datasets.digits import load_digits

    digits = load_digits()
    image, sound = digits.pairs["train"][0]
    digits.image_labels[image] == digits.sounds.labels[sound]  # True
    ```
    """
    if protocol not in PROTOCOLS:
        raise ValueError(
            f"`protocol` must be one of {list(PROTOCOLS)}. "
            f"Received: protocol={protocol!r}"
        )
    images, image_labels = load_mnist(data_dir)
    sounds = load_fsdd(data_dir, *[speakers] * (speakers is not None))
    image_split = random_split(len(images), (seed, 0))
    if protocol == "digits":
        sound_split = random_split(len(sounds.labels), (seed, 1))
    else:
        sound_split = speaker_split(sounds.speakers, seed)
    pairs = {
        name: DigitPairs(
            image_labels, sounds.labels, image_split[name], sound_split[name]
        )
        for name in SPLITS
    }
    return Digits(images, image_labels, sounds, pairs)


def random_split(count, seed=0):
    """Numbers of items in each split, 8:1:1 and at random.

    Args:
        count: int. Number of items.
        seed: int or sequence of ints. Defaults to `0`.

    Returns:
        dict of int arrays, by split.

    Example:

    ```python
    from keras_mmfusion.datasets.digits import random_split

    split = random_split(70000)
    assert [len(part) for part in split.values()] == [56000, 7000, 7000]
    ```
    """
    order = np.random.default_rng(seed).permutation(count)
    part = round(count / 10)
    ends = [count - 2 * part, count - part]
    return dict(zip(SPLITS, map(np.sort, np.split(order, ends)), strict=True))


def speaker_split(speakers, turn=0):
    """Numbers of recordings in each split, no speaker in two of them.

    Args:
        speakers: Array of str, one a recording; three different ones at least.
        turn: int. Speakers are tested on in turn, in the order of their names; the
            next one is validated on. Defaults to `0`: the first one.

    Returns:
        dict of int arrays, by split.

    Example:

    ```python
    from keras_mmfusion.datasets.digits import speaker_split

    split = speaker_split(["a", "b", "b", "c", "d"])
    assert split["test"].tolist() == [0] and split["validation"].tolist() == [1, 2]
    ```
    """
    speakers = np.asarray(speakers)
    names = np.unique(speakers)
    if len(names) < 3:
        raise ValueError(
            "Splitting by speaker takes three of them at least. "
            f"Received: {', '.join(names)}."
        )
    test, validation = names[turn % len(names)], names[(turn + 1) % len(names)]
    chosen = {"validation": speakers == validation, "test": speakers == test}
    chosen["train"] = ~chosen["validation"] & ~chosen["test"]
    return {name: np.flatnonzero(chosen[name]) for name in SPLITS}


def _items(labels, items):
    """Numbers of the items to use, and their labels."""
    labels = np.asarray(labels, "int64")
    items = np.arange(len(labels)) if items is None else np.asarray(items, "int64")
    return items, labels[items]
