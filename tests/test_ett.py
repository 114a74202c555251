"""Tables of series, their split by time, windows that see no future, and scales."""

import numpy as np
import pytest
from backends import once

from keras_mmfusion.datasets import RecordError, ett
from keras_mmfusion.layers import NLinear
from keras_mmfusion.preprocessing import SeriesScaler

COLUMNS = ("HUFL", "HULL", "MUFL", "MULL", "LUFL", "LULL", "OT")


def write_table(path, rows=30, minutes=60, columns=COLUMNS):
    """A synthetic table of ETT's layout; returns its values."""
    path.parent.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(0)
    values = rng.standard_normal((rows, len(columns))).cumsum(axis=0).round(6)
    start = np.datetime64("2016-07-01T00:00:00")
    lines = [",".join(["date", *columns])]
    for i, row in enumerate(values):
        time = str(start + np.timedelta64(minutes * i, "m")).replace("T", " ")
        lines.append(",".join([time, *map(str, row)]))
    path.write_text("\n".join(lines) + "\n")
    return values


def test_a_table_is_read(tmp_path):
    values = write_table(tmp_path / "ett" / "ETTm1.csv", minutes=15)
    table = ett.load_ett("ETTm1", tmp_path)
    assert table.name == "ETTm1" and table.columns == COLUMNS
    assert table.steps_per_day == 96 and table.step == np.timedelta64(900, "s")
    np.testing.assert_array_equal(table.values, values)
    assert table.times[1] == np.datetime64("2016-07-01T00:15:00")
    # As other programs write it.
    text = (tmp_path / "ett" / "ETTm1.csv").read_text().replace(",", '", "')
    text = "\ufeff" + "\r\n".join(f'"{line}"' for line in text.splitlines())
    (tmp_path / "quoted.csv").write_bytes(text.encode())
    quoted = ett.read_series(tmp_path / "quoted.csv")
    assert quoted.columns == COLUMNS
    np.testing.assert_array_equal(quoted.values, values)
    part = table.select(["OT", "HUFL"])
    np.testing.assert_array_equal(part.values, values[:, [6, 0]])
    assert part.columns == ("OT", "HUFL")
    with pytest.raises(RecordError, match=r"no column oil\. Received: HUFL, H"):
        table.select(["oil"])


def test_tables_that_are_not_there(tmp_path, monkeypatch):
    monkeypatch.delenv("KERAS_MMFUSION_DATA", raising=False)
    with pytest.raises(RecordError, match=r"ETTh2.csv was not found.*ETDataset"):
        ett.load_ett("ETTh2", tmp_path)
    with pytest.raises(RecordError, match="No table at"):
        ett.read_series(tmp_path / "none.csv")


@pytest.mark.parametrize(
    ("line", "text", "message"),
    [
        (4, "2016-07-01 02:00:00,1,2", "line 4: expected 8 cells.*Received: 3"),
        (3, "2016-07-01 01:00:00,1,2,3,4,x,6,7", "line 3, column LUFL.*'x'. 1 cell"),
        (3, "2016-07-01 01:00:00,1,2,3,,5,6,7", "line 3, column MULL.*''"),
        (3, '2016-07-01 01:00:00,1,"2,5",3,4,5,6,7', "column HULL.*with a point"),
        (3, "2016-07-01 01:00:00,1,2,3,nan,5,6,7", "line 3, column MULL.*'nan'"),
        (3, "2016-07-01 01:00:00,1,2,1_0,4,5,6,7", "line 3, column MUFL.*'1_0'"),
        (5, "1 July 2016,1,2,3,4,5,6,7", "line 5: expected a time.*1 July"),
        (5, "now,1,2,3,4,5,6,7", "line 5: expected a time.*'now'"),
        (5, "2016-13-01,1,2,3,4,5,6,7", "line 5: expected a time.*'2016-13-01'"),
        (5, "2016-07-01 03:00:00.9,1,2,3,4,5,6,7", "line 5: .*in whole seconds.*00.9"),
        (5, "2016-07-01 03:00:00Z,1,2,3,4,5,6,7", "line 5: .*without an offset.*00Z"),
        (5, "2016-07-01 02:00:00,1,2,3,4,5,6,7", "line 5: .*03:00:00.*02:00:00"),
        (5, "2016-07-01 07:00:00,1,2,3,4,5,6,7", "line 5: .*03:00:00.*07:00:00"),
        (5, "2016-06-01 07:00:00,1,2,3,4,5,6,7", "line 5: .*03:00:00.*Sort rows"),
        (3, "2016-06-30 23:00:00,1,2,3,4,5,6,7", "line 3: .*T01:00:00, 3600 s after"),
        # The first step is no better than the others.
        (2, "2016-06-30 19:00:00,1,2,3,4,5,6,7", "-06-30T20:00:00, 3600 s .*T01"),
        (1, "date,a,b,c,d,e,f,a", "Two columns"),
    ],
)
@pytest.mark.parametrize("blank", [0, 2])
def test_damaged_tables(tmp_path, line, text, message, blank):
    """The line is that of an editor, where there are blank ones too."""
    path = tmp_path / "table.csv"
    write_table(path)
    lines = path.read_text().splitlines()
    lines[line - 1] = text
    lines[1:1] = [""] * blank
    message = message.replace(f"line {line}", f"line {line + blank}")
    path.write_text("\n".join(lines))
    with pytest.raises(RecordError, match=message):
        ett.read_series(path)


