"""DCCA against Gaussians of known correlations, and against linear CCA."""

import keras
import numpy as np
import pytest
from backends import gradients, once, run

from keras_mmfusion.analysis import MutualInformation, deep_correlation, plot_estimates
from keras_mmfusion.analysis._total_correlation import (
    held_out_correlations,
    total_correlation,
)

QUICK = {"hidden": (24,), "steps": 100, "batch_size": 400, "restarts": 1}


def gaussians(samples=2000, correlations=(0.9, 0.6), others=2):
    """Mixed columns, of which the canonical correlations are given ones and zeros."""
    rng = np.random.default_rng(0)
    correlations = np.array([*correlations, *[0.0] * others])
    a, noise = rng.normal(size=(2, samples, len(correlations)))
    b = correlations * a + np.sqrt(1 - correlations**2) * noise
    mixed = np.linalg.qr(rng.normal(size=(2, len(correlations), len(correlations))))[0]
    return a @ mixed[0], b @ mixed[1]


def linear_cca(a, b):
    """Correlations by the inverse roots of the paper, with scipy."""
    from scipy.linalg import inv, sqrtm

    a, b = a - a.mean(0), b - b.mean(0)
    root_a, root_b = (inv(sqrtm(x.T @ x)).real for x in (a, b))
    return np.linalg.svd(root_a @ (a.T @ b) @ root_b)[1]


def squares(samples=1000):
    """One column a function of another that no line shows."""
    rng = np.random.default_rng(0)
    a, b = rng.normal(size=(2, samples, 2))
    b[:, 0] = a[:, 0] ** 2 + 0.1 * b[:, 0]
    return a, b


def test_nonlinear_pair():
    a, b = squares()
    assert linear_cca(a, b)[0] < 0.15
    found = deep_correlation(a, b, components=1, **QUICK)
    assert found.correlations.shape == (1,)
    assert found.estimate > 0.85
    assert found.history["held_out"].shape == (1, 20)
    assert found.history["step"][-1] == 100


def test_linear_networks_are_linear_cca():
    """To 0.06: 800 held-out samples give a deviation of 0.02 at 0.6, as does a fit."""
    from sklearn.cross_decomposition import CCA

    a, b = gaussians()
    x, y = CCA(2, max_iter=2000).fit_transform(a, b)
    reference = [np.corrcoef(x[:, i], y[:, i])[0, 1] for i in range(2)]
    np.testing.assert_allclose(reference, linear_cca(a, b)[:2], atol=1e-3)
    settings = {**QUICK, "hidden": (), "learning_rate": 0.05}
    found = deep_correlation(a, b, components=2, **settings)
    np.testing.assert_allclose(found.correlations, reference, atol=0.06)
    np.testing.assert_allclose(found.correlations, [0.9, 0.6], atol=0.06)
    assert found.estimate == pytest.approx(found.correlations.sum())


@once
def test_independent_variables():
    """The networks learn the training samples by heart; the others show it."""
    a, b = np.random.default_rng(0).normal(size=(2, 400, 4))
    found = deep_correlation(a, b, **{**QUICK, "restarts": 2})
    assert found.correlations.shape == (4,) and found.restarts.shape == (2,)
    assert np.abs(found.correlations).max() < 0.3  # deviation of 80 samples: 0.11
    assert found.history["train"].max() > 1.5


class Total(keras.layers.Layer):
    def __init__(self, regularisation):
        super().__init__()
        self.regularisation = regularisation

    def call(self, inputs):
        return total_correlation(*inputs, self.regularisation)


def test_sum_and_its_gradient():
    """Against the inverse roots in float64, and their differences."""
    a, b = (x.astype("float32") for x in gaussians(50))
    noise = 0.3

    def total(a, b):
        a, b = a - a.mean(0), b - b.mean(0)
        scatter = [x.T @ x / len(x) + noise * np.eye(4) for x in (a, b)]
        roots = []
        for matrix in scatter:
            values, vectors = np.linalg.eigh(matrix)
            roots.append(vectors / np.sqrt(values) @ vectors.T)
        return np.linalg.svd(roots[0] @ (a.T @ b / len(a)) @ roots[1])[1].sum()

    layer = Total(noise)
    assert run(layer, [a, b]) == pytest.approx(total(a, b), abs=1e-5)
    (by_a, by_b), _ = gradients(layer, [a, b])
    step, rng = 1e-5, np.random.default_rng(1)
    a, b = a.astype("float64"), b.astype("float64")
    found, expected = [], []
    for _ in range(4):
        to_a, to_b = rng.normal(size=(2, *a.shape))
        ahead = total(a + step * to_a, b + step * to_b)
        behind = total(a - step * to_a, b - step * to_b)
        expected.append((ahead - behind) / (2 * step))
        found.append((by_a * to_a).sum() + (by_b * to_b).sum())
    # `gradients` differentiates a sine of the sum, times a fixed number.
    factor = np.cos(total(a, b)) * np.random.default_rng(7).standard_normal()
    np.testing.assert_allclose(found, np.array(expected) * factor, rtol=1e-3)


def test_gradient_of_a_constant_column():
    """No NaN where singular values are 0 or equal."""
    a = np.random.default_rng(0).normal(size=(30, 3)).astype("float32")
    a[:, 1] = 2.0

    by_input, _ = gradients(Total(1e-3), [a, a.copy()])
    assert all(np.isfinite(g).all() and g.any() for g in by_input)


@once
def test_scores_are_of_other_samples():
    a, b = gaussians(60)
    fitted, other = held_out_correlations(a, b, [(a, b), gaussians(5000)], 0.0)
    np.testing.assert_allclose(fitted, linear_cca(a, b), atol=1e-9)
    np.testing.assert_allclose(
        other, held_out_correlations(a, b, [gaussians(5000)], 0.0)[0]
    )
    constant = held_out_correlations(a, np.ones_like(b), [(a, np.ones_like(b))], 1e-3)
    np.testing.assert_allclose(constant, np.zeros((1, 4)), atol=1e-12)


@once
def test_figure_and_errors():
    a, b = gaussians(150)
    found = deep_correlation(a, b, **{**QUICK, "steps": 20})
    assert found.figure.axes[0].get_ylabel() == "sum of canonical correlations"
    information = MutualInformation(0.0, np.zeros(1), found.history)
    with pytest.raises(ValueError, match="Draw a figure for each"):
        plot_estimates({"a": found, "b": information})
    with pytest.raises(ValueError, match="components=0"):
        deep_correlation(a, b, components=0)
    with pytest.raises(ValueError, match=r"positive integer\. Received: restarts=0"):
        deep_correlation(a, b, restarts=0)
    with pytest.raises(ValueError, match="150 and 149 samples"):
        deep_correlation(a, b[1:])
    with pytest.raises(ValueError, match="At least 100"):
        deep_correlation(a[:50], b[:50])
