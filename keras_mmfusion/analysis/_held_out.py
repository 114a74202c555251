"""Estimates of networks that are chosen on some samples and scored on others."""

from dataclasses import dataclass

import numpy as np

from keras_mmfusion.analysis._feature_table import paired_tables


@dataclass(frozen=True)
class Split:
    """Two tables, standardised: rows to train on, and two halves of the others.

    Attributes:
        train: Pair of float32 arrays, columns of mean 0 and deviation 1.
        halves: Two pairs of float32 arrays.
    """

    train: tuple
    halves: tuple


def split(a, b, rng):
    """A `Split` of paired features; three fifths train."""
    a, b = paired_tables(a, b)
    order = rng.permutation(len(a))
    train = order[: len(a) * 3 // 5]
    halves = np.array_split(order[len(train) :], 2)
    a, b = _standardised(a, train), _standardised(b, train)
    return Split((a[train], b[train]), tuple((a[half], b[half]) for half in halves))


def _standardised(table, train):
    deviation = table[train].std(axis=0)
    deviation[deviation == 0] = 1.0
    return ((table - table[train].mean(axis=0)) / deviation).astype("float32")


def chosen(scores):
    """The best moment of training by each half, scored on the other half, averaged.

    The best of many noisy values is too high; the other half knows nothing of the
    choice.

    Args:
        scores: Array `(restarts, evaluations, 2, values)`; the sum of the values is
            what is to be high.

    Returns:
        Array `(values,)`.
    """
    moments = scores.reshape(-1, *scores.shape[2:])
    best = moments.sum(axis=-1).argmax(axis=0)
    return (moments[best[0], 1] + moments[best[1], 0]) / 2


def history_of(losses, scores, steps):
    """What was seen meanwhile, of all restarts.

    Args:
        losses: Array `(restarts, evaluations)`.
        scores: Array `(restarts, evaluations, 2, values)`.
        steps: int, batches between two evaluations.

    Returns:
        dict of arrays: `"step"` `(evaluations,)`, `"train"` and `"held_out"`
        `(restarts, evaluations)`.
    """
    return {
        "step": steps * np.arange(1, losses.shape[1] + 1),
        "train": -losses.astype("float64"),
        "held_out": scores.sum(axis=-1).mean(axis=-1),
    }