def test_times_with_an_offset_stay_as_they_are_on_the_clock(tmp_path):
    """By the clock, not in UTC, the hour of the day means the same to a model."""
    path = tmp_path / "table.csv"
    write_table(path)
    expected, text = ett.read_series(path), path.read_text()
    for offset in ("+02:00", "-0530", "Z", ".000"):
        path.write_text(text.replace(":00,", f":00{offset},"))
        np.testing.assert_array_equal(ett.read_series(path).times, expected.times)
    path.write_text(text.replace(":00,", ":00+02:00,").replace("02:00,", "01:00,", 1))
    with pytest.raises(RecordError, match=r"line 3: expected the offset \+01:00"):
        ett.read_series(path)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "two or more rows"),
        (b"date,OT\n2016-07-01 00:00:00,1\n", "two or more rows"),
        (b"date\n1\n2\n", "two or more rows"),
        (b"date;OT\n2016-07-01;1\n2016-07-02;2\n", "between commas.* of 1 columns"),
        (b"date,OT\n\xff\xfe,1\n2,3\n", "UTF-8"),
    ],
)
def test_no_tables(tmp_path, content, message):
    (tmp_path / "table.csv").write_bytes(content)
    with pytest.raises(RecordError, match=message):
        ett.read_series(tmp_path / "table.csv")


def table_of(rows, minutes=60):
    times = np.datetime64("2016-07-01", "s") + np.arange(rows) * np.timedelta64(
        60 * minutes, "s"
    )
    values = np.arange(float(rows))[:, None]
    return ett.SeriesTable("made", times, values, ("OT",))


def test_the_published_split():
    rows = ett.split_rows(table_of(17_420))
    assert rows == {
        "train": (0, 8640),
        "validation": (8640, 11520),
        "test": (11520, 14400),
    }
    assert ett.split_rows(table_of(69_680, 15))["test"] == (46_080, 57_600)
    with pytest.raises(RecordError, match=r"14,400 rows.*Received: 14,399"):
        ett.split_rows(table_of(14_399))
    of_own = ett.split_rows(table_of(2_200), {"train": 2, "test": 1})
    assert of_own == {"train": (0, 1440), "test": (1440, 2160)}


@pytest.mark.parametrize("horizon", [24, 48, 96, 192, 336, 720])
def test_every_window_of_the_test_part(horizon):
    table = table_of(17_420)
    rows = ett.split_rows(table)
    for part, (start, stop) in rows.items():
        x, y = ett.windows(table.values, 336, horizon, rows[part])
        first = max(start, 336)
        assert len(x) == len(y) == stop - first - horizon + 1
        # A value is the number of its row: nothing of the future, nothing left out.
        origin = first + np.arange(len(x))
        np.testing.assert_array_equal(x[:, -1, 0], origin - 1)
        np.testing.assert_array_equal(x[:, 0, 0], origin - 336)
        np.testing.assert_array_equal(y[:, 0, 0], origin)
        np.testing.assert_array_equal(y[:, -1, 0], origin + horizon - 1)
        assert y.min() >= start and y.max() == stop - 1
    assert len(x) == 2880 - horizon + 1


def test_windows_are_views():
    values = np.zeros((50_000, 7), "float32")
    x, y = ett.windows(values, 336, 720, (0, 50_000))
    assert np.shares_memory(x, values) and np.shares_memory(y, values)
    assert not x.flags.writeable and not y.flags.writeable


def test_windows_that_end_within_the_horizon():
    """What lies beyond the part is not shown; the others are as without them."""
    values = np.arange(40.0).reshape(20, 2)
    x, y = ett.windows(values, 4, 3, (10, 15), whole=False)
    assert len(x) == len(y) == 5
    for window in range(5):
        origin = 10 + window
        np.testing.assert_array_equal(x[window], values[origin - 4 : origin])
        expected = np.full((3, 2), np.nan)
        expected[: 15 - origin] = values[origin : min(origin + 3, 15)]
        np.testing.assert_array_equal(y[window], expected)
    for whole, part in zip(ett.windows(values, 4, 3, (10, 15)), (x, y), strict=True):
        np.testing.assert_array_equal(part[:3], whole)
    x, y = ett.windows(values.astype("float32"), 4, 3, (10, 99), whole=False)
    assert len(x) == 10 and y.dtype == "float32" and y[9, 0].tolist() == [38, 39]


