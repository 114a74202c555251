"""Linear forecasts, and their closed form."""

import keras
import numpy as np
import pytest
from backends import run
from harness import assert_close, check_layer, numbers
from linear_cases import LINEAR, series

from keras_mmfusion.layers import DLinear, LinearForecast, NLinear


def reference(layer, x, covariates=None):
    """The equations, a window and a column at a time, in float64."""
    kernel, bias = (np.asarray(w, "float64") for w in layer.get_weights()[:2])
    output = np.empty((len(x), 5, x.shape[2]))
    for window in range(len(x)):
        for column in range(x.shape[2]):
            known, level = x[window, :, column].astype("float64"), 0.0
            if isinstance(layer, NLinear):
                level = known[-1]
            if isinstance(layer, DLinear):
                side = layer.width // 2
                padded = np.r_[[known[0]] * side, known, [known[-1]] * side]
                trend = np.convolve(padded, np.ones(layer.width) / layer.width, "valid")
                known = np.r_[trend, known - trend]
            output[window, :, column] = (known - level) @ kernel + bias + level
            if covariates is not None:
                weights = np.asarray(layer.get_weights()[2], "float64")
                output[window, :, column] += covariates[window] @ weights
    return output


@pytest.mark.parametrize("kind", LINEAR)
def test_layer(tmp_path, kind):
    x = numbers(1, 4, 12, 3)[0]
    path = tmp_path / "m.keras"
    layer = check_layer(LINEAR[kind], x, path=path, quantize=True, dynamic=False)
    assert_close(run(layer, x), reference(layer, x), 1e-5)


@pytest.mark.parametrize("kind", LINEAR)
def test_layer_with_covariates(tmp_path, kind):
    x = numbers(2, (4, 12, 3), (4, 2))
    path = tmp_path / "m.keras"
    layer = check_layer(LINEAR[kind], x, path=path, quantize=True, dynamic=False)
    assert_close(run(layer, x), reference(layer, *x), 1e-5)


def test_long_series_keep_their_precision():
    """The moving mean of DLinear, far from zero."""
    x = numbers(1, 2, 2000, 1)[0] + 100
    layer = DLinear(5, width=25)
    assert_close(run(layer, x) / 100, reference(layer, x) / 100, 2e-5)


def objective(layer, inputs, y, alpha):
    """What ridge regression minimises: the mean over rows, the sum over steps."""
    error = np.square(run(layer, inputs).astype("float64") - y)
    weights = [w for w in layer.get_weights() if w.ndim == 2]
    penalty = sum(np.sum(np.square(w, dtype="float64")) for w in weights)
    return error.mean(axis=(0, 2)).sum() + alpha * penalty


@pytest.mark.parametrize("kind", LINEAR)
@pytest.mark.parametrize("with_covariates", [False, True])
def test_closed_form_is_the_minimum(kind, with_covariates):
    x, covariates, y = series()
    inputs = [x, covariates] if with_covariates else x
    layer, alpha = LINEAR[kind](), 0.01
    found = layer.fit_closed_form(inputs, y, alpha)
    penalties = {"covariate_alpha": alpha} if with_covariates else {}
    assert found == {"alpha": alpha, "validation_mse": {}, **penalties}
    least = objective(layer, inputs, y, alpha)
    rng = np.random.default_rng(1)
    weights = layer.get_weights()
    for i in range(len(weights)):
        for _ in range(5):
            moved = [w.copy() for w in weights]
            moved[i] += 0.05 * rng.standard_normal(moved[i].shape)
            layer.set_weights(moved)
            assert objective(layer, inputs, y, alpha) > least
    layer.set_weights(weights)
    assert_close(run(layer, inputs)[:9], reference(layer, *_pair(inputs, 9)), 1e-5)


def _pair(inputs, count):
    return [part[:count] for part in (inputs if isinstance(inputs, list) else [inputs])]


