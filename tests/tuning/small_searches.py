"""Small data, and searches over models of them."""

import numpy as np
import pytest

from keras_mmfusion import tuning

keras_tuner = pytest.importorskip("keras_tuner")

SHAPES = {"voice": (4, 3), "text": (3, 5)}
SMALL = {"dim": 8, "encoder": "dense", "encoder_dim": 4, "learning_rate": 0.01}


def data(samples=24, classes=2):
    rng = np.random.default_rng(0)
    x = {
        name: rng.normal(size=(samples, *shape)).astype("float32")
        for name, shape in SHAPES.items()
    }
    return x, rng.integers(classes, size=samples)


def classifier(ranges=None, **kwargs):
    return tuning.ClassifierHyperModel(
        SHAPES, 2, ranges={**SMALL, **(ranges or {})}, **kwargs
    )


def values_of(**values):
    hp = keras_tuner.HyperParameters()
    hp.values = values
    return hp
