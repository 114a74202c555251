"""Names of modalities: those that are taken, those that are none, and all others."""

import keras
import numpy as np
import pytest

from keras_mmfusion.models import (
    FusionAutoencoder,
    FusionClassifier,
    FusionForecaster,
)


def dense(units, name=None):
    return keras.layers.Dense(units, name=name)


def autoencoder(name, bottleneck=None):
    shapes = {name: (6, 4), "calendar": (6, 2)}
    return FusionAutoencoder(
        inputs=shapes,
        encoders={n: dense(4) for n in shapes},
        decoders={n: dense(s[1]) for n, s in shapes.items()},
        fusion="concat",
        dim=8,
        bottleneck=bottleneck,
    )


def forecaster(name):
    return FusionForecaster(
        inputs={"series": (6, 2), name: (6, 3)},
        encoders={"series": dense(4), name: dense(4)},
        horizon=3,
        fusion="concat",
    )


def classifier(name, layer=None):
    return FusionClassifier(
        inputs={name: (6, 4), "calendar": (6, 2)},
        encoders={name: dense(4, layer), "calendar": dense(4)},
        fusion="concat",
        dropout=0.1,
        modality_dropout=0.1,
    )


@pytest.mark.parametrize(
    "make, name",
    [
        *[(classifier, name) for name in ("head", "pool", "fusion", "dropout")],
        (classifier, "modality_dropout"),
        (classifier, "calendar_features"),
        *[(forecaster, name) for name in ("skip", "known", "head")],
        *[(autoencoder, name) for name in ("fused", "fusion")],
        (lambda name: autoencoder(name, dense(2, name)), "middle"),
        (lambda name: classifier("wave", name), "head"),
    ],
)
def test_a_name_that_is_taken(make, name):
    with pytest.raises(
        ValueError, match=f"'{name}' twice. Call the modality {name}_in"
    ):
        make(name)


@pytest.mark.parametrize("name", ["encoder", "features", "class", "0", "_a-b.x"])
def test_other_names(name):
    for make in (classifier, forecaster, autoencoder):
        model = make(name)
        x = {k: np.ones((2, *t.shape[1:]), "float32") for k, t in model.input.items()}
        assert np.isfinite(model.fused_features(x)).all()
        assert set(model.modality_features(x)) == set(model.modalities)


@pytest.mark.parametrize("name", ["", "a/b", "a b", "é", 0, None, ("a", "b")])
def test_what_is_no_name(name):
    for make in (classifier, forecaster):
        with pytest.raises(ValueError, match=r"a str of letters .* Received"):
            make(name)


def test_a_name_of_numpy():
    """As of the columns of a table."""
    model = classifier(np.str_("wave"))
    again = FusionClassifier.from_config(model.get_config())
    assert type(again.modalities[0]) is str
    config = keras.saving.serialize_keras_object(model)
    assert keras.saving.deserialize_keras_object(config).modalities == model.modalities
