"""Electricity transformer temperature (ETT), and any table of its layout.

Zhou et al., "Informer: Beyond Efficient Transformer for Long Sequence Time-Series
Forecasting", AAAI 2021; zhouhaoyi/ETDataset, CC BY-ND 4.0.
"""

import csv
import numbers
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path

import numpy as np

from keras_mmfusion._checks import check_positive_int
from keras_mmfusion.datasets._find import find_folder
from keras_mmfusion.datasets._series import (
    check_numbers,
    check_times,
    read_numbers,
    read_times,
)
from keras_mmfusion.datasets.ecg_record import RecordError

URL = "https://github.com/zhouhaoyi/ETDataset"
DAY = np.timedelta64(86_400, "s")
# Months of 30 days to train, validate and test on.
MONTHS = {"train": 12, "validation": 4, "test": 4}
SPLITS = tuple(MONTHS)


@dataclass(frozen=True)
class SeriesTable:
    """Columns of numbers over evenly spaced times.

    One that is made by hand is checked as that of a file is, when it is used.

    Attributes:
        name: str, such as `"ETTh1"`.
        times: datetime64[s] array `(rows,)`.
        values: float64 array `(rows, columns)`.
        columns: tuple of str.
    """

    name: str
    times: np.ndarray
    values: np.ndarray
    columns: tuple

    @property
    def step(self):
        """Time from row to row, timedelta64[s]."""
        return self.times[1] - self.times[0]

    @property
    def steps_per_day(self):
        """Rows of a day, such as 24; a float where a day is no multiple of a step."""
        rows = DAY / self.step
        return round(rows) if rows == round(rows) else float(rows)

    def __getitem__(self, rows):
        """The same with some of the rows: a slice, such as `table[-72:]`."""
        if not isinstance(rows, slice):
            raise TypeError(
                "Rows of a SeriesTable are a slice, such as table[-72:]; columns are "
                f'table.select(["OT"]). Received: {rows!r}.'
            )
        return replace(self, times=self.times[rows], values=self.values[rows])

    def select(self, columns):
        """The same with some of the columns, in the order given.

        Args:
            columns: Sequence of str, or one of them.

        Raises:
            RecordError: There is no such column.
        """
        columns = (columns,) if isinstance(columns, str) else tuple(columns)
        missing = [str(name) for name in columns if name not in self.columns]
        if missing:
            raise RecordError(
                f"{self.name} has no column {', '.join(missing)}. Received: "
                f"{', '.join(self.columns)}. Names must be the same to the letter."
            )
        chosen = [list(self.columns).index(name) for name in columns]
        return replace(self, values=self.values[:, chosen], columns=columns)


def load_ett(name="ETTh1", data_dir=None):
    """Read one of the tables ETTh1, ETTh2, ETTm1, ETTm2.

    Args:
        name: str. Name of the file without `.csv`. Defaults to `"ETTh1"`.
        data_dir: Folder with the file, or with a folder `ett` that has it. Defaults
            to `None`: `KERAS_MMFUSION_DATA`, then the cache.

    Returns:
        `SeriesTable`.

    Raises:
        RecordError: The file is not there, or is not as `read_series` expects it.

    Example:

    ```python
    from keras_mmfusion.datasets.ett import load_ett

    table = load_ett("ETTh1")
    table.values.shape, table.steps_per_day  # (17420, 7), 24
    ```
    """
    folder = find_folder(
        "ett",
        lambda folder: (folder / f"{name}.csv").is_file(),
        data_dir,
        f"{name}.csv",
        f"Download it from {URL} (CC BY-ND 4.0) into a folder ett",
    )
    return read_series(folder / f"{name}.csv")


def read_series(path):
    """Read a CSV file of ETT's layout: a column of times, then columns of numbers.

    Args:
        path: Path of the file. Its first line has the names of the columns; times
            are such as `2016-07-01 00:00:00`, with the same time from row to row.
            Of one with an offset, such as `+02:00`, the time on the clock is kept;
            all must have the same one.

    Returns:
        `SeriesTable`.

    Raises:
        RecordError: The file is missing or empty, a row is longer or shorter than
            the first, a time or a number cannot be read, or times are not even.
            The message says in which line.

    Example:

    ```python
    from pathlib import Path
    from keras_mmfusion.datasets.ett import read_series

    rows = ["date,load,OT", "2026-01-01 00:00,1.5,20", "2026-01-01 01:00,1.0,19"]
    Path("house.csv").write_text("\\n".join(rows))
    table = read_series("house.csv")
    assert table.columns == ("load", "OT") and table.steps_per_day == 24
    ```
    """
    path = Path(path)
    if not path.is_file():
        raise RecordError(f"No table at {path}. Check the path and the name.")
    try:
        with open(path, newline="", encoding="utf-8-sig") as file:
            reader = csv.reader(file, skipinitialspace=True)
            rows = [(reader.line_num, row) for row in reader if row]
    except (UnicodeDecodeError, csv.Error) as error:
        raise RecordError(
            f"{path} is not a CSV file in UTF-8 ({error}). Save it as one."
        ) from error
    head = rows[0][1] if rows else []
    if len(rows) < 3 or len(head) < 2:
        raise RecordError(
            "Expected a line of names and two or more rows of a time and numbers, "
            f"between commas, in {path}. Received: {len(rows)} lines of {len(head)} "
            "columns."
        )
    # Blank lines are left out of the rows, and count in the numbers of lines.
    lines, rows = zip(*rows[1:], strict=True)

    def where(row):
        return f"{path}, line {lines[row]}"

    for i, row in enumerate(rows):
        if len(row) != len(head):
            raise RecordError(
                f"{where(i)}: expected {len(head)} cells, as in the first line. "
                f"Received: {len(row)}. Commas part cells; decimals have a point."
            )
    times = read_times([row[0].strip() for row in rows], where)
    check_times(times, where)
    names, cells = tuple(name.strip() for name in head[1:]), [row[1:] for row in rows]
    values = read_numbers(cells)
    check_numbers(values, names, where, cells)
    if len(set(names)) != len(names):
        raise RecordError(f"Two columns of {path} have one name: {', '.join(names)}.")
    return SeriesTable(path.stem, times, values, names)


