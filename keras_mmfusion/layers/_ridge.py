"""Ridge regression from sums of products, on data too large to be held at once."""

import numpy as np


class RidgeSums:
    """Sums of products that ridge regression and its error are made of."""

    def __init__(self):
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

    def ridge(self, alpha, without=0):
        """Weights `(features + 1, horizon)`, the last row the bias.

        Those of the last `without` features are zero.
        """
        count = len(self.inner)
        used = np.r_[: count - 1 - without, count - 1]
        penalty = np.full(len(used), alpha * self.count)
        penalty[-1] = 0.0
        inner = self.inner[np.ix_(used, used)] + np.diag(penalty)
        solution = np.zeros_like(self.cross)
        if alpha == 0:
            # There may be fewer windows than weights, or features that follow from
            # others as those of DLinear do: the smallest of all solutions.
            solution[used] = np.linalg.lstsq(inner, self.cross[used], rcond=None)[0]
        else:
            solution[used] = np.linalg.solve(inner, self.cross[used])
        return solution

    def error(self, solution):
        """Sum of the squared errors of a solution, over all rows and steps."""
        error = np.sum(solution * (self.inner @ solution - 2 * self.cross))
        return float(self.square + error)

    def size(self):
        """How many values were added."""
        return self.count * self.cross.shape[1]


def best_fits(training, held_out, alphas, without=0):
    """`(solution, what was tried)` of each group of steps, with its best penalty.

    `held_out` has the sums of the parts of each group, none without such data.
    """
    fits = []
    for (of_group,), parts in zip(training, held_out, strict=True):
        solutions = {alpha: of_group.ridge(alpha, without) for alpha in alphas}
        errors = {}
        if parts:
            errors = {
                alpha: mse(parts, [s] * len(parts)) for alpha, s in solutions.items()
            }
        best = min(errors, key=errors.get) if len(alphas) > 1 else alphas[0]
        fits.append((solutions[best], {"alpha": best, "validation_mse": errors}))
    return fits


def surely_better(held_out, fits, others):
    """Whether fits of all groups err less, by more than a standard error over parts."""
    ours, theirs = ([solution for solution, _ in of] for of in (fits, others))
    gains = np.array(
        [mse(part, theirs) - mse(part, ours) for part in zip(*held_out, strict=True)]
    )
    doubt = gains.std(ddof=1) / len(gains) ** 0.5 if len(gains) > 1 else 0.0
    return bool(gains.mean() > doubt)


def mse(sums, solutions):
    """Mean squared error over the values of several sums, each with its solution."""
    errors = [s.error(solution) for s, solution in zip(sums, solutions, strict=True)]
    return sum(errors) / sum(s.size() for s in sums)
