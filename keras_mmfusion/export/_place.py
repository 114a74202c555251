"""Put an exported model in place whole, or not at all."""

import contextlib
import os
import shutil
import tempfile
from pathlib import Path

from keras_mmfusion._export_formats import ExportError
from keras_mmfusion.presets._folder import CONFIG, METADATA


def check_target(format, path, overwrite):
    """Raise unless an export in this format may be written to `path`."""
    if format.suffix and path.suffix != format.suffix:
        raise ExportError(
            f"The path of the format {format.name} must end in {format.suffix}. "
            f"Received: {str(path)!r}."
        )
    if all((path.parent / name).is_file() for name in (CONFIG, METADATA)):
        # With a file that its metadata does not list, it would no longer load.
        raise ExportError(
            "An export must be written outside the folder of a preset. "
            f"Received: {path}. Write elsewhere."
        )
    for target in format.paths(path):
        if target.is_dir() and format.suffix:
            raise ExportError(f"{target} must be a file to write. Received: a folder.")
        if os.path.lexists(target) and not overwrite:
            raise ExportError(
                f"{target} must not exist yet. Pass overwrite=True (--force) to "
                "replace it, or write elsewhere."
            )
        if not format.suffix and os.path.lexists(target) and not _replaceable(target):
            raise ExportError(
                f"Only a SavedModel may be replaced. Received: {target}, a file or a "
                "folder with something else. Write elsewhere."
            )


@contextlib.contextmanager
def placing(format, path):
    """Give a path to write to; what is there moves to `path` when the block ends.

    If the block raises, what it wrote goes, and what was at `path` stays. Folders
    that `path` lacks are made.
    """
    made = [f for f in (path.parent, *path.parent.parents) if not f.exists()]
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        room = tempfile.mkdtemp(prefix=".mmfusion-", dir=path.parent)
    except OSError as error:
        raise ExportError(
            f"Cannot write to the folder {path.parent} ({error.strerror}). Choose "
            "another one."
        ) from error
    try:
        part = Path(room, path.name)
        yield part
        _move(format.paths(part), format.paths(path))
        made = []
    finally:
        shutil.rmtree(room, ignore_errors=True)
        for folder in made:
            with contextlib.suppress(OSError):
                folder.rmdir()


def _replaceable(folder):
    empty = folder.is_dir() and not any(folder.iterdir())
    return empty or (folder / "saved_model.pb").is_file()


def _move(parts, targets):
    """Move all, or none: those replaced are kept aside until all are moved."""
    done = []
    try:
        for part, target in zip(parts, targets, strict=True):
            aside = None
            if os.path.lexists(target):
                aside = part.with_name(f"{part.name}.old")
            # Known before it is moved: an interruption may come in between.
            done.append((part, target, aside))
            if aside is not None:
                os.replace(target, aside)
            os.replace(part, target)
    except BaseException:
        for part, target, aside in reversed(done):
            if not os.path.lexists(part):
                os.replace(target, part)
            if aside is not None and os.path.lexists(aside):
                os.replace(aside, target)
        raise
