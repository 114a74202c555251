"""Forecasts in real units, their intervals, and the command that makes them."""

import csv
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image
from test_forecast_inputs import preprocessor, table

from keras_mmfusion import cli, presets
from keras_mmfusion.analysis import Forecast, plot_forecast
from keras_mmfusion.datasets import RecordError
from keras_mmfusion.datasets.ett import SeriesTable
from keras_mmfusion.models import FusionForecaster
from keras_mmfusion.preprocessing import ConformalIntervals


def waves(rows=400, seed=0):
    """A table that can be forecast: two waves around 20, and little noise."""
    rng = np.random.default_rng(seed)
    time = np.arange(rows)[:, None]
    values = 20 + 4 * np.sin(time * [0.26, 0.5]) + 0.3 * rng.standard_normal((rows, 2))
    return replace(table(rows), values=values)


def fitted(made, horizon=8):
    """A linear forecaster of a table, with intervals from its last rows."""
    prepare = preprocessor(made, lookback=48, modalities=("series",), train=240)
    model = FusionForecaster(prepare.shapes, {}, horizon)
    model.fit_closed_form(*prepare.windows(made, horizon, (0, 240)), alpha=1e-3)
    x, y = prepare.windows(made, horizon, (240, 400))
    errors = model.predict({"series": x["series"].copy()}, verbose=0) - y
    prepare.intervals = ConformalIntervals((0.5, 0.9)).fit(errors)
    model.preprocessor = prepare
    return model


@pytest.fixture(scope="module")
def model():
    return fitted(waves())


def test_a_forecast_is_in_the_units_of_the_table(model):
    made = waves()
    known = replace(made, values=made.values[:390], times=made.times[:390])
    forecast = model.forecast(known)
    assert forecast.columns == ("load", "OT") and forecast.values.shape == (8, 2)
    assert (forecast.times == made.times[390:398]).all()
    np.testing.assert_allclose(forecast.values, made.values[390:398], atol=1.5)
    z = model.predict(model.preprocessor(known), verbose=0)[0]
    center, scale = made.values[:240].mean(axis=0), made.values[:240].std(axis=0)
    np.testing.assert_allclose(forecast.values, z * scale + center, rtol=1e-5)
    half = model.preprocessor.intervals(0.9) * scale
    np.testing.assert_allclose(forecast.upper - forecast.values, half, rtol=1e-4)
    np.testing.assert_allclose(forecast.values - forecast.lower, half, rtol=1e-4)
    narrow = model.forecast(known, horizon=3, level=0.5)
    assert narrow.values.shape == (3, 2) and narrow.level == 0.5
    np.testing.assert_allclose(narrow.values, forecast.values[:3], rtol=1e-6)
    assert (narrow.upper < forecast.upper[:3]).all()


def test_intervals_hold_as_often_as_they_say():
    """On new errors of the same kind, at each step and column by itself."""
    rng = np.random.default_rng(0)
    spread = np.array([0.5, 1.0, 2.0])[:, None] * [1.0, 10.0]
    intervals = ConformalIntervals((0.5, 0.9)).fit(
        spread * rng.normal(size=(800, 3, 2))
    )
    new = np.abs(spread * rng.normal(size=(4000, 3, 2)))
    for level in (0.5, 0.9):
        inside = (new <= intervals(level)).mean(axis=0)
        np.testing.assert_allclose(inside, level, atol=0.05)
    again = ConformalIntervals.from_config(intervals.get_config())
    np.testing.assert_array_equal(again(0.9), intervals(0.9))


def test_few_errors_give_the_largest():
    intervals = ConformalIntervals((0.95,)).fit(
        np.array([1.0, -3.0, 2.0])[:, None, None]
    )
    assert intervals(0.95).tolist() == [[3.0]]
    exact = ConformalIntervals((0.5,)).fit(np.arange(1.0, 10.0)[:, None, None])
    assert exact(0.5).tolist() == [[5.0]], "of nine, the fifth"


def test_wrong_uses(model):
    made = waves()
    with pytest.raises(ValueError, match="must be shares"):
        ConformalIntervals((90,))
    with pytest.raises(ValueError, match=r"one of \[0.5, 0.9\]"):
        model.forecast(made, level=0.8)
    with pytest.raises(ValueError, match="after `fit`"):
        ConformalIntervals()(0.9)
    with pytest.raises(ValueError, match="from 1 to 8"):
        model.forecast(made, horizon=9)
    for horizon in (2.5, "3"):
        with pytest.raises(ValueError, match="a whole number from 1 to 8"):
            model.forecast(made, horizon=horizon)
    with pytest.raises(ValueError, match="needs a model with a `preprocessor`"):
        FusionForecaster({"series": (48, 2)}, {}, 8).forecast(made)