def split_rows(table, months=None):
    """Rows of the published split by time: 12, 4 and 4 months of 30 days.

    Args:
        table: `SeriesTable`; rows after the last month are not used.
        months: dict, months of each part, in order. Defaults to `None`: 12 to
            train, 4 to validate, 4 to test on.

    Returns:
        dict of `(first, last + 1)` by part.

    Raises:
        RecordError: The table is too short.
        ValueError: `months` are none, or below 0.

    Example:

    ```python
    from keras_mmfusion.datasets.ett import load_ett, split_rows

    rows = split_rows(load_ett("ETTh1"))
    rows["test"]  # (11520, 14400)
    ```

    Reference:
        The borders of the Informer code (Zhou et al., 2021), which later work kept.
    """
    months = MONTHS if months is None else months
    if not isinstance(table, SeriesTable):
        raise TypeError(
            "Expected a SeriesTable, such as `load_ett()`. "
            f"Received: {type(table).__name__}."
        )
    numbered = isinstance(months, dict) and all(
        isinstance(n, numbers.Real) and 0 <= n < np.inf for n in months.values()
    )
    if not months or not numbered:
        raise ValueError(
            "`months` must be a dict, the name of a part to its months, 0 or more. "
            f"Received: months={months!r}"
        )
    of_month = 30 * table.steps_per_day
    ends = [round(of_month * n) for n in np.cumsum([0, *months.values()])]
    if ends[-1] > len(table.values):
        raise RecordError(
            f"Expected {ends[-1]:,} rows, {sum(months.values())} months of 30 days. "
            f"Received: {len(table.values):,} in {table.name}. Give `months` of your "
            "own."
        )
    return dict(zip(months, pairwise(ends), strict=True))


def windows(values, lookback, horizon, rows, whole=True):
    """What is known and what is to come, at every step of a part: views, no copies.

    All of what is to come lies in the part; what is known may lie before it.

    Args:
        values: Array `(rows, columns)`.
        lookback: int. Steps that are known.
        horizon: int. Steps to forecast.
        rows: Pair `(first, last + 1)`, such as `split_rows` gives.
        whole: bool. False for windows too of which only the first steps to come lie
            in the part; the others are NaN. Defaults to `True`.

    Returns:
        `(x, y)`: read-only views `(n, lookback, columns)` and `(n, horizon,
        columns)`, one for each first step to forecast, in order.

    Raises:
        ValueError: There is not a single window, or an argument is none of the above.

    Example:

    ```python
    import numpy as np
    from keras_mmfusion.datasets.ett import windows

    values = np.arange(20.0)[:, None]
    x, y = windows(values, lookback=4, horizon=2, rows=(10, 15))
    assert x[0, :, 0].tolist() == [6, 7, 8, 9] and y[0, :, 0].tolist() == [10, 11]
    assert len(x) == 4 and y[-1, :, 0].tolist() == [13, 14]
    ```
    """
    check_positive_int(lookback=lookback, horizon=horizon)
    values = np.asarray(values)
    if values.ndim != 2 or np.shape(rows) != (2,):
        raise ValueError(
            "Expected values (rows, columns), and a pair of rows, (first, last + 1). "
            f"Received: shape {values.shape}, rows={rows!r}"
        )
    start, stop = rows
    stop = min(stop, len(values))
    if not whole:
        if values.dtype.kind != "f":  # there is no NaN of others
            values = values.astype("float64")
        beyond = np.full((horizon - 1, values.shape[1]), np.nan, values.dtype)
        values = np.concatenate([values[:stop], beyond])
        stop = len(values)
    first, last = max(start, lookback), stop - horizon
    if last < first:
        raise ValueError(
            f"Expected {lookback} steps before a step of the rows {start} to {stop}, "
            f"and {horizon} from there. Received: {len(values):,} rows in all."
        )

    def sliding(begin, size):
        part = values[begin : begin + last - first + size]
        view = np.lib.stride_tricks.sliding_window_view(part, size, axis=0)
        return view.swapaxes(1, 2)

    return sliding(first - lookback, lookback), sliding(first, horizon)
