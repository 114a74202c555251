"""What `FusionClassifier` computes and keeps in its config."""

import json

import keras
import numpy as np
import pytest
import small
from harness import assert_close

from keras_mmfusion.layers import ATDFusion, ConcatFusion, LowRankFusion
from keras_mmfusion.models import FUSIONS, FusionClassifier, get_fusion

Y = np.array([0, 1, 2, 0])


@pytest.fixture(scope="module")
def model():
    """Shared by the tests; do not change it."""
    return small.classifier()


# Fusions.


@pytest.mark.parametrize("fusion", FUSIONS)
def test_every_fusion_trains_and_predicts(fusion):
    model = small.classifier(fusion)
    model.compile("sgd", "sparse_categorical_crossentropy")
    before = model.get_layer("fusion").get_weights()
    # Two steps: the last layer of a guide begins with zeros, and none before it moves.
    model.fit(small.inputs(), Y, epochs=2, verbose=0)
    after = model.get_layer("fusion").get_weights()
    assert all(np.any(a != b) for a, b in zip(before, after, strict=True))
    outputs = model.predict(small.inputs(), verbose=0)
    assert outputs.shape == (4, 3) and outputs.dtype == "float32"
    np.testing.assert_allclose(outputs.sum(axis=1), 1, atol=1e-5)


@pytest.mark.parametrize("fusion", ["lmf", "tfn"])
def test_pooled_fusions(fusion):
    """They fuse the means, or each step where every step is classified."""
    x = small.inputs()
    model = small.classifier(fusion, num_classes=0)
    assert model.fused_features(x).shape == (4, 1, 8)
    every = small.classifier(fusion, num_classes=0, pooling=None)
    assert every.fused_features(x).shape == (4, 6, 8)
    every.set_weights(model.get_weights())
    features = model.modality_features(x).values()
    means = [keras.ops.mean(v, axis=1, keepdims=True) for v in features]
    of_means = keras.ops.convert_to_numpy(every.get_layer("fusion")(means))
    assert_close(of_means[:, 0], small.predict(model, x))
    again = FusionClassifier.from_config(every.get_config())
    assert again.get_config() == every.get_config()
    layer = get_fusion(fusion, 8)
    with pytest.raises(ValueError, match="makes one step of 6"):
        small.classifier(layer, pooling=None)


@pytest.mark.parametrize("name", ["fusion", "my_fusion"])
def test_fusion_by_layer(name):
    model = small.classifier(ConcatFusion(8, name=name))
    named = small.classifier("concat")
    named.set_weights(model.get_weights())
    x = small.inputs()
    assert_close(small.predict(model, x), small.predict(named, x))
    assert_close(model.fused_features(x), named.fused_features(x))


def test_order_of_inputs_is_the_order_of_fusion(model):
    x = small.inputs()
    features = model.modality_features(x)
    assert list(features) == ["wave", "calendar"]
    fused = model.get_layer("fusion")([features["wave"], features["calendar"]])
    assert_close(keras.ops.convert_to_numpy(fused), model.fused_features(x))


@pytest.mark.parametrize(
    "kwargs,message",
    [
        ({"fusion": "mean"}, "one of .'atd', 'cascade', .*'tfn'.*'mean'"),
        ({"fusion": ATDFusion(8, 2), "fusion_options": {"num_heads": 2}}, "options"),
        ({"pooling": "max"}, "pooling='max'"),
        ({"fusion": keras.layers.Lambda(lambda x: x[0][:, 0])}, r"\(None, 5\).*\[:, N"),
        ({"modality_dropout": np.array([0.1, 0.2])}, r"in \[0, 1\).*array"),
        ({"num_classes": 2.5}, "whole number.*num_classes=2.5"),
        ({"num_classes": None}, "whole number.*num_classes=None"),
        ({"num_classes": 1}, "softmax of one class.*sigmoid"),
        ({"decoder": "lstm"}, "decoder.*'lstm'"),
        ({"decoder": keras.layers.LSTM(4)}, r"\(None, 4\).*return_sequences"),
        ({"decoder": keras.layers.Reshape((-1, 2, 4))}, r"\(None, 6, 2, 4\)"),
        ({"modality_droput": 0.1}, "FusionClassifier has no.*modality_droput=0.1"),
    ],
)
def test_wrong_arguments(kwargs, message):
    with pytest.raises(ValueError, match=message):
        small.classifier(**kwargs)


