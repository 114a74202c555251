"""What `save` writes is what `load` gives."""

import hashlib
import json
import pathlib

import keras
import numpy as np
import pytest

from keras_mmfusion import presets
from keras_mmfusion.cli.demo import EXCERPT


def sha256(path):
    return hashlib.sha256(path.read_bytes()).hexdigest()


def test_outputs_and_preprocessor_come_back(model, inputs, saved):
    loaded = presets.load(saved)
    assert type(loaded) is type(model)
    np.testing.assert_allclose(
        loaded.predict(inputs, verbose=0), model.predict(inputs, verbose=0), atol=1e-6
    )
    assert loaded.preprocessor.scale == 2.5
    assert not loaded.compiled


def test_without_weights_they_are_new(model, saved):
    loaded = presets.load(str(saved), load_weights=False)
    kernel = model.get_layer("head").get_weights()[0]
    assert not np.allclose(loaded.get_layer("head").get_weights()[0], kernel)


def test_bytes_are_reproducible(model, saved, tmp_path):
    """Also after training state, and other layers made in between, come and go."""
    other = presets.save(presets.load(saved), tmp_path / "other")
    model = presets.load(saved)
    model.compile("adam", "mse", metrics=["mae"])
    model.optimizer.build(model.trainable_variables)
    compiled = presets.save(model, tmp_path / "compiled")
    for name in ("model.weights.h5", "config.json", "preprocessor.json"):
        assert sha256(other / name) == sha256(saved / name)
        assert sha256(compiled / name) == sha256(saved / name)


def test_golden_and_metadata_are_reproducible(model, inputs, tmp_path):
    first = presets.save(model, tmp_path / "a" / "tiny", golden=inputs)
    second = presets.save(model, tmp_path / "b" / "tiny", golden=inputs)
    for name in ("golden.npz", "metadata.json"):
        assert sha256(first / name) == sha256(second / name)


def test_no_optimizer_in_the_weights(model, saved, tmp_path):
    import h5py

    model = presets.load(saved)
    model.compile("adam", "mse")
    model.optimizer.build(model.trainable_variables)
    folder = presets.save(model, tmp_path / "compiled")
    with h5py.File(folder / "model.weights.h5") as file:
        assert "layers" in file and "optimizer" not in file


def test_stock_model(tmp_path):
    """A model of Keras classes only, with ops among its layers."""
    tensor = keras.Input((4,), name="load")
    output = keras.layers.Dense(2, activation="gelu", name="out")(tensor[:, 1:] * 2.0)
    model = keras.Model(tensor, output)
    x = np.ones((2, 4), "float32")
    folder = presets.save(model, tmp_path / "stock", golden={"load": x})
    loaded = presets.load(folder)
    np.testing.assert_allclose(
        loaded.predict(x, verbose=0), model.predict(x, verbose=0), atol=1e-6
    )
    assert presets.info(folder)["architecture"] == "Functional"


@pytest.mark.parametrize("num_classes", [5, 0, np.int64(4)])
def test_num_classes(model, inputs, saved, num_classes):
    loaded = presets.load(saved, num_classes=num_classes)
    assert loaded(inputs).shape == (3, num_classes or 6)
    assert loaded.preprocessor.scale == 2.5
    np.testing.assert_array_equal(
        loaded.get_layer("enc").get_weights()[0],
        model.get_layer("enc").get_weights()[0],
    )


@pytest.mark.parametrize("num_classes", [-1, 2.5, "3", True])
def test_num_classes_is_a_number(saved, num_classes):
    with pytest.raises(ValueError, match="must be a number of classes, or 0"):
        presets.load(saved, num_classes=num_classes)


def test_num_classes_needs_the_method(tmp_path):
    model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(1)])
    folder = presets.save(model, tmp_path / "stock")
    with pytest.raises(ValueError, match=r"with_num_classes.*Sequential"):
        presets.load(folder, num_classes=2)


@pytest.mark.parametrize("dtype", ["mixed_bfloat16", "bfloat16"])
def test_dtype(inputs, saved, tmp_path, dtype):
    """The policy reaches the encoder, which has the model's own policy."""
    loaded = presets.load(saved, dtype=dtype)
    policy = keras.dtype_policies.get(dtype)
    for layer in (loaded.get_layer("head"), loaded.get_layer("enc").layers[-1]):
        assert layer.dtype_policy == policy
        assert layer.kernel.dtype == policy.variable_dtype
    outputs = keras.ops.convert_to_numpy(loaded(inputs)).astype("float32")
    expected = keras.ops.convert_to_numpy(presets.load(saved)(inputs))
    np.testing.assert_allclose(outputs, expected, atol=0.1)
    again = presets.save(loaded, tmp_path / "again", golden=inputs)
    assert presets.verify(again)["golden_difference"] < 1e-5


