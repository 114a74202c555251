"""What `python -m pytest` does without KERAS_BACKEND."""

import importlib.util
import os
import re
import subprocess
import sys
from pathlib import Path

import all_backends
import pytest

INSTALLED = [b for b in all_backends.BACKENDS if importlib.util.find_spec(b)]
pytestmark = pytest.mark.skipif(
    os.environ.get("KERAS_BACKEND") != INSTALLED[0], reason="once is enough"
)
SUITE = """
import os
import pytest

def test_this():
    print(os.environ["KERAS_BACKEND"])

@pytest.mark.skipif(os.environ["KERAS_BACKEND"] != os.environ["UNLUCKY"], reason="")
def test_that():
    assert False
"""


@pytest.fixture
def run(tmp_path):
    def run(unlucky, *arguments, **variables):
        environment = {k: v for k, v in os.environ.items() if k != "KERAS_BACKEND"}
        environment |= {"PYTHONPATH": str(Path(__file__).parent), "UNLUCKY": unlucky}
        return subprocess.run(
            [sys.executable, "-m", "pytest", "-q", *arguments],
            cwd=tmp_path,
            env={**environment, **variables},
            capture_output=True,
            text=True,
            timeout=120,
        )

    line = "from all_backends import pytest_cmdline_main"
    (tmp_path / "conftest.py").write_text(line)
    (tmp_path / "test_some.py").write_text(SUITE)
    return run


def test_every_backend_and_the_worst_exit_code(run):
    result = run(INSTALLED[-1], CI="")
    assert result.returncode == 1
    ends = dict(line.split(None, 1) for line in result.stdout.splitlines()[-3:])
    assert list(ends) == list(all_backends.BACKENDS)
    for backend, line in ends.items():
        if backend == INSTALLED[-1]:
            assert line.startswith("1 failed, 1 passed in ")
        elif backend in INSTALLED:
            assert line.startswith("1 passed, 1 skipped in ")
        else:
            assert line == "not installed"


def test_all_pass_and_arguments_are_handed_on(run):
    result = run("none", "-k", "this", CI="")
    assert result.returncode == 0
    # Several processes do not say what they left out.
    passed = re.findall(r"\b1 passed(?:, 1 deselected)? in ", result.stdout)
    assert len(passed) == 2 * len(INSTALLED)


def test_one_backend_runs_in_this_process(run):
    result = run("none", KERAS_BACKEND="jax")
    assert result.returncode == 0
    assert "all backends" not in result.stdout


def test_unknown_backend(run):
    result = run("none", KERAS_BACKEND="theano")
    assert result.returncode == 4
    assert "KERAS_BACKEND must be one of tensorflow, jax, torch" in result.stderr


def test_help_starts_nothing(run):
    result = run("none", "--version")
    assert result.returncode == 0 and "KERAS_BACKEND" not in result.stdout
