"""Models in int8, in half precision and with LoRA predict, train and come back."""

import json

import keras
import numpy as np
import pytest
import small
from backends import in_turn, run
from harness import assert_close

from keras_mmfusion import presets
from keras_mmfusion.layers import ATDFusion, PerStepEncoder, ResNet1DEncoder
from keras_mmfusion.models import BeatClassifier, FusionClassifier

BEATS = 5


def beats(**kwargs):
    encoder = ResNet1DEncoder((4,), 3, normalization=None, name="resnet")
    return BeatClassifier(
        inputs={"ecg": (BEATS, 8, 2), "rhythm": (BEATS, 2)},
        encoders={
            "ecg": PerStepEncoder(encoder, name="ecg_encoder"),
            "rhythm": keras.layers.Dense(3, name="rhythm_encoder"),
        },
        classes=("N", "S", "V"),
        dim=8,
        fusion_options={"num_heads": 2},
        decoder=ResNet1DEncoder((8,), 3, strides=1, normalization=None, name="decoder"),
        modality_dropout=0.2,
        **kwargs,
    )


def single(**kwargs):
    return FusionClassifier({"wave": (6, 4)}, {"wave": None}, dim=8, **kwargs)


MODELS = {
    "atd": small.classifier,
    "step": lambda **k: small.classifier("step", **k),
    "concat": lambda **k: small.classifier("concat", **k),
    "layer": lambda **k: small.classifier(ATDFusion(8, 2, name="mine"), **k),
    "single": single,
    "beats": beats,
}
# `beats` has a part of every kind and is tried on every backend; the others in turn,
# since layers are reduced and saved on every one in `tests/layers`.
CASES = [pytest.param(make, "float32", id=name) for name, make in MODELS.items()]
CASES = [*in_turn(CASES[:-1]), CASES[-1]]
each_model = pytest.mark.parametrize(
    "make", [pytest.param(c.values[0], id=c.id, marks=c.marks) for c in CASES]
)


def inputs_of(model, samples=4):
    rng = np.random.default_rng(0)
    return {
        name: rng.normal(size=(samples, *shape[1:])).astype("float32")
        for name, shape in ((k, t.shape) for k, t in model.input.items())
    }


def serialized(model):
    return json.loads(json.dumps(keras.saving.serialize_keras_object(model)))


def one_step(model, x):
    """Train on one batch."""
    model.compile(keras.optimizers.SGD(0.1), "sparse_categorical_crossentropy")
    y = np.zeros((len(x["ecg"]), BEATS), "int64")
    assert np.isfinite(model.train_on_batch(x, y))


@pytest.mark.parametrize(
    "make, dtype", [*CASES, pytest.param(beats, "mixed_bfloat16", id="mixed")]
)
def test_int8(make, dtype, tmp_path):
    model = make(dtype=dtype)
    x = inputs_of(model)
    before = run(model, x)
    model.quantize("int8")
    outputs = run(model, x)
    assert_close(outputs, before, 0.1)
    model.save(tmp_path / "model.keras")
    again = keras.saving.load_model(tmp_path / "model.keras")
    for old, new in zip(model.weights, again.weights, strict=True):
        assert (old.name, old.dtype) == (new.name, new.dtype)
    assert "int8" in {str(w.dtype) for w in again.get_layer("head").weights}
    assert_close(run(again, x), outputs, 1e-6)
    assert serialized(again) == serialized(model)


def test_int8_layer_by_layer(tmp_path):
    """What is quantised after loading joins what already was."""
    model = small.classifier()
    x = small.inputs()
    model.get_layer("fusion").steps[0].ff_in.quantize("int8")
    model.save(tmp_path / "model.keras")
    again = keras.saving.load_model(tmp_path / "model.keras")
    assert again.get_layer("head").kernel.dtype == "float32"
    assert_close(run(again, x), run(model, x), 1e-6)
    again.get_layer("head").quantize("int8")
    again.save(tmp_path / "model.keras")
    last = keras.saving.load_model(tmp_path / "model.keras")
    assert last.get_layer("fusion").steps[0].ff_in.kernel.dtype == "int8"
    assert last.get_layer("head").kernel.dtype == "int8"
    assert_close(run(last, x), run(again, x), 1e-6)


def test_int8_preset(tmp_path):
    model = beats()
    model.quantize("int8")
    x = inputs_of(model)
    folder = presets.save(model, tmp_path / "beats", golden=x)
    assert presets.verify(folder)["golden_difference"] < 1e-5
    loaded = presets.load(folder, num_classes=2)
    assert loaded.get_layer("head").kernel.dtype == "float32"
    one_step(loaded, x)


@each_model
def test_new_head_of_an_int8_model(make):
    model = make()
    model.quantize("int8")
    x = inputs_of(model)
    other = model.with_num_classes(0)
    head = model.get_layer("head")
    assert_close(run(head, run(other, x)), run(model, x), 1e-6)
    assert model.with_num_classes(5).get_layer("head").kernel.dtype == "float32"


@each_model
def test_mixed_precision(make, tmp_path):
    plain = make()
    keras.config.set_dtype_policy("mixed_bfloat16")
    model = make()
    model.set_weights(plain.get_weights())
    assert {str(w.dtype) for w in model.trainable_weights} == {"float32"}
    x = inputs_of(model)
    x[model.modalities[0]][0] = np.nan
    outputs = run(model, x)
    assert outputs.dtype == "float32"
    assert_close(outputs, run(plain, x), 0.05)
    model.save(tmp_path / "model.keras")
    keras.config.set_dtype_policy("float32")
    again = keras.saving.load_model(tmp_path / "model.keras")
    assert_close(run(again, x), outputs, 1e-6)


@each_model
def test_lora(make, tmp_path):
    """Files and new heads hold the sum of the kernels and what was learned."""
    model = make()
    x = inputs_of(model)
    dense = [d for d in model._flatten_layers() if isinstance(d, keras.layers.Dense)]
    before = run(model, x)
    rng = np.random.default_rng(0)
    for layer in dense:
        layer.enable_lora(2)
        learned = layer.lora_kernel_b
        learned.assign(rng.normal(0, 0.3, learned.shape).astype("float32"))
    outputs = run(model, x)
    assert np.abs(outputs - before).max() > 1e-3
    other = model.with_num_classes(0)
    assert_close(run(model.get_layer("head"), run(other, x)), outputs)
    model.save(tmp_path / "model.keras")
    again = keras.saving.load_model(tmp_path / "model.keras")
    assert_close(run(again, x), outputs)


@pytest.mark.parametrize("kind", ["int8", "mixed", "lora"])
def test_training(kind):
    """All learn what they may: not int8 kernels, nor those below LoRA."""
    if kind == "mixed":
        keras.config.set_dtype_policy("mixed_bfloat16")
    model = beats()
    x = inputs_of(model, samples=16)
    x["ecg"][0] = np.nan
    if kind == "int8":
        model.quantize("int8")
        model = model.with_num_classes(5)
    if kind == "lora":
        for layer in model._flatten_layers():
            if isinstance(layer, keras.layers.Dense):
                layer.enable_lora(2)
    paths = [w.path for w in model.trainable_weights]
    assert ("ff_in/kernel" in " ".join(paths)) == (kind == "mixed")
    before = model.get_weights()
    one_step(model, x)
    for weight, old, new in zip(
        model.weights, before, model.get_weights(), strict=True
    ):
        assert np.isfinite(new).all(), weight.path
        learns = weight.trainable and "lora_kernel_a" not in weight.path
        assert np.any(new != old) == learns, weight.path
