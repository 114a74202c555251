"""A preset on disk: which files it has, and whether they are the ones it lists."""

import hashlib
import os
from pathlib import Path

from keras_mmfusion.presets import _json, _metadata
from keras_mmfusion.presets._atomic import beside
from keras_mmfusion.presets._errors import PresetError

CONFIG = "config.json"
PREPROCESSOR = "preprocessor.json"
WEIGHTS = _metadata.WEIGHTS
METADATA = _metadata.FILE_NAME
GOLDEN = "golden.npz"


class PresetFolder:
    """The folder of one preset, read only.

    Args:
        path: `str` or `PathLike`. A folder with a `metadata.json`.

    Raises:
        PresetError: No folder, no `metadata.json`, or one that is not valid.
    """

    def __init__(self, path):
        self.path = Path(path).expanduser()
        if not self.path.is_dir():
            raise PresetError(
                "A preset is a folder with a metadata.json. "
                f"Received: {str(self.path)!r}, which is not a folder."
                + _interrupted(self.path)
            )
        file = self.path / METADATA
        if not file.is_file():
            raise PresetError(
                "A preset is a folder with a metadata.json. "
                f"Received: {str(self.path)!r}, which has none. "
                "`presets.save(model, directory)` writes one."
            )
        self.metadata = _metadata.parse(_read(file, _json.MAX_BYTES), str(file))

    def has(self, name):
        """Whether the preset lists this file."""
        return name in self.metadata["files"]

    def check_files(self):
        """Raise unless the folder holds exactly the listed files, unchanged."""
        listed = set(self.metadata["files"])
        present = {entry.name for entry in os.scandir(self.path)} - {METADATA}
        if listed != present:
            raise PresetError(
                f"The files of {self.path} must be those that its metadata.json "
                f"lists. Received: missing={sorted(listed - present)}, "
                f"not listed={sorted(present - listed)}. Take what is not listed out "
                "of the folder; if something is missing, get the preset again."
            )
        if CONFIG not in listed:
            raise PresetError(f"{self.path} must list a {CONFIG}, and does not.")
        for name, entry in self.metadata["files"].items():
            self._check_size(name, entry["bytes"])
            with open(self.path / name, "rb") as file:
                digest = hashlib.file_digest(file, "sha256").hexdigest()
            self._check_digest(name, digest)

    def read(self, name):
        """Return the bytes of a small listed file, checked against its hash."""
        self._check_size(name, self.metadata["files"][name]["bytes"])
        data = _read(self.path / name, _json.MAX_BYTES)
        self._check_digest(name, hashlib.sha256(data).hexdigest())
        return data

    def _check_size(self, name, expected):
        path = self.path / name
        if not path.is_file():
            raise PresetError(f"{path} must be a file, and is not.")
        if path.stat().st_size != expected:
            raise PresetError(
                f"{path} must have {expected:,} bytes. "
                f"Received: {path.stat().st_size:,} bytes. The file was changed or "
                "cut short; get the preset again."
            )

    def _check_digest(self, name, digest):
        expected = self.metadata["files"][name]["sha256"]
        if digest != expected:
            raise PresetError(
                f"{self.path / name} must have the SHA-256 {expected}. "
                f"Received: {digest}. The file was changed; get the preset again."
            )


def describe(path):
    """Return the `files` entry of metadata: `{"sha256": …, "bytes": …}`."""
    with open(path, "rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    return {"sha256": digest, "bytes": path.stat().st_size}


def _interrupted(path):
    """What to do where `presets.save` was killed between its two renames."""
    left = [str(old) for old in beside(path, "old") if (old / METADATA).is_file()]
    if not left:
        return ""
    return (
        f" Overwriting it was interrupted; the former one is {left[-1]!r}: rename it."
    )


def _read(path, limit):
    if path.stat().st_size > limit:
        raise PresetError(
            f"{path} must not be larger than {limit:,} bytes. "
            f"Received: {path.stat().st_size:,} bytes."
        )
    return path.read_bytes()