def test_closed_form_without_penalty_is_least_squares():
    x, _, y = series(columns=1)
    layer = LinearForecast(5)
    layer.fit_closed_form(x, y, alpha=0)
    design = np.c_[x[:, :, 0], np.ones(len(x))].astype("float64")
    expected = np.linalg.lstsq(design, y[:, :, 0], rcond=None)[0]
    kernel, bias = layer.get_weights()
    assert_close(kernel, expected[:-1], 1e-5)
    assert_close(bias, expected[-1], 1e-5)


def test_fewer_windows_than_weights():
    x, _, y = series(count=4, columns=1)
    layer = LinearForecast(5)
    layer.fit_closed_form(x, y, alpha=0)
    assert_close(run(layer, x), y, 1e-3)


def test_features_that_follow_from_others():
    """Those of DLinear, of trend and remainder, are twice as many as the steps."""
    x, _, y = series(columns=1)
    plain, twofold = LinearForecast(5), DLinear(5, width=7)
    for layer in (plain, twofold):
        layer.fit_closed_form(x, y, alpha=0)
    assert_close(run(twofold, x), run(plain, x), 1e-4)
    assert max(np.abs(w).max() for w in twofold.get_weights()) < 10


def test_the_penalty_is_chosen_on_validation():
    """By the error that forecasting has; nothing else of the data is looked at."""
    x, _, y = series(60)
    x_held, _, y_held = series(200, seed=1)
    found = NLinear(5).fit_closed_form(x, y, validation_data=(x_held, y_held))
    errors = found["validation_mse"]
    assert found["alpha"] == min(errors, key=errors.get)
    again = NLinear(5)
    again.fit_closed_form(x, y, alpha=found["alpha"])
    assert np.mean(np.square(run(again, x_held) - y_held)) == pytest.approx(
        errors[found["alpha"]], rel=1e-4
    )
    chosen = NLinear(5)
    chosen.fit_closed_form(x, y, validation_data=(x_held, y_held), parts=3)
    for ours, theirs in zip(again.get_weights(), chosen.get_weights(), strict=True):
        assert_close(ours, theirs, 1e-6)


def test_the_penalties_to_try_can_be_given():
    x, y = seasons([1, 1], seed=0)
    held_out = seasons([1, 1], seed=1)
    found = NLinear(5).fit_closed_form(
        x, y, validation_data=held_out, alphas=[0.5, 0.2], covariate_alphas=[0.3]
    )
    assert list(found["validation_mse"]) == [0.5, 0.2]
    assert found["alpha"] in (0.5, 0.2) and found["covariate_alpha"] == 0.3


@pytest.mark.parametrize("tried", [[], [0.1, -1e-3]])
@pytest.mark.parametrize("name", ["alphas", "covariate_alphas"])
def test_penalties_that_cannot_be_tried(name, tried):
    x, _, y = series(9)
    with pytest.raises(ValueError, match="one at least"):
        NLinear(5).fit_closed_form(x, y, validation_data=(x, y), **{name: tried})


def seasons(effects, seed):
    """Noise, and what follows it: the first covariate, times the effect of a season."""
    rng = np.random.default_rng(seed)
    count = 40 * len(effects)
    x = rng.standard_normal((count, 12, 2)).astype("float32")
    covariates = rng.standard_normal((count, 2)).astype("float32")
    y = 0.1 * rng.standard_normal((count, 5, 2)) + x[:, -1:]
    y += (np.repeat(effects, 40) * covariates[:, 0])[:, None, None]
    return [x, covariates], y.astype("float32")


