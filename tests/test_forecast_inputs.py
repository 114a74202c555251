"""What a forecaster sees of a table, and how its forecasts are judged."""

import json

import keras
import numpy as np
import pytest
from test_ett import table_of

from keras_mmfusion import presets
from keras_mmfusion.datasets import RecordError
from keras_mmfusion.datasets.ett import SeriesTable
from keras_mmfusion.layers import NLinear, SeasonalNaive
from keras_mmfusion.metrics import forecast_metrics
from keras_mmfusion.models import FusionForecaster
from keras_mmfusion.preprocessing import (
    SeriesPreprocessor,
    SeriesScaler,
    annual_phase,
    calendar_features,
)

MODALITIES = ("series", "image", "calendar", "phase")


def table(rows=200, seed=0):
    values = np.random.default_rng(seed).normal(20, 4, (rows, 2))
    return SeriesTable("made", table_of(rows).times, values, ("load", "OT"))


def preprocessor(made, lookback=24, modalities=MODALITIES, train=120):
    scaler = SeriesScaler(columns=made.columns).fit(made.values[:train])
    return SeriesPreprocessor(scaler, lookback, modalities)


def test_times_go_round():
    start = np.datetime64("2024-01-01T00:00:00")  # a Monday of a leap year
    hours = start + np.arange(24 * 8) * np.timedelta64(1, "h")
    features = calendar_features(hours)
    np.testing.assert_allclose(features[0], [0, 1, 0, 1], atol=1e-6)
    np.testing.assert_allclose(features[6, :2], [1, 0], atol=1e-6)
    np.testing.assert_allclose(features[24, :2], features[0, :2], atol=1e-6)
    np.testing.assert_allclose(features[24 * 7], features[0], atol=1e-6)
    angle = np.arctan2(features[84, 2], features[84, 3])
    assert abs(angle) == pytest.approx(np.pi), "half of the week"
    for year in (2023, 2024):
        ends = np.array([f"{year}-01-01", f"{year + 1}-01-01"], "datetime64[s]")
        np.testing.assert_allclose(annual_phase(ends), [[0, 1]] * 2, atol=1e-6)
    middle = np.array(["2024-07-02T00:00"], "datetime64[s]")
    np.testing.assert_allclose(annual_phase(middle), [[0, -1]], atol=1e-6)


def test_every_window_has_what_was_known_then():
    made = table()
    prepare = preprocessor(made)
    x, y = prepare.windows(made, horizon=6, rows=(120, 200))
    shapes = {name: array.shape[1:] for name, array in x.items()}
    assert shapes == prepare.shapes and len(y) == 200 - 120 - 6 + 1
    scaled = prepare.scaler(made.values)
    for window in (0, 40, len(y) - 1):
        origin = 120 + window
        known = slice(origin - 24, origin)
        np.testing.assert_array_equal(x["series"][window], scaled[known])
        np.testing.assert_array_equal(x["image"][window], scaled[known])
        np.testing.assert_array_equal(y[window], scaled[origin : origin + 6])
        expected = calendar_features(made.times[known])
        np.testing.assert_array_equal(x["calendar"][window], expected)
        expected = annual_phase(made.times[origin : origin + 1])[0]
        np.testing.assert_array_equal(x["phase"][window], expected)


def test_no_future_value_reaches_an_input():
    """Whatever comes from the origin on, the inputs are the same."""
    made = table()
    x, _ = preprocessor(made).windows(made, 6, (120, 200))
    for window in (0, 31):
        values = made.values.copy()
        values[120 + window :] = 1e6
        other = SeriesTable("made", made.times, values, made.columns)
        seen, _ = preprocessor(other).windows(other, 6, (120, 200))
        for name in MODALITIES:
            np.testing.assert_array_equal(
                seen[name][: window + 1], x[name][: window + 1]
            )


def test_what_is_known_at_the_end():
    made = table()
    prepare = preprocessor(made)
    last = prepare(made)
    # A table with one more row has this as its last window but the end.
    longer = table(201)
    longer.values[:200] = made.values
    x, _ = prepare.windows(longer, 1, (120, 201))
    for name in MODALITIES:
        np.testing.assert_array_equal(last[name][0], x[name][-1])
    times = prepare.future_times(made, 3)
    assert (times == longer.times[200] + np.arange(3) * made.step).all()
    turned = made.select(("OT", "load"))
    np.testing.assert_array_equal(prepare(turned)["series"], last["series"])
    with pytest.raises(RecordError, match=r"24 rows or more.*Received: 23"):
        prepare(table(23))
    with pytest.raises(RecordError, match="no column load"):
        prepare(made.select(("OT",)))


def test_another_step_from_row_to_row():
    """What was learned of hours is not a forecast of quarters."""
    made = table()
    config = preprocessor(made).get_config()
    hourly = SeriesPreprocessor.from_config({**config, "step": 3600})
    assert hourly(made)["series"].shape == (1, 24, 2)
    quarters = table_of(200, minutes=15).times
    other = SeriesTable("quarters", quarters, made.values, made.columns)
    for use in (hourly, lambda t: hourly.windows(t, 6, (120, 200))):
        with pytest.raises(RecordError, match=r"3600 s apart.*Received: 900 s"):
            use(other)
    assert preprocessor(made)(other)["series"].shape == (1, 24, 2)


