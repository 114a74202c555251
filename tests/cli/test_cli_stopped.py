"""What is stopped leaves nothing behind, and what it was to replace as it was."""

import os
import pathlib
import signal
import subprocess
import sys

import keras
import pytest
from backends import once

from keras_mmfusion import presets
from keras_mmfusion._export_formats import FORMATS
from keras_mmfusion.cli._outputs import staged
from keras_mmfusion.export import _place

pytestmark = once
# As a terminal starts it: under `nohup` or in the background, signals are ignored.
STARTED = """
import signal
signal.signal(signal.SIGTERM, signal.SIG_DFL)
signal.signal(signal.SIGHUP, signal.SIG_DFL)
signal.signal(signal.SIGINT, signal.default_int_handler)
"""
STOPPED = """
import os, sys, time
from keras_mmfusion import cli
from keras_mmfusion.cli import annotate, _outputs

def run(args):
    with _outputs.staged([args.output_dir / "new" / "labels.mmf"]) as (part,):
        part.write_text("half")
        os.kill(os.getpid(), {signal})
        time.sleep(20)

annotate.run = run
cli.main(["annotate", "100", "--output-dir", sys.argv[1]])
"""


def stopped(folder, number, before=""):
    code = STARTED + before + STOPPED.format(signal=int(number))
    command = [sys.executable, "-c", code, str(folder)]
    return subprocess.run(command, capture_output=True, text=True, timeout=60)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP, signal.SIGINT])
def test_a_command_that_is_stopped(tmp_path, number):
    """Who started it sees by what, such as a queue of jobs, or `mmfusion tune`."""
    result = stopped(tmp_path, number)
    assert list(tmp_path.iterdir()) == []
    assert "Traceback" not in result.stderr
    assert result.returncode == (0 if number == signal.SIGINT else -number)


def test_a_signal_that_is_ignored(tmp_path):
    """As under `nohup`."""
    ignore = "signal.signal(signal.SIGHUP, signal.SIG_IGN)\n"
    end = "import time; time.sleep = lambda seconds: None\n"
    assert stopped(tmp_path, signal.SIGHUP, ignore + end).returncode == 0
    assert (tmp_path / "new" / "labels.mmf").read_text() == "half"


def contents(folder):
    return {p: p.is_file() and p.read_bytes() for p in folder.rglob("*")}


def save_preset(folder):
    model = keras.Sequential([keras.Input((4,), name="load"), keras.layers.Dense(1)])
    presets.save(model, folder / "mine", overwrite=True)


def write_files(folder):
    with staged([folder / "a.txt", folder / "b.txt"], force=True) as parts:
        for part in parts:
            part.write_text("new")


def write_export(folder):
    with _place.placing(FORMATS["openvino"], folder / "model.xml") as part:
        for path in FORMATS["openvino"].paths(part):
            path.write_text("new")


@pytest.mark.parametrize("write", [save_preset, write_files, write_export])
@pytest.mark.parametrize("moves", [1, 2, 3, 4])
def test_interrupted_while_files_are_moved(monkeypatch, tmp_path, write, moves):
    """Ctrl-C comes after any of the moves, which Python cannot do all at once."""
    write(tmp_path)
    for path in tmp_path.glob("*.*"):
        path.write_text("old")
    before = contents(tmp_path)
    left = [moves]

    def interrupted(move):
        def moving(*args):
            result = move(*args)
            left[0] -= 1
            if left[0] == 0:
                raise KeyboardInterrupt
            return result

        return moving

    with monkeypatch.context() as patch:
        patch.setattr(os, "replace", interrupted(os.replace))
        patch.setattr(pathlib.Path, "rename", interrupted(pathlib.Path.rename))
        if write is save_preset and moves > 2:
            return write(tmp_path)
        with pytest.raises(KeyboardInterrupt):
            write(tmp_path)
    if (write, moves) == (save_preset, 2):
        # All is done by then, but for what was replaced: a later call takes it away.
        presets.load(tmp_path / "mine")
    else:
        assert contents(tmp_path) == before
