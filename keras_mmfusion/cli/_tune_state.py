"""The state of `mmfusion tune`: of which search it is, and who may go on with it."""

import contextlib
import json
import re
import zlib

import numpy as np

from keras_mmfusion.datasets import RecordError
from keras_mmfusion.tuning._durable import SETTINGS

LOCK = "lock"


def settings_of(args, data, space):
    """What makes a search the same one, as it comes back from JSON."""
    arrays = {**data.x, "y": data.y}
    for name in ("groups", "sample_weight"):
        if getattr(data, name) is not None:
            arrays[name] = getattr(data, name)
    settings = {
        "tuner": args.tuner,
        "epochs": args.epochs,
        "batch_size": args.batch_size,
        "objective": args.objective,
        "folds": args.folds,
        "seed": args.seed,
        "preset_like": args.preset_like,
        "searched": {h.name: h.values for h in space},
        "data": {name: _checksum(values) for name, values in arrays.items()},
    }
    return json.loads(json.dumps(settings))


def is_begun(folder):
    """Whether a folder holds the state of a search."""
    return (folder / SETTINGS).is_file()


def write_settings(folder, ours):
    """Note what is searched; raise if the folder is of another search."""
    path = folder / SETTINGS
    if is_begun(folder):
        try:
            theirs = dict(json.loads(path.read_text(encoding="utf-8")))
        except (ValueError, TypeError) as error:
            raise RecordError(
                f"{path} must say what was searched. Received: {error}. Add --force to "
                "start anew, or write elsewhere."
            ) from error
        other = [key for key in ours if theirs.get(key) != ours[key]]
        if other:
            raise RecordError(
                f"{folder} is of a search with other {', '.join(other)}. Repeat that "
                "command, add --force to start anew, or write elsewhere."
            )
    write_whole(path, json.dumps(ours, indent=2) + "\n")


def check_output(path):
    """Raise before the search, not after it, if no preset can be written there."""
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_.-]*", path.name):
        raise RecordError(
            "The folder to write must have a name of letters, digits, '_', '-' and "
            f"'.', a letter or digit first. Received: --output {path}"
        )
    if path.exists() and not (path / "metadata.json").is_file():
        raise RecordError(
            f"{path} exists and is no preset. Name another folder to write."
        )


@contextlib.contextmanager
def only_one(folder):
    """Keep a second process from the same search."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        file = open(folder / LOCK, "w")  # noqa: SIM115
    except OSError as error:
        raise RecordError(
            f"Cannot write to the folder {folder} ({error.strerror}). Choose another "
            "one."
        ) from error
    with file:
        # Windows has no such module, and a second process there is the user's affair.
        with contextlib.suppress(ImportError):
            import fcntl

            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError as error:
                raise RecordError(
                    f"Another process searches in {folder}. Wait for it, or write "
                    "elsewhere."
                ) from error
        yield


def _checksum(array):
    raw = np.ascontiguousarray(array)
    return f"{raw.dtype} {raw.shape} {zlib.crc32(raw.view('uint8').reshape(-1)):08x}"


def write_whole(path, text):
    """Write a file so that it is never there in part."""
    part = path.with_name(f"{path.name}.part")
    part.write_text(text, encoding="utf-8")
    part.replace(path)
