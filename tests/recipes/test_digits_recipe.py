"""The networks of the digits study."""

import keras
import numpy as np
import pytest
from backends import only_on, run
from harness import assert_close
from recipe_modules import recipe_modules

from keras_mmfusion.layers import ConvLSTMFusion
from keras_mmfusion.preprocessing import DigitPreprocessor

(architecture,) = recipe_modules("digits", "architecture")
FEW_STEPS = {"samples": 1200, "mel_bands": 6}


def inputs(preprocessor, batch=4):
    rng = np.random.default_rng(0)
    return {
        name: rng.standard_normal((batch, *shape)).astype("float32")
        for name, shape in preprocessor.shapes.items()
    }


def small(network):
    preprocessor = DigitPreprocessor(**FEW_STEPS)
    return architecture.build(network, "tiny", preprocessor), inputs(preprocessor)


@only_on("torch")
def test_the_papers_sizes():
    """A.2, counted by hand: 64 units, 3 x 3, 2 x 2 pools, 128 and 10 dense units."""
    gates, bins = 4 * 64, 201
    state, conv = 9 * 64 * gates, 9 * 64 * 64 + 64
    dense = 10 * 128 + 10
    first = 9 * gates + gates + bins * gates + state
    lstm = 4 * 64 * (bins + 64 + 1)
    counts = {
        "initial": first + (2 * state + gates) + (7 * 7 * 64 + 1) * 128 + dense,
        "second": (9 * 64 + 64) + lstm + (2 * state + gates + 64 * gates)
        + (14 * 14 * 64 + 1) * 128 + dense,
        # Two more inputs of the dense layer tell what is missing.
        "fc": (9 * 64 + 64) + conv + lstm + 4 * 64 * (64 + 64 + 1)
        + (28 * 28 * 64 + 64 + 2 + 1) * 128 + dense,
    }  # fmt: skip
    for network, count in counts.items():
        model = architecture.build(network, "paper", DigitPreprocessor())
        assert model.count_params() == count, network
        assert {k: v.shape for k, v in model.input.items()} == {
            "image": (None, 1, 28, 28, 1),
            "sound": (None, 41, 201),
        }
    assert architecture.SIZES["small"][0] <= 16 and architecture.SIZES["tiny"][0] <= 16


@pytest.mark.parametrize("network", architecture.NETWORKS)
def test_either_input_may_be_missing(network):
    model, x = small(network)
    whole = run(model, x)
    assert_close(whole.sum(axis=-1), np.ones(4), 1e-5)
    x["image"][0] = x["sound"][1] = np.nan
    x["image"][2] = x["sound"][2] = np.nan
    output = run(model, x)
    assert np.isfinite(output).all()
    assert_close(output[3], whole[3], 1e-6)
    for sample in range(3):
        assert np.abs(output[sample] - whole[sample]).max() > 1e-5
    x["sound"][0] += 1
    assert np.abs(run(model, x)[0] - output[0]).max() > 1e-6, "sound alone counts"
    x["image"][1] += 1
    assert np.abs(run(model, x)[1] - output[1]).max() > 1e-6, "the image alone counts"
    # As in the paper, a network of one modality is given zeros for the other.
    if network == "initial":
        zeros = {k: np.nan_to_num(v) for k, v in x.items()}
        assert_close(run(model, zeros)[:2], run(model, x)[:2], 1e-6)


@only_on("torch")
@pytest.mark.parametrize("network", architecture.NETWORKS)
def test_networks_train_and_are_saved(tmp_path, network):
    model, x = small(network)
    model.compile("adam", "sparse_categorical_crossentropy", jit_compile=False)
    before = [keras.ops.convert_to_numpy(v) for v in model.trainable_variables]
    assert np.isfinite(model.train_on_batch(x, np.array([3, 1, 4, 1])))
    for variable, old in zip(model.trainable_variables, before, strict=True):
        assert np.any(keras.ops.convert_to_numpy(variable) != old), variable.path
    x["sound"][0] = np.nan
    expected = run(model, x)
    model.save(tmp_path / "m.keras")
    again = keras.saving.load_model(tmp_path / "m.keras")
    assert_close(run(again, x), expected, 1e-6)
    assert again.fused_features(x).shape == (4, 1, 32)
    assert list(again.modality_features(x)) == ["image", "sound"]
    assert again.with_num_classes(3).predict(x, verbose=0).shape == (4, 3)


def test_a_network_that_fuses_must_give_a_sequence():
    from keras_mmfusion.models import FusionClassifier

    pair = [keras.Input((1, 8, 8, 1)), keras.Input((5, 3))]
    image = keras.Model(pair, ConvLSTMFusion(2)(pair))
    arguments = {
        "inputs": {"image": (1, 8, 8, 1), "sound": (5, 3)},
        "encoders": {"image": None, "sound": None},
    }
    with pytest.raises(ValueError, match="batch, time, features"):
        FusionClassifier(fusion=image, **arguments)
    with pytest.raises(ValueError, match="encoder of 'image'"):
        FusionClassifier(fusion="concat", **arguments)
