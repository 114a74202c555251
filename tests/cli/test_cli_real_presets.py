"""The commands with presets as they are shipped; no number of theirs is tested."""

import csv

import numpy as np
import pytest
import wfdb
from backends import once
from cli_fakes import copy_excerpt, files_in

from keras_mmfusion import cli
from keras_mmfusion.preprocessing import beat_detection

pytestmark = once


@pytest.fixture
def path(tmp_path):
    return copy_excerpt(tmp_path)


@pytest.fixture
def refused(tmp_path, capsys):
    """Run a command that has to fail in one line; returns it."""

    def run(*command):
        before = files_in(tmp_path)
        assert cli.main([str(word) for word in command]) == 2
        captured = capsys.readouterr()
        assert captured.out == "" and captured.err.count("\n") == 1
        assert files_in(tmp_path) == before
        return captured.err

    return run


def table(path):
    with open(path, newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


@pytest.mark.parametrize("causal", [False, True])
def test_annotate(tmp_path, path, capsys, causal):
    command = ["annotate", str(path), "--plot", str(tmp_path / "out.svg")]
    assert cli.main([*command, *["--causal"] * causal]) == 0
    out = capsys.readouterr().out
    assert f"Model   atd_mitbih{'_causal' * causal}\n" in out
    assert ("0.35 s after its R peak" in out) == causal
    names = ["out.svg", "rec.atr", "rec.dat", "rec.hea", "rec.mmf", "rec.mmf.csv"]
    assert files_in(tmp_path) == names
    rows = table(f"{path}.mmf.csv")
    written = wfdb.rdann(str(path), "mmf")
    assert [row["label"] for row in rows] == written.symbol
    assert [int(row["sample"]) for row in rows] == written.sample.tolist()
    shares = np.array([[float(row[f"p_{c}"]) for c in "NSVF"] for row in rows])
    assert len(rows) > 250 and not any(row["reason"] for row in rows)
    np.testing.assert_allclose(shares.sum(axis=1), 1, atol=1e-3)
    assert written.symbol == np.array(list("NSVF"))[shares.argmax(axis=1)].tolist()


@pytest.mark.parametrize("preset", ["atd_mitbih", "atd_mitbih_random"])
def test_evaluate(tmp_path, path, capsys, preset):
    """Labels of L, R and A, too, are counted by AAMI class, like the reference."""
    file = tmp_path / "scores.csv"
    assert cli.main(["evaluate", str(path), "--preset", preset, f"--csv={file}"]) == 0
    out = capsys.readouterr().out
    assert f"Model {preset}, beats: .atr, reference: .atr" in out
    record, gross = table(file)
    assert (record["record"], gross["record"]) == ("rec", "gross")
    assert int(record["beats"]) == len(wfdb.rdann(str(path), "atr").sample)
    counts = [int(record[f"{row}>{column}"]) for row in "NSVF" for column in "NSVFQ"]
    assert sum(counts) == int(record["beats"])


@pytest.mark.parametrize("command", ["annotate", "evaluate"])
@pytest.mark.parametrize(
    "preset", ["atd_etth1", "convlstm_digits_fc", "zoomshift_emoji_en", "mcwsa_mnist"]
)
def test_a_preset_of_something_else(path, refused, monkeypatch, command, preset):
    monkeypatch.setattr(beat_detection, "detect_beats", None)  # refused before
    error = refused(command, path, "--beats", "detect", "--preset", preset)
    assert "labels heart beats" in error and f"Received: {preset}, a " in error


def test_a_preset_of_beats_does_nothing_else(tmp_path, refused):
    table = tmp_path / "load.csv"
    table.write_text("date,load\n2020-01-01 00:00,1\n2020-01-01 01:00,2\n")
    picture = tmp_path / "7.png"
    picture.write_bytes(b"")
    beats = ["--preset", "cascade_mitbih"]
    assert "preset that forecasts" in refused("forecast", table, *beats)
    assert "finds pictures and texts" in refused("search", "x", *beats)


@pytest.mark.parametrize("version", ["", "@1.0"])
def test_a_preset_without_a_causal_one(path, refused, version):
    preset = f"step_mitbih{version}"
    error = refused("annotate", path, "--preset", preset, "--causal")
    assert f"step_mitbih_causal{version}, and there is none" in error
    assert "Causal presets: atd_mitbih_causal." in error
