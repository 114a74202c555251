"""Where presets from elsewhere are kept: whole ones only, one for each hash."""

import contextlib
import errno
import warnings

from keras_mmfusion._home import keras_home
from keras_mmfusion.presets._errors import PresetError

# Seconds to wait for another process without a word.
PATIENCE = 10.0
_FULL = (errno.ENOSPC, errno.EFBIG, getattr(errno, "EDQUOT", errno.ENOSPC))


def directory():
    """The folder of the cache, in `KERAS_HOME` or `~/.keras`; it may not exist yet."""
    return keras_home() / "keras_mmfusion" / "presets"


@contextlib.contextmanager
def locked(path):
    """Hold a lock that ends with the process, however that ends.

    Args:
        path: `Path` of the lock. Its folder is made.

    Raises:
        ImportError: The package filelock is not installed.
    """
    try:
        from filelock import FileLock, Timeout
    except ImportError as error:
        raise ImportError(
            "Downloading a preset needs the package filelock: "
            "pip install 'keras_mmfusion[hub]'"
        ) from error
    path.parent.mkdir(parents=True, exist_ok=True)
    lock = FileLock(path)
    try:
        lock.acquire(timeout=PATIENCE)
    except Timeout:
        warnings.warn(
            f"Another process is downloading the same preset; waiting for it. It holds "
            f"{path}, and lets go of it when it ends.",
            stacklevel=6,
        )
        lock.acquire()
    try:
        yield
    finally:
        lock.release()


@contextlib.contextmanager
def explained(what):
    """Turn an error of the file system into one that says what to do.

    Args:
        what: str. What was to be kept, for the message.

    Raises:
        PresetError: In place of an `OSError`.
    """
    try:
        yield
    except OSError as error:
        folder = directory()
        if error.errno in _FULL:
            raise PresetError(
                f"{what} must fit on the disk of {folder}. Received: {error}. Nothing "
                "is left of it. Free some space, or set KERAS_HOME to a folder on "
                "another disk."
            ) from error
        raise PresetError(
            f"{what} must be kept in {folder}, to which this process must be able to "
            f"write. Received: {error}. Set KERAS_HOME to a folder of yours, or "
            "download the preset yourself and pass the path of its folder."
        ) from error