HOUR = np.timedelta64(1, "h")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda t, v: v.__setitem__((399, 1), np.nan), "row 399.*OT.*nan. 1 cells"),
        (lambda t, v: v[:, 0].fill(np.nan), "row 0.*load.*400 cells"),
        (lambda t, v: v.__setitem__((5, 0), np.inf), "row 5.*load.*inf"),
        (lambda t, v: v.__setitem__((5, 0), 1e300), "column load.*1e.300.* too large"),
        (lambda t, v: t[200:].__iadd__(5 * HOUR), "row 200.*the time"),
        (lambda t, v: t.__setitem__(slice(None), t[::-1].copy()), "row 1 .*time after"),
        (lambda t, v: t.__setitem__(0, "NaT"), "row 1 .*Received"),
    ],
)
def test_a_table_made_by_hand_is_checked_as_a_file_is(model, recwarn, change, message):
    made = waves()
    change(made.times, made.values)
    with pytest.raises(RecordError, match=message):
        model.forecast(made)
    assert not recwarn.list


def test_what_is_no_table(model):
    made = waves()
    for other in (
        {"times": made.times[:-1]},
        {"times": np.arange(400)},
        {"values": made.values[:, 0]},
        {"times": made.times[:1], "values": made.values[:1]},
    ):
        with pytest.raises(RecordError, match="two or more datetime64 times in made"):
            model.forecast(replace(made, **other))
    with pytest.raises(RecordError, match=r"dtype object. .*astype"):
        model.forecast(replace(made, values=made.values.astype(object)))


def test_a_picture_has_what_was_known_and_what_comes(model):
    made = waves()
    forecast = model.forecast(made)
    figure = plot_forecast(forecast, made, steps=20, columns=["OT"])
    (axis,) = figure.axes
    known, expected = axis.lines
    assert len(known.get_ydata()) == 20 and len(expected.get_ydata()) == 8
    np.testing.assert_array_equal(expected.get_ydata(), forecast.values[:, 1])
    np.testing.assert_array_equal(known.get_ydata(), made.values[-20:, 1])
    # Where the table goes on, what came is drawn beside what was expected.
    later = waves(410)
    known = plot_forecast(forecast, later, steps=20).axes[0].lines[0]
    assert len(known.get_ydata()) == 28


def test_a_picture_of_one_step_shows_it(model):
    """Neither a line nor a band of a single point is seen."""
    forecast = model.forecast(waves(), horizon=1)
    axis = plot_forecast(forecast, waves(), columns=["OT"]).axes[0]
    assert axis.lines[1].get_marker() == "o"
    ((low, high),) = axis.collections[0].get_segments()
    assert (low[1], high[1]) == (forecast.lower[0, 1], forecast.upper[0, 1])
    assert axis.collections[0].get_linewidth() > 1
    assert axis.get_title() == "made: 1 step ahead"


@pytest.fixture(scope="module")
def preset(model, tmp_path_factory):
    folder = tmp_path_factory.mktemp("presets") / "waves"
    presets.save(model, folder, preprocessor=model.preprocessor)
    return folder


def write(made, path):
    lines = [",".join(("date", *made.columns))]
    for time, row in zip(made.times, made.values, strict=True):
        lines.append(",".join([str(time).replace("T", " "), *map(repr, row.tolist())]))
    path.write_text("\n".join(lines) + "\n")
    return str(path)


def test_the_command(preset, model, tmp_path, capsys):
    made = waves()
    file = write(made, tmp_path / "waves.csv")
    out, picture = tmp_path / "new" / "out.csv", tmp_path / "new" / "out.png"
    options = ["--horizon", "6", "--output", str(out), "--plot", str(picture)]
    assert cli.main(["forecast", file, "--preset", str(preset), *options]) == 0
    printed = capsys.readouterr().out
    assert "400 rows" in printed and "6 steps of load, OT" in printed
    with open(out, newline="") as lines:
        rows = list(csv.DictReader(lines))
    expected = model.forecast(made, 6)
    assert list(rows[0]) == [
        "date", "load", "load_lower", "load_upper", "OT", "OT_lower", "OT_upper",
    ]  # fmt: skip
    for i, row in enumerate(rows):
        assert np.datetime64(row["date"]) == expected.times[i]
        for j, name in enumerate(("load", "OT")):
            assert float(row[name]) == pytest.approx(expected.values[i, j], rel=1e-4)
            assert float(row[f"{name}_upper"]) == pytest.approx(
                expected.upper[i, j], rel=1e-4
            )
    with Image.open(picture) as drawn:
        assert drawn.size[0] > 500
    # What is there stays, and nothing else appears.
    out.write_text("mine")
    assert cli.main(["forecast", file, "--preset", str(preset), *options]) == 2
    assert "--force" in capsys.readouterr().err and out.read_text() == "mine"


