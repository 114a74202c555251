"""The command `mmfusion export`."""

import importlib.util
import os
import re
import sys

import keras
import pytest
from cli_fakes import files_in

from keras_mmfusion import _export_formats, cli, presets
from keras_mmfusion.cli import _backend
from keras_mmfusion.export import _export


@pytest.fixture
def preset(tmp_path_factory):
    model = keras.Sequential([keras.Input((4,), name="load"), keras.layers.Dense(1)])
    return str(presets.save(model, tmp_path_factory.mktemp("zoo") / "small"))


@pytest.fixture
def installed(monkeypatch):
    """As if all packages were there."""
    monkeypatch.setattr(_export_formats, "missing_packages", lambda modules: [])


def refused(capsys, folder, *words):
    """Run a command that has to fail; returns its one line on stderr."""
    before = files_in(folder)
    assert cli.main([str(word) for word in words]) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.startswith("mmfusion: error: ")
    assert captured.err.count("\n") == 1 and len(captured.err) < 600
    assert files_in(folder) == before
    return captured.err


def test_export(preset, tmp_path, capsys):
    format = _export_formats.FORMATS["onnx"]
    modules = [*format.writers[keras.backend.backend()], format.runtime]
    if _export_formats.missing_packages(modules):
        pytest.skip(f"needs {' '.join(modules)}")
    command = ["export", preset, "--format", "onnx", "--output", tmp_path / "m.onnx"]
    assert cli.main([str(word) for word in command]) == 0
    out = capsys.readouterr().out
    assert "m.onnx: onnx from" in out and "largest difference" in out
    assert files_in(tmp_path) == ["m.onnx"]
    assert "--force" in refused(capsys, tmp_path, *command)
    assert cli.main([*(str(word) for word in command), "--force"]) == 0


@pytest.mark.parametrize(
    "words, message",
    [
        (["PRESET"], "required: --format, --output"),
        (["PRESET", "--format", "coreml", "--output", "m"], "invalid choice: 'coreml'"),
        (["nothing", "--format", "onnx", "--output", "m.onnx"], "Received: 'nothing'"),
        (["PRESET", "--format", "onnx", "--output", "m.pb"], r"must end in \.onnx"),
        (["PRESET", "--format", "onnx", "--output", "old.onnx"], "--force"),
        (["PRESET", "--format", "onnx", "--output", "old.onnx/m.onnx"], "annot write"),
        (["PRESET", "--format=onnx", "--output=m.onnx", "--batch-size=0"], "positive"),
        (["PRESET", "--format=onnx", "--output=m.onnx", "--batch-size=x"], "invalid"),
    ],
)
def test_bad_input(
    preset, tmp_path, monkeypatch, capsys, installed, words, message
):  # fmt: skip
    monkeypatch.chdir(tmp_path)
    (tmp_path / "old.onnx").write_text("old")
    words = [preset if word == "PRESET" else word for word in words]
    assert re.search(message, refused(capsys, tmp_path, "export", *words))


def test_a_preset_without_weights(tmp_path, capsys, installed):
    """What is an argument in Python is not named as if it were an option."""
    model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(1)])
    metadata = {"recipe": {"command": "python train.py"}}
    bare = presets.save(model, tmp_path / "bare", weights=False, metadata=metadata)
    output = tmp_path / "m.onnx"
    line = refused(
        capsys, tmp_path, "export", bare, "--format=onnx", "--output", output
    )
    advice = "untrained in Python (load_weights=False), or train it: python train.py\n"
    assert line.endswith(advice)


def test_a_preset_is_no_place_for_exports(preset, tmp_path, capsys, installed):
    path = os.path.join(preset, "m.onnx")
    line = refused(
        capsys, tmp_path, "export", preset, "--format=onnx", "--output", path
    )
    assert "outside the folder of a preset" in line
    presets.load(preset)


def test_a_missing_package_is_named(preset, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    path = tmp_path / "m.onnx"
    line = refused(
        capsys, tmp_path, "export", preset, "--format=onnx", "--output", path
    )
    assert "pip install" in line and "onnxruntime" in line


def test_a_failing_export_is_one_line(preset, tmp_path, monkeypatch, capsys, installed):
    def fail(self, path, **kwargs):
        with open(path, "w") as file:
            file.write("half")
        raise NotImplementedError("an operation\nthat is not there")

    monkeypatch.setattr(keras.Model, "export", fail)
    monkeypatch.setattr(_export._tf2onnx, "teach", lambda: None)
    path = tmp_path / "m.onnx"
    line = refused(
        capsys, tmp_path, "export", preset, "--format=onnx", "--output", path
    )
    assert "an operation that is not there" in line


class TestBackend:
    """Without a choice of the user, one that can write the format is taken."""

    @pytest.fixture(autouse=True)
    def fresh(self, monkeypatch, tmp_path):
        monkeypatch.delitem(sys.modules, "keras", raising=False)
        monkeypatch.setenv("KERAS_BACKEND", "")
        monkeypatch.setenv("KERAS_HOME", str(tmp_path))
        monkeypatch.setattr(_backend, "_installed", lambda name: True)
        self.home = tmp_path

    def test_the_first_that_can(self):
        assert "torch" in _backend.choose_backend(["torch", "tensorflow"])
        assert os.environ["KERAS_BACKEND"] == "torch"

    def test_a_configured_one_that_cannot(self):
        (self.home / "keras.json").write_text('{"backend": "jax"}')
        assert "tensorflow" in _backend.choose_backend(["tensorflow", "torch"])

    def test_a_configured_one_that_can(self):
        (self.home / "keras.json").write_text('{"backend": "torch"}')
        assert _backend.choose_backend(["tensorflow", "torch"]) is None

    def test_none_that_can_is_installed(self, monkeypatch):
        monkeypatch.setattr(_backend, "_installed", lambda name: False)
        with pytest.raises(ImportError, match=r"pip install .*\[tensorflow,ecg\]"):
            _backend.choose_backend(["tensorflow", "torch"])

    def test_what_is_installed_goes_first(self, monkeypatch):
        from argparse import Namespace

        from keras_mmfusion.cli.export import backends

        there = {"tf2onnx"}
        monkeypatch.setattr(
            importlib.util, "find_spec", lambda name: name in there or None
        )

        def first(format, weights="float32"):
            return backends(Namespace(format=format, weights=weights))[0]

        assert first("onnx") == first("litert") == "tensorflow"
        there.add("jax2onnx")
        assert first("onnx") == "jax"
        there.add("litert_torch")
        assert backends(Namespace(format="litert", weights="int8")) == ["tensorflow"]
