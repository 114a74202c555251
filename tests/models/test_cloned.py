"""Our models in the hands of Keras: clones, and models made of their layers."""

import keras
import numpy as np
from backends import once
from harness import assert_close
from small import classifier, inputs, predict
from test_beat_ensemble import BEATS, member

from keras_mmfusion.layers import LSTMEncoder, ResNet1DEncoder
from keras_mmfusion.models import (
    BeatClassifier,
    BeatEnsemble,
    FusionAutoencoder,
    FusionClassifier,
    FusionForecaster,
)


@once
def test_a_clone_computes_the_same():
    x = inputs()
    x["wave"][0] = np.nan
    model = classifier()
    clone = keras.models.clone_model(model)
    clone.set_weights(model.get_weights())
    assert_close(predict(clone, x), predict(model, x), 1e-6)


@once
def test_other_models_have_clones():
    forecaster = FusionForecaster(
        {"series": (12, 2), "calendar": (12, 3)},
        {"series": keras.layers.Dense(4), "calendar": None},
        horizon=5,
        fusion="concat",
    )
    for model in (BeatEnsemble([member(0), member(1)]), forecaster):
        clone = keras.models.clone_model(model)
        shapes = [weight.shape for weight in model.weights]
        assert [weight.shape for weight in clone.weights] == shapes


@once
def test_a_model_of_some_of_the_layers_is_saved(tmp_path):
    """As one makes it to look inside, or to go on from there."""
    x = {
        "rhythm": np.random.default_rng(0).normal(size=(2, BEATS, 2)),
        "shape": np.full((2, BEATS, 3), np.nan),
    }
    model = member()
    part = keras.Model(model.input, model.get_layer("fusion").output)
    part.save(tmp_path / "part.keras")
    again = keras.saving.load_model(tmp_path / "part.keras")
    assert_close(predict(again, x), predict(part, x), 1e-6)


def frozen(model):
    """Layers none of whose weights the model would train."""
    trained = {id(weight) for weight in model.trainable_weights}
    layers = [layer for layer in model.layers if layer.weights]
    return {x.name for x in layers if not trained & {id(w) for w in x.weights}}


@once
def test_what_is_frozen_stays_so(tmp_path):
    model = classifier("concat")
    assert "frozen" not in model.get_config()
    whole = {"wave_encoder", "fusion", "head"}
    for names in ({"fusion"}, {"wave_encoder", "head"}, set(), whole):
        for layer in model.layers:
            layer.trainable = layer.name not in names
        model.save(tmp_path / "model.keras")
        again = keras.saving.load_model(tmp_path / "model.keras")
        assert frozen(again) == names
        assert frozen(type(again).from_config(again.get_config())) == names
        assert frozen(model.with_num_classes(2)) == names - {"head"}
        assert frozen(model.with_num_classes(0)) == names - {"head"}
    model.trainable = False
    assert not type(model).from_config(model.get_config()).trainable
    model = model.with_num_classes(2)
    assert frozen(model) == whole - {"head"}
    model.trainable = True
    assert not frozen(type(model).from_config(model.get_config()))


def test_a_frozen_encoder_stays_so_with_all_that_is_in_it(tmp_path):
    """In models of ours and in others; Keras itself freezes the layer alone."""
    encoder = ResNet1DEncoder((4, 4), 3, strides=1, name="wave_encoder")
    shapes = {"wave": (6, 4), "calendar": (6, 2)}
    ours = FusionClassifier(shapes, {"wave": encoder, "calendar": None}, "concat")
    outer = keras.Sequential([keras.Input((6, 4)), LSTMEncoder(4, name="inner")])
    for model, name in ((ours, "wave_encoder"), (outer, "inner")):
        model.get_layer(name).trainable = False
        model.save(tmp_path / "model.keras")
        again = keras.saving.load_model(tmp_path / "model.keras")
        for copy in (again, keras.models.clone_model(model)):
            assert frozen(copy) == {name}
            assert not any(w.trainable for w in copy.get_layer(name).weights)


def test_all_of_a_model_is_trained_again():
    """On TensorFlow, Keras passes over a model that was not frozen as a whole."""
    model = classifier("concat")
    model.get_layer("wave_encoder").trainable = False
    model.trainable = True
    assert not frozen(model)
    ensemble = BeatEnsemble([member(0), member(1)])
    for part in ensemble.members:
        part.get_layer("head").trainable = False
    ensemble.trainable = True
    assert not any(map(frozen, ensemble.members))


@once
def test_a_skip_that_is_trained_stays_so():
    model = FusionForecaster({"series": (12, 2)}, {}, horizon=5)
    assert frozen(model) == {"skip"}
    model.get_layer("skip").trainable = True
    again = FusionForecaster.from_config(model.get_config())
    assert not frozen(again)


@once
def test_a_shared_encoder_stays_shared(tmp_path):
    shared = keras.layers.Dense(4, name="shared")
    model = FusionClassifier(
        {"left": (6, 3), "right": (6, 3)},
        {"left": shared, "right": shared},
        "concat",
        dim=8,
    )
    x = {name: np.random.default_rng(0).normal(size=(2, 6, 3)) for name in model.input}
    model.save(tmp_path / "model.keras")
    again = keras.saving.load_model(tmp_path / "model.keras")
    assert_close(predict(again, x), predict(model, x), 0.0)
    copy = FusionClassifier.from_config(model.get_config())
    assert copy.count_params() == again.count_params() == model.count_params()
    features = model.with_num_classes(3).fused_features(x)
    assert_close(features, model.fused_features(x), 0.0)


class Doubled(keras.layers.Layer):
    """Of a user who has not registered it."""

    def call(self, inputs):
        return 2 * inputs


@once
def test_classes_that_are_not_registered():
    options = {"inputs": {"a": (3, 2)}, "encoders": {"a": Doubled()}, "dim": 4}
    beats = BeatClassifier(**options, classes=["N", "V"])
    autoencoder = FusionAutoencoder(**options, decoders={"a": keras.layers.Dense(2)})
    for model in (
        FusionClassifier(**options),
        autoencoder,
        BeatEnsemble([beats, beats]),
    ):
        assert model.with_num_classes(3).output_shape[-1] == 3