@pytest.mark.parametrize(
    "encoders,message",
    [
        ({"a": None}, r"\['a', 'b'\], encoders=\['a'\]"),
        ({"a": None, "b": keras.layers.Dense(3, name="a")}, "named .'a'"),
        ({"a": None, "b": keras.layers.Flatten()}, r"of 'b' must.*\(\(1, 6\)\)"),
        ({"a": None, "b": keras.layers.LSTM(3, return_state=True)}, "'b'.*one.*of 3"),
        ({"a": None, "b": keras.layers.Dense}, "layer or model.*Dense.* for 'b'"),
        ([None, None], r"in a dict.*encoders=\[None, None\]"),
        (None, "encoders=None"),
    ],
)
def test_wrong_encoders(encoders, message):
    with pytest.raises(ValueError, match=message):
        FusionClassifier({"a": (3, 2), "b": (3, 2)}, encoders)


@pytest.mark.parametrize("shape", [3, (), (3, 2.5), keras.Input((3, 2)), "3, 2"])
def test_wrong_shapes(shape):
    with pytest.raises(ValueError, match=r"shape of one sample.*for 'b'"):
        FusionClassifier({"a": (3, 2), "b": shape}, {"a": None, "b": None})


def test_numbers_of_numpy():
    model = FusionClassifier({"a": np.array([3, 2])}, {"a": None}, num_classes=Y.max())
    assert model.output_shape == (None, 2)
    assert json.loads(json.dumps(model.get_config()))["num_classes"] == 2


def test_a_fusion_is_given_a_name(monkeypatch):
    monkeypatch.setitem(FUSIONS, "mine", LowRankFusion)
    model = small.classifier("mine", fusion_options={"rank": 2})
    assert isinstance(model.get_layer("fusion"), LowRankFusion)
    assert FusionClassifier.from_config(model.get_config()).get_config()


def test_get_fusion_refuses_unknown_names():
    with pytest.raises(ValueError, match="fusion='sum'"):
        get_fusion("sum", 8)


@pytest.mark.parametrize("encoder", [None, keras.layers.Dense(5, name="encoder")])
def test_single_modality(encoder):
    model = FusionClassifier({"wave": (6, 4)}, {"wave": encoder}, dim=8, num_classes=3)
    x = {"wave": small.inputs()["wave"]}
    assert model.predict(x, verbose=0).shape == (4, 3)
    assert model.fused_features(x).shape == (4, 6, 8)
    again = FusionClassifier.from_config(model.get_config())
    again.set_weights(model.get_weights())
    assert_close(small.predict(again, x), small.predict(model, x), 0.0)


def test_one_value_a_step():
    """As many samples as steps: Keras would mistake the mask of one for the other."""
    model = small.classifier("concat", pooling=None, num_classes=1, activation=None)
    x = small.inputs(samples=small.STEPS)
    for values in x.values():
        values[0, 2:] = np.nan
    y = np.random.default_rng(0).normal(size=(small.STEPS, small.STEPS))
    model.compile("sgd", "mse")
    errors = np.square(small.predict(model, x)[..., 0] - y)
    there = np.isfinite(x["wave"][..., 0])
    loss = model.evaluate(x, y[..., None], verbose=0)
    assert loss == pytest.approx(errors[there].mean(), rel=1e-5)
    for evaluate in (model.evaluate, model.test_on_batch, model.fit):
        with pytest.raises(ValueError, match=r"\(batch, 6, 1\).*\(6, 6\).*None"):
            evaluate(x, y)


# Features, heads and configs.


def test_features(model):
    x = small.inputs()
    shapes = {name: f.shape for name, f in model.modality_features(x).items()}
    assert shapes == {"wave": (4, 6, 5), "calendar": (4, 6, 2)}
    np.testing.assert_array_equal(model.modality_features(x)["calendar"], x["calendar"])
    assert model.fused_features(x, batch_size=3).shape == (4, 6, 8)


def test_new_head(model):
    x = small.inputs()
    model.preprocessor = object()
    other = model.with_num_classes(7)
    assert small.predict(other, x).shape == (4, 7)
    assert other.preprocessor is model.preprocessor
    assert_close(other.fused_features(x), model.fused_features(x), 1e-6)


