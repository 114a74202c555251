"""Folds of samples that keep each patient, speaker or record on one side."""

import numbers

import numpy as np

from keras_mmfusion.tuning._packages import import_model_selection


def group_folds(groups, folds=4, y=None, seed=0):
    """Split samples into training and validation, with no group in both parts.

    Each sample is for validation in one fold. For a single split, take the first fold.

    Args:
        groups: Array `(samples,)`, the patient or record of each sample.
        folds: int. Number of folds, 2 or more. Defaults to `4`.
        y: Integers `(samples,)` or `(samples, time)`, the classes: folds then hold
            alike shares of them, as far as whole groups allow. Negative ones are
            not counted; of several in a sample, the rarest one is. Defaults to
            `None`: folds of like size.
        seed: int. Of the order in which groups are dealt out by `y`.
            Defaults to `0`.

    Returns:
        List of pairs of index arrays, `(training, validation)`, one a fold.

    Raises:
        ValueError: There are fewer groups than two, or than folds, or lengths differ.
        ImportError: scikit-learn, of the extra `tuner`, is not installed.

    Example:

    ```python
    from keras_mmfusion.tuning import group_folds

    patients = ["a", "a", "b", "b", "c", "c", "d", "d"]
    for training, validation in group_folds(patients, folds=2):
        print(training, validation)
    ```
    """
    groups = np.asarray(groups)
    if groups.ndim != 1:
        raise ValueError(
            "`groups` must have one entry a sample. "
            f"Received: an array of shape {groups.shape}"
        )
    count = len(np.unique(groups))
    if count < 2:
        raise ValueError(
            "`groups` must hold two different ones at least. "
            f"Received: {np.unique(groups)}"
        )
    if not isinstance(folds, numbers.Integral) or not 2 <= folds <= count:
        raise ValueError(
            f"`folds` must be from 2 to {count}, the number of groups. "
            f"Received: folds={folds!r}"
        )
    model_selection = import_model_selection()
    if y is not None:
        y = _class_of_each(np.asarray(y), len(groups))
    if y is None or np.unique(y, return_counts=True)[1].max() < folds:
        # Too few of each class to share them out.
        splitter = model_selection.GroupKFold(folds)
    else:
        folds = {"n_splits": folds, "shuffle": True, "random_state": seed}
        splitter = model_selection.StratifiedGroupKFold(**folds)
    found = splitter.split(np.zeros(len(groups)), y, groups)
    return [(training, validation) for training, validation in found]


def _class_of_each(y, samples):
    """One class for each sample: of those that it holds, the rarest."""
    if y.shape[:1] != (samples,) or y.ndim > 2 or y.dtype.kind not in "iu":
        raise ValueError(
            f"`y` must be integers ({samples},) or ({samples}, time), as many samples "
            f"as `groups`. Received: shape {y.shape}, dtype {y.dtype}"
        )
    if y.ndim == 1:
        return y
    values, counts = np.unique(y[y >= 0], return_counts=True)
    result = np.full(samples, -1)
    for value in values[np.argsort(-counts, kind="stable")]:
        result[(y == value).any(axis=1)] = value
    return result
