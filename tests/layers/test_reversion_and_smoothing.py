"""What `fit_closed_form` makes of linear forecasts besides the best fit."""

import numpy as np
import pytest
from backends import run
from harness import assert_close, numbers
from linear_cases import LINEAR, series

from keras_mmfusion.layers import LinearForecast, NLinear


@pytest.mark.parametrize("with_covariates", [False, True])
@pytest.mark.parametrize("alpha", [0.0, 0.1])
def test_reversion_goes_from_nlinear_to_linear(with_covariates, alpha):
    x, covariates, y = series()
    inputs = [x, covariates] if with_covariates else x
    forecasts = {}
    for name in ("nlinear", "linear"):
        layer = LINEAR[name]()
        layer.fit_closed_form(inputs, y, alpha, lookbacks=(4, 12))
        forecasts[name] = run(layer, inputs)
    for reversion in (0, 0.3, 1):
        layer = LinearForecast(5)
        layer.fit_closed_form(inputs, y, alpha, lookbacks=(4, 12), reversion=reversion)
        expected = (1 - reversion) * forecasts["nlinear"]
        expected = expected + reversion * forecasts["linear"]
        assert_close(run(layer, inputs), expected, 1e-4)


@pytest.mark.parametrize("kind", LINEAR)
def test_smoothed_forecasts_are_means_over_the_periods_around(kind):
    """Of 13 steps in periods of 3: as many on both sides, half of those to a step."""
    x, covariates, _ = series(count=60)
    y = numbers(3, 60, 13, x.shape[2])[0]
    plain, smooth = (LINEAR[kind](13) for _ in range(2))
    plain.fit_closed_form([x, covariates], y, 0.1)
    smooth.fit_closed_form([x, covariates], y, 0.1, smoothing=0.5, period=3)
    found, forecast = run(smooth, [x, covariates]), run(plain, [x, covariates])
    for step, around in {0: [0], 5: [5], 6: [3, 6, 9], 8: [5, 8, 11], 10: [10]}.items():
        assert_close(found[:, step], forecast[:, around].mean(axis=1), 1e-4)


def test_each_horizon_has_a_reversion_of_its_own():
    x, _, y = series()
    options = {"alpha": 0.1, "horizons": (2, 5)}
    found = {}
    for reversion in (0.0, 0.3, (0.0, 0.3)):
        layer = LinearForecast(5)
        layer.fit_closed_form(x, y, reversion=reversion, **options)
        found[reversion] = run(layer, x)
    assert_close(found[0.0, 0.3][:, :2], found[0.0][:, :2], 1e-6)
    assert_close(found[0.0, 0.3][:, 2:], found[0.3][:, 2:], 1e-6)
    assert np.abs(found[0.0] - found[0.3]).max() > 1e-3


@pytest.mark.parametrize(
    "options, message",
    [
        ({"smoothing": -0.1}, "`smoothing` must be 0 or more"),
        ({"smoothing": float("nan")}, "`smoothing` must be 0 or more"),
        ({"smoothing": 0.5, "period": 0}, "`period` must be a positive integer"),
    ],
)
def test_smoothing_that_cannot_be(options, message):
    x, _, y = series()
    with pytest.raises(ValueError, match=message):
        NLinear(5).fit_closed_form(x, y, 0.1, **options)


@pytest.mark.parametrize(
    "layer, reversion, message",
    [
        (LinearForecast(5), 1.5, "from 0 to 1"),
        (LinearForecast(5), (0.5, 1.5), "one number, or 1, one for each"),
        (LinearForecast(5), float("nan"), "from 0 to 1"),
        (NLinear(5), 0.5, "`reversion` is for `LinearForecast`"),
    ],
)
def test_reversion_that_cannot_be(layer, reversion, message):
    x, _, y = series()
    with pytest.raises(ValueError, match=message):
        layer.fit_closed_form(x, y, 0.1, reversion=reversion)
