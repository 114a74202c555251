"""`mmfusion forecast` with tables as people have them: forecast, or refused."""

import re

import numpy as np
import pytest
from backends import once
from cli_fakes import files_in
from test_forecast import fitted, waves, write

from keras_mmfusion import cli, presets

pytestmark = once
HOUR = 3600


@pytest.fixture(scope="module")
def preset(tmp_path_factory):
    """Of the columns load and OT, every hour; 48 rows have to be known."""
    model = fitted(waves())
    model.preprocessor.step = HOUR
    return presets.save(model, tmp_path_factory.mktemp("presets") / "waves")


@pytest.fixture
def command(preset, tmp_path):
    """Write lines to a table, and the words of a command that forecasts it."""

    def words(lines):
        table = tmp_path / "table.csv"
        table.write_text("\n".join(lines) + "\n")
        files = [f"--{kind}" for kind in ("output", "plot")]
        names = [str(tmp_path / "new" / name) for name in ("out.csv", "out.png")]
        outputs = [word for pair in zip(files, names, strict=True) for word in pair]
        return ["forecast", str(table), "--preset", str(preset), *outputs]

    return words


@pytest.fixture
def lines(tmp_path):
    """A table that can be forecast: a line of names, and 400 rows."""
    file = tmp_path / "table.csv"
    write(waves(), file)
    return file.read_text().splitlines()


def cells(lines, rows, column, text):
    """The lines with other text in some rows of a column."""
    table = [line.split(",") for line in lines]
    for line in table[rows]:
        line[column] = text
    return [",".join(line) for line in table]


def every(seconds):
    """Change the times: another frequency of as many rows."""

    def change(lines):
        step = np.timedelta64(seconds, "s")
        times = np.datetime64("2016-07-01", "s") + step * np.arange(len(lines) - 1)
        rows = [line.split(",", 1)[1] for line in lines[1:]]
        pairs = zip(times, rows, strict=True)
        return [lines[0], *(f"{time},{row}" for time, row in pairs)]

    return change


def shuffled(lines):
    order = np.random.default_rng(0).permutation(len(lines) - 1)
    return [lines[0], *(lines[1 + row] for row in order)]


def months(lines):
    days = (np.datetime64("2000-01") + np.arange(400)).astype("datetime64[D]")
    rows = [line.split(",", 1)[1] for line in lines[1:]]
    return [lines[0], *(f"{d},{row}" for d, row in zip(days, rows, strict=True))]


GAP, TWICE = (
    "line 201: .*-09T07:00:00.*fill gaps",
    "line 201: .*take out what is.*twice",
)
TABLES = {
    "gap": (lambda t: t[:200] + t[205:], GAP),
    "gap after the first row": (lambda t: t[:2] + t[5:], "line 3: .*T01:00:00, 3600 s"),
    "time twice": (lambda t: t[:200] + t[199:], TWICE),
    "first time twice": (lambda t: t[:2] + t[1:], "line 3: .*T01:00:00.*twice"),
    "every time twice": (lambda t: [t[0], *sorted(t[1:] * 2)], "line 3: .*twice"),
    "two rows swapped": (
        lambda t: [*t[:200], t[201], t[200], *t[202:]],
        "line 201: .*T07:00:00.*T08:00:00. Sort rows",
    ),
    "newest first": (
        lambda t: [t[0], *t[:0:-1]],
        "line 3: expected a time after 2016-07-17T15.*Sort rows",
    ),
    "no order": (shuffled, "line [34]: expected the time .*Sort rows"),
    "empty cells": (
        lambda t: cells(t, slice(100, 120), 2, ""),
        "line 101, column OT: .*''. 20 cells are not numbers; fill them",
    ),
    "nan": (
        lambda t: cells(t, slice(9, 10), 1, "NaN"),
        "line 10, column load: .*'NaN'",
    ),
    "no number at all": (
        lambda t: cells(t, slice(1, None), 2, "NA"),
        "line 2, column OT: .*'NA'. 400 cells",
    ),
    "nan where nothing is forecast": (
        lambda t: [t[0] + ",note", *(line + "," for line in t[1:])],
        "line 2, column note: expected a number",
    ),
    "missing column": (
        lambda t: [line.rsplit(",", 1)[0] for line in t],
        "no column OT. Received: load. Names must be",
    ),
    "other names": (
        lambda t: ["date,Load,ot", *t[1:]],
        "no column load, OT. Received: Load, ot. ",
    ),
    "no names": (lambda t: t[1:], "no column load, OT. Received: [0-9.]+, "),
    "no times": (
        lambda t: [line.split(",", 1)[1] for line in t],
        "line 2: expected a time such as",
    ),
    "semicolons": (
        lambda t: [x.replace(",", ";") for x in t],
        "numbers, between commas",
    ),
    "too short": (lambda t: t[:48], "48 rows or more of table.*Received: 47. Give"),
    "one row": (lambda t: t[:2], "two or more rows"),
    "every two hours": (every(2 * HOUR), "3600 s apart, as in training.* 7200 s in"),
    "every quarter": (every(HOUR // 4), "3600 s apart.* 900 s in table. Bring it to"),
    "every month": (months, "line [34]: .*2678400 s after .*most common step"),
}


@pytest.mark.parametrize("name", TABLES)
def test_refused(command, lines, tmp_path, capsys, name):
    change, message = TABLES[name]
    words = command(change(lines))
    before = files_in(tmp_path)
    assert cli.main(words) == 2
    captured = capsys.readouterr()
    assert captured.out == "" and captured.err.startswith("mmfusion: error: ")
    assert captured.err.count("\n") == 1 and len(captured.err) < 500
    assert re.search(message, captured.err), captured.err
    assert files_in(tmp_path) == before == ["table.csv"]


@pytest.mark.parametrize(
    ("change", "note"),
    [
        (lambda t: t[:1] + t[-48:], None),
        (
            lambda t: cells(t, slice(1, None), 2, "20"),
            "OT did not change in the last 48",
        ),
        (lambda t: [",".join(np.array(x.split(","))[[0, 2, 1]]) for x in t], None),
        (lambda t: [f"{x},1" for x in t], None),
    ],
    ids=["just enough", "constant", "other order", "another column"],
)
def test_forecast_all_the_same(command, lines, tmp_path, capsys, change, note):
    """A constant column is forecast with a note; the order of columns is any."""
    assert cli.main(command(change(lines))) == 0
    printed = capsys.readouterr().out
    assert "8 steps of load, OT" in printed
    assert note in printed if note else "Note" not in printed
    rows = (tmp_path / "new" / "out.csv").read_text().splitlines()
    values = np.array([row.split(",")[1:] for row in rows[1:]], float)
    assert values.shape == (8, 6) and np.isfinite(values).all()
    if note:
        np.testing.assert_allclose(values[:, 3], 20, atol=0.1)


@pytest.mark.parametrize("column", [1, 2])
def test_a_value_far_from_training_is_told(command, lines, capsys, column):
    """Of a faulty sensor, or in another unit: a number, but hardly a forecast."""
    name = lines[0].split(",")[column]
    assert cli.main(command(cells(lines, slice(380, 381), column, "1e5"))) == 0
    (note,) = [x for x in capsys.readouterr().out.splitlines() if "Note" in x]
    when = "2016-07-16 19:00:00"
    assert note.startswith(f"Note    {name} was 1e+05 at {when}, ")
    assert "standard deviations from the mean of training" in note
    # What is not looked at has no say.
    command_of_old = command(cells(lines, slice(100, 101), column, "1e5"))
    assert cli.main([*command_of_old, "--force"]) == 0
    assert "Note" not in capsys.readouterr().out
