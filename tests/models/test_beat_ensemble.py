"""Several beat classifiers: the mean of their probabilities, in every way out."""

import json

import keras
import numpy as np
import pytest
from harness import assert_close
from small import predict

from keras_mmfusion import presets
from keras_mmfusion.analysis import attention_map
from keras_mmfusion.models import BeatClassifier, BeatEnsemble

BEATS = 8
CLASSES = ("N", "S", "V")


def member(seed=0, **kwargs):
    keras.utils.set_random_seed(seed)
    return BeatClassifier(
        **{
            "inputs": {"rhythm": (BEATS, 2), "shape": (BEATS, 3)},
            "encoders": {
                "rhythm": keras.layers.Dense(4, activation="relu", name="rhythm_dense"),
                "shape": None,
            },
            "fusion": "concat",
            "classes": CLASSES,
            "dim": 6,
            **kwargs,
        }
    )


@pytest.fixture
def members():
    return [member(0), member(1), member(2)]


@pytest.fixture
def x():
    return segments()


def segments():
    """Inputs of `member`, the first without a modality."""
    rng = np.random.default_rng(0)
    x = {
        "rhythm": rng.normal(size=(4, BEATS, 2)).astype("float32"),
        "shape": rng.normal(size=(4, BEATS, 3)).astype("float32"),
    }
    x["shape"][0] = np.nan
    return x


def test_every_weight_has_a_path_of_its_own(members):
    """PyTorch knows parameters by their paths: equal ones hide each other from it."""
    model = BeatEnsemble(members)
    again = BeatEnsemble.from_config(model.get_config())
    for ensemble in (model, again):
        paths = [weight.path for weight in ensemble.weights]
        assert len(set(paths)) == len(paths)
    if keras.backend.backend() == "torch":
        count = sum(parameter.numel() for parameter in model.parameters())
        assert count == model.count_params()


def test_mean_of_the_members(members, x):
    model = BeatEnsemble(members)
    expected = np.mean([predict(m, x) for m in members], axis=0)
    assert_close(predict(model, x), expected, 1e-6)
    assert model.count_params() == 3 * members[0].count_params()
    assert (model.classes, model.causal, model.segment_length) == (
        CLASSES,
        False,
        BEATS,
    )


def test_members_are_copies(members, x):
    model = BeatEnsemble([members[0], members[0]])
    before = predict(model, x)
    members[0].set_weights([w + 1 for w in members[0].get_weights()])
    assert_close(predict(model, x), before, 0.0)


def test_beats_of_a_recording(members):
    rng = np.random.default_rng(0)
    beats = {
        "rhythm": rng.normal(size=(21, 2)).astype("float32"),
        "shape": rng.normal(size=(21, 3)).astype("float32"),
    }
    expected = np.mean([m.predict_beats(beats) for m in members], axis=0)
    assert_close(BeatEnsemble(members).predict_beats(beats), expected, 1e-6)


specialised = pytest.mark.parametrize("specialists", [None, {"V": [1]}])


@specialised
def test_round_trips(members, x, tmp_path, specialists):
    model = BeatEnsemble(members, specialists=specialists)
    expected = predict(model, x)
    text = json.dumps(keras.saving.serialize_keras_object(model), sort_keys=True)
    again = keras.saving.deserialize_keras_object(json.loads(text))
    again.set_weights(model.get_weights())
    assert_close(predict(again, x), expected, 1e-6)
    model.save(tmp_path / "model.keras")
    again = keras.saving.load_model(tmp_path / "model.keras")
    assert type(again) is BeatEnsemble and again.modalities == ["rhythm", "shape"]
    assert again.specialists == (specialists or {})
    assert_close(predict(again, x), expected, 1e-6)


def atd_member(seed):
    """Its fusion has children: their policies are found below the member's scope."""
    return member(seed, fusion="atd", fusion_options={"num_heads": 2})


def test_int8(x, tmp_path):
    model = BeatEnsemble([atd_member(0), atd_member(1)])
    before = predict(model, x)
    model.quantize("int8")
    expected = predict(model, x)
    assert_close(expected, before, 0.1)
    config = json.dumps(model.get_config())
    again = BeatEnsemble.from_config(json.loads(config))
    assert json.dumps(again.get_config()) == config
    again.set_weights(model.get_weights())
    assert_close(predict(again, x), expected, 1e-6)
    model.save(tmp_path / "model.keras")
    again = keras.saving.load_model(tmp_path / "model.keras")
    again.save(tmp_path / "model.keras")
    again = keras.saving.load_model(tmp_path / "model.keras")
    assert_close(predict(again, x), expected, 1e-6)
    folder = presets.save(again, tmp_path / "preset", golden=x)
    assert presets.verify(folder)["golden_difference"] < 1e-5
    assert_close(predict(BeatEnsemble(again.members), x), expected, 1e-6)
    for other in (model.with_num_classes(2), model.members[0].with_num_classes(2)):
        modes = {layer.quantization_mode for layer in other._flatten_layers()}
        assert "int8" in modes and predict(other, x).shape[-1] == 2


