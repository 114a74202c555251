"""Output files that appear together at the end, or not at all."""

import contextlib
import errno
import os
import shutil
import tempfile
from pathlib import Path

from keras_mmfusion.datasets import RecordError


@contextlib.contextmanager
def staged(paths, force=False, reads=()):
    """Write several files to temporaries, and move them in place together.

    Args:
        paths: List of paths of the files to write. Missing folders are made.
        force: bool. Whether files that exist may be replaced.
        reads: Paths of files that are read, which are never replaced.

    Yields:
        List of temporary paths with the same names, beside the final ones.
        They are moved when the block ends, and removed when it raises.

    Raises:
        RecordError: A file exists and `force` is not set, is one that is read,
            or another output; or its folder cannot be written to. Raised before
            the block is entered. After it: no room is left.
    """
    paths = [Path(path) for path in paths]
    for path in paths:
        if path.is_dir():
            raise RecordError(f"{path} is a folder. Name a file to write.")
        there = [source for source in map(Path, reads) if source.exists()]
        if path.exists() and any(path.samefile(source) for source in there):
            raise RecordError(f"{path} is what is read. Name another file to write.")
        if path.exists() and not force:
            raise RecordError(
                f"{path} exists. Add --force to replace it, or write elsewhere."
            )
        if [other.resolve() for other in paths].count(path.resolve()) > 1:
            raise RecordError(f"Two outputs are named {path}. Name a file for each.")
    made, rooms = [], {}
    try:
        for path in paths:
            if path.parent not in rooms:
                made += _make_folder(path.parent)
                rooms[path.parent] = _make_room(path.parent)
        parts = [rooms[path.parent] / path.name for path in paths]
        yield parts
        _publish(parts, paths)
        made = []
    except OSError as error:
        # Which of the files it was, the system does not say.
        if error.errno not in (errno.ENOSPC, errno.EDQUOT):
            raise
        raise RecordError(
            f"No room left to write {', '.join(map(str, paths))} ({error.strerror}). "
            "Make some, or write elsewhere. Nothing was written."
        ) from error
    finally:
        for room in rooms.values():
            shutil.rmtree(room, ignore_errors=True)
        for folder in reversed(made):
            with contextlib.suppress(OSError):
                folder.rmdir()


def _make_folder(folder):
    """Make a folder and its parents; returns those that were missing."""
    missing = [f for f in (folder, *folder.parents) if not f.exists()][::-1]
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise _not_writable(folder, error) from error
    return missing


def _make_room(folder):
    try:
        return Path(tempfile.mkdtemp(prefix=".mmfusion-", dir=folder))
    except OSError as error:
        raise _not_writable(folder, error) from error


def _not_writable(folder, error):
    return RecordError(
        f"Cannot write to the folder {folder} ({error.strerror}). Choose another one."
    )


def _publish(parts, paths):
    """Move all files, or none: those replaced are kept aside until all are moved."""
    done = []
    try:
        for part, path in zip(parts, paths, strict=True):
            aside = None
            if path.exists():
                aside = part.with_name(part.name + ".old")
            # Known before it is moved: an interruption may come in between.
            done.append((path, aside))
            if aside is not None:
                os.replace(path, aside)
            os.replace(part, path)
    except BaseException:
        for path, aside in reversed(done):
            if aside is None:
                path.unlink(missing_ok=True)
            elif aside.exists():
                os.replace(aside, path)
        raise
