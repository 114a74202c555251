"""CSV tables of various programs: which columns are leads, and in which units."""

import warnings

import numpy as np
import pytest
from backends import once

from keras_mmfusion.datasets import RecordError, read_csv

pytestmark = once
ROWS = [(0, 0.1, -0.2), (1, 0.4, 0.3), (2, 0.3, 0.5)]


def read(folder, text, fs=250):
    path = folder / "ecg.csv"
    path.write_text(text, encoding="utf-8")
    return read_csv(path, fs)


def table(header, form="{},{},{}"):
    return "\n".join([header, *(form.format(*row) for row in ROWS)])


def test_read_csv(tmp_path):
    text = "\ufefftime, MLII ,V1\n0.0,0.1,-0.2\n0.1,,0.3\n0.2,0.5,nan\n"
    record = read(tmp_path, text)
    assert record.leads == ("MLII", "V1") and record.fs == 250 and record.name == "ecg"
    expected = [[0.1, -0.2], [np.nan, 0.3], [0.5, np.nan]]
    np.testing.assert_allclose(record.signals, np.float32(expected))


@pytest.mark.parametrize(
    "name",
    ["Time (s)", "time [s]", "time_s", "timestamp", "Elapsed time", "t [s]", "t", "",
     "'sample #'", '"sample"', "# Time", "Unnamed: 0", "Date", "Index"],
)  # fmt: skip
def test_the_time_is_no_lead(tmp_path, name):
    record = read(tmp_path, table(f"{name},MLII,V1"))
    assert record.leads == ("MLII", "V1")
    np.testing.assert_array_equal(record.signals, np.float32(ROWS)[:, 1:])


def test_what_rises_throughout_is_no_lead(tmp_path):
    lines = [f"{i / 10},{i % 7}" for i in range(300)]
    assert read(tmp_path, "\n".join(["Zeit,II", *lines])).leads == ("II",)
    # Less than a second may rise.
    assert read(tmp_path, "\n".join(["X,II", *lines[:9]])).leads == ("X", "II")


@pytest.mark.parametrize(
    "text,leads",
    [
        (table("# n/a,MLII,V1"), ("n/a", "MLII", "V1")),
        (table("'t','MLII','V1'"), ("MLII", "V1")),
        (table('"t","MLII","V1"', '"{}","{}","{}"'), ("MLII", "V1")),
        (table('t, "ECG, lead II", "V1"', '{}, "{}", "{}"'), ("ECG, lead II", "V1")),
        (table("t,MLII,V1\r", "{},{},{}\r"), ("MLII", "V1")),
        (table("t,MLII,V1,", "{},{},{},"), ("MLII", "V1")),
        (table("t,ECG,ECG"), ("ECG", "ECG_2")),
        (table("t,MLII,V1") + "\n\n# end\n", ("MLII", "V1")),
    ],
)
def test_quotes_and_comments(tmp_path, text, leads):
    record = read(tmp_path, text)
    assert record.leads == leads
    np.testing.assert_array_equal(record.signals[:, -2:], np.float32(ROWS)[:, 1:])


@pytest.mark.parametrize(
    "header",
    ["t,MLII (uV),V1 [mV]", "t,MLII (\u03bcV),V1", "t,MLII,V1\n'seconds','uV','mV'",
     "t,MLII_uV,V1_mV", "t,MLII uV,V1 mV", "t,MLII [microvolts],V1"],
)  # fmt: skip
def test_units_become_millivolts(tmp_path, header):
    record = read(tmp_path, table(header))
    assert record.leads == ("MLII", "V1")
    expected = np.float32(ROWS)[:, 1:] * np.float32([1e-3, 1])
    np.testing.assert_allclose(record.signals, expected, rtol=1e-6)


def test_v_is_a_lead(tmp_path):
    record = read(tmp_path, table("t,II (uV),ECG V"))
    assert record.leads == ("II", "ECG V")
    np.testing.assert_array_equal(record.signals[:, 1], np.float32(ROWS)[:, 2])


@pytest.mark.parametrize(
    ("header", "step"),
    [("time", 1 / 360), ("time (ms)", 1e3 / 360), ("t", 1 / 60 / 360), ("sample", 3),
     ("time", 1), ("Zeit", 1 / 250)],
)  # fmt: skip
def test_the_time_goes_by_the_rate(tmp_path, header, step):
    rows = (f"{i * step:.8g},{i % 7}" for i in range(500))
    assert read(tmp_path, "\n".join([f"{header},II", *rows]), 360).leads == ("II",)


@pytest.mark.parametrize("step", ["0.004", "4"])
def test_the_time_of_another_rate(tmp_path, step):
    rows = (f"{i * float(step):g},{i % 7}" for i in range(500))
    message = f"column time of .* by {step} a row.*250 Hz in.*Received: .* of 360 Hz"
    with pytest.raises(RecordError, match=message):
        read(tmp_path, "\n".join(["time,II", *rows]), 360)


def test_text_in_the_first_row_is_no_unit(tmp_path):
    record = read(tmp_path, "MLII,beat\n0.1,V\n0.2,N\n")
    np.testing.assert_array_equal(record.signals[:, 0], np.float32([0.1, 0.2]))


@pytest.mark.parametrize("value", ["1e30", "-2e7", "1e39", "-inf", "1e400"])
def test_impossible_values_are_missing(tmp_path, value):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        record = read(tmp_path, f"MLII,V1\n0.1,-9e6\n{value},0.3\n")
    expected = [[0.1, -9e6], [np.nan, 0.3]]
    np.testing.assert_array_equal(record.signals, np.float32(expected))


def test_rows_of_different_length(tmp_path):
    with pytest.raises(RecordError, match=r"expected 2 columns.*3 in line 3"):
        read(tmp_path, "MLII,V1\n1,2\n1,2,3\n")


def test_columns_without_numbers_are_no_leads(tmp_path):
    path = tmp_path / "ecg.csv"
    rows = [f"2020-01-01 10:00:{i:02},0.{i},," for i in range(10)]
    path.write_text("when,MLII,V1,remark\n" + "\n".join(rows))
    assert read_csv(path, 250).leads == ("MLII",)
