"""Ridge regression from sums of products, on data too large to be held at once."""

from typing import NamedTuple

import numpy as np


class RidgeSums:
    """Sums of products that ridge regression and its error are made of.

    The last `covariates` of the features have a penalty of their own.
    """

    def __init__(self, covariates=0):
        self.covariates = covariates
        self.count, self.inner, self.cross, self.square = 0, 0.0, 0.0, 0.0

    def add(self, features, target):
        """Add arrays `(windows, columns, features)` and `(windows, columns, steps)`."""
        features = features.reshape(-1, features.shape[-1])
        target = target.reshape(len(features), target.shape[-1])
        features = np.concatenate([features, np.ones((len(features), 1))], axis=1)
        self.count += len(features)
        self.inner = self.inner + features.T @ features
        self.cross = self.cross + features.T @ target
        self.square += float(np.sum(np.square(target)))

    def is_finite(self):
        return np.isfinite(self.square) and np.isfinite(self.inner).all()

    def ridge(self, alpha, covariate_alpha, unseen=()):
        """Weights `(features + 1, steps)`, the last row the bias, which is free.

        With None as their penalty, the weights of covariates are zero, as are those of
        the features `unseen`, by their numbers.
        """
        bias = len(self.inner) - 1
        first = bias - self.covariates
        used = np.arange(bias + 1)
        penalty = np.full(bias + 1, float(alpha))
        if covariate_alpha is None:
            used = np.delete(used, slice(first, bias))
        else:
            penalty[first:bias] = covariate_alpha
        used = np.setdiff1d(used, unseen)
        penalty[bias] = 0.0
        inner = self.inner[np.ix_(used, used)] + np.diag(penalty[used] * self.count)
        solution = np.zeros_like(self.cross)
        if 0 in (alpha, covariate_alpha):
            # There may be fewer windows than weights, features that follow from others
            # as those of DLinear do, or constant covariates: the smallest of all.
            solution[used] = np.linalg.lstsq(inner, self.cross[used], rcond=None)[0]
        else:
            solution[used] = np.linalg.solve(inner, self.cross[used])
        return solution

    def from_last(self, last):
        """The same sums, of the distances of features and targets from one feature.

        Args:
            last: int, the number of that feature; it and those before it are a series.
        """
        change = np.eye(len(self.inner))
        change[last, : last + 1] -= 1.0
        distances = RidgeSums(self.covariates)
        distances.count = self.count
        distances.inner = change.T @ self.inner @ change
        distances.cross = change.T @ (self.cross - self.inner[:, last, None])
        return distances

    def error(self, weights):
        """Sum of the squared errors, over all rows and steps."""
        error = np.sum(weights * (self.inner @ weights - 2 * self.cross))
        return float(self.square + error)

    def size(self):
        """How many values were added."""
        return self.count * self.cross.shape[1]


class Fit(NamedTuple):
    """Weights, their two penalties, and the errors on data held out, by penalties."""

    weights: np.ndarray
    penalty: tuple
    errors: dict


def following(sums, last, penalty, unseen=()):
    """Weights as of `RidgeSums.ridge`, those of a series with a sum of one.

    A series that is higher by one then has forecasts that are, too. The weight of the
    feature `last` is what is left of one; it has no penalty.
    """
    weights = sums.from_last(last).ridge(*penalty, unseen)
    weights[last] = 1.0 - weights[:last].sum(axis=0)
    return weights


def mean_of_fits(unseen, last, reversion):
    """What solves `(sums, penalty)`: a mean over look-backs, and over two kinds.

    Args:
        unseen: list of arrays, the features that each of the look-backs does without.
        last: int, the number of the last step of the series.
        reversion: float, the share of `RidgeSums.ridge`; the rest is `following`.
    """

    def solve(sums, penalty):
        weights = 0.0
        for left in unseen:
            if reversion > 0:
                weights += reversion * sums.ridge(*penalty, left)
            if reversion < 1:
                weights += (1 - reversion) * following(sums, last, penalty, left)
        return weights / len(unseen)

    return solve


def best_fits(training, held_out, penalties, solve):
    """The best `Fit` of each group of steps.

    Args:
        training: list of `[RidgeSums]`, one a group.
        held_out: list of lists of the same, one a part; empty if there are no such
            data and nothing to choose.
        penalties: list of lists of pairs to try, one list a group.
        solve: list of what gives the weights of `(sums, pair)`, one a group.
    """
    return [
        _best(*of_group)
        for of_group in zip(training, held_out, penalties, solve, strict=True)
    ]


def _best(training, held_out, penalties, solve):
    weights = {pair: solve(training[0], pair) for pair in penalties}
    errors = {}
    if held_out:
        errors = {
            pair: mse(held_out, [found] * len(held_out))
            for pair, found in weights.items()
        }
    best = min(errors, key=errors.get) if len(penalties) > 1 else penalties[0]
    return Fit(weights[best], best, errors)


def surely_better(held_out, fits, others):
    """Whether fits of all groups err less, by more than a standard error over parts."""
    ours, theirs = ([fit.weights for fit in of] for of in (fits, others))
    gains = np.array(
        [mse(part, theirs) - mse(part, ours) for part in zip(*held_out, strict=True)]
    )
    doubt = gains.std(ddof=1) / len(gains) ** 0.5 if len(gains) > 1 else 0.0
    return bool(gains.mean() > doubt)


def mse(sums, weights):
    """Mean squared error over the values of several sums, each with its weights."""
    errors = [s.error(found) for s, found in zip(sums, weights, strict=True)]
    return sum(errors) / sum(s.size() for s in sums)


def unseen_features(count, steps, lookbacks):
    """Numbers of `count` features that fits to the last of `steps` do without."""
    lookbacks = (steps,) if lookbacks is None else tuple(lookbacks)
    if not lookbacks or not all(1 <= known <= steps for known in lookbacks):
        raise ValueError(
            f"`lookbacks` must be from 1 to {steps}, the number of steps. "
            f"Received: {lookbacks}"
        )
    # One feature a step, or several rows of such.
    step = np.arange(count) % steps
    return [np.flatnonzero(step < steps - known) for known in lookbacks]


def told(fit, with_covariates):
    """What is returned of a `Fit`."""
    alpha, of_covariates = fit.penalty
    errors = {tried: error for (tried, _), error in fit.errors.items()}
    found = {"alpha": alpha, "validation_mse": errors}
    if with_covariates:
        found["covariate_alpha"] = of_covariates
    return found


def smoothed(weights, smoothing, period):
    """Weights `(features, steps)`, those of each step a mean over periods around it.

    On each side `smoothing` times the whole periods to the step, rounded, as far as
    there are as many on both.
    """
    steps, result = weights.shape[1], np.empty_like(weights)
    for step in range(steps):
        before, after = step // period, (steps - 1 - step) // period
        reach = period * min(round(smoothing * before), before, after)
        around = weights[:, step - reach : step + reach + 1 : period]
        result[:, step] = around.mean(axis=1)
    return result
