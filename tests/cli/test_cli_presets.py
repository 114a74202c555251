"""`mmfusion presets`."""

import io
import json
import shutil
import sys

import pytest
from backends import once

from keras_mmfusion import cli, presets
from keras_mmfusion.presets import _registry

pytestmark = once


ROOT = _registry.shipped_directory()
NAME = "atd_mitbih"


def out(capsys, *words, code=0):
    assert cli.main(["presets", *words]) == code
    return capsys.readouterr().out


@pytest.fixture
def broken(tmp_path):
    folder = shutil.copytree(ROOT / NAME, tmp_path / "broken")
    (folder / "config.json").write_text("{}")
    return str(folder)


def test_list(capsys):
    listed = out(capsys)
    assert out(capsys, "list") == listed == f"{presets.list()}\n"
    assert NAME in listed


def test_list_filters(capsys):
    rows = json.loads(out(capsys, "list", "atd_*", "--json"))
    assert rows and all(row["name"].startswith("atd_") for row in rows)
    words = ("atd_*", "--task", "classification", "--modality", "ecg")
    listed = presets.list("atd_*", task="classification", modality="ecg")
    assert NAME in [row["name"] for row in listed]
    assert out(capsys, "list", *words) == f"{listed}\n"
    assert out(capsys, "list", "--modality", "smell") == "No presets.\n"
    assert out(capsys, "list", "--task", "weather") == "No presets.\n"


def test_list_prints_well():
    """Aligned columns, no line longer than a wide screen of a terminal."""
    head, *lines = str(presets.list()).splitlines()
    assert head.split()[:3] == ["name", "version", "task"]
    assert len(lines) == len(presets.list())
    assert max(map(len, lines)) <= 144
    assert all(" ± " in line or "no trained weights" in line for line in lines)
    start = head.index("task")
    assert all(line[start - 1] == " " != line[start] for line in lines)


def test_info(capsys):
    text = out(capsys, "info", NAME)
    assert text == f"{presets.info(NAME)}\n" and "dataset" in text
    assert json.loads(out(capsys, "info", NAME, "--json")) == presets.info(NAME)


def test_a_pipe_that_is_not_of_utf_8(monkeypatch):
    """As on Windows: what it cannot hold is escaped; JSON stays JSON."""
    for words in (["list"], ["info", "zoomshift_emoji_zh", "--json"]):
        pipe = io.TextIOWrapper(io.BytesIO(), encoding="ascii")
        monkeypatch.setattr(sys, "stdout", pipe)
        assert cli.main(["presets", *words]) == 0
        pipe.seek(0)
        text = pipe.read()
        assert "\\" in text
        if "--json" in words:
            assert json.loads(text) == presets.info(words[1])


def test_card(capsys):
    card = (ROOT / NAME / "README.md").read_text(encoding="utf-8")
    head, text = card.removeprefix("---\n").split("\n---\n\n", 1)
    assert "library_name: keras" in head
    assert out(capsys, "card", NAME) == text


def test_card_from_anywhere(tmp_path, capsys):
    """What a terminal would obey is not printed, and no byte of it is an error."""
    import keras

    model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])
    card = b"# Evil\x1b[2J\x9b\x07\n\tcard\xff\n"
    folder = presets.save(model, tmp_path / "evil", files={"README.md": card})
    assert (
        out(capsys, "card", str(folder))
        == "# Evil\ufffd[2J\ufffd\ufffd\n\tcard\ufffd\n"
    )


def test_card_of_a_preset_without_one(tmp_path, capsys):
    import keras

    model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)])
    folder = presets.save(model, tmp_path / "bare")
    assert cli.main(["presets", "card", str(folder)]) == 2
    assert "Try: mmfusion presets info" in capsys.readouterr().err


def test_verify(capsys):
    assert "golden outputs differ by" in out(capsys, "verify", NAME)


def test_verify_says_what_is_wrong(capsys, broken):
    assert cli.main(["presets", "verify", broken]) == 2
    error = capsys.readouterr().err
    assert "config.json must have" in error and error.count("\n") == 1


def test_verify_goes_on(capsys, broken):
    assert cli.main(["presets", "verify", broken, NAME]) == 2
    captured = capsys.readouterr()
    assert "config.json must have" in captured.err
    version = presets.info(NAME)["version"]
    assert f"{NAME} {version} on" in captured.out


def test_address_without_a_hash(capsys):
    assert cli.main(["presets", "info", "https://x.invalid/a.zip"]) == 2
    error = capsys.readouterr().err
    assert "SHA-256" in error and error.count("\n") == 1