def test_no_head(model):
    x = small.inputs()
    headless = model.with_num_classes(0)
    features = small.predict(headless, x)
    assert_close(features, model.fused_features(x).mean(axis=1))
    scores = features @ model.get_layer("head").get_weights()[0]
    assert scores.argmax(1).tolist() == small.predict(model, x).argmax(1).tolist()
    assert small.predict(headless.with_num_classes(3), x).shape == (4, 3)


CONFIGS = {
    "all": lambda: small.classifier(
        "step",
        decoder=small.temporal(),
        pooling=None,
        modality_dropout=[0.1, 0.3],
        dropout=0.1,
        activation="sigmoid",
        name="mine",
    ),
    "fusion layer": lambda: small.classifier(ATDFusion(8, 2, causal=True, name="f")),
    "policy": lambda: small.classifier(dtype="mixed_bfloat16"),
    "default": small.classifier,
}


@pytest.mark.parametrize("case", CONFIGS)
def test_config_round_trip_through_sorted_json(case):
    model = CONFIGS[case]()
    text = json.dumps(keras.saving.serialize_keras_object(model), sort_keys=True)
    again = keras.saving.deserialize_keras_object(json.loads(text))
    assert again.modalities == ["wave", "calendar"]
    assert again.name == model.name
    text_again = json.dumps(keras.saving.serialize_keras_object(again), sort_keys=True)
    assert text_again == text
    again.set_weights(model.get_weights())
    x = small.inputs()
    assert_close(small.predict(again, x), small.predict(model, x), 0.0)


@pytest.mark.parametrize("case", CONFIGS)
def test_keras_file(case, tmp_path):
    model = CONFIGS[case]()
    model.save(tmp_path / "model.keras")
    again = keras.saving.load_model(tmp_path / "model.keras")
    assert type(again) is FusionClassifier
    x = small.inputs()
    assert_close(small.predict(again, x), small.predict(model, x), 0.0)


def test_mixed_precision():
    model = small.classifier(dtype="mixed_bfloat16", decoder=small.temporal())
    plain = small.classifier(decoder=small.temporal())
    plain.set_weights(model.get_weights())
    assert model.get_layer("fusion").compute_dtype == "bfloat16"
    assert {w.dtype for w in model.trainable_weights} == {"float32"}
    x = small.with_nan(small.inputs(), "wave", (0, slice(3)))
    outputs = small.predict(model, x)
    assert outputs.dtype == "float32" and np.isfinite(outputs).all()
    assert_close(outputs, small.predict(plain, x), 0.05)


def test_global_policy():
    keras.config.set_dtype_policy("mixed_bfloat16")
    model = small.classifier()
    assert model.get_layer("wave_encoder").compute_dtype == "bfloat16"
    assert model.get_layer("fusion").compute_dtype == "bfloat16"
    assert small.predict(model, small.inputs()).dtype == "float32"


@pytest.mark.parametrize("scaled", [True, False])
def test_small_gradients_in_float16(scaled):
    """Keras scales the loss by the policy of a model, which is that of its layers."""
    model = FusionClassifier(
        {"wave": (3, 2)}, {"wave": None}, "concat", dim=2, dtype="mixed_float16"
    )
    model.compile("adam", "sparse_categorical_crossentropy", auto_scale_loss=scaled)
    before = model.get_layer("fusion").get_weights()[0]
    x = {"wave": np.full((4, 3, 2), 1e-3, "float32")}
    weights = np.full(4, 1e-5)
    model.fit(x, np.array([0, 1, 1, 1]), sample_weight=weights, verbose=0)
    after = model.get_layer("fusion").get_weights()[0]
    assert np.array_equal(before, after) != scaled


def test_attention_in_float16():
    """XLA on the CPU lacks the products that JAX's own attention is made of."""
    sizes = {"wave": (3, 2), "image": (3, 2)}
    model = FusionClassifier(
        sizes, dict.fromkeys(sizes), "cross_attention", dim=4, dtype="mixed_float16"
    )
    model.compile("adam", "sparse_categorical_crossentropy")
    x = {name: np.ones((4, *size), "float32") for name, size in sizes.items()}
    history = model.fit(x, np.array([0, 1, 1, 1]), verbose=0)
    assert np.isfinite(history.history["loss"]).all()
    assert np.isfinite(model.predict(x, verbose=0)).all()
