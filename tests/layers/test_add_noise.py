import json

import keras
import numpy as np
import pytest
from backends import run
from harness import assert_close, numbers

from keras_mmfusion.layers import AddNoise


def test_ratio_of_powers():
    rng = np.random.default_rng(0)
    x = rng.normal(2.0, 3.0, (4, 50, 100)).astype("f")
    x[1] *= 1e-3
    x[2] = 0
    for snr in (16, 0.25):
        noise = run(AddNoise(snr, seed=1), x, training=True) - x
        for i in (0, 1, 3):
            ratio = np.mean(np.square(x[i])) / np.mean(np.square(noise[i]))
            assert abs(ratio / snr - 1) < 0.1  # 5000 draws: five standard errors
            n = noise[i] / noise[i].std()
            assert abs(n.mean()) < 0.1 and abs((n**4).mean() - 3) < 0.4  # Gaussian
            assert abs(np.mean(n[1:] * n[:-1])) < 0.1  # white
        assert not noise[2].any()


def test_whole_numbers_become_floats():
    x = np.random.default_rng(0).integers(0, 256, (2, 28, 28, 1)).astype("uint8")
    layer = AddNoise(1, seed=1)
    for training in (True, False):
        noisy = run(layer, x, training=training)
        assert noisy.dtype == "float32"
        expected = run(AddNoise(1, seed=1), x.astype("f"), training=training)
        assert_close(noisy, expected, 1e-4)


def test_masked_steps_do_not_count_and_stay():
    x = np.ones((2, 400, 5), "f")
    x[:, 200:] = 1e3
    mask = np.arange(400)[None].repeat(2, 0) < 200
    mask[1] = False
    noise = run(AddNoise(4, seed=1), x, mask, training=True) - x
    assert abs(np.mean(np.square(noise[0, :200])) / 0.25 - 1) < 0.2
    assert not noise[0, 200:].any() and not noise[1].any()
    x[:, 200:] = np.nan
    assert np.isfinite(run(AddNoise(4), x, mask, training=True)[0, :200]).all()


def test_when_it_is_active():
    x = numbers(2, (3, 5, 4), (3, 2, 6))
    for layer, active in ((AddNoise(1), False), (AddNoise(1, inference=True), True)):
        outputs = run(layer, x)
        changed = [np.any(a != b) for a, b in zip(outputs, x, strict=True)]
        assert changed == [active] * 2
    first, second = run(AddNoise([None, 2], seed=0), x, training=True)
    assert_close(first, x[0], 0.0)
    assert np.any(second != x[1])


def test_seed():
    x = numbers(1, 3, 5, 4)[0]
    first = run(AddNoise(1, seed=3), x, training=True)
    assert_close(run(AddNoise(1, seed=3), x, training=True), first, 0.0)
    assert np.any(run(AddNoise(1, seed=4), x, training=True) != first)


def test_in_a_trained_model(tmp_path):
    inputs = [keras.Input((None, 4)), keras.Input((6, 3))]
    noisy = AddNoise([4, 0.5], seed=0)([keras.layers.Masking()(inputs[0]), inputs[1]])
    pooled = [keras.layers.GlobalAveragePooling1D()(x) for x in noisy]
    joined = keras.layers.Concatenate()(pooled)
    model = keras.Model(inputs, keras.layers.Dense(2)(joined))
    jit = True if keras.backend.backend() == "tensorflow" else "auto"
    model.compile("sgd", "mse", jit_compile=jit)
    x = numbers(2, (8, 5, 4), (8, 6, 3))
    x[0][:, 3:] = 0  # masked, and the mask goes on to the pooling
    assert np.isfinite(model.train_on_batch(x, np.ones((8, 2))))
    kernel, bias = model.layers[-1].get_weights()
    expected = np.concatenate([x[0][:, :3].mean(1), x[1].mean(1)], axis=1)
    assert_close(run(model, x), expected @ kernel + bias)
    model.save(tmp_path / "m.keras")
    again = keras.saving.load_model(tmp_path / "m.keras")
    assert_close(run(again, x), run(model, x), 1e-6)


def test_precision_config_and_errors():
    x = numbers(1, 3, 5, 4)[0]
    half = AddNoise(1, dtype="mixed_bfloat16")
    output = run(half, x, raw=True, training=True)
    assert keras.backend.standardize_dtype(output.dtype) == "bfloat16"
    layer = AddNoise([1, None, 0.5], inference=True, seed=4)
    text = json.dumps(keras.saving.serialize_keras_object(layer))
    again = keras.saving.deserialize_keras_object(json.loads(text))
    assert again.get_config() == layer.get_config()
    for snr in (0, -1, "16", [1, 0]):
        with pytest.raises(ValueError, match="positive ratio"):
            AddNoise(snr)
    with pytest.raises(ValueError, match="one per modality"):
        AddNoise([1, 2, 3])(numbers(2, 2, 3, 4))
    with pytest.raises(ValueError, match="list of 2 masks"):
        AddNoise(1)(numbers(2, 2, 3, 4), mask=[None])
