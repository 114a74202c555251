"""From names to folders."""

import ast
import re
import shutil
import socket
import sys
from pathlib import Path

import pytest
from backends import once

from keras_mmfusion import presets

pytestmark = once


def test_public_names():
    assert presets.__all__ == ["info", "list", "load", "register", "save", "verify"]
    public = {name for name in vars(presets) if not name.startswith("_")}
    assert public == set(presets.__all__)


def test_imports_nothing_heavy():
    """At import, keras and numpy beside the standard library; no private Keras."""
    allowed = {*sys.stdlib_module_names, "keras", "numpy", "keras_mmfusion"}
    for path in Path(presets.__file__).parent.glob("*.py"):
        tree = ast.parse(path.read_text())
        assert "keras.src" not in path.read_text()
        for node in tree.body:
            if isinstance(node, ast.Import):
                names = [alias.name for alias in node.names]
            elif isinstance(node, ast.ImportFrom):
                names = [node.module]
            else:
                continue
            assert {name.split(".")[0] for name in names} <= allowed, path


def test_register_list_info_load(saved):
    assert presets.register(saved) == "tiny"
    (row,) = presets.list()
    assert row == {
        "name": "tiny",
        "version": "1.2",
        "task": "classification",
        "modalities": ("wave", "text"),
        "parameters": presets.info("tiny")["parameters"],
        "bytes": sum(
            f.stat().st_size for f in saved.iterdir() if f.name != "metadata.json"
        ),
        "metric": "accuracy",
        "value": 0.75,
        "sd": 0.01,
        "trained": True,
    }
    text = str(presets.info("tiny"))
    for part in (
        "tiny 1.2",
        "wave: (6,) float32, mV, 360 Hz",
        "0.75 ± 0.01",
        "a, b, c",
    ):
        assert part in text
    assert presets.load("tiny@1.2").name == "tiny"
    assert presets.load(row).name == "tiny"


def test_register_by_another_name(saved):
    assert presets.register(saved, name="mine") == "mine"
    assert presets.info("mine")["name"] == "tiny"
    assert [row["name"] for row in presets.list()] == ["mine"]


def test_register_twice(saved, saved_once):
    presets.register(saved)
    presets.register(saved)
    assert len(presets.list()) == 1
    with pytest.raises(ValueError, match=r"tiny@1\.2 for .* has already"):
        presets.register(saved_once)


def test_registered_and_written_anew(saved, model):
    presets.register(saved)
    presets.save(model, saved, metadata={"version": "2.0"}, overwrite=True)
    assert [row["version"] for row in presets.list()] == ["2.0"]
    assert presets.load("tiny@2.0").name == "tiny"


def test_registered_and_gone(saved, saved_once):
    """The others stay; it says where it was."""
    presets.register(saved, "gone")
    presets.register(saved_once)
    shutil.rmtree(saved)
    with pytest.warns(UserWarning, match="Preset left out: .*which is not a folder"):
        assert [row["name"] for row in presets.list()] == ["tiny"]
    with pytest.warns(UserWarning), pytest.raises(ValueError, match="Known presets"):
        presets.load("gone")


def test_register_no_preset(tmp_path):
    with pytest.raises(ValueError, match=r"has none\. `presets\.save"):
        presets.register(tmp_path)


def test_list_filters(saved):
    presets.register(saved, "one")
    presets.register(saved, "two")
    names = lambda **k: [row["name"] for row in presets.list(**k)]  # noqa: E731
    assert names() == ["one", "two"]
    assert names(pattern="t*") == ["two"]
    assert names(task="classification") == ["one", "two"]
    assert names(task="retrieval") == []
    assert names(modality="wave") == names(modality=["wave", "text"]) == names()
    assert names(modality=["wave", "smell"]) == []


@pytest.mark.parametrize(
    "wrong",
    [
        *[{"pattern": value} for value in (None, 3, ["atd_*"], b"atd_*")],
        *[{"task": value} for value in (3, ["classification"])],
        *[{"modality": value} for value in (3, b"ecg", ["ecg", 3], [["ecg"]])],
    ],
)
def test_list_says_what_it_takes(wrong):
    (name,) = wrong
    with pytest.raises(ValueError, match=f"`{name}` must be .* Received: {name}="):
        presets.list(**wrong)


def test_list_prints_as_a_table(saved):
    assert str(presets.list()) == "No presets."
    presets.register(saved, "a_long_name")
    presets.register(saved, "b")
    head, first, second = str(presets.list()).splitlines()
    assert head.split()[:4] == ["name", "version", "task", "modalities"]
    assert first.index("1.2") == second.index("1.2") == head.index("version")
    assert first.endswith("accuracy 0.75 ± 0.01")