def test_too_few_rows_for_a_window():
    with pytest.raises(ValueError, match="Received: 20 rows in all"):
        ett.windows(np.zeros((20, 1)), 15, 6, (0, 20))


def test_scales_come_from_training_alone(tmp_path):
    values = np.random.default_rng(0).normal(5, 3, (100, 3))
    standard = SeriesScaler(columns=("a", "b", "c")).fit(values[:60])
    scaled = standard(values)
    np.testing.assert_allclose(scaled[:60].mean(axis=0), 0, atol=1e-6)
    np.testing.assert_allclose(scaled[:60].std(axis=0), 1, atol=1e-6)
    assert np.abs(scaled[60:].mean(axis=0)).max() > 1e-3
    minmax = SeriesScaler("minmax").fit(values[:60])
    assert minmax(values[:60]).min() == 0 and minmax(values[:60]).max() == 1
    for scaler in (standard, minmax):
        np.testing.assert_allclose(scaler.inverse(scaler(values)), values, atol=1e-5)
        again = SeriesScaler.from_config(scaler.get_config())
        np.testing.assert_array_equal(again(values), scaler(values))
    part = standard(values[:, [2]], columns=["c"])
    np.testing.assert_array_equal(part[:, 0], scaled[:, 2])
    back = standard.inverse(part, columns=["c"])
    np.testing.assert_allclose(back[:, 0], values[:, 2], atol=1e-5)


@pytest.mark.parametrize("method", ["standard", "minmax"])
@pytest.mark.parametrize("constant", [0.1, 5.7, 33.3, 20.0])
def test_a_constant_column_keeps_its_unit(method, constant):
    """Neither the mean of equal values nor a sum such as 0.1 + 0.2 is exact."""
    values = np.full((8640, 2), constant)
    values[::2, 1] += np.spacing(constant)
    scaler = SeriesScaler(method).fit(values)
    assert scaler.scale.tolist() == [1, 1]
    np.testing.assert_allclose(scaler(values + 0.5), 0.5, rtol=1e-6)
    small = np.array([[1e-20], [3e-20]])
    assert scaler.fit(small)(small).max() == 1, "small is not constant"


@once
@pytest.mark.parametrize("constant", [0.1, 5.7, 33.3])
def test_a_constant_column_does_no_harm_to_another(constant):
    """One that moves after training takes no part in the choice of a penalty."""
    rng = np.random.default_rng(0)
    load = 20 + 5 * np.sin(np.arange(600) * 0.26) + rng.normal(size=600)

    def fit(value):
        still = np.where(np.arange(600) < 400, value, value + 0.5)
        values = np.stack([load, still], axis=1)
        scaled = SeriesScaler().fit(values[:400])(values)
        return NLinear(6).fit_closed_form(
            *ett.windows(scaled, 24, 6, (0, 400)),
            validation_data=ett.windows(scaled, 24, 6, (400, 600)),
        )

    expected, found = fit(20.0), fit(constant)
    assert found["alpha"] == expected["alpha"]
    assert found["validation_mse"] == pytest.approx(expected["validation_mse"])


def test_wrong_uses_of_a_scaler():
    with pytest.raises(ValueError, match="must be one of"):
        SeriesScaler("robust")
    with pytest.raises(ValueError, match="`fit` comes first"):
        SeriesScaler()(np.zeros((2, 2)))
    scaler = SeriesScaler(columns=("a", "b")).fit(
        np.random.default_rng(0).random((9, 2))
    )
    with pytest.raises(ValueError, match="Expected 2 columns"):
        scaler(np.zeros((2, 3)))
    with pytest.raises(ValueError, match="some of the columns"):
        scaler(np.zeros((2, 1)), columns=["d"])


def test_the_closed_form_on_the_real_table(data_dir):
    """As an independent study found on these rows, in numpy: .0896 and .670."""
    table = ett.load_ett("ETTh1", data_dir)
    assert table.values.shape == (17_420, 7) and table.columns == COLUMNS
    rows = ett.split_rows(table)
    for columns, mse in ((("OT",), 0.0896), (COLUMNS, 0.6700)):
        part = table.select(columns)
        scaler = SeriesScaler().fit(part.values[slice(*rows["train"])])
        scaled = scaler(part.values)
        layer = NLinear(96)
        found = layer.fit_closed_form(
            *ett.windows(scaled, 336, 96, rows["train"]),
            validation_data=ett.windows(scaled, 336, 96, rows["validation"]),
        )
        assert found["validation_mse"][found["alpha"]] == pytest.approx(mse, abs=5e-5)
