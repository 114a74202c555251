"""Preprocessed recordings on disk: each made once, and read a few beats at a time."""

import contextlib
import hashlib
import json
import os
import threading
import time
import uuid
from pathlib import Path

import numpy as np

from keras_mmfusion._home import keras_home
from keras_mmfusion._version import __version__
from keras_mmfusion.datasets.ecg_record import (
    _require_file,
    read_beats,
    read_wfdb,
    record_path,
)

# A recording of a day fills much memory while it is made: one at a time.
_MAKING = threading.Lock()
# How long an unfinished file may be in use by a process that still writes.
_IN_USE = 3600


def default_folder():
    return keras_home() / "keras_mmfusion" / "beats"


class BeatCache:
    """One `.npy` file a recording: a row a beat, with its inputs and its symbol.

    The name of a file tells what it was made of: the header of the record, which has
    the checksums of the signals (of several segments the names only), its annotations,
    the settings of the preprocessor, and the version of the package. A file is there
    whole or not at all, and processes
    that make the same one at the same time leave one of two equal ones.

    Args:
        folder: `Path`, made when it is needed.
        preprocessor: `BeatPreprocessor`.
        modalities: Names of those to keep; None for all.
        annotator: str. Extension of the annotation files.
    """

    def __init__(self, folder, preprocessor, modalities, annotator):
        self.folder = Path(folder)
        self.preprocessor = preprocessor
        self.modalities, self.annotator = modalities, annotator
        self._files = {}

    def count(self, record):
        """Beats of a recording, which is not preprocessed for that."""
        beats = _open(self.file(record))
        if beats is None:
            return len(read_beats(record, self.annotator)[0])
        return len(beats)

    def beats(self, record):
        """Structured array `(beats,)` on disk: a field a modality, and `"symbol"`."""
        file = self.file(record)
        beats = _open(file)
        if beats is None:
            with _MAKING:
                beats = _open(file)
                if beats is None:
                    self._make(record, file)
                    beats = np.load(file, mmap_mode="r")
        return beats

    def file(self, record):
        """Where the beats of a recording are, or will be; looked at once."""
        if record not in self._files:
            self._files[record] = self._name(record)
        return self._files[record]

    def _name(self, record):
        path = record_path(record)
        parts = [
            path.with_name(f"{path.name}.{end}") for end in ("hea", self.annotator)
        ]
        for part, kind in zip(parts, ("header", "annotation file"), strict=True):
            _require_file(part, kind)
        settings = [type(self.preprocessor).__name__, self.preprocessor.get_config()]
        settings += [self.modalities, __version__]
        made_of = hashlib.sha256(json.dumps(settings, sort_keys=True).encode())
        for part in parts:
            data = part.read_bytes()
            made_of.update(f" {len(data)} ".encode() + data)
        return self.folder / f"{path.name}-{made_of.hexdigest()[:24]}.npy"

    def _make(self, path, file):
        record = read_wfdb(path, self.annotator)
        made = self.preprocessor(record).modalities
        names = list(made) if self.modalities is None else list(self.modalities)
        if not set(names) <= set(made):
            raise ValueError(
                f"`modalities` must be of what the preprocessor makes: {list(made)}. "
                f"Received: {names}"
            )
        fields = [(name, made[name].dtype, made[name].shape[1:]) for name in names]
        fields.append(("symbol", "<U1"))
        self.folder.mkdir(parents=True, exist_ok=True)
        new = file.with_name(f".{file.name}.{uuid.uuid4().hex[:12]}.new")
        try:
            beats = np.lib.format.open_memmap(
                new, "w+", np.dtype(fields), (len(record.beats),)
            )
            for name in names:
                beats[name] = made[name]
            beats["symbol"] = record.symbols
            beats.flush()
            del beats
            with contextlib.suppress(PermissionError):
                # Windows refuses where another process reads the same one by now.
                os.replace(new, file)
        finally:
            new.unlink(missing_ok=True)
        for rest in self.folder.glob(f".{file.name}.*.new"):
            with contextlib.suppress(OSError):
                if time.time() - rest.stat().st_mtime > _IN_USE:
                    rest.unlink()


def _open(file):
    """The array of a file; None if it is not there, or damaged."""
    try:
        return np.load(file, mmap_mode="r")
    except (FileNotFoundError, ValueError, EOFError):
        return None