def test_list_shows_the_first_metric(saved, rehash):
    """Groups of them are looked into; a number without a deviation is shown alone."""
    measured = {"test": {"f1": 0.5, "accuracy": {"mean": 0.75, "sd": 0.01, "n": 3}}}
    rehash(saved, metrics=measured)
    presets.register(saved)
    (row,) = presets.list()
    assert (row["metric"], row["value"], row["sd"]) == ("test/f1", 0.5, None)
    assert str(presets.list()).endswith("test/f1 0.5")
    counted = {"beats": {"mean": 49691.0, "sd": 0.0, "n": 5}, "images": 1440}
    rehash(saved, metrics=counted)
    info = str(presets.info("tiny"))
    assert re.search(r"beats 49,691\n.*images 1,440\n", info)


def test_versions(saved, rehash, tmp_path):
    newer = shutil.copytree(saved, tmp_path / "newer")
    rehash(newer, version="1.10")
    presets.register(newer)
    presets.register(saved)
    assert presets.info("tiny")["version"] == "1.10"
    assert presets.info("tiny@1.2")["version"] == "1.2"
    with pytest.raises(ValueError, match=r"one of the versions .*tiny@3"):
        presets.load("tiny@3")


def test_shipped(saved_once, no_registered_presets):
    shutil.copytree(saved_once, no_registered_presets / "tiny")
    (no_registered_presets / "README.md").write_text("not a preset")
    assert [row["name"] for row in presets.list()] == ["tiny"]
    assert presets.load("tiny").name == "tiny"


def test_broken_shipped_preset(saved_once, no_registered_presets):
    """The others stay; asked for by name, it says what is wrong."""
    shutil.copytree(saved_once, no_registered_presets / "tiny")
    (no_registered_presets / "broken").mkdir()
    (no_registered_presets / "broken" / "metadata.json").write_text("{")
    with pytest.warns(UserWarning, match="broken"):
        assert [row["name"] for row in presets.list()] == ["tiny"]
    with pytest.warns(UserWarning), pytest.raises(ValueError, match="not valid JSON"):
        presets.load("broken")


def test_unknown_name(saved):
    presets.register(saved, "atd_mitbih")
    presets.register(saved, "step_load")
    with pytest.raises(ValueError) as error:
        presets.load("atd_mitbi")
    message = str(error.value)
    assert "Received: 'atd_mitbi'" in message
    assert "Did you mean atd_mitbih?" in message
    assert "Known presets: atd_mitbih, step_load" in message
    assert "'./atd_mitbi'" in message
    with pytest.raises(ValueError, match=r"Did you mean atd_mitbih\?"):
        presets.load("ATD_MITBIH")


def test_unknown_name_among_many(saved):
    """The message stays short; it says where the other names are."""
    for number in range(9):
        presets.register(saved, f"model_{number}")
    with pytest.raises(ValueError, match=r"model_5 and 3 more .mmfusion presets list"):
        presets.load("nothing_like_it")


def test_folder_right_here_needs_no_dot(saved, monkeypatch):
    monkeypatch.chdir(saved.parent)
    assert presets.info("tiny") == presets.info("./tiny")


def test_path_that_is_not_there(tmp_path):
    with pytest.raises(ValueError, match="which is not a folder"):
        presets.load(tmp_path / "nothing")


@pytest.fixture
def no_sockets(monkeypatch):
    def refuse(*args, **kwargs):
        raise AssertionError("a socket was made")

    monkeypatch.setattr(socket, "socket", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)


def test_offline(saved_once, no_registered_presets, no_sockets, monkeypatch, tmp_path):
    """What is shipped needs no network and no folder to write to."""
    monkeypatch.setenv("KERAS_HOME", str(tmp_path / "home"))
    shutil.copytree(saved_once, no_registered_presets / "tiny")
    assert [row["name"] for row in presets.list()] == ["tiny"]
    assert presets.info("tiny@1.2")["name"] == "tiny"
    assert presets.load("tiny").preprocessor is not None
    assert presets.verify("tiny")["golden_difference"] < 1e-5
    with pytest.raises(ValueError, match="Known presets"):
        presets.load("tinny")
    assert not (tmp_path / "home").exists()


@pytest.mark.parametrize("name", [None, 3, "", b"tiny", {"name": "tiny"}])
def test_no_name(name):
    with pytest.raises(ValueError, match="name@version"):
        presets.load(name)
