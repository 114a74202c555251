"""Our models in the hands of Keras: clones, and models made of their layers."""

import keras
import numpy as np
from backends import once
from harness import assert_close
from small import classifier, inputs, predict
from test_beat_ensemble import BEATS, member

from keras_mmfusion.models import BeatEnsemble, FusionClassifier, FusionForecaster


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
    layers = [layer for layer in model.layers if layer.weights]
    return {layer.name for layer in layers if not layer.trainable_weights}


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
