"""Write a folder whole, or not at all."""

import contextlib
import re
import shutil
import time
import uuid

from keras_mmfusion.presets._errors import PresetError
from keras_mmfusion.presets._metadata import FILE_NAME as METADATA


def check_target(target, overwrite):
    """Raise unless a preset may be written to `target`."""
    if not target.exists() and not target.is_symlink():
        return
    if not overwrite:
        raise PresetError(
            f"The directory must not exist yet. Received: {str(target)!r}. Pass "
            "overwrite=True to replace the preset there."
        )
    if target.is_symlink() or not target.is_dir():
        raise PresetError(
            f"The directory must be a folder. Received: {str(target)!r}, a file or "
            "link."
        )
    if any(target.iterdir()) and not (target / METADATA).is_file():
        raise PresetError(
            f"Only a preset may be replaced. Received: {str(target)!r}, a folder with "
            f"other files and no {METADATA}."
        )


# How long what is beside a folder may be in use by a process that still writes.
_IN_USE = 3600
_BESIDE = re.compile(r"\.(?P<name>.+)\.[0-9a-f]{12}\.(?P<kind>new|old)")


@contextlib.contextmanager
def replacing(target, overwrite):
    """Give a new folder beside `target` that takes its place when all is written.

    If anything raises, the new folder goes and `target` stays as it was. If the
    process is killed, `target` is whole or not there. What is left beside it has a
    name that begins with a dot, and goes with a later call.
    """
    check_target(target, overwrite)
    target.parent.mkdir(parents=True, exist_ok=True)
    mark = uuid.uuid4().hex[:12]
    new = target.with_name(f".{target.name}.{mark}.new")
    old = target.with_name(f".{target.name}.{mark}.old")
    new.mkdir()
    try:
        yield new
        check_target(target, overwrite)
        try:
            if target.exists():
                target.rename(old)
            new.rename(target)
        except BaseException:
            # An interruption may come after either of them.
            if old.exists() and not target.exists():
                old.rename(target)
            raise
    finally:
        shutil.rmtree(new, ignore_errors=True)
    shutil.rmtree(old, ignore_errors=True)
    for rest in beside(target):
        with contextlib.suppress(OSError):
            if time.time() - rest.stat().st_mtime > _IN_USE:
                shutil.rmtree(rest, ignore_errors=True)


def beside(target, kind=None):
    """What killed processes left beside `target`: unfinished `new` and `old` ones."""
    found = []
    for path in target.parent.glob(".*") if target.parent.is_dir() else []:
        match = _BESIDE.fullmatch(path.name)
        if match and match["name"] == target.name and kind in (None, match["kind"]):
            found.append(path)
    return sorted(found)
