"""What tables, their windows, scalers and forecasts make of unusual inputs."""

from dataclasses import replace

import numpy as np
import pytest
from backends import once

from keras_mmfusion.analysis import Forecast, plot_forecast
from keras_mmfusion.datasets.ett import SeriesTable, windows
from keras_mmfusion.preprocessing import SeriesPreprocessor, SeriesScaler

pytestmark = once
TIMES = np.datetime64("2026-01-01", "s") + np.arange(60) * np.timedelta64(1, "h")
VALUES = np.random.default_rng(0).normal(size=(60, 2))
TABLE = SeriesTable("house", TIMES, VALUES, ("load", "OT"))
SCALER = SeriesScaler(columns=TABLE.columns).fit(VALUES)
ALL = ("series", "calendar", "phase")


def of_every_kind():
    pd, torch = pytest.importorskip("pandas"), pytest.importorskip("torch")
    yield replace(TABLE, values=VALUES.tolist(), times=list(TIMES))
    yield replace(TABLE, values=torch.tensor(VALUES), columns=["load", "OT"])
    yield replace(TABLE, values=pd.DataFrame(VALUES), columns=pd.Index(TABLE.columns))
    yield replace(TABLE, times=pd.Series(TIMES))


def test_tables_of_other_arrays():
    """They passed the checks, and failed where they were used."""
    prepare = SeriesPreprocessor(SCALER, 24, ALL)
    expected = prepare(TABLE)
    for table in of_every_kind():
        for name, values in prepare(table).items():
            np.testing.assert_array_equal(values, expected[name])
        assert prepare.future_times(table, 2)[-1] == TIMES[-1] + 2 * TABLE.step
        np.testing.assert_array_equal(SCALER(table.values), SCALER(VALUES))


@pytest.mark.parametrize(
    "wrong, message",
    [
        ({"scaler": None}, "fitted.* Received: NoneType"),
        ({"lookback": 0}, "`lookback` must be a positive integer"),
        ({"lookback": 2.5}, "`lookback` must be a positive integer"),
        ({"lookback": None}, "`lookback` must be a positive integer"),
        ({"modalities": "series"}, "in a list.*modalities='series'"),
        ({"modalities": None}, "in a list.*modalities=None"),
        ({"intervals": 0.9}, "`ConformalIntervals`, or None"),
        ({"step": 3600.7}, "`step` must be a positive integer"),
        ({"step": "3600"}, "`step` must be a positive integer"),
    ],
)
def test_preprocessors_that_cannot_be(wrong, message):
    """With a lookback of 0, all of the table was known; 2.5 were 2 rows."""
    with pytest.raises(ValueError, match=message):
        SeriesPreprocessor(**{"scaler": SCALER, "lookback": 24, **wrong})


def test_parts_of_seconds_are_no_seconds():
    """Rows 1.5 s apart were taken for those of a model of 1 s."""
    times = TIMES[0].astype("datetime64[ms]") + 1500 * np.arange(60)
    prepare = SeriesPreprocessor(SCALER, 24, step=1)
    with pytest.raises(ValueError, match=r"Expected rows 1 s apart.*Received: 1\.5 s"):
        prepare(replace(TABLE, times=times))
    months = np.datetime64("2020-01") + np.arange(60)
    with pytest.raises(ValueError, match=r"of days or less.* datetime64\[M\]"):
        prepare(replace(TABLE, times=months))


@pytest.mark.parametrize(
    "wrong",
    [
        {"values": VALUES[:, 0]},
        {"values": None},
        {"lookback": 0},
        {"lookback": 2.5},
        {"horizon": 0},
        {"horizon": None},
        {"rows": None},
        {"rows": (24,)},
        {"rows": range(24, 60)},
    ],
)
def test_windows_of_what_is_none(wrong):
    settings = {"values": VALUES, "lookback": 24, "horizon": 2, "rows": (24, 60)}
    with pytest.raises(ValueError, match=r"(must be|Expected) .*Received"):
        windows(**{**settings, **wrong})


def test_whole_numbers_have_windows_that_end_within_the_horizon():
    """What was beyond the end became -9223372036854775808, and True of bools."""
    numbers = np.arange(30)[:, None]
    _, y = windows(numbers, 4, 3, (20, 30), whole=False)
    assert y[-1, 0, 0] == 29 and np.isnan(y[-1, 1:]).all()


@pytest.mark.parametrize(
    "wrong",
    [
        {"columns": "ab"},
        {"center": [1.0, 2.0], "scale": [1.0]},
        {"center": [1.0, 2.0]},
        {"center": [1.0, np.nan], "scale": [1.0, 1.0]},
        {"columns": ("a",), "center": [1.0, 2.0], "scale": [1.0, 1.0]},
    ],
)
def test_scalers_that_cannot_be(wrong):
    """One scale went for both columns, and NaN for all of them."""
    with pytest.raises(ValueError, match=r"(must be|Expected) .*Received"):
        SeriesScaler(**wrong)


def test_columns_of_scalers():
    with pytest.raises(ValueError, match=r"Expected 1 columns, a\. Received: 2"):
        SeriesScaler(columns=("a",)).fit(VALUES)
    with pytest.raises(ValueError, match="a list of some of the columns"):
        SCALER(VALUES[:, :1], "load")


def test_forecasts_made_by_hand():
    made = TIMES[:3], TABLE.columns
    assert Forecast("house", *made, VALUES[:3].tolist()).values.shape == (3, 2)
    with pytest.raises(ValueError, match=r"`values` must be .*\(3, 2\).*\(2, 2\)"):
        Forecast("house", *made, VALUES[:2])
    with pytest.raises(ValueError, match=r"`lower` must be .*\(3, 2\).* shape \(\)"):
        Forecast("house", *made, VALUES[:3], level=0.9)


def test_columns_to_draw():
    pytest.importorskip("matplotlib")
    forecast = Forecast("house", TIMES[:3], TABLE.columns, VALUES[:3])
    assert len(plot_forecast(forecast, TABLE, columns="load").axes) == 1
    assert TABLE.select("load").columns == ("load",)
    for columns in ("x", ["load", "x"], []):
        with pytest.raises(ValueError, match=r"`columns` must be some of.*Received"):
            plot_forecast(forecast, columns=columns)
    with pytest.raises(
        ValueError, match=r"\['load'\]. Received: columns=\['load', 'OT"
    ):
        plot_forecast(forecast, TABLE.select(["load"]))
    with pytest.raises(ValueError, match="`steps` must be a positive integer"):
        plot_forecast(forecast, TABLE, steps=2.5)
