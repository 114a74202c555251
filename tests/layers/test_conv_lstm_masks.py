"""Missing modalities and masked steps of a convolutional LSTM over two of them."""

import keras
import numpy as np
import pytest
from backends import gradients, run
from conv_lstm_inputs import SHAPES, inputs, make, masks_of
from harness import assert_close, built, check_missing
from keras import ops
from reference import conv_lstm, named_weights


@pytest.mark.parametrize("unroll", [False, True])
@pytest.mark.parametrize("backwards", [False, True])
@pytest.mark.parametrize("name", SHAPES)
def test_masks_equal_truncation(name, backwards, unroll):
    x = inputs(name)
    lengths = (6, 4, 1)
    changing = [v.shape[1] == 6 for v in x]
    full = np.arange(6) < np.array(lengths)[:, None]
    masks = [full if c else None for c in changing]
    arguments = {"go_backwards": backwards, "unroll": unroll, "return_state": True}
    layer = built(lambda: make(return_sequences=True, **arguments), x)
    outputs, h, c = run(layer, x, masks)
    out_mask = layer.compute_mask(
        [ops.convert_to_tensor(v) for v in x],
        [m if m is None else ops.convert_to_tensor(m) for m in masks],
    )[0]
    out_mask = ops.convert_to_numpy(out_mask)
    for i, length in enumerate(lengths):
        part = [
            v[i : i + 1, :length] if c else v[i : i + 1]
            for v, c in zip(x, changing, strict=True)
        ]
        short, short_h, short_c = run(layer, part)
        assert out_mask[i].sum() == length
        assert_close(outputs[i][out_mask[i]], short[0], 1e-6)
        assert not outputs[i][~out_mask[i]].any()
        assert_close(h[i : i + 1], short_h, 1e-6)
        assert_close(c[i : i + 1], short_c, 1e-6)


def test_a_modality_may_be_masked_at_some_steps():
    x = inputs("video")
    masks = masks_of("video")
    layer = built(lambda: make(return_sequences=True), x)
    zeroed = [
        v * m.reshape(*m.shape, *[1] * (v.ndim - 2))
        for v, m in zip(x, masks, strict=True)
    ]
    outputs, _ = conv_lstm(named_weights(layer), *zeroed)
    seen = masks[0] | masks[1]
    assert_close(run(layer, x, masks), outputs * seen[..., None, None, None], 1e-6)


@pytest.mark.parametrize("steps", [True, False])
def test_missing_modality_of_a_video(steps):
    check_missing(lambda **k: make(return_sequences=steps, **k), inputs("video"))


def test_missing_image_or_sound():
    x = inputs()
    layer = built(make, x)
    weights = named_weights(layer)
    masks = [np.array([[True], [False], [True]]), np.ones((3, 6), bool)]
    masks[1][2] = False
    zeroed = [v.copy() for v in x]
    zeroed[0][1] = zeroed[1][2] = 0
    _, (expected, _) = conv_lstm(weights, *zeroed)
    spoiled = [v.copy() for v in x]
    spoiled[0][1] = spoiled[1][2] = np.nan
    assert_close(run(layer, spoiled, masks), expected, 1e-6)
    by_input, by_weight = gradients(layer, spoiled, masks)
    for gradient in [*by_input, *by_weight.values()]:
        assert np.isfinite(gradient).all()
    assert not by_input[0][1].any() and not by_input[1][2].any()
    masks[0][2] = False  # neither
    assert not run(layer, spoiled, masks)[2].any()
    assert_close(run(layer, [None, x[1]]), run(layer, [0 * x[0], x[1]]), 1e-6)
    video = inputs("video")[0]
    assert_close(run(layer, [video, None]), run(layer, [video, 0 * x[1]]), 1e-6)


def test_implicit_masks_reach_it_next_to_a_state_too():
    x = inputs()
    x[1][1, 4:] = 0
    sound = keras.Input((None, 7))
    image = keras.Input((5, 4, 2))
    states = [keras.Input((5, 4, 3)), keras.Input((5, 4, 3))]
    layer = make(return_sequences=True)
    masked = keras.layers.Masking()(sound)
    zeros = np.zeros((3, 5, 4, 3), "f")
    for model, arrays in (
        (keras.Model([image, sound], layer([image, masked])), x),
        (
            keras.Model([image, sound, *states], layer([image, masked], states)),
            [*x, zeros, zeros],
        ),
    ):
        output = run(model, arrays)
        assert not output[1, 4:].any() and output[1, :4].any() and output[0].all()
