"""A model to export, and inputs of it."""

import keras
import numpy as np
import pytest
from exported_models import classifier


@pytest.fixture(scope="module")
def model():
    keras.utils.set_random_seed(3)
    return classifier()


@pytest.fixture(scope="module")
def inputs():
    rng = np.random.default_rng(0)
    return {
        "wave": rng.normal(size=(2, 3, 8, 2)).astype("float32"),
        "calendar": rng.normal(size=(2, 3, 2)).astype("float32"),
    }