def test_wrong_settings():
    made = table()
    with pytest.raises(ValueError, match="`modalities` must be some of"):
        preprocessor(made, modalities=("series", "sound"))
    with pytest.raises(ValueError, match="the series among them"):
        preprocessor(made, modalities=("phase",))
    with pytest.raises(ValueError, match="know its columns by name"):
        SeriesPreprocessor(SeriesScaler().fit(made.values))


def test_a_forecaster_is_a_preset(tmp_path):
    made = table()
    prepare = preprocessor(made)
    model = FusionForecaster(
        prepare.shapes,
        {
            "series": keras.layers.LSTM(3, return_sequences=True, name="of_series"),
            "image": keras.layers.Dense(3, name="of_image"),
            "calendar": keras.layers.Dense(3, name="of_calendar"),
        },
        horizon=6,
        fusion="concat",
    )
    x, y = prepare.windows(made, 6, (0, 120))
    model.fit_closed_form(x, y, alpha=0.1)
    presets.save(model, tmp_path / "p", preprocessor=prepare)
    again = presets.load(tmp_path / "p")
    assert json.dumps(again.preprocessor.get_config()) == json.dumps(
        prepare.get_config()
    )
    expected = model.predict(prepare(made), verbose=0)
    found = again.predict(again.preprocessor(made), verbose=0)
    np.testing.assert_allclose(found, expected, atol=1e-6)
    assert np.abs(prepare.scaler.inverse(found) - 20).max() < 20, "in real units"


def naive(horizon, period=1):
    layers = [keras.Input((24, 2)), SeasonalNaive(horizon, period)]
    return keras.Sequential(layers)


@pytest.mark.parametrize("batch_size", [1, 7, 64, 1000])
def test_no_batch_size_changes_an_error(batch_size):
    made = table()
    x, y = preprocessor(made).windows(made, 6, (120, 200))
    found = forecast_metrics(naive(6), x["series"], y, batch_size)
    error = x["series"][:, -1:] - y.astype("float64")
    assert found["windows"] == 75
    assert found["mse"] == pytest.approx(np.mean(error**2))
    assert found["mae"] == pytest.approx(np.mean(np.abs(error)))
    np.testing.assert_allclose(found["mse_of_steps"], np.mean(error**2, axis=(0, 2)))
    assert found["mse"] >= found["mae"] ** 2
    # Nor does the order of windows.
    order = np.random.default_rng(0).permutation(len(y))
    other = forecast_metrics(naive(6), x["series"][order], y[order], batch_size)
    assert other["mse"] == pytest.approx(found["mse"])


def test_errors_of_named_inputs():
    made = table()
    x, y = preprocessor(made, modalities=("series", "phase")).windows(
        made, 6, (120, 200)
    )
    model = FusionForecaster({"series": (24, 2), "phase": (2,)}, {}, 6)
    model.fit_closed_form(x, y, alpha=0.1)
    alone = NLinear(6)
    alone.fit_closed_form([x["series"], x["phase"]], y, alpha=0.1)
    forecast = keras.ops.convert_to_numpy(alone([x["series"].copy(), x["phase"]]))
    found = forecast_metrics(model, x, y, batch_size=32)
    assert found["mse"] == pytest.approx(np.mean((forecast - y) ** 2), rel=1e-4)
    with pytest.raises(ValueError, match="Expected forecasts of shape"):
        forecast_metrics(naive(5), x["series"], y)


def test_errors_of_several_horizons():
    """As of each by itself, over all windows that reach it."""
    made = table()
    prepare = preprocessor(made, modalities=("series",))
    model = keras.Sequential([keras.Input((24, 2)), SeasonalNaive(6, 2)])
    x, y = prepare.windows(made, 6, (120, 200), whole=False)
    found = forecast_metrics(model, x["series"], y, 7, horizons=(1, 4, 6))
    for horizon, errors in found.items():
        alone = keras.Sequential([keras.Input((24, 2)), SeasonalNaive(horizon, 2)])
        x, y = prepare.windows(made, horizon, (120, 200))
        expected = forecast_metrics(alone, x["series"], y)
        assert errors["windows"] == expected["windows"] == 80 - horizon + 1
        for key in ("mse", "mae", "mse_of_steps", "mae_of_steps"):
            np.testing.assert_allclose(errors[key], expected[key], rtol=1e-6)


def test_the_last_rows_are_all_that_a_forecast_needs():
    made = table()
    prepare = preprocessor(made)
    for name, values in prepare(made[-24:]).items():
        np.testing.assert_array_equal(values, prepare(made)[name])
    with pytest.raises(TypeError, match=r"select.*Received: 'OT'"):
        made["OT"]


@pytest.mark.parametrize("wrong", ["load.csv", np.zeros((200, 2))])
def test_what_is_no_table_is_refused(wrong):
    with pytest.raises(TypeError, match=r"read_series.*Received: (str|ndarray)"):
        preprocessor(table())(wrong)
