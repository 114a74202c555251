"""Forecasts of several horizons at once: near steps have more windows than far ones."""

import numbers
from itertools import pairwise

import numpy as np


def groups_of_steps(horizons, horizon):
    """Slices of the steps up to each of `horizons`, one of all steps for `None`.

    Raises:
        ValueError: `horizons` do not rise to `horizon`.
    """
    ends = (horizon,) if horizons is None else horizons
    ends = tuple(ends) if hasattr(ends, "__iter__") else (ends,)
    rising = all(isinstance(end, numbers.Integral) for end in ends) and all(
        start < stop for start, stop in pairwise((0, *ends))
    )
    if not ends or ends[-1] != horizon or not rising:
        raise ValueError(
            f"`horizons` must rise to {horizon}, the last step of the forecast, in "
            f"whole numbers. Received: horizons={horizons}"
        )
    return [slice(start, stop) for start, stop in pairwise((0, *ends))]


def one_each(name, value, groups):
    """A list of one `value` for each of `groups` of steps, of one for all or several.

    Raises:
        ValueError: There are several, but not as many as groups.
    """
    several = hasattr(value, "__iter__")
    values = list(value) if several else [value] * len(groups)
    if len(values) != len(groups):
        raise ValueError(
            f"`{name}` must be one number, or {len(groups)}, one for each of "
            f"`horizons`. Received: {name}={value}"
        )
    return values


def reaches(y, steps):
    """Which windows `(windows, horizon, columns)` have a value at the last of `steps`.

    A window near the end of its part has NaN for what would lie beyond.
    """
    return ~np.isnan(y[:, steps.stop - 1]).any(axis=-1)


def parts_of(y, steps, parts=1, whole=False):
    """Which of some consecutive parts a window is in, -1 for those that do not count.

    Those count that reach the last of `steps`; all do with `whole`. Each part has the
    same number of them, give or take one.
    """
    counts = np.ones(len(y), bool) if whole else reaches(y, steps)
    part = (np.cumsum(counts) - 1) * parts // max(counts.sum(), 1)
    return np.where(counts, part, -1)