def test_digits_are_those_of_the_column(tmp_path, capsys):
    """Of a counter, a load, and a share; all have four that say something."""
    made = waves()
    values = np.concatenate([made.values, made.values[:, :1]], axis=1)
    values = values * [40, 4000, 1e-3] + [123_456_789, 50_000, 0.5]
    columns = ("meter of the house", "load", "share")
    made = SeriesTable("meter", made.times, values, columns)
    model = fitted(made)
    presets.save(model, tmp_path / "own", preprocessor=model.preprocessor)
    file, out = write(made, tmp_path / "meter.csv"), tmp_path / "out.csv"
    options = ["--preset", str(tmp_path / "own"), "--output", str(out)]
    assert cli.main(["forecast", file, *options]) == 0
    lines = capsys.readouterr().out.splitlines()
    expected = model.forecast(made).values
    first = lines.index(next(line for line in lines if line.startswith("Time"))) + 1
    assert len({len(line) for line in lines[first - 1 : first + 8]}) == 1
    printed = [line.split()[2:] for line in lines[first : first + 8]]
    atol = [0.06, 6, 1e-6]
    np.testing.assert_array_less(np.abs(np.float64(printed) - expected).max(0), atol)
    assert "e" not in "".join(map("".join, printed))
    written = np.genfromtxt(out, delimiter=",", skip_header=1)[:, 1::3]
    np.testing.assert_allclose(written, expected, rtol=1e-9)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--horizon", "9"], "from 1 to 8"),
        (["--level", "0.8"], "must be one of"),
        (["--plot", "x.txt"], "a picture ends in"),
        (["--output", "x.png", "--plot", "./x.png"], "Name a file for each"),
        (["--output", "waves.csv", "--force"], "waves.csv is what is read"),
        (["--preset", "step_mitbih"], "a preset that forecasts"),
    ],
)
def test_wrong_options(preset, tmp_path, monkeypatch, capsys, options, message):
    file = write(waves(), tmp_path / "waves.csv")
    monkeypatch.chdir(tmp_path)
    command = ["forecast", file, "--preset", str(preset), "--output", "o.csv", *options]
    assert cli.main(command) == 2
    error = capsys.readouterr().err
    assert message in error and error.count("\n") == 1
    assert len((tmp_path / "waves.csv").read_text().splitlines()) == 401
    assert [path.name for path in tmp_path.iterdir()] == ["waves.csv"]


def test_wrong_tables(preset, tmp_path, capsys):
    short = waves(40)
    other = SeriesTable("other", short.times, short.values, ("a", "b"))
    for made, message in ((short, "48 rows or more"), (other, "no column load")):
        file = write(made, tmp_path / "table.csv")
        assert cli.main(["forecast", file, "--preset", str(preset)]) == 2
        assert message in capsys.readouterr().err


def test_a_column_that_is_stuck_is_named(preset, tmp_path, capsys):
    made = waves()
    made.values[-48:, 1] = 20.0
    file = write(made, tmp_path / "table.csv")
    assert cli.main(["forecast", file, "--preset", str(preset)]) == 0
    assert "OT did not change in the last 48 rows" in capsys.readouterr().out
    made.values[-48, 1] = 21.0
    file = write(made, tmp_path / "table.csv")
    assert cli.main(["forecast", file, "--preset", str(preset)]) == 0
    assert "did not change" not in capsys.readouterr().out


def test_a_forecast_without_intervals(tmp_path):
    times = np.datetime64("2026-01-01", "s") + np.arange(2) * np.timedelta64(1, "h")
    forecast = Forecast("t", times, ("a",), np.array([[1.0], [2.5]]))
    forecast.to_csv(tmp_path / "f.csv")
    assert (tmp_path / "f.csv").read_text() == (
        "date,a\n2026-01-01 00:00:00,1\n2026-01-01 01:00:00,2.5\n"
    )
    assert len(plot_forecast(forecast).axes[0].lines) == 1
    dollars = replace(forecast, columns=(r"$\frac$",))
    plot_forecast(dollars).savefig(tmp_path / "f.png")  # no formula