def test_quantized(inputs, tmp_path):
    """The policy is in the config, so the int8 weights find their place."""
    model = keras.Sequential([keras.Input((6,), name="wave"), keras.layers.Dense(4)])
    model.quantize("int8")
    folder = presets.save(model, tmp_path / "x", golden={"wave": inputs["wave"]})
    assert presets.load(folder).layers[-1].kernel.dtype == "int8"
    assert presets.verify(folder)["golden_difference"] < 1e-5


def test_dtype_leaves_other_policies_alone(saved, rehash):
    config = json.loads((saved / "config.json").read_text())
    encoder = config["config"]["encoder"]["config"]["layers"][-1]["config"]
    encoder["dtype"] = "float16"
    (saved / "config.json").write_text(json.dumps(config))
    rehash(saved)
    loaded = presets.load(saved, dtype="bfloat16")
    assert loaded.get_layer("enc").layers[-1].dtype_policy.name == "float16"


@pytest.mark.parametrize("dtype", ["int8_from_float32", "int8", "nonsense"])
def test_dtype_must_be_a_float_policy(saved, dtype):
    with pytest.raises(ValueError, match=rf"float policy.*{dtype}.*model\.quantize"):
        presets.load(saved, dtype=dtype)


def test_a_pathlike_and_a_string_are_the_same(saved):
    assert presets.info(pathlib.Path(saved)) == presets.info(str(saved))


def test_fusion_classifier(tmp_path):
    """Our own model, with the modalities in an order that is not alphabetical."""
    from keras_mmfusion.models import FusionClassifier

    shapes = {"wave": (4, 3), "image": (4, 2)}
    model = FusionClassifier(
        inputs=shapes,
        encoders={"wave": keras.layers.LSTM(4, return_sequences=True), "image": None},
        fusion="concat",
        num_classes=3,
        dim=4,
    )
    x = {name: np.ones((2, *shape), "float32") for name, shape in shapes.items()}
    x["image"][0] = np.nan
    folder = presets.save(model, tmp_path / "fusion", golden=x)
    again = presets.save(presets.load(folder), tmp_path / "again")
    for name in ("model.weights.h5", "config.json"):
        assert sha256(folder / name) == sha256(again / name)
    assert list(presets.info(folder)["inputs"]) == ["wave", "image"]
    assert presets.load(folder, num_classes=0).predict(x, verbose=0).shape == (2, 4)
    assert presets.verify(folder)["golden_difference"] < 1e-5


def test_names_of_a_new_head_come_with_the_metadata(tmp_path):
    """Fine-tuned, saved and loaded, a model of beats labels by its own classes."""
    from keras_mmfusion.models import BeatClassifier, BeatEnsemble
    from keras_mmfusion.preprocessing import BeatPreprocessor

    member = BeatClassifier({"rhythm": (8, 2)}, {"rhythm": None}, classes=["N", "V"])
    model = BeatEnsemble([member, member]).with_num_classes(3)
    model.preprocessor = BeatPreprocessor()
    names = ["sinus", "PVC", "SVEB"]
    outputs = {"outputs": {"classes": names}}
    with pytest.raises(ValueError, match=r"outputs\.classes: .*3 classes.*'N'"):
        wrong = {"outputs": {"classes": ["N", "S"]}}
        presets.save(model, tmp_path / "wrong", metadata=wrong)
    assert not (tmp_path / "wrong").exists()
    folder = presets.save(model, tmp_path / "own", metadata=outputs)
    loaded = presets.load(folder)
    labels = loaded.predict_record(EXCERPT)
    assert labels.classes == tuple(names) and set(labels.labels) <= {*names, "Q"}
    # From here on its config has them, and other names would be wrong.
    again = presets.save(loaded, tmp_path / "again")
    assert presets.load(again).classes == tuple(names)
    assert presets.load(again, num_classes=3).classes is None
    with pytest.raises(ValueError, match=r"sinus.*Received.*'V'"):
        wrong = {"outputs": {"classes": ["N", "S", "V"]}}
        presets.save(loaded, tmp_path / "wrong", metadata=wrong)
