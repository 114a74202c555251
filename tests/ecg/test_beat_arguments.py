"""What the preprocessing of beats makes of arguments and records of other kinds."""

from dataclasses import replace

import numpy as np
import pytest
from backends import once

from keras_mmfusion.datasets import ECGRecord
from keras_mmfusion.preprocessing import BeatPreprocessor, BeatSegments
from keras_mmfusion.preprocessing.beat_detection import (
    check_alignment,
    detect_beats,
    silence,
)

pytestmark = once
RECORD = ECGRecord("made", np.zeros((900, 1), "float32"), ("II",), 360.0, np.array([9]))


@pytest.mark.parametrize(
    "wrong, message",
    [
        ({"fs": None}, "`fs` must be a positive number"),
        ({"fs": np.nan}, "`fs` must be a positive number"),
        ({"step": 1.5}, "`step` must be a positive integer"),
        ({"length": 2.7}, "`length` must be a positive integer"),
        ({"num_leads": 0}, "`num_leads` must be a positive integer"),
        ({"before": -1}, r"R peak must lie in the beat.*0\.71.*before=-1"),
        ({"before": 1}, "R peak must lie in the beat"),
        ({"before": np.nan}, "R peak must lie in the beat"),
        ({"length": 8}, "R peak must lie in the beat"),
        ({"band": 5}, "two frequencies, rising, between 0 and 180 Hz.*band=5"),
        ({"band": (40, 0.5)}, "two frequencies, rising"),
        ({"band": (1, 2, 3)}, "two frequencies, rising"),
        ({"fs": 60}, "two frequencies, rising, between 0 and 30 Hz"),
    ],
)
def test_arguments_that_cut_no_beats(wrong, message):
    """Some were rounded without a word, others failed far inside, with the record."""
    with pytest.raises(ValueError, match=message):
        BeatPreprocessor(**wrong)


@pytest.mark.parametrize("call", [BeatPreprocessor(), detect_beats, check_alignment])
@pytest.mark.parametrize(
    "wrong, message",
    [
        ({"fs": "360"}, "made: `fs` must be a positive number.*samples a second"),
        ({"fs": np.nan}, "made: `fs` must be a positive number"),
        ({"beats": np.arange(900) == 9}, "of bool.*np.flatnonzero"),
        ({"beats": ["9"]}, "numbers of samples.*of <U1"),
        ({"signals": np.full((900, 1), "1")}, "in millivolts.*of <U1"),
        ({"signals": np.zeros(900)}, r"of shape \(samples, 1\)"),
    ],
)
def test_records_made_by_hand(call, wrong, message):
    """A mask of beats was taken for the beats 0 and 1."""
    with pytest.raises(ValueError, match=message):
        call(replace(RECORD, **wrong))


def test_other_arrays_than_those_of_numpy(record):
    """`silence` and `check_alignment` took a tensor for a record without a signal."""
    torch = pytest.importorskip("torch")
    for signals in (torch.tensor(record.signals), record.signals.tolist()):
        other = replace(record, signals=signals)
        assert silence(other) == silence(record) == ("MLII", 0.0)
        assert check_alignment(other) == check_alignment(record)


def test_what_is_no_record_or_lead():
    for call in (silence, check_alignment):
        with pytest.raises(TypeError, match="Expected an ECGRecord"):
            call(None)
    with pytest.raises(ValueError, match="has no beats to check"):
        check_alignment(replace(RECORD, beats=None))
    for lead in (0, ["II"]):
        with pytest.raises(ValueError, match=r"has no lead.*It has II"):
            detect_beats(RECORD, lead)


@pytest.mark.parametrize("sizes", [(0, 3), (10, 0), (10.5, 3), (None, 3), (10, "3")])
def test_sizes_of_windows(sizes):
    with pytest.raises(ValueError, match="at least 1, whole numbers"):
        BeatSegments(*sizes)


def test_values_of_other_beats():
    """Of too many, the last ones were left out without a word."""
    segments = BeatSegments(10, 4)
    values = np.arange(10.0)
    assert (segments.cut(values.tolist()) == segments.cut(values)).all()
    for wrong in (values[:5], np.zeros(20), None):
        with pytest.raises(ValueError, match=r"values of 10 beats\. Received: shape"):
            segments.cut(wrong)
    windows = segments.cut(values)
    for wrong in (windows[:-1], windows[:, :3], windows[:, 0], None):
        with pytest.raises(ValueError, match=r"of shape \(3, 4\) and more"):
            segments.merge(wrong)
    for dtype in ("int64", "bool"):
        assert segments.cut(values.astype(dtype)).dtype == dtype
        with pytest.raises(ValueError, match=f"must be floats. Received.*{dtype}"):
            BeatSegments(10, 13).cut(values.astype(dtype))
