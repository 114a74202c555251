"""Batches of digits seen and heard, made when a model asks for them."""

import keras
import numpy as np

from keras_mmfusion._checks import (
    check_choice,
    check_count,
    check_positive_int,
    check_seed,
    check_snr,
)
from keras_mmfusion.preprocessing.digit_inputs import DigitPreprocessor
from keras_mmfusion.preprocessing.spectrogram import mask_spectrogram
from keras_mmfusion.preprocessing.white_noise import add_white_noise

MODALITIES = ("image", "sound")


class DigitBatches(keras.utils.PyDataset):
    """Model inputs of pairs of digits, with noise if asked for.

    The noise, and what is masked, depends on the seed, the epoch and the pair, not
    on the size or the order of batches. Noise goes onto the recording before it is
    padded, as in the paper. `fit` leaves `epoch` at 0: to have new noise, or another
    order, in every epoch of a training, set it from a callback, which also holds after
    an interruption.

    Args:
        digits: `Digits`, as `load_digits` returns.
        split: `"train"`, `"validation"` or `"test"`. Defaults to `"train"`.
        numbers: int array, the pairs to use, such as `pairs.sample(87516)`.
            Defaults to `None`: all of the split.
        preprocessor: `DigitPreprocessor`. Defaults to `None`: a new one.
        batch_size: int. Defaults to `64`.
        snr: dict, signal-to-noise ratio of `"image"` and of `"sound"`, a ratio of
            powers; None or left out for no noise; several, None among them or not,
            to draw one of them for each pair. Defaults to `None`: no noise.
        modalities: Which to give. Defaults to both.
        mask_frequencies: int. Upper bound of bins to mask. Defaults to `0`.
        mask_times: int. Upper bound of steps to mask. Defaults to `0`.
        shuffle: bool. Whether the order of pairs is random, another one for every
            `epoch`. It is kept in memory, 8 bytes a pair. Defaults to `False`.
        seed: int. Defaults to `0`.
        **kwargs: `workers` and so on, as for any `keras.utils.PyDataset`.

    Call arguments:
        `batches[i]` is `(x, labels)`: dict of float32 arrays by modality, shaped as
        `preprocessor.shapes` with the batch first, and int64 digits.

    Raises:
        ValueError: There is no such split or modality, a ratio is not positive, or
            `batch_size` is not.
        IndexError: There is no such batch, or no such pair in `numbers`.

    Example:

    ```python
    from keras_mmfusion.datasets.digit_batches import DigitBatches
    from keras_mmfusion.datasets.digits import load_digits

    digits = load_digits()
    numbers = digits.pairs["train"].sample(87_516)
    batches = DigitBatches(digits, numbers=numbers, snr={"image": 0.25, "sound": 0.5})
    x, y = batches[0]
    x["sound"].shape  # (64, 41, 201)
    ```
    """

    def __init__(
        self,
        digits,
        split="train",
        numbers=None,
        preprocessor=None,
        batch_size=64,
        snr=None,
        modalities=MODALITIES,
        mask_frequencies=0,
        mask_times=0,
        shuffle=False,
        seed=0,
        **kwargs,
    ):
        super().__init__(**kwargs)
        if not hasattr(digits, "pairs"):
            raise ValueError(
                "`digits` must be what `load_digits` returns. "
                f"Received: {type(digits).__name__}"
            )
        check_choice(list(digits.pairs), split=split)
        check_positive_int(batch_size=batch_size)
        check_seed(seed)
        if not isinstance(snr, dict | None):
            raise ValueError(
                "`snr` must be a dict, a modality to a ratio, or None for no noise. "
                f"Received: snr={snr!r}"
            )
        one = isinstance(modalities, str) or not np.iterable(modalities)
        snr, modalities = snr or {}, (modalities,) if one else tuple(modalities)
        check_count(mask_frequencies=mask_frequencies, mask_times=mask_times)
        if not set(snr) | set(modalities) <= set(MODALITIES) or not modalities:
            raise ValueError(
                f"Modalities are {list(MODALITIES)}. Received: snr={snr}, "
                f"modalities={modalities}"
            )
        snr = {name: _levels(ratios) for name, ratios in snr.items()}
        self.digits, self.pairs = digits, digits.pairs[split]
        # As long as they are in order, the numbers of millions of pairs take no memory.
        self.numbers = range(len(self.pairs)) if numbers is None else numbers
        self.preprocessor = preprocessor or DigitPreprocessor()
        self.batch_size, self.snr, self.modalities = batch_size, snr, modalities
        self.mask_frequencies, self.mask_times = mask_frequencies, mask_times
        self.shuffle, self.seed, self.epoch = shuffle, seed, 0
        self._shuffled = None, None

    def __len__(self):
        return -(-len(self.numbers) // self.batch_size)

    def __getitem__(self, index):
        x, labels, numbers = self.signals(index)
        if "sound" in x:
            x["sound"] = self.preprocessor.describe(x["sound"])
            if self.mask_frequencies or self.mask_times:
                masks = (self.mask_frequencies, self.mask_times)
                x["sound"] = np.stack(
                    [
                        mask_spectrogram(sound, self._rng(2, number), *masks)
                        for sound, number in zip(x["sound"], numbers, strict=True)
                    ]
                )
        return x, labels

    def signals(self, index):
        """A batch before its spectrograms: `(x, labels, numbers of the pairs)`.

        `x["sound"]` is `(batch, samples)`, noisy and padded.
        """
        if not 0 <= index < len(self):
            raise IndexError(f"Batches are 0 to {len(self) - 1}. Received: {index}")
        here = slice(index * self.batch_size, (index + 1) * self.batch_size)
        numbers = np.asarray(self._order()[here])
        images, sounds = self.pairs[numbers]
        x = {}
        if "image" in self.modalities:
            x["image"] = np.stack(
                [
                    self._noisy(0, n, self.preprocessor.image(self.digits.images[i]))
                    for n, i in zip(numbers, images, strict=True)
                ]
            )
        if "sound" in self.modalities:
            waves, rate = self.digits.sounds.waves, self.digits.sounds.rate
            x["sound"] = np.stack(
                [
                    self.preprocessor.wave(self._noisy(1, n, waves[s]), rate)
                    for n, s in zip(numbers, sounds, strict=True)
                ]
            )
        return x, self.digits.image_labels[images].astype("int64"), numbers

    def _noisy(self, modality, number, signal):
        snr = self.snr.get(MODALITIES[modality])
        if isinstance(snr, tuple):
            snr = snr[self._rng(3 + modality, number).integers(len(snr))]
        return add_white_noise(signal, snr, self._rng(modality, number))

    def _rng(self, use, number):
        return np.random.default_rng((self.seed, self.epoch, use, int(number)))

    def _order(self):
        if not self.shuffle:
            return self.numbers
        if self._shuffled[0] != self.epoch:
            order = self.numbers
            if isinstance(order, range):  # of which numpy would make a list first
                order = np.arange(order.start, order.stop, order.step)
            else:
                order = np.array(order)
            np.random.default_rng((self.seed, self.epoch)).shuffle(order)
            self._shuffled = self.epoch, order
        return self._shuffled[1]


def _levels(snr):
    """One ratio, or a tuple of several to draw from."""
    if not isinstance(snr, (list, tuple, np.ndarray)):
        check_snr(snr)
        return snr
    if not len(snr):
        raise ValueError(
            "`snr` must have a ratio to draw. Received: none. Without noise: None."
        )
    for ratio in snr:
        check_snr(ratio)
    return tuple(snr)