@pytest.mark.parametrize("kind", LINEAR)
@pytest.mark.parametrize(
    ("effects", "parts", "kept"),
    [
        ([1, 1, 1, 1], 4, True),
        ([1, 1, 1, 1], 1, True),
        # Of another sign than in training.
        ([-1, -1, -1, -1], 4, False),
        # A gain in one season: better on the whole, and less than its standard error.
        ([4, 0, 0, 0], 1, True),
        ([4, 0, 0, 0], 4, False),
        # A loss in one season: better on the whole, by more than that.
        ([2, 0, 2, 2], 4, True),
    ],
)
def test_covariates_have_to_prove_their_worth(kind, effects, parts, kept):
    """Left out, all is as in a fit without them."""
    x, y = seasons([1, 1, 1, 1], seed=0)
    held_out = seasons(effects, seed=1)
    layer, plain = LINEAR[kind](), LINEAR[kind]()
    found = layer.fit_closed_form(x, y, validation_data=held_out, parts=parts)
    assert (found["covariate_alpha"] is not None) == kept
    kernel, bias, of_covariates = layer.get_weights()
    if kept:
        assert (of_covariates[0] > 0.5).all()
        return
    assert not of_covariates.any()
    expected = plain.fit_closed_form(
        x[0], y, validation_data=(held_out[0][0], held_out[1]), parts=parts
    )
    assert found["alpha"] == expected["alpha"]
    assert found["validation_mse"] == pytest.approx(expected["validation_mse"])
    for ours, theirs in zip((kernel, bias), plain.get_weights(), strict=True):
        assert_close(ours, theirs, 1e-6)


def test_constant_covariates_are_left_out():
    """They say what the bias says, so that without a penalty any share would do."""
    (x, y), (x_held, y_held) = seasons([1, 1], seed=0), seasons([1, 1], seed=1)
    x, x_held = ([of[0], np.ones_like(of[1])] for of in (x, x_held))
    found = NLinear(5).fit_closed_form(x, y, validation_data=(x_held, y_held), parts=2)
    assert found["covariate_alpha"] is None


def test_views_chunks_and_tensors_give_the_same():
    values = np.random.default_rng(0).standard_normal((1200, 2))
    view = np.lib.stride_tricks.sliding_window_view(values, 17, axis=0).swapaxes(1, 2)
    x, y = view[:, :12], view[:, 12:]
    of_view, of_copy = NLinear(5), NLinear(5)
    of_view.fit_closed_form(x, y, 0.1)
    order = np.random.default_rng(1).permutation(len(x))
    tensors = [keras.ops.convert_to_tensor(v[order].copy()) for v in (x, y)]
    of_copy.fit_closed_form(*tensors, 0.1)
    for ours, theirs in zip(of_view.get_weights(), of_copy.get_weights(), strict=True):
        assert_close(ours, theirs, 1e-5)


@pytest.mark.parametrize("kind", LINEAR)
def test_several_horizons_at_once_are_as_each_by_itself(kind):
    """Each with the windows that reach it, and with its own penalty."""
    (x, _, y), (x_held, _, y_held) = series(60), series(40, seed=1)
    for held in (y, y_held):
        for window in range(1, 5):
            held[-window, window:] = np.nan
    whole = LINEAR[kind]()
    found = whole.fit_closed_form(
        x, y, validation_data=(x_held, y_held), horizons=(2, 5)
    )
    assert list(found) == [2, 5]
    kernel, bias = whole.get_weights()
    for steps, counts in ((slice(2), slice(-1)), (slice(2, 5), slice(-4))):
        alone = LINEAR[kind](horizon=steps.stop - (steps.start or 0))
        expected = alone.fit_closed_form(
            x[counts],
            y[counts, steps],
            validation_data=(x_held[counts], y_held[counts, steps]),
        )
        assert found[steps.stop]["alpha"] == expected["alpha"]
        assert_close(kernel[:, steps], alone.get_weights()[0], 1e-6)
        assert_close(bias[steps], alone.get_weights()[1], 1e-6)


