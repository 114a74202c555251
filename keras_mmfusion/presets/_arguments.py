"""Checks of what `save`, `register` and `list` are given."""

import os
from pathlib import Path

from keras_mmfusion.presets._errors import PresetError


def folder(directory):
    """The path of a folder, absolute; raise for what is no path."""
    path = os.fspath(directory) if isinstance(directory, os.PathLike) else directory
    if not isinstance(path, str) or not path:
        raise PresetError(
            "The directory of a preset must be a path, as str or PathLike. "
            f"Received: {directory!r}"
        )
    return Path(path).expanduser().absolute()


def check_dict(name, value, of):
    """Raise unless it is a dict, or None."""
    if not isinstance(value, (dict, type(None))):
        raise PresetError(f"{name} must be a dict of {of}. Received: {value!r}")


def names(modality):
    """The names in `modality`: a list of one, or of several, or of none."""
    found = [modality] if isinstance(modality, str) else modality
    found = [] if found is None else found
    if not hasattr(found, "__iter__") or any(not isinstance(n, str) for n in found):
        raise PresetError(
            "`modality` must be the name of an input, or a list of them. "
            f"Received: modality={modality!r}"
        )
    return list(found)
