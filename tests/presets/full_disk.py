"""Run by test_processes.py with a FOLDER that is a disk of its own, of one megabyte.

    python full_disk.py FOLDER PRESET ADDRESS

It prints one line of JSON for each thing tried: what was said, and what was left.
"""

import json
import os
import sys
import tempfile
from pathlib import Path

# Keras would import it late, for as long as all that is done here takes.
sys.modules["tensorflow"] = None

import keras  # noqa: E402

from keras_mmfusion import presets  # noqa: E402


def main(folder, preset, address):
    folder = Path(folder)
    save(folder / "saved")
    with_temporary_files_in(folder / "temporary", lambda: presets.load(preset))
    os.environ["KERAS_HOME"] = str(folder / "home")
    # Enough for the archive, and not for what is in it; then not for the archive.
    for free in (600_000, 50_000):
        fill(folder, free)
        tried(f"download to {free}", folder / "home", lambda: presets.info(address))


def tried(name, folder, function):
    """Report what is said by `function`, and the files in `folder` after it."""
    said = None
    try:
        function()
    except Exception as error:
        said = f"{type(error).__name__}: {error}"
    left = sorted(str(path.relative_to(folder)) for path in files_in(folder))
    print(json.dumps({"name": name, "said": said, "left": left}), flush=True)


def save(folder):
    small = keras.Sequential([keras.Input((4,)), keras.layers.Dense(1)])
    # A megabyte of weights.
    large = keras.Sequential([keras.Input((256,)), keras.layers.Dense(1024)])
    presets.save(small, folder / "tiny")
    tried("save", folder, lambda: presets.save(large, folder / "tiny", overwrite=True))
    presets.verify(folder / "tiny")


def with_temporary_files_in(folder, function):
    folder.mkdir()
    tempfile.tempdir = str(folder)
    tried("load", folder, function)
    tempfile.tempdir = None


def fill(folder, free):
    """Leave so many bytes on the disk of a folder."""
    (folder / "filler").unlink(missing_ok=True)
    there = os.statvfs(folder)
    size = there.f_bavail * there.f_frsize - free
    (folder / "filler").write_bytes(bytes(size))


def files_in(folder):
    return [path for path in folder.rglob("*") if path.is_file()]


if __name__ == "__main__":
    main(*sys.argv[1:])
