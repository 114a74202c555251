import csv

import numpy as np
import pytest
from backends import once
from cli_fakes import RuleModel, copy_excerpt, files_in, write_beats, write_record

from keras_mmfusion import cli
from keras_mmfusion.cli.demo import EXCERPT
from keras_mmfusion.datasets import read_wfdb
from keras_mmfusion.datasets.mitbih import AAMI_CLASSES, aami_labels
from keras_mmfusion.metrics import beat_metrics

pytestmark = [once, pytest.mark.usefixtures("loaded")]


def numbers(path):
    with open(path, newline="", encoding="utf-8") as file:
        return {row["record"]: row for row in csv.DictReader(file)}


def test_one_record(tmp_path, capsys, loaded):
    path = copy_excerpt(tmp_path)
    table = tmp_path / "out" / "table.csv"
    assert cli.main(["evaluate", str(path), "--csv", str(table)]) == 0
    out = capsys.readouterr().out
    assert loaded == ["atd_mitbih"]
    for word in ("Se", "+P", "F1", "macro-F1", "kappa", "jk: half", "Confusion matrix"):
        assert word in out
    assert "0 reference beats of class Q" in out
    record = read_wfdb(path, "atr")
    reference = np.array(AAMI_CLASSES)[aami_labels(record.symbols)]
    expected = beat_metrics(reference, RuleModel().predict_record(record).labels)
    row = numbers(table)["rec"]
    assert numbers(table)["gross"]["accuracy"] == row["accuracy"]
    assert float(row["accuracy"]) == pytest.approx(expected.accuracy, abs=1e-6)
    assert float(row["V_Se"]) == pytest.approx(expected.sensitivity[2], abs=1e-6)
    assert float(row["kappa"]) == pytest.approx(expected.kappa, abs=1e-6)
    assert float(row["j_kappa"]) == pytest.approx(expected.j_kappa, abs=1e-6)
    assert int(row["V>V"]) == expected.confusion[2, 2]


def test_finer_labels_count_as_their_aami_class(tmp_path, capsys, monkeypatch):
    path = copy_excerpt(tmp_path)
    table = tmp_path / "t.csv"
    command = ["evaluate", str(path), "--csv", str(table), "--force"]
    assert cli.main(command) == 0
    expected = table.read_text()
    monkeypatch.setattr(RuleModel, "classes", ("L", "A", "V", "F"))
    assert cli.main(command) == 0
    assert table.read_text() == expected
    assert "N (N L R e j), S (A a J S)," in capsys.readouterr().out
    monkeypatch.setattr(RuleModel, "classes", ("sinus", "S", "V", "F"))
    assert cli.main(command) == 2
    error = capsys.readouterr().err
    assert "Received: classes sinus. Give them such names" in error


def test_gross_pools_the_beats_of_all_records(tmp_path, capsys, loaded):
    record = read_wfdb(EXCERPT, "atr")
    first = copy_excerpt(tmp_path, "a")
    half = record.beats < 27_000
    second = write_record(
        tmp_path,
        record.signals[:27_000],
        360,
        record.leads,
        record.beats[half],
        record.symbols[half],
        "b",
    )
    table = tmp_path / "table.csv"
    command = ["evaluate", str(first), f"{second}.hea", "--csv", str(table)]
    assert cli.main(command) == 0
    assert loaded == ["atd_mitbih"]  # once
    rows = numbers(table)
    assert list(rows) == ["a", "b", "gross"]
    for key in ("beats", "V>V", "N>S"):
        assert int(rows["gross"][key]) == int(rows["a"][key]) + int(rows["b"][key])
    assert "gross" in capsys.readouterr().out


def test_detected_beats(tmp_path, capsys):
    path = copy_excerpt(tmp_path)
    table = tmp_path / "t.csv"
    assert cli.main(["evaluate", str(path), "--beats", "detect", f"--csv={table}"]) == 0
    out = capsys.readouterr().out
    assert "XQRS detections" in out and "within 150 ms (EC57)" in out
    row = numbers(table)["rec"]
    assert int(row["beats"]) == len(read_wfdb(path, "atr").beats)
    assert int(row["missed"]) + int(row["extra"]) < 6


def test_missed_and_extra_beats(tmp_path, capsys):
    path = copy_excerpt(tmp_path)
    record = read_wfdb(path, "atr")
    extra = record.beats[50] + 150
    mine = np.sort(np.append(np.delete(record.beats, [20, 30]), extra)) + 3
    write_beats(tmp_path, mine, annotator="mine")
    table = tmp_path / "t.csv"
    command = ["evaluate", str(path), "--beats", "mine", "--csv", str(table)]
    assert cli.main(command) == 0
    out = capsys.readouterr().out
    assert "2 missed beats" in out and "1 extra ones" in out and "missed" in out
    row = numbers(table)["rec"]
    assert (row["missed"], row["extra"]) == ("2", "1")
    assert int(row["beats"]) == len(record.beats)


def test_q_beats_are_left_out_and_counted(tmp_path, capsys):
    record = read_wfdb(EXCERPT, "atr")
    symbols = record.symbols.copy()
    symbols[:5], symbols[5] = "/", "?"
    path = copy_excerpt(tmp_path)
    write_beats(tmp_path, record.beats, symbols)
    assert cli.main(["evaluate", str(path)]) == 0
    out = capsys.readouterr().out
    assert "5 reference beats of class Q" in out and "1 without a class" in out
    total = len(record.beats) - 6
    assert any(str(total) in line for line in out.splitlines() if "rec " in line)


def test_an_error_in_the_last_record_writes_nothing(tmp_path, capsys):
    path = copy_excerpt(tmp_path)
    before = files_in(tmp_path)
    command = ["evaluate", str(path), str(tmp_path / "none"), "--csv"]
    assert cli.main([*command, str(tmp_path / "t.csv")]) == 2
    captured = capsys.readouterr()
    assert "none.hea" in captured.err and captured.out == ""
    assert files_in(tmp_path) == before


def test_csv_records_have_no_reference(tmp_path, capsys):
    path = tmp_path / "ecg.csv"
    path.write_text("MLII\n" + "0.1\n0.2\n" * 500)
    assert cli.main(["evaluate", str(path), "--fs", "360"]) == 2
    assert "No annotation file" in capsys.readouterr().err
