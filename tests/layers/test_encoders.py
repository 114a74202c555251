import keras
import numpy as np
import pytest
from backends import run
from harness import assert_close, built, check_layer, numbers

from keras_mmfusion.layers import (
    ATDEncoder,
    LSTMEncoder,
    PerStepEncoder,
    ResNet1DEncoder,
    ResNet2DEncoder,
    ResNetLSTMEncoder,
)

SERIES = {
    "resnet": lambda **k: ResNet1DEncoder((4, 6), 3, **k),
    "temporal": lambda **k: ResNet1DEncoder(
        (4, 4), 3, dilations=(1, 2), causal=True, normalization="layer", **k
    ),
    "lstm": lambda **k: LSTMEncoder((4,), bidirectional=True, **k),
    "resnet_lstm": lambda **k: ResNetLSTMEncoder((4,), (5,), 3, **k),
}


@pytest.mark.parametrize("name", SERIES)
def test_series_encoders(tmp_path, name):
    x = numbers(1, 3, 7, 2)[0]
    mask = np.arange(7) < np.array([[7], [4], [6]])
    check_layer(SERIES[name], x, mask, path=tmp_path / "m.keras", padding=True)


@pytest.mark.parametrize("name", SERIES)
def test_mask_and_masked_steps(name):
    x = numbers(1, 3, 7, 2)[0]
    mask = np.arange(7) < np.array([[7], [4], [6]])
    layer = built(SERIES[name], x)
    expected = run(layer, x[1:2, :4])
    output = run(layer, x, mask)
    assert_close(output[1:2, : expected.shape[1]], expected, 1e-6)
    out_mask = keras.ops.convert_to_numpy(layer.compute_mask(None, mask))
    assert out_mask.shape == output.shape[:2]
    assert not output[~out_mask].any()
    assert np.abs(output[out_mask]).max(axis=-1).min() > 0


def test_resnet_1d_shapes_and_causality():
    x = numbers(1, 2, 13, 3)[0]
    layer = ResNet1DEncoder((4, 4), strides=(2, 3), blocks_per_stage=2)
    assert run(layer, x).shape == (2, 3, 4)
    layer = built(lambda: ResNet1DEncoder((4, 4), dilations=(1, 2), causal=True), x)
    before = run(layer, x)
    assert before.shape == (2, 13, 4)
    later = x.copy()
    later[:, 8:] += 1
    after = run(layer, later)
    assert_close(after[:, :8], before[:, :8], 1e-6)
    assert np.abs(after[:, 8:] - before[:, 8:]).max() > 1e-2
    with pytest.raises(ValueError, match="Dilated"):
        ResNet1DEncoder(dilations=(1, 2, 4), strides=2)
    with pytest.raises(ValueError, match="per stage"):
        ResNet1DEncoder(strides=(2, 2))


def test_masked_steps_stay_out_of_batch_statistics():
    x = numbers(1, 4, 8, 2)[0]
    mask = np.ones((4, 8), bool)
    mask[:, 5:] = False
    short, long = ResNet1DEncoder((3,), strides=1), ResNet1DEncoder((3,), strides=1)
    run(short, x[:, :5]), run(long, x)
    long.set_weights(short.get_weights())
    spoiled = np.where(mask[..., None], x, 1e6).astype("f")
    short(keras.ops.convert_to_tensor(x[:, :5]), training=True)
    long(keras.ops.convert_to_tensor(spoiled), mask=mask, training=True)
    for a, b in zip(short.get_weights(), long.get_weights(), strict=True):
        assert_close(b, a, 1e-6, "weights and statistics")


def test_resnet_2d(tmp_path):
    x = numbers(1, 2, 6, 5, 2)[0]
    make = lambda **k: ResNet2DEncoder((3, 4), normalization="layer", **k)  # noqa: E731
    check_layer(make, x, path=tmp_path / "m.keras")
    assert run(make(), x).shape == (2, 4, 4)
    mask = np.ones((2, 6, 5), bool)
    mask[1] = False
    output = run(make(), x, mask)
    assert not output[1].any() and output[0].any()


@pytest.mark.parametrize("pooling", ["mean", "max", "meanmax", None])
def test_per_step(pooling):
    x = numbers(1, 2, 3, 8, 2)[0]
    encoder = ResNet1DEncoder((4,), 3)
    layer = PerStepEncoder(encoder, pooling)
    output = run(layer, x)
    tokens = run(encoder, x.reshape(6, 8, 2))
    pooled = {
        "mean": tokens.mean(1),
        "max": tokens.max(1),
        "meanmax": np.concatenate([tokens.mean(1), tokens.max(1)], -1),
        None: tokens.reshape(6, 16),
    }[pooling]
    assert_close(output, pooled.reshape(2, 3, -1))
    assert layer.compute_output_shape((None, None, 8, 2)) == (
        None,
        None,
        pooled.shape[-1],
    )


@pytest.mark.parametrize("kind", ["resnet", "transformer"])
def test_per_step_contract(tmp_path, kind):
    def make(dtype=None, **kwargs):
        if kind == "resnet":
            inner = ResNet1DEncoder((4,), 3, dtype=dtype, name="inner")
        else:  # It has dense children, which the convolutions have not.
            inner = ATDEncoder(4, num_heads=2, patch=2, dtype=dtype, name="inner")
        return PerStepEncoder(inner, dtype=dtype, **kwargs)

    x = numbers(1, 3, 4, 6, 2)[0]
    mask = np.arange(4) < np.array([[4], [2], [3]])
    path, quantize = tmp_path / "m.keras", kind == "transformer"
    check_layer(make, x, mask, path=path, padding=True, quantize=quantize)


def test_per_step_masked_elements_stay_out_of_batch_statistics():
    x = numbers(1, 2, 3, 6, 2)[0]
    mask = np.array([[True, True, False], [True, False, False]])
    layer = PerStepEncoder(ResNet1DEncoder((3,), strides=1))
    other = ResNet1DEncoder((3,), strides=1)
    valid = x[mask]
    run(layer, x), run(other, valid)
    other.set_weights(layer.encoder.get_weights())
    x[~mask] = np.nan
    layer(keras.ops.convert_to_tensor(x), mask=mask, training=True)
    other(keras.ops.convert_to_tensor(valid), training=True)
    pairs = zip(layer.encoder.get_weights(), other.get_weights(), strict=True)
    for a, b in pairs:
        assert_close(a, b, 1e-5, "weights and statistics")


def test_per_step_takes_any_encoder(tmp_path):
    inputs = keras.Input((4, 4, 1))
    tokens = keras.layers.Flatten()(inputs)
    encoder = keras.Model(inputs, keras.layers.Dense(5)(tokens))
    layer = PerStepEncoder(encoder, pooling=None)
    x = numbers(1, 2, 3, 4, 4, 1)[0]
    mask = np.array([[True, True, True], [True, False, False]])
    expected = run(encoder, x.reshape(6, 4, 4, 1)).reshape(2, 3, 5)
    expected[~mask] = 0
    assert_close(run(layer, x, mask), expected)
    # A layer that passes masks on need not take one.
    dense = keras.layers.Dense(5)
    output = run(PerStepEncoder(dense), x[..., 0], mask)
    expected = run(dense, x[..., 0]).mean(2)
    expected[~mask] = 0
    assert_close(output, expected)
    with pytest.raises(ValueError, match="Keras layer"):
        PerStepEncoder(lambda x: x)
    with pytest.raises(ValueError, match="steps"):
        PerStepEncoder(encoder)(numbers(1, 2, 4)[0])
