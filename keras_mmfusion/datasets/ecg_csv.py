"""ECG recordings from CSV tables, as various programs write them."""

import csv
import re
from itertools import chain
from pathlib import Path

import numpy as np

from keras_mmfusion._checks import check_positive_number
from keras_mmfusion.datasets._millivolts import LARGEST, MILLIVOLTS
from keras_mmfusion.datasets.ecg_record import (
    ECGRecord,
    RecordError,
    _brief,
    _require_file,
    distinct,
)

# Names of columns that count samples or tell the time.
_CLOCK = re.compile(
    r"time|date|elapsed|seconds|sample|index|unnamed|^(t|s|ms)?$|^t[\W_]"
)
_TIME = re.compile(r"time|elapsed|seconds|^(t|s|ms)$|^t[\W_]")
# Seconds of the units that such a column may be in.
_SECONDS = (1e-9, 1e-6, 1e-3, 1.0, 60.0, 3600.0, 86400.0)
# "MLII (uV)", and "MLII_uV"; but "ECG V" is a lead.
_UNIT = re.compile(
    rf"\s*[\[(]({'|'.join(MILLIVOLTS)})[\])]$"
    rf"|[\s_]({'|'.join(unit for unit in MILLIVOLTS if unit != 'v')})$",
    re.IGNORECASE,
)
_COMMAS = "Part columns by commas, and write decimals with a point."
# In quotes, such as spreadsheets write in much of Europe.
_DECIMAL_COMMA = re.compile(r"\s*[+-]?\d*,\d+\s*")


def read_csv(path, fs):
    """Read an ECG from a CSV file: a header row, then one column a lead, in mV.

    Units other than mV stand in the name of a lead, as in `MLII (uV)` or `MLII_uV`, or
    in a row of their own below the header.

    Args:
        path: Path of the file, in UTF-8. Columns that tell the time or count samples
            are left out: those called so (`time`, `Time (s)`, `sample #`, `index`, no
            name), and those whose values rise throughout. So are those without numbers.
        fs: float. Sampling rate in hertz.

    Returns:
        An `ECGRecord` without beats. A cell without a number, or with one that no
        signal reaches in any unit (1e7), is a missing sample.

    Raises:
        RecordError: The file is missing, is no text, has no header, or holds no
            numbers, or decimal commas; or the times in it are of another rate.

    Example:

    ```python
    from pathlib import Path
    from keras_mmfusion.datasets import read_csv

    Path("ecg.csv").write_text("time,MLII\\n0.000,0.12\\n0.004,0.15\\n")
    record = read_csv("ecg.csv", fs=250)
    record.leads  # ("MLII",)
    ```
    """
    check_positive_number(fs=fs)
    path = Path(path)
    _require_file(path, "file")
    try:
        with open(path, encoding="utf-8-sig", newline="") as file:
            names, scales, table = _read(path, csv.reader(file, skipinitialspace=True))
    except UnicodeDecodeError as error:
        raise RecordError(
            f"{path} is not in UTF-8 ({_brief(error)}). Save it as 'CSV UTF-8'."
        ) from error
    except csv.Error as error:
        raise RecordError(f"{path} is not a table: {_brief(error)}.") from error
    keep = [
        i
        for i, name in enumerate(names)
        if not _CLOCK.search(name.lower()) and not _is_clock(table[:, i], fs)
    ]
    # Dates and remarks; where nothing is left, the error below tells so.
    numbers = np.isfinite(table).any(axis=0)
    keep = [i for i in keep if numbers[i]] or keep
    if not keep or not len(table):
        raise RecordError(
            f"{path} holds no lead: expected one column a lead, beside the time, under "
            f"the header '{','.join(names)[:60]}'. Received: {len(table)} rows."
            f"{f' {_COMMAS}' * (len(names) == 1)}"
        )
    _check_rate(path, names, table, fs)
    signals = table[:, keep] * scales[keep]
    signals[np.abs(signals) > LARGEST] = np.nan
    leads = distinct(_UNIT.sub("", names[i]) for i in keep)
    if not np.isfinite(signals).any():
        raise RecordError(
            f"{path} holds no number under '{','.join(leads)[:60]}' that could be "
            f"millivolts. {_COMMAS}"
        )
    return ECGRecord(path.stem, signals.astype("float32"), leads, float(fs))


def _read(path, rows):
    """Names of the columns, their units in mV, and the numbers `(rows, columns)`."""
    names = [_unquoted(cell) for cell in next(rows, [])]
    # Numpy writes the header as a comment.
    names[:1] = [name.lstrip("# ") for name in names[:1]]
    if all(_is_number(name) for name in names if name):
        raise RecordError(
            f"{path} does not begin with a header row of lead names. "
            f"Received: {','.join(names)[:60]!r}. Add one, such as 'MLII,V1'."
        )
    found = [_UNIT.search(name) for name in names]
    scales = [
        MILLIVOLTS[(unit[1] or unit[2]).lower()] if unit else 1.0 for unit in found
    ]
    first = next(rows, [])
    units = [MILLIVOLTS.get(_unquoted(cell).lower()) for cell in first]
    if len(first) == len(names) and any(units) and not any(map(_is_number, first)):
        scales, first = [unit or 1.0 for unit in units], []
    cells = _cells(path, rows, first, len(names))
    table = np.fromiter(cells, "float64").reshape(-1, len(names))
    return names, np.array(scales), table


def _cells(path, rows, first, width):
    """The numbers of all rows, one after the other; NaN for what is none."""
    for row in chain([first], rows):
        if not row or row[0].startswith("#"):
            continue
        if len(row) != width:
            raise RecordError(
                f"{path} is not a table: expected {width} columns, as in the header. "
                f"Received: {len(row)} in line {rows.line_num}. {_COMMAS} "
                "Take out what stands before the header, which is the first line."
            )
        for cell in row:
            value = _number(cell)
            # Taken for missing, only whole numbers would be left of a lead.
            if value != value and _DECIMAL_COMMA.fullmatch(cell):
                raise RecordError(
                    f"{path} is not a table of numbers. Received: {cell!r} in line "
                    f"{rows.line_num}. {_COMMAS}"
                )
            yield value


def _is_clock(values, fs):
    """Whether more than a second rises with every sample, as no ECG does."""
    return len(values) > fs and bool((np.diff(values) > 0).all())


def _check_rate(path, names, table, fs):
    """Raise where times, in whatever unit, go on at another rate than `fs`."""
    for name, values in zip(names, table.T, strict=True):
        if not (_TIME.search(name.lower()) and _is_clock(values, fs)):
            continue
        step = (values[-1] - values[0]) / (len(values) - 1)
        rates = 1 / (step * np.array(_SECONDS))
        even = np.isclose(np.median(np.diff(values)), step, rtol=0.5)
        # By 1 go numbers of samples.
        if even and step != 1 and not np.isclose(rates, fs, rtol=0.03).any():
            raise RecordError(
                f"The column {name} of {path} goes on by {step:.6g} a row, which is "
                f"{1 / step:.4g} Hz in seconds, {1e3 / step:.4g} Hz in milliseconds. "
                f"Received: a sampling rate of {fs:g} Hz. Give the right one, or leave "
                "the column out."
            )


def _unquoted(cell):
    return cell.strip(" \t'\"")


def _number(text, otherwise=np.nan):
    try:
        return float(text)
    except ValueError:
        return otherwise


def _is_number(text):
    return _number(text, None) is not None
