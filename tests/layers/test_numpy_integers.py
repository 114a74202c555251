"""Integers of numpy as arguments, such as `x.shape[-1]` of an array of shapes."""

import json

import keras
import numpy as np
import pytest
from backends import once

from keras_mmfusion import layers
from keras_mmfusion.models import FUSIONS, FusionClassifier, FusionForecaster

ARGUMENTS = {
    **{fusion.__name__: {"dim": 8} for fusion in FUSIONS.values()},
    "ATDEncoder": {"dim": 8, "patch": (2, 2), "max_tokens": 9},
    "ATDGuide": {"ff_dim": 8},
    "ConvLSTMFusion": {"filters": 4, "kernel_size": (3, 3)},
    "DLinear": {"horizon": 3, "width": 3},
    "FramePooling": {"pool_size": 2},
    "GramianAngularField": {"image_size": 8},
    "LinearForecast": {"horizon": 3},
    "LSTMEncoder": {"units": (4, 8)},
    "LogMel": {"rate": 8000, "bands": 8, "highest": 4000},
    "MarkovTransitionField": {"image_size": 8, "num_bins": 4},
    "NLinear": {"horizon": 3},
    "PeriodFold": {"period": 4},
    "RecurrencePlot": {"image_size": 8, "dimension": 2},
    "ResNet1DEncoder": {"filters": (4, 8), "dilations": 2},
    "ResNet2DEncoder": {"filters": (4, 8)},
    "ResidualAttentionBlock": {"filters": 4},
    "SeasonalNaive": {"horizon": 3},
    "TemporalPyramidPooling": {"levels": (1, 2)},
}


def of_numpy(value):
    if isinstance(value, tuple):
        return tuple(map(np.int64, value))
    integer = isinstance(value, int) and not isinstance(value, bool)
    return np.int64(value) if integer else value


def saved(layer):
    return json.dumps(keras.saving.serialize_keras_object(layer))


@once
@pytest.mark.parametrize("name", ARGUMENTS)
def test_layers(name):
    make = getattr(layers, name)
    plain = make(**ARGUMENTS[name], name="layer")
    # With what has a default, too.
    given = {key: of_numpy(value) for key, value in plain.get_config().items()}
    assert saved(make(**given)) == saved(plain)


@once
def test_models():
    number = np.int64
    series, calendar = (number(6), number(4)), (number(6), number(3))
    models = [
        FusionClassifier({"series": series}, {"series": None}, dim=number(8)),
        FusionClassifier(
            {"series": series, "calendar": calendar},
            {"series": None, "calendar": None},
            num_classes=number(3),
            dim=number(8),
            fusion_options={"num_heads": number(2)},
            dropout=np.float32(0.1),
        ),
        FusionForecaster(
            {"series": series, "calendar": calendar},
            {"series": None, "calendar": None},
            horizon=number(3),
            dim=number(8),
        ),
    ]
    for model in models:
        saved(model)
        keras.models.clone_model(model)


@once
@pytest.mark.parametrize("value", [np.int64(0), np.float64(2), np.bool_(True), True])
def test_what_is_none(value):
    with pytest.raises(ValueError, match=r"`dim` must be a positive integer"):
        layers.ATDFusion(value)
