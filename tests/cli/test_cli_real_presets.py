"""The commands with presets as they are shipped; no number of theirs is tested."""

import pytest
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
