"""Layers that are in several models."""

import keras
import numpy as np
import pytest
import small
from harness import assert_close

from keras_mmfusion.layers import ATDFusion
from keras_mmfusion.models import (
    FusionAutoencoder,
    FusionForecaster,
    FusionRetriever,
)


def dense(units):
    return keras.layers.Dense(units)


def autoencoder(fusion, bottleneck=None):
    shapes = {"wave": (6, 4), "calendar": (6, 2)}
    return FusionAutoencoder(
        inputs=shapes,
        encoders={n: dense(4) for n in shapes},
        decoders={n: dense(s[1]) for n, s in shapes.items()},
        fusion=fusion,
        dim=8,
        bottleneck=bottleneck,
    )


def forecaster(fusion):
    return FusionForecaster(
        inputs={"series": (6, 2), "calendar": (6, 3)},
        encoders={"series": dense(4), "calendar": dense(4)},
        horizon=3,
        fusion=fusion,
    )


def retriever(fusion):
    picture = [keras.layers.Dense(4), keras.layers.Reshape((-1, 4))]
    return FusionRetriever(
        inputs={"image": (2, 3, 3), "text": (5,)},
        encoders={
            "image": keras.Sequential(picture),
            "text": keras.layers.Embedding(9, 4, mask_zero=True),
        },
        fusion=fusion,
    )


MAKERS = {
    "classifier": small.classifier,
    "autoencoder": autoencoder,
    "forecaster": forecaster,
    "retriever": retriever,
}


def numbers(model):
    rng = np.random.default_rng(0)
    return {
        name: rng.integers(1, 9, (4, *x.shape[1:])).astype(x.dtype)
        for name, x in model.input.items()
    }


@pytest.mark.parametrize("make", MAKERS.values(), ids=MAKERS)
def test_a_fusion_in_two_models(make):
    fusion = ATDFusion(8, num_heads=2)
    make(fusion)
    model = make(fusion)
    x = numbers(model)
    found = model.fused_features(x)
    scores = model.attention_scores(x)
    config = keras.saving.serialize_keras_object(model)
    alone = keras.saving.deserialize_keras_object(config)
    alone.set_weights(model.get_weights())
    assert_close(found, alone.fused_features(x), 1e-6)
    for name, expected in alone.attention_scores(x).items():
        assert_close(scores[name], expected, 1e-6)


def test_a_fusion_that_was_called_before():
    fusion = ATDFusion(8, num_heads=2)
    fusion([keras.Input((6, 5)), keras.Input((6, 2))])
    assert small.classifier(fusion).fused_features(small.inputs()).shape == (4, 6, 8)


def test_a_bottleneck_in_two_models():
    bottleneck = dense(2)
    autoencoder("concat", bottleneck)
    model = autoencoder("concat", bottleneck)
    x = numbers(model)
    expected = bottleneck(model.fused_features(x))
    assert_close(model.code(x), keras.ops.convert_to_numpy(expected), 1e-6)


def test_features_of_a_linear_forecast():
    model = FusionForecaster(inputs={"series": (6, 2)}, encoders={}, horizon=3)
    for method in (model.fused_features, model.attention_scores):
        with pytest.raises(ValueError, match=r"without a fusion.*without encoders"):
            method(numbers(model))
