"""MINE against Gaussians, whose mutual information is known."""

import keras
import numpy as np
import pytest
from backends import once

from keras_mmfusion.analysis import mutual_information, plot_estimates

QUICK = {"hidden": (32,), "steps": 240, "learning_rate": 4e-3, "restarts": 1}


def gaussians(samples, dims, correlation):
    """Pairs with `-dims / 2 log(1 - correlation²)` nats."""
    rng = np.random.default_rng(0)
    a, noise = rng.normal(size=(2, samples, dims))
    return a, correlation * a + np.sqrt(1 - correlation**2) * noise


@pytest.fixture(scope="module")
def dependent():
    return mutual_information(*gaussians(3000, 2, 0.8), **QUICK)


def test_gaussians(dependent):
    """To 0.15 of 1.02 nats: 600 held-out samples alone give a deviation of 0.05."""
    assert dependent.estimate == pytest.approx(-np.log(1 - 0.8**2), abs=0.15)
    assert {key: x.shape for key, x in dependent.history.items()} == {
        "step": (40,),
        "train": (1, 40),
        "held_out": (1, 40),
    }
    assert dependent.history["step"][-1] == 240
    assert dependent.restarts[0] == pytest.approx(dependent.estimate)


@once
def test_independent_variables():
    a, b = gaussians(1000, 2, 0.0)
    found = mutual_information(a, b, **{**QUICK, "steps": 80, "restarts": 2})
    assert abs(found.estimate) < 0.03
    assert found.restarts.shape == (2,)


@once
def test_the_order_of_samples_means_nothing_and_the_pairing_all(dependent):
    a, b = gaussians(3000, 2, 0.8)
    order = np.random.default_rng(1).permutation(len(a))
    alike = mutual_information(a[order], b[order], **QUICK)
    assert alike.estimate == pytest.approx(dependent.estimate, abs=0.15)
    assert abs(mutual_information(a[order], b, **QUICK).estimate) < 0.05


@once
def test_what_is_learnt_by_heart_is_not_counted():
    """150 samples of 20 features: the bound of the training batches goes far up."""
    rng = np.random.default_rng(0)
    a, b = rng.normal(size=(2, 150, 20))
    found = mutual_information(a, b, **QUICK)
    assert found.history["train"].max() > 1.0
    assert abs(found.estimate) < 0.2


@once
def test_sequences_scale_and_seed():
    """The mean over time, standardised; the same seed gives the same number."""
    a, b = gaussians(200, 2, 0.8)
    settings = {**QUICK, "steps": 160}  # several batches between two evaluations
    keras.utils.set_random_seed(0)
    expected = mutual_information(a, b, **settings).estimate
    keras.utils.set_random_seed(1)
    steps = np.stack([a - 1.0, a + 1.0], axis=1)
    found = mutual_information(steps, 1e3 * b + 5.0, **settings)
    assert found.estimate == pytest.approx(expected, abs=1e-4)
    other = mutual_information(a, b, **settings, seed=1).estimate
    assert other != pytest.approx(expected, abs=1e-4)


@once
def test_bound_and_its_gradient():
    """In float64 from eq. 10 and 12, with the moving average started at 1."""
    from backends import gradients, run

    from keras_mmfusion.analysis._donsker_varadhan import DonskerVaradhan, bound

    values = np.random.default_rng(0).normal(size=(12, 1)).astype("float32")
    joint, shuffled = values[:6].astype("float64"), values[6:].astype("float64")
    expected = joint.mean() - np.log(np.exp(shuffled).mean())
    assert bound(values[:6], values[6:]) == pytest.approx(expected, abs=1e-12)
    assert np.isfinite(bound(values[:6] + 900, values[6:] + 900))

    class OwnLoss(DonskerVaradhan):
        def call(self, inputs):
            super().call(inputs)
            return self.losses[-1]

    layer = OwnLoss(rate=0.25)
    layer.build(values.shape)
    assert run(layer, values) == pytest.approx(-expected, abs=1e-6)
    average = 0.75 + 0.25 * np.exp(shuffled).mean()
    assert np.exp(float(layer.log_average)) == pytest.approx(average, rel=1e-6)
    layer.log_average.assign(0.0)
    by_input, _ = gradients(layer, values)
    corrected = np.concatenate(
        [np.full((6, 1), -1 / 6), np.exp(shuffled) / 6 / average]
    )
    # `gradients` differentiates a sine of the loss, times a fixed number.
    factor = np.cos(expected) * np.random.default_rng(7).standard_normal()
    np.testing.assert_allclose(by_input[0], corrected * factor, rtol=1e-4)


@once
def test_figure(dependent, tmp_path):
    figure = plot_estimates({"original": dependent, "encoded": dependent})
    axes = figure.axes[0]
    assert axes.get_ylabel() == "mutual information in nats"
    names = [text.get_text() for text in figure.legends[0].get_texts()]
    number = f"{dependent.estimate:.2f}"
    assert names == [f"original: {number}", f"encoded: {number}", "training batches"]
    smooth = axes.lines[2].get_ydata()  # after a restart and the training batches
    held_out = dependent.history["held_out"][0]
    np.testing.assert_allclose(smooth[7], held_out[5:10].mean())
    np.testing.assert_allclose(smooth[[0, 1]], [held_out[0], held_out[:3].mean()])
    dependent.figure.savefig(tmp_path / "one.png")
    with pytest.raises(ValueError, match=r"Received: \[\]"):
        plot_estimates({})


@once
def test_errors():
    a, b = gaussians(120, 2, 0.5)
    with pytest.raises(ValueError, match="120 and 119 samples"):
        mutual_information(a, b[1:])
    with pytest.raises(ValueError, match=r"At least 100 .* Received: 99"):
        mutual_information(a[:99], b[:99])
    with pytest.raises(ValueError, match=r"`b` must be .*\(120, 1, 1, 2\)"):
        mutual_information(a, b[:, None, None])
    for name in ("steps", "batch_size", "restarts"):
        with pytest.raises(ValueError, match=f"positive integer. Received: {name}=0"):
            mutual_information(a, b, **{name: 0})
    a[3, 1] = np.nan
    with pytest.raises(ValueError, match=r"`a` must be finite\. Received: 1 values"):
        mutual_information(a, b)
