import subprocess
import sys
from pathlib import Path

import keras
import numpy as np
import pytest
from backends import gradients, run
from harness import assert_close, built, check_config, numbers
from reference import atd_guide, named_weights

from keras_mmfusion.layers import ATDGuide

SHAPES = [(3, 5, 4), (3, 8, 4)]
MASKS = [np.ones((3, 5), bool), np.ones((3, 8), bool)]
MASKS[0][1:, 3:] = False
MASKS[1][0] = False


def inputs():
    first, second = numbers(2, *SHAPES)
    return [100 + 7 * first, second]


def valid_moments(x, mask):
    steps = x.astype("float64")[mask]
    return steps.mean(0), steps.var(0)


def train(layer, x, masks=None):
    """Outputs in training, with the statistics learned."""
    tensors = [keras.ops.convert_to_tensor(v) for v in x]
    return [
        keras.ops.convert_to_numpy(y) for y in layer(tensors, mask=masks, training=True)
    ]


@pytest.mark.parametrize("conditional", [True, False])
def test_equations(conditional):
    x = inputs()
    layer = built(lambda: ATDGuide(conditional, momentum=0.5), x)
    train(layer, x)  # else the statistics are 0 and 1
    w = named_weights(layer)
    for m, actual in enumerate(run(layer, x)):
        expected = atd_guide(w, x[m].astype("float64"), m, conditional=conditional)
        assert_close(actual / 100, expected / 100)


def test_it_only_standardises_at_first():
    x = inputs()
    layers = [ATDGuide(), ATDGuide(conditional=False)]
    for conditional, plain in zip(*(train(layer, x) for layer in layers), strict=True):
        assert_close(conditional, plain)
        assert_close(plain.mean((0, 1)), np.zeros(4), 1e-4)
        assert_close(plain.std((0, 1)), np.ones(4), 1e-2)


def test_statistics_of_the_valid_steps():
    x = inputs()
    layer = built(lambda: ATDGuide(momentum=0.75), x)
    w = named_weights(layer)
    outputs = train(layer, x, MASKS)
    for m, (output, mask) in enumerate(zip(outputs, MASKS, strict=True)):
        mean, variance = valid_moments(x[m], mask)
        expected = atd_guide(w, x[m], m, statistics=(mean, variance))
        assert_close(output[mask], expected[mask], 2e-4)
        assert not output[~mask].any()
        moved = named_weights(layer)
        name = f"standardization_{m}/moving_"
        assert_close(moved[name + "mean"], 0.25 * mean, 1e-4)
        assert_close(moved[name + "variance"], 0.75 + 0.25 * variance, 1e-3)


def test_steps_that_are_masked_count_for_nothing():
    x = inputs()
    spoilt = [np.where(m[..., None], v, np.nan) for v, m in zip(x, MASKS, strict=True)]
    layer = built(ATDGuide, x)
    weights, results = layer.get_weights(), []
    for values in (x, spoilt):
        layer.set_weights(weights)
        outputs = train(layer, values, MASKS)
        results.append([*outputs, *named_weights(layer).values()])
        for gradient in gradients(Joined(layer), values, MASKS)[0]:
            assert np.isfinite(gradient).all()
    for whole, part in zip(*results, strict=True):
        assert_close(part, whole)


def test_a_batch_without_a_modality_teaches_nothing_of_it():
    x = inputs()
    layer = built(ATDGuide, x)
    train(layer, x)
    before = named_weights(layer)
    _, second = train(layer, x, [None, np.zeros((3, 8), bool)])
    assert not second.any()
    after = named_weights(layer)
    for name in ("moving_mean", "moving_variance"):
        path = f"standardization_{{}}/{name}"
        assert_close(after[path.format(1)], before[path.format(1)], 0.0)
        assert np.abs(after[path.format(0)] - before[path.format(0)]).max() > 0.01


def test_as_batch_normalization_does():
    x = inputs()[:1]
    layer = ATDGuide(conditional=False)
    peer = keras.layers.BatchNormalization(center=False, scale=False)
    for scale in (1.0, 0.5):
        (ours,) = train(layer, [scale * x[0]])
        theirs = peer(keras.ops.convert_to_tensor(scale * x[0]), training=True)
        assert_close(ours, theirs, 5e-4)
    for ours, theirs in zip(layer.weights, peer.weights, strict=True):
        assert_close(ours, theirs, 2e-4)


def test_frozen_statistics_stay():
    x = inputs()
    layer = built(ATDGuide, x)
    layer.trainable = False
    before = named_weights(layer)
    assert_close(train(layer, x)[1], run(layer, x)[1])
    for name, value in named_weights(layer).items():
        assert_close(value, before[name], 0.0)