def test_lora(x, tmp_path):
    """Copies and files hold the sum of the kernels and what was learned."""
    model = BeatEnsemble([atd_member(0), atd_member(1)])
    before = predict(model, x)
    for layer in model._flatten_layers():
        if isinstance(layer, keras.layers.Dense):
            layer.enable_lora(2)
            learned = layer.lora_kernel_b
            learned.assign(np.full(learned.shape, 0.1, "float32"))
    expected = predict(model, x)
    assert np.abs(expected - before).max() > 1e-3
    assert_close(predict(BeatEnsemble(model.members), x), expected)
    model.save(tmp_path / "model.keras")
    again = keras.saving.load_model(tmp_path / "model.keras")
    assert_close(predict(again, x), expected)
    folder = presets.save(model, tmp_path / "preset", golden=x)
    assert presets.verify(folder)["golden_difference"] < 1e-5


@pytest.mark.parametrize("num_classes,width", [(2, 2), (0, 18)])
def test_other_heads(members, x, num_classes, width):
    model = BeatEnsemble(members)
    model.preprocessor = "kept"
    other = model.with_num_classes(num_classes)
    assert predict(other, x).shape == (4, BEATS, width)
    assert other.classes is None and other.preprocessor == "kept"
    kept = other.members[1].get_layer("rhythm_dense").get_weights()
    for a, b in zip(
        kept, members[1].get_layer("rhythm_dense").get_weights(), strict=True
    ):
        np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("kind", [BeatEnsemble, lambda members: members[0]])
def test_names_for_a_new_head(members, kind):
    other = kind(members).with_num_classes(2)
    other.classes = ["sinus", "PVC"]
    again = type(other).from_config(other.get_config())
    assert again.classes == other.classes == ("sinus", "PVC")
    for wrong in (CLASSES, ["N", "N"]):
        with pytest.raises(ValueError, match=f"2 classes.*Received: .*{wrong[-1]}"):
            other.classes = wrong
    assert other.classes == ("sinus", "PVC")


def test_features_side_by_side(members, x):
    model = BeatEnsemble(members)
    fused = model.fused_features(x)
    assert fused.shape == (4, BEATS, 18)
    assert_close(fused[..., 6:12], members[1].fused_features(x), 1e-6)
    features = model.modality_features(x)
    assert features["rhythm"].shape == (4, BEATS, 12)


def test_heads_side_by_side(x):
    """Their mean, which is drawn, is that over members too."""
    model = BeatEnsemble([atd_member(0), atd_member(1)])
    scores, _ = attention_map(model, x, sample=1)
    name = "rhythm → shape"
    assert list(scores) == [name] and scores[name].shape == (4, 4, BEATS, BEATS)
    for i, one in enumerate(model.members):
        own = one.attention_scores(x)[name]
        assert_close(scores[name][:, 2 * i : 2 * i + 2], own)
    assert np.abs(scores[name][:, :2] - scores[name][:, 2:]).max() > 1e-3
    other = BeatEnsemble(
        [atd_member(0), member(1, fusion="mult", fusion_options={"num_heads": 2})]
    )
    with pytest.raises(ValueError, match=r"attend alike.*one of `model\.members`"):
        attention_map(other, x)


@specialised
def test_fit_moves_every_weight_of_every_member(members, x, specialists):
    model = BeatEnsemble(members, specialists=specialists)
    model.compile("adam", "sparse_categorical_crossentropy")
    before = model.get_weights()
    model.fit(x, np.tile(np.arange(BEATS) % 3, (4, 1)), verbose=0)
    for old, new in zip(before, model.get_weights(), strict=True):
        assert np.any(old != new)


@specialised
def test_missing_beats_teach_nothing(members, x, specialists):
    model = BeatEnsemble(members, specialists=specialists)
    model.compile("sgd", "sparse_categorical_crossentropy")
    for values in x.values():
        values[:, 5:] = np.nan
    losses = []
    for label in (0, 1):
        y = np.zeros((4, BEATS), "int64")
        y[:, 5:] = label
        losses.append(model.test_on_batch(x, y))
    assert losses[0] == pytest.approx(losses[1], abs=1e-6)


def test_members_must_fit_together(members):
    with pytest.raises(ValueError, match="two or more BeatClassifiers"):
        BeatEnsemble(members[:1])
    with pytest.raises(ValueError, match=r"Received: members=\['BeatClassifier', 'int"):
        BeatEnsemble([members[0], 3])
    with pytest.raises(ValueError, match=r"classes=\('N', 'S', 'V'\) and \('N', 'S'\)"):
        BeatEnsemble([members[0], member(classes=("N", "S"))])
    with pytest.raises(ValueError, match="Expected a dict with the modalities"):
        BeatEnsemble(members).predict({"rhythm": np.zeros((1, BEATS, 2))})