@pytest.mark.parametrize("kind", ["linear", "nlinear"])
@pytest.mark.parametrize("with_covariates", [False, True])
def test_a_mean_of_fits_to_the_last_steps(kind, with_covariates):
    x, covariates, y = series()

    def known(steps, rows=slice(None)):
        of_series = x[rows, -steps:]
        return [of_series, covariates[rows]] if with_covariates else of_series

    forecasts = []
    for steps in (4, 9):
        layer = LINEAR[kind]()
        layer.fit_closed_form(known(steps), y, alpha=0.1)
        forecasts.append(run(layer, known(steps)))
    mean = LINEAR[kind]()
    mean.fit_closed_form(known(12), y, alpha=0.1, lookbacks=(4, 9))
    assert_close(run(mean, known(12)), (forecasts[0] + forecasts[1]) / 2, 1e-4)


def test_the_penalty_of_a_mean_is_chosen_by_its_own_error():
    x, _, y = series()
    layer, last = NLinear(5), slice(200, None)
    found = layer.fit_closed_form(
        x, y, validation_data=(x[last], y[last]), alphas=(0.1, 1), lookbacks=(4, 9)
    )
    for alpha, error in found["validation_mse"].items():
        layer.fit_closed_form(x, y, alpha=alpha, lookbacks=(4, 9))
        expected = np.mean(np.square(run(layer, x[last]) - y[last]))
        assert abs(error / expected - 1) < 1e-4


@pytest.mark.parametrize("lookbacks", [(), (0,), (4, 13)])
def test_lookbacks_beyond_what_is_known(lookbacks):
    x, _, y = series()
    with pytest.raises(ValueError, match="`lookbacks` must be from 1 to 12"):
        NLinear(5).fit_closed_form(x, y, alpha=0.1, lookbacks=lookbacks)


@pytest.mark.parametrize("horizons", [(2, 4), (3, 2, 5), (0, 5), (), (2, 2, 5)])
def test_horizons_that_do_not_rise_to_the_last_step(horizons):
    x, _, y = series(9)
    with pytest.raises(ValueError, match="must rise to 5"):
        NLinear(5).fit_closed_form(x, y, 0.1, horizons=horizons)


def test_a_horizon_that_no_window_reaches():
    x, _, y = series(9)
    y[:, 3:] = np.nan
    with pytest.raises(ValueError, match="windows that reach"):
        NLinear(5).fit_closed_form(x, y, 0.1, horizons=(2, 5))


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda x, y: NLinear(5).fit_closed_form(x, y), "needs `validation_data"),
        (lambda x, y: NLinear(5).fit_closed_form(x, y, -1.0), "0 or more"),
        (lambda x, y: NLinear(4).fit_closed_form(x, y, 0.1), r"shape \(9, 4, 2\)"),
        (lambda x, y: NLinear(5).fit_closed_form(x, y[:8], 0.1), "Expected `y` of"),
        (lambda x, y: NLinear(0), "positive integer"),
        (lambda x, y: NLinear(5)(x[0]), r"\(batch, time, columns\)"),
        (lambda x, y: NLinear(5)([x, x]), "covariates as"),
        (lambda x, y: NLinear(5)([x, x, x]), "a list of a series and"),
        (lambda x, y: DLinear(5, width=4), "odd"),
    ],
)
def test_wrong_arguments(call, message):
    x, _, y = series(count=9)
    with pytest.raises(ValueError, match=message):
        call(x, y)


@pytest.mark.parametrize("where", ["x", "covariates", "y"])
def test_the_closed_form_refuses_what_is_missing(where):
    """And leaves the weights as they are."""
    arrays = dict(zip(("x", "covariates", "y"), series(count=20), strict=True))
    layer = NLinear(5)
    layer.fit_closed_form([arrays["x"], arrays["covariates"]], arrays["y"], 0.1)
    before = layer.get_weights()
    arrays[where][3] = np.nan
    with pytest.raises(ValueError, match="needs numbers throughout"):
        layer.fit_closed_form([arrays["x"], arrays["covariates"]], arrays["y"], 0.1)
    for old, new in zip(before, layer.get_weights(), strict=True):
        assert_close(new, old, 0)
