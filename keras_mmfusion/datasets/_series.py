"""What is asked of a table of series, read from a file or made by hand."""

import re
from dataclasses import replace

import numpy as np

from keras_mmfusion.datasets.ecg_record import RecordError

SECOND = np.timedelta64(1, "s")
# Whole seconds, and what follows the time on the clock: Z, +02:00.
TIME = re.compile(
    r"(\d{4}-\d\d-\d\d(?:[T ]\d\d(?::\d\d(?::\d\d(?:\.0*)?)?)?)?)"
    r"(Z|[+-]\d\d(?::?\d\d)?)?"
)


def read_times(texts, where):
    """datetime64[s] array of times as they are written; `where` names a row."""
    times, offset = [], None
    for row, text in enumerate(texts):
        found = TIME.fullmatch(text)
        try:
            times.append(np.datetime64(found[1], "s"))
        except (TypeError, ValueError):
            raise RecordError(
                f"{where(row)}: expected a time such as 2016-07-01 00:00:00, in whole "
                f"seconds. Received: {text!r}."
            ) from None
        offset = found[2] if row == 0 else offset
        if found[2] != offset:
            raise RecordError(
                f"{where(row)}: expected {_offset_text(offset)}, as in the first row. "
                f"Received: {text!r}. Write all times with the same one."
            )
    return np.array(times)


def _offset_text(offset):
    return f"the offset {offset}" if offset else "a time without an offset"


def read_numbers(cells):
    """float64 array; NaN where a cell is no number."""
    return np.array([[_number(cell) for cell in row] for row in cells])


def _number(cell):
    try:
        # Python takes 1_0 for 10.
        return float("nan" if "_" in cell else cell)
    except ValueError:
        return float("nan")


def checked_table(table):
    """The table with arrays; raises unless it is as `read_series` would have it."""
    if any(not hasattr(table, name) for name in ("times", "values", "columns")):
        raise TypeError(
            "Expected a SeriesTable: `keras_mmfusion.datasets.ett.read_series(path)`, "
            "or `SeriesTable(name, times, values, columns)` of arrays. Received: "
            f"{type(table).__name__}."
        )
    times, values = np.asarray(table.times), np.asarray(table.values)
    columns = () if table.columns is None else tuple(table.columns)
    expected = times.size, len(columns)
    timed = times.dtype.kind == "M" and np.datetime_data(times.dtype)[0] not in "YM"
    if values.shape != expected or times.ndim != 1 or len(times) < 2 or not timed:
        raise RecordError(
            f"Expected two or more datetime64 times in {table.name}, of days or less, "
            f"and a row of {expected[1]} values for each. Received: times "
            f"{times.dtype} of shape {times.shape}, values of shape {values.shape}."
        )
    if values.dtype.kind not in "iufb":
        raise RecordError(
            f"Expected values of {table.name} that are numbers. Received: dtype "
            f"{values.dtype}. `values.astype(float)` makes them of a frame's objects."
        )

    def where(row):
        return f"{table.name}, row {row} ({times[row]})"

    check_times(times, where)
    check_numbers(values, columns, where)
    return replace(table, times=times, values=values, columns=columns)


def check_times(times, where):
    """Raise unless times go on by the same step; `where` names a row."""
    steps = np.diff(times)
    # Not simply the first step: that may be the gap.
    forward, counts = np.unique(steps[steps > 0 * SECOND], return_counts=True)
    usual = forward[counts.argmax()] if len(forward) else np.timedelta64("NaT")
    odd = np.flatnonzero(steps != usual)
    if not len(odd):
        return
    row, expected = int(odd[0]) + 1, f"a time after {times[odd[0]]}"
    if len(forward):
        expected = (
            f"the time {times[row - 1] + usual}, {usual / SECOND:.10g} s after the one "
            "before, which is the most common step"
        )
    raise RecordError(
        f"{where(row)}: expected {expected}. Received: {times[row]}. Sort rows by "
        "time, fill gaps, and take out what is there twice."
    )


def check_numbers(values, columns, where, cells=None):
    """Raise unless all are numbers; `cells` is how they were written."""
    bad = np.argwhere(~np.isfinite(values))
    if len(bad):
        row, column = bad[0]
        received = values[row, column].item() if cells is None else cells[row][column]
        advice = "fill them first"
        if "," in str(received):
            advice = "write decimals with a point"
        raise RecordError(
            f"{where(row)}, column {columns[column]}: expected a number. "
            f"Received: {received!r}. {len(bad):,} cells are not numbers; {advice}."
        )
