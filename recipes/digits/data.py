"""The pairs that a network of the digits study is trained and scored on."""

import functools

import keras
import numpy as np

from keras_mmfusion.datasets.digit_batches import MODALITIES, DigitBatches
from keras_mmfusion.datasets.digits import load_digits

# Ratios of powers, from clean to drowned: the axes of the paper's heat maps.
LEVELS = (None, 16.0, 8.0, 4.0, 2.0, 1.0, 0.5, 0.25, 0.125, 0.0625)
# What the networks are trained with: as in Fig. 3, and without noise. Ours: any of
# these levels for each pair; and no noise, but one of the two missing in some pairs.
NOISE = {
    "noisy": {"image": 0.25, "sound": 0.5},
    "original": {},
    "mixed": {"image": LEVELS, "sound": LEVELS},
    "incomplete": {},
}
MISSING = {"incomplete": 0.2}


@functools.lru_cache(maxsize=1)
def load(protocol, seed, folder=None):
    """`Digits` of a protocol. Of `digits_speaker`, each seed tests on another speaker.

    Of `digits` the split is the same for all seeds, as in the paper.
    """
    return load_digits(protocol, folder, seed if protocol == "digits_speaker" else 0)


class Parts(keras.utils.PyDataset):
    """Batches of one pass over `batches`, a part of them in each epoch.

    A training that sees every pair once can be watched, and goes on after an
    interruption, only if it has epochs. NaN stands for what is not among the
    modalities of `batches`, and in a share of the pairs for one of them, drawn evenly.
    A callback sets `epoch`.
    """

    def __init__(self, batches, parts=1, missing=0.0):
        super().__init__()
        self.batches, self.epoch, self.missing = batches, 0, missing
        self.steps = len(batches) // parts

    def __len__(self):
        return self.steps

    def __getitem__(self, index):
        index += self.epoch * self.steps
        x, labels = self.batches[index]
        for name in set(MODALITIES) - set(x):
            shape = self.batches.preprocessor.shapes[name]
            x[name] = np.full((len(labels), *shape), np.nan, "float32")
        if self.missing:
            rng = np.random.default_rng([self.batches.seed, index])
            drawn = rng.random(len(labels)) / self.missing
            for i, name in enumerate(MODALITIES):
                x[name][(drawn >= i / 2) & (drawn < (i + 1) / 2)] = np.nan
        return x, labels


def pairs(digits, split, count, seed, snr, modalities=MODALITIES, **kwargs):
    """`count` pairs of a split, the same for every network of this seed."""
    return DigitBatches(
        digits,
        split,
        numbers=digits.pairs[split].sample(min(count, len(digits.pairs[split])), seed),
        snr=snr,
        modalities=modalities,
        seed=seed,
        **kwargs,
    )
