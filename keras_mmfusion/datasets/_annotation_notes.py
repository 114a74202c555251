"""WFDB annotation files with notes that the library does not get past."""

import re
import tempfile
from pathlib import Path

# Two bytes, of which the first is the length of the note behind them.
_NOTE = re.compile(rb"(.)[\xfc-\xff](?=## )", re.DOTALL)
_RATE = re.compile(rb"## time resolution: \d")
_BEGIN, _END = b"## annotation type definitions", b"## end of definitions"


def read_annotations(wfdb, path, annotator, content):
    """What `wfdb.rdann` makes of a file with this content."""
    readable = _without_odd_notes(content)
    if readable == content:
        return wfdb.rdann(str(path), annotator)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "record"
        path.with_suffix(f".{annotator}").write_bytes(readable)
        return wfdb.rdann(str(path), annotator)


def _without_odd_notes(content):
    """It looks for the rate and definitions behind "## ", and never ends at others."""
    readable, rate, inside = bytearray(content), False, False
    for match in _NOTE.finditer(content):
        length, start = match[1][0], match.end()
        if start % 2:
            continue  # No pair of bytes begins there.
        note = content[start : start + length]
        if note == (_END if inside else _BEGIN):
            inside = not inside
        elif _RATE.match(note) and not rate and not inside:
            rate = True
        else:
            readable[start : start + 2] = b"# "
    return bytes(readable)
