"""Notes in WFDB annotation files at which the library never ends."""

import numpy as np
import pytest
import wfdb
from backends import once

from keras_mmfusion.cli.demo import EXCERPT
from keras_mmfusion.datasets.ecg_record import read_beats, read_wfdb

pytestmark = once


@pytest.mark.parametrize(
    "note", ["## time resolution: ???", "## by hand", "## end of definitions"]
)
def test_notes_that_wfdb_does_not_get_past(tmp_path, note):
    """Without what `read_annotations` does, this never ends."""
    beats = read_wfdb(EXCERPT, "atr").beats
    places, symbols = np.insert(beats, 0, 0), ['"', *"N" * len(beats)]
    notes = [note, *[""] * len(beats)]
    wfdb.wrann("rec", "atr", places, symbols, aux_note=notes, write_dir=str(tmp_path))
    assert read_beats(tmp_path / "rec", "atr")[0].tolist() == beats.tolist()
