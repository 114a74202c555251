"""What a beat of the preprocessor is made of, and recordings with changes."""

import warnings
from dataclasses import replace

FS, STEP, BEFORE, LENGTH = 360, 2, 130, 128
AFTER = LENGTH * STEP - BEFORE
NAMES = ("ecg", "image", "rhythm", "shape")
# What belongs to each of two leads.
ECG = ([0, 2], [1, 3])
SHAPE = (slice(0, 5), slice(5, 10))


def without_warnings(preprocessor, record, **kwargs):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        return preprocessor(record, **kwargs)


def changed(record, function):
    """A copy whose signals went through `function`, in place."""
    signals = record.signals.copy()
    function(signals)
    return replace(record, signals=signals)
