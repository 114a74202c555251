import json
import os
import subprocess
import sys

import pytest
from backends import once

from keras_mmfusion import __version__, cli
from keras_mmfusion.cli import _backend

pytestmark = once
HEAVY = ("keras", "wfdb", "matplotlib", "scipy", "pandas")


def run(*command, **variables):
    ours = ("KERAS_BACKEND", "JAX_COMPILATION_CACHE_DIR")
    environment = {k: v for k, v in os.environ.items() if k not in ours}
    environment["PYTHONPATH"] = os.pathsep.join(sys.path)
    return subprocess.run(
        [sys.executable, *command],
        env={**environment, **variables},
        capture_output=True,
        text=True,
        timeout=120,
    )


@pytest.mark.parametrize(
    "words",
    [[], ["annotate"], ["evaluate"], ["demo"], ["presets"], ["tune"]]
    + [["classify-digit"], ["forecast"], ["search"], ["caption-search"], ["export"]]
    + [["presets", action] for action in ("list", "info", "verify", "card")],
)
def test_help(words, capsys):
    with pytest.raises(SystemExit) as stop:
        cli.main([*words, "--help"])
    assert stop.value.code == 0
    out = capsys.readouterr().out
    assert out.startswith("usage: mmfusion")
    # What it is for comes first.
    assert not out.split("\n\n")[1].startswith("positional arguments:")


def test_version(capsys):
    with pytest.raises(SystemExit) as stop:
        cli.main(["--version"])
    assert stop.value.code == 0
    assert capsys.readouterr().out == f"mmfusion {__version__}\n"


def test_help_does_not_import_what_only_the_work_needs():
    code = (
        "import sys\nfrom keras_mmfusion.cli import main\n"
        "try: main(['--help'])\nexcept SystemExit: pass\n"
        f"print('LOADED', [m for m in {HEAVY!r} if m in sys.modules])"
    )
    result = run("-c", code)
    assert result.returncode == 0, result.stderr
    assert "LOADED []" in result.stdout


def test_module_is_the_command():
    result = run("-m", "keras_mmfusion.cli", "explode")
    assert result.returncode == 2
    assert result.stderr.startswith("mmfusion: error: ")


def test_an_interruption_is_no_traceback(monkeypatch, capsys):
    from keras_mmfusion import presets

    def interrupted(*args, **kwargs):
        raise KeyboardInterrupt

    monkeypatch.setattr(presets, "list", interrupted)
    assert cli.main(["presets"]) == 130
    assert capsys.readouterr().err.count("\n") == 1


class TestBackend:
    @pytest.fixture(autouse=True)
    def fresh(self, monkeypatch, tmp_path):
        """No Keras yet, no configuration, and no backend installed."""
        monkeypatch.delitem(sys.modules, "keras", raising=False)
        # Set first, so that what the code under test sets is undone afterwards.
        monkeypatch.setenv("KERAS_BACKEND", "")
        monkeypatch.setenv("KERAS_HOME", str(tmp_path))
        self.installed = set()
        monkeypatch.setattr(_backend, "_installed", lambda n: n in self.installed)
        self.home = tmp_path

    def configure(self, backend):
        (self.home / "keras.json").write_text(json.dumps({"backend": backend}))

    def test_none_is_installed(self):
        with pytest.raises(ImportError, match=r"pip install 'keras_mmfusion\[jax"):
            _backend.choose_backend()

    @pytest.mark.parametrize("name", ["jax", "tensorflow", "torch"])
    def test_the_only_one(self, name):
        self.installed = {name}
        assert name in _backend.choose_backend()
        assert os.environ["KERAS_BACKEND"] == name

    def test_the_lightest_of_all(self):
        self.installed = {"torch", "jax", "tensorflow"}
        assert "jax" in _backend.choose_backend()

    def test_the_configured_one(self):
        self.installed = {"torch", "jax"}
        self.configure("torch")
        assert _backend.choose_backend() is None
        assert os.environ["KERAS_BACKEND"] == ""

    def test_keras_writes_tensorflow_even_if_it_is_not_installed(self):
        self.installed = {"torch"}
        self.configure("tensorflow")
        assert "torch" in _backend.choose_backend()

    def test_broken_configuration(self):
        self.installed = {"jax"}
        (self.home / "keras.json").write_text("{")
        assert "jax" in _backend.choose_backend()

    def test_a_name_that_keras_does_not_know(self, monkeypatch):
        self.installed = {"torch"}
        self.configure("pytorch")
        assert "torch" in _backend.choose_backend()
        monkeypatch.setenv("KERAS_BACKEND", "pytorch")
        with pytest.raises(ImportError, match=r"one of jax, .*KERAS_BACKEND='pytorch'"):
            _backend.choose_backend()

    def test_the_one_asked_for(self, monkeypatch):
        self.installed = {"jax"}
        monkeypatch.setenv("KERAS_BACKEND", "jax")
        assert _backend.choose_backend() is None
        monkeypatch.setenv("KERAS_BACKEND", "torch")
        with pytest.raises(ImportError, match="torch, which is not installed"):
            _backend.choose_backend()


COMPILE = """
from keras_mmfusion.cli import _backend
_backend.keep_compiled()
import jax
jax.jit(lambda x: x + 1)(1.0)
"""


@pytest.mark.parametrize("own", [None, "own"])
def test_jax_keeps_what_it_compiles(tmp_path, own):
    pytest.importorskip("jax")
    settings = {"JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0"}
    if own:
        settings["JAX_COMPILATION_CACHE_DIR"] = str(tmp_path / own)
    result = run("-c", COMPILE, KERAS_HOME=str(tmp_path), **settings)
    assert result.returncode == 0, result.stderr
    [folder] = tmp_path.iterdir()
    assert folder.name == (own or "keras_mmfusion")
    assert any(path.is_file() for path in folder.rglob("*"))


def test_backend_notice_is_one_line(tmp_path):
    result = run("-m", "keras_mmfusion.cli", "presets", KERAS_HOME=str(tmp_path))
    assert result.returncode == 0, result.stderr
    assert "backend (set KERAS_BACKEND to choose)" in result.stderr
    assert result.stderr.count("\n") == 1
