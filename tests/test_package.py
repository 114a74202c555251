"""What the package imports, and what it says about itself."""

import ast
import importlib
import inspect
import os
import subprocess
import sys
from dataclasses import is_dataclass
from pathlib import Path

import pytest
from backends import once

import keras_mmfusion

SOURCE = Path(keras_mmfusion.__file__).parent
FILES = sorted(SOURCE.rglob("*.py"))
PUBLIC = [
    f"{part}.{name}"
    for part in keras_mmfusion.__all__
    if part != "__version__"
    for name, value in sorted(
        vars(importlib.import_module(f"keras_mmfusion.{part}")).items()
    )
    if not name.startswith("_")
    and getattr(value, "__module__", "").startswith("keras_mmfusion")
]
BACKENDS = ("tensorflow", "jax", "torch")


def modules_after(statement, backend="jax"):
    """Names of all modules that a statement loads in a fresh process."""
    code = f"import sys\n{statement}\nprint('LOADED', *sys.modules)"
    result = subprocess.run(
        [sys.executable, "-c", code],
        env={
            **os.environ,
            "PYTHONPATH": os.pathsep.join(sys.path),
            "KERAS_BACKEND": backend,
        },
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert result.returncode == 0, result.stderr[-2000:]
    return set(result.stdout.rsplit("LOADED", 1)[1].split())


def test_import_is_light():
    loaded = modules_after("import keras_mmfusion")
    assert not loaded & {"keras", "numpy", "wfdb", "matplotlib", "scipy", "pandas"}
    assert not loaded & set(BACKENDS)


@once
def test_a_user_without_a_home(monkeypatch, tmp_path):
    """As in a container of a number that no user has."""
    pwd = pytest.importorskip("pwd")
    from keras_mmfusion._home import keras_home

    def unknown(number):
        raise KeyError(number)

    monkeypatch.setattr(pwd, "getpwuid", unknown)
    monkeypatch.delenv("HOME", raising=False)
    monkeypatch.delenv("KERAS_HOME", raising=False)
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    assert keras_home() == tmp_path / ".keras"
    monkeypatch.setenv("KERAS_HOME", "elsewhere")
    assert keras_home() == Path("elsewhere").absolute()


@once
def test_after_keras_it_makes_its_classes_known():
    find = "assert keras.saving.get_registered_object('keras_mmfusion>{}')"
    names = ("FusionClassifier", "ATDFusion", "SeriesPreprocessor")
    modules_after("\n".join(["import keras, keras_mmfusion", *map(find.format, names)]))


@once
def test_whole_package_loads_no_more_than_keras_does():
    """One backend, and none of the packages that only some tasks need."""
    backend = os.environ["KERAS_BACKEND"]
    parts = [part for part in keras_mmfusion.__all__ if part != "__version__"]
    statement = "\n".join(f"import keras_mmfusion.{part}" for part in parts)
    loaded = modules_after(statement, backend) - modules_after("import keras", backend)
    assert "keras_mmfusion.models.beat_classifier" in loaded
    heavy = {*BACKENDS, "wfdb", "matplotlib", "scipy", "pandas", "keras_tuner"}
    assert not loaded & heavy


def imported(path):
    """Names of the modules that a file imports anywhere, absolute ones."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path.name} has a relative import"
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def test_no_backend_and_no_private_keras():
    assert len(FILES) > 40
    for path in FILES:
        for module in imported(path):
            assert module.split(".")[0] not in BACKENDS, (path, module)
            assert not module.startswith("keras.src"), (path, module)
            assert not module.startswith("keras.backend."), (path, module)
        assert "keras.src" not in path.read_text(encoding="utf-8"), path


def test_files_are_short():
    for path in FILES:
        assert len(path.read_text(encoding="utf-8").splitlines()) <= 330, path


def test_public_names_are_complete():
    assert len(PUBLIC) > 30
    assert "layers.ATDFusion" in PUBLIC and "presets.load" in PUBLIC


@pytest.mark.parametrize("name", PUBLIC)
def test_docstring_with_example(name):
    part, attribute = name.split(".")
    module = importlib.import_module(f"keras_mmfusion.{part}")
    value = getattr(module, attribute)
    doc = inspect.getdoc(value) or ""
    first = doc.split("\n")[0]
    assert first.endswith((".", ":")) and len(first) < 100
    if not is_result(value):
        assert "Example:\n\n```python\n" in doc


def is_result(value):
    """What is given, never made: an error, or a data class that a function returns."""
    return isinstance(value, type) and (
        issubclass(value, Exception) or (is_dataclass(value) and "Attributes:" in
                                         inspect.getdoc(value))
    )  # fmt: skip


@pytest.mark.parametrize("name", PUBLIC)
def test_arguments_are_documented(name):
    part, attribute = name.split(".")
    value = getattr(importlib.import_module(f"keras_mmfusion.{part}"), attribute)
    if isinstance(value, type) and issubclass(value, Exception):
        return
    doc = inspect.getdoc(value) or ""
    for parameter in inspect.signature(value).parameters.values():
        if parameter.kind in (parameter.VAR_KEYWORD, parameter.VAR_POSITIONAL):
            continue
        assert parameter.name in doc, parameter.name