def test_a_far_mean_does_not_drown_the_variance():
    """In float32, the difference of mean squares would lose it."""
    x = [10_000 + numbers(1, (64, 8, 4))[0]]
    (output,) = train(ATDGuide(conditional=False), x)
    assert_close(output.std((0, 1)), np.ones(4), 5e-3)


def test_mixed_precision_keeps_statistics_in_full():
    x = inputs()
    layer = ATDGuide(dtype="mixed_bfloat16")
    outputs = layer([keras.ops.convert_to_tensor(v) for v in x], training=True)
    for m, output in enumerate(outputs):
        assert keras.backend.standardize_dtype(output.dtype) == "bfloat16"
        mean = named_weights(layer)[f"standardization_{m}/moving_mean"]
        # The inputs are rounded to half precision before.
        assert_close(mean, 0.01 * x[m].mean((0, 1)), 0.01)
    assert {v.dtype for v in layer.variables} == {"float32"}


@keras.saving.register_keras_serializable("tests")
class Joined(keras.layers.Layer):
    """What a guide puts out as one tensor."""

    def __init__(self, guide):
        super().__init__()
        self.guide = guide
        self.supports_masking = True

    def build(self, input_shape):
        if not self.guide.built:
            self.guide.build(input_shape)

    def compute_mask(self, inputs, mask=None):
        return None

    def call(self, inputs, mask=None, training=None):
        return keras.ops.concatenate(
            self.guide(inputs, mask=mask, training=training), 1
        )


@pytest.mark.parametrize("training", [False, True])
def test_gradients(training):
    x = inputs()
    layer = built(ATDGuide, x)
    by_input, by_weight = gradients(Joined(layer), x, training=training)
    for gradient in [*by_input, *by_weight.values()]:
        assert np.isfinite(gradient).all() and np.abs(gradient).max() > 0


def test_in_a_model(tmp_path):
    x = inputs()
    layer = ATDGuide(ff_dim=6, embedding_dim=3, momentum=0.9, epsilon=1e-4)
    check_config(lambda: ATDGuide(), ATDGuide())
    check_config(lambda: layer, layer)
    names = [keras.Input((None, 4)) for _ in x]
    model = keras.Model(names, layer(names))
    assert [tuple(y.shape) for y in model.outputs] == [(None, None, 4)] * 2
    model.compile("adam", "mse")
    model.fit(x, x, verbose=0)
    model.save(tmp_path / "m.keras")
    again = keras.saving.load_model(tmp_path / "m.keras")
    expected = run(model, x)
    for actual, value in zip(run(again, x), expected, strict=True):
        assert_close(actual, value, 1e-6)
    model.quantize("int8")
    quantized = run(model, x)
    for actual, value in zip(quantized, expected, strict=True):
        assert np.abs(actual - value).max() < 0.1 * np.abs(value).max()
    for _ in range(2):
        model.save(tmp_path / "m.keras")
        model = keras.saving.load_model(tmp_path / "m.keras", compile=False)
    modes = {child.quantization_mode for child in model._flatten_layers()}
    assert "int8" in modes
    for actual, value in zip(run(model, x), quantized, strict=True):
        assert_close(actual, value, 1e-6)


@pytest.mark.skipif(
    keras.backend.backend() == "torch", reason="keras distributes the others only"
)
def test_replicas_share_their_statistics(tmp_path):
    """Two devices with half of the batch each learn what one with all of it does."""
    script, file = Path(__file__).with_name("guide_on_devices.py"), tmp_path / "w.npz"
    subprocess.run([sys.executable, script, file], check=True, timeout=300)
    found = dict(np.load(file))
    one = {key[2:]: value for key, value in found.items() if key[0] == "1"}
    assert one and len(found) == 2 * len(one)
    for name, value in one.items():
        assert_close(found[f"2/{name}"], value, 1e-4, name)
    assert one["standardization_0/moving_mean"].min() > 10


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"ff_dim": 0}, "`ff_dim` must be a positive"),
        ({"embedding_dim": 0}, "`embedding_dim` must be a positive"),
        ({"momentum": 1.0}, "`momentum` must be"),
        ({"epsilon": 0}, "`epsilon` must be"),
    ],
)
def test_wrong_arguments(arguments, message):
    with pytest.raises(ValueError, match=message):
        ATDGuide(**arguments)


@pytest.mark.parametrize(
    "shapes", [[(2, 5, 4), (2, 5, 3)], [(2, 4)], [(2, 5, None)], (2, 5, 4)], ids=str
)
def test_wrong_shapes(shapes):
    with pytest.raises(ValueError, match="as many features each"):
        ATDGuide().compute_output_shape(shapes)
