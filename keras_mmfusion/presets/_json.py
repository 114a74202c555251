"""JSON from and for preset files, with limits on what is parsed."""

import json
import math
import os
import re

import numpy as np

from keras_mmfusion.presets._errors import PresetError

MAX_BYTES = 8 * 2**20
MAX_DEPTH = 100

# Possessive, and also without an end: else a text of backslashes takes hours.
_STRING = re.compile(rb'"(?:[^"\\]|\\.)*+(?:"|\\?\Z)', re.DOTALL)
_BRACKET = re.compile(rb"[\[\]{}]")


def parse(data, what):
    """Parse the bytes of a JSON object.

    Args:
        data: bytes. The contents of the file.
        what: str. The file, for error messages.

    Returns:
        dict.

    Raises:
        PresetError: More than 8 MiB, nested more than 100 deep, no valid JSON,
            NaN or infinity, a key twice in an object, or not an object.
    """
    if len(data) > MAX_BYTES:
        raise PresetError(
            f"{what} must not be larger than {MAX_BYTES:,} bytes. "
            f"Received: {len(data):,} bytes."
        )
    _check_depth(data, what)
    try:
        value = json.loads(
            data.decode("utf-8"),
            parse_constant=_refuse_constant,
            parse_float=_finite,
            object_pairs_hook=_without_duplicates,
        )
    except (ValueError, RecursionError) as error:
        raise PresetError(f"{what} is not valid JSON: {error}") from error
    if not isinstance(value, dict):
        raise PresetError(
            f"{what} must hold a JSON object. Received: a {type(value).__name__}."
        )
    return value


def dump(value, what, indent=2):
    """Return `value` as the bytes of JSON; `indent=None` leaves out all spaces.

    Keys keep their order: that of a dict of encoders is the order of the
    modalities, and the first metric of a preset is its main one.
    """
    try:
        text = json.dumps(
            value,
            indent=indent,
            separators=None if indent else (",", ":"),
            ensure_ascii=False,
            allow_nan=False,
            default=_plain,
        )
        return (text + "\n").encode("utf-8")
    except (TypeError, ValueError) as error:
        raise PresetError(
            f"{what} cannot be written as JSON: {error}. It holds text, finite "
            "numbers, None for what is not known, lists and dicts; a date is text."
        ) from error


def _check_depth(data, what):
    """Bound the nesting before `json`, which recurses, sees the text."""
    depth = 0
    for bracket in _BRACKET.finditer(_STRING.sub(b"", data)):
        depth += 1 if bracket[0] in b"[{" else -1
        if depth > MAX_DEPTH:
            raise PresetError(
                f"{what} must not be nested more than {MAX_DEPTH} deep, as no model "
                "of this package is. Do not load this preset."
            )


def _refuse_constant(name):
    raise ValueError(f"{name} is not JSON")


def _finite(text):
    value = float(text)
    return value if math.isfinite(value) else _refuse_constant(text)


def _without_duplicates(pairs):
    """Of two values for a key, some readers take the first and others the last."""
    value = {}
    for key, item in pairs:
        if key in value:
            raise ValueError(f"the key {key!r} is there twice")
        value[key] = item
    return value


def _plain(value):
    if isinstance(value, (np.generic, np.ndarray)):
        return value.tolist()
    if isinstance(value, os.PathLike):
        return os.fspath(value)
    raise TypeError(f"{type(value).__name__} is not JSON: {value!r}")
