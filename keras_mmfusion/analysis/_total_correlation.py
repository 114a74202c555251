"""Canonical correlations: as a loss, and of given samples."""

import keras
import numpy as np
from keras import ops


class TotalCorrelation(keras.layers.Layer):
    """Adds minus the sum of the canonical correlations of a batch as loss.

    Args:
        regularisation: float, added to the variances.
    """

    def __init__(self, regularisation, **kwargs):
        super().__init__(**kwargs)
        self.regularisation = regularisation

    def call(self, a, b):
        self.add_loss(-total_correlation(a, b, self.regularisation))
        return a


def total_correlation(a, b, regularisation):
    """Sum of the canonical correlations of two tensors `(samples, features)`.

    They are the singular values of `L_a^-1 C_ab L_b^-T`, where `L L^T` are the
    covariances: the same as with the inverse roots of the paper, and no gradient goes
    through eigenvectors, which has none where two eigenvalues are equal.

    Reference:
        Andrew et al., ICML 2013, section 3, eq. 10.
    """
    a = a - ops.mean(a, axis=0, keepdims=True)
    b = b - ops.mean(b, axis=0, keepdims=True)
    # With sums for means, on both sides: the number of samples cancels out.
    half = _divided(a, ops.matmul(ops.transpose(a), b), regularisation)
    whole = _divided(b, ops.transpose(half), regularisation)
    return ops.sum(ops.svd(whole, full_matrices=False, compute_uv=False))


def _divided(centred, products, regularisation):
    """`L^-1 products`."""
    samples = ops.cast(ops.shape(centred)[0], "float32")
    noise = regularisation * samples * ops.eye(centred.shape[-1])
    scatter = ops.matmul(ops.transpose(centred), centred)
    return ops.solve_triangular(ops.cholesky(scatter + noise), products, lower=True)


def held_out_correlations(a, b, others, regularisation):
    """Correlations of the canonical components of some samples, on other samples.

    Components that were fitted on the samples they are scored on would correlate by
    chance alone.

    Args:
        a: Array `(samples, features)` that the components are fitted on.
        b: Array of the same samples.
        others: Sequence of pairs of such arrays to score.
        regularisation: float, added to the variances.

    Returns:
        float64 array `(len(others), components)`.
    """
    a, b = np.asarray(a, "float64"), np.asarray(b, "float64")
    inverse_a, inverse_b = (_inverse_factor(x, regularisation) for x in (a, b))
    covariance = (a - a.mean(0)).T @ (b - b.mean(0)) / len(a)
    left, _, right = np.linalg.svd(inverse_a @ covariance @ inverse_b.T)
    count = min(a.shape[1], b.shape[1])
    weights_a = inverse_a.T @ left[:, :count]
    weights_b = inverse_b.T @ right[:count].T
    return np.array([_correlations(x @ weights_a, y @ weights_b) for x, y in others])


def _inverse_factor(x, regularisation):
    covariance = np.atleast_2d(np.cov(x.T, bias=True))
    noise = regularisation * np.eye(len(covariance))
    return np.linalg.inv(np.linalg.cholesky(covariance + noise))


def _correlations(x, y):
    """Of each column with the other's; 0 for a constant one."""
    x, y = x - x.mean(0), y - y.mean(0)
    size = np.sqrt((x * x).sum(0) * (y * y).sum(0))
    return (x * y).sum(0) / np.where(size > 0, size, np.inf)
