"""The beats of the excerpt, prepared with and without a look ahead."""

import pytest

from keras_mmfusion.cli.demo import EXCERPT
from keras_mmfusion.datasets import read_wfdb
from keras_mmfusion.preprocessing import BeatPreprocessor


@pytest.fixture(scope="module")
def record():
    """Two and a half minutes of record 213: 274 beats in MLII and V1."""
    return read_wfdb(EXCERPT, "atr")


@pytest.fixture(scope="module")
def offline(record):
    return BeatPreprocessor()(record).modalities


@pytest.fixture(scope="module")
def past_only(record):
    return BeatPreprocessor(causal=True)(record).modalities
