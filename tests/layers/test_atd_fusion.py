import keras
import numpy as np
import pytest
from backends import gradients, run
from harness import (
    assert_close,
    built,
    check_fusion,
    check_layer,
    check_missing,
    numbers,
)
from reference import atd, named_weights

from keras_mmfusion.layers import ATDFusion


def test_contract(tmp_path):
    def make(**kwargs):
        return ATDFusion(8, num_heads=2, ff_dim=6, **kwargs)

    check_fusion(make, tmp_path / "m.keras")


def test_contract_of_the_other_options(tmp_path):
    def make(**kwargs):
        return ATDFusion(
            6, 3, 2, alpha="feature", double_scale=True, dropout=0.1, **kwargs
        )

    x = numbers(2, (2, 5, 4), (2, 7, 3))
    check_layer(
        make, x, path=tmp_path / "m.keras", padding=True, quantize=True, train=False
    )
    check_missing(make, x)


@pytest.mark.parametrize("double_scale", [False, True])
@pytest.mark.parametrize("alpha", ["scalar", "feature"])
@pytest.mark.parametrize("steps", [(6, 6), (5, 8), (1, 4)])
def test_equations(double_scale, alpha, steps):
    def make():
        return ATDFusion(8, 2, alpha=alpha, double_scale=double_scale)

    x = numbers(2, (2, steps[0], 4), (2, steps[1], 3))
    layer = built(make, x)
    expected, scores = atd(named_weights(layer), *x, 2, double_scale)
    output, weights = run(layer, x, return_attention_scores=True)
    assert_close(output, expected)
    assert_close(weights[0], scores)


def test_three_modalities_are_a_left_fold():
    x = numbers(3, (2, 5, 4), (2, 7, 3), (2, 5, 2))
    layer = built(lambda: ATDFusion(8, 2), x)
    weights = named_weights(layer)
    first, _ = atd(weights, *x[:2], 2)
    expected, _ = atd(weights, first, x[2], 2, prefix="fold_1_step_0/")
    assert_close(run(layer, x), expected)


def test_steps_alternate():
    x = numbers(2, (2, 5, 4), (2, 5, 3))
    layer = built(lambda: ATDFusion(8, 2, num_steps=2), x)
    weights = named_weights(layer)
    first, _ = atd(weights, *x, 2)
    expected, _ = atd(weights, x[1], first, 2, prefix="fold_0_step_1/")
    assert_close(run(layer, x), expected)


def test_missing_modality_leaves_the_other_alone():
    x = numbers(2, (2, 5, 4), (2, 5, 3))
    layer = built(lambda: ATDFusion(8, 2), x)
    masks = [np.ones((2, 5), bool), np.zeros((2, 5), bool)]
    weights = named_weights(layer)
    first = atd(weights, *x, 2, part="first")
    assert_close(run(layer, x, masks), first)
    # One step without modality 2: I_1 there, and no key for the other steps.
    masks = [np.ones((2, 5), bool), np.ones((2, 5), bool)]
    masks[1][:, 2] = False
    output = run(layer, x, masks)
    assert_close(output[:, 2], first[:, 2])
    kept = [0, 1, 3, 4]
    expected, _ = atd(weights, x[0][:, kept], x[1][:, kept], 2)
    assert_close(output[:, kept], expected)


def test_causal():
    x = numbers(2, (2, 6, 4), (2, 6, 3))
    layer = built(lambda: ATDFusion(8, 2, num_steps=2, causal=True), x)
    before = run(layer, x)
    later = [v.copy() for v in x]
    for v in later:
        v[:, 4:] += 1
    after = run(layer, later)
    assert_close(after[:, :4], before[:, :4], 1e-6)
    assert np.abs(after[:, 4:] - before[:, 4:]).max() > 1e-2


def test_mask_of_the_output():
    x = [keras.ops.convert_to_tensor(v) for v in numbers(2, (2, 3, 4), (2, 3, 4))]
    layer = ATDFusion(8)
    masks = [
        np.array([[1, 0, 0], [0, 0, 0]], bool),
        np.array([[1, 1, 0], [0, 0, 0]], bool),
    ]
    mask = keras.ops.convert_to_numpy(layer.compute_mask(x, list(masks)))
    assert mask.tolist() == [[True, True, False], [False, False, False]]
    layer = ATDFusion(8, aligned=False)
    masks = [
        np.array([[1, 1, 0], [0, 0, 0]], bool),
        np.array([[1, 0, 0], [1, 0, 0]], bool),
    ]
    mask = keras.ops.convert_to_numpy(layer.compute_mask(x, list(masks)))
    assert mask.tolist() == [[True, True, False], [True, True, True]]
    assert layer.compute_mask(x, None) is None


def test_keras_masks_are_taken_and_given():
    x = numbers(2, (2, 5, 4), (2, 8, 3))
    x[0][:, 3:] = 0
    inputs = [keras.Input((None, 4)), keras.Input((None, 3))]
    fusion = ATDFusion(8, 2)
    masked = [keras.layers.Masking()(v) for v in inputs]
    model = keras.Model(inputs, fusion(masked))
    expected = run(fusion, x, [np.any(v != 0, axis=-1) for v in x])
    assert_close(run(model, x), expected)
    assert not expected[:, 3:].any()


def test_alpha_stays_in_range_and_learns():
    x = numbers(2, (2, 5, 4), (2, 5, 3))
    layer = ATDFusion(8, 2)
    run(layer, x)
    weights = named_weights(layer)
    assert weights["fold_0_step_0/alpha_logit"].tolist() == [0.0]
    _, by_weight = gradients(layer, x)
    (path,) = [p for p in by_weight if p.endswith("alpha_logit")]
    assert abs(by_weight[path][0]) > 1e-4


@pytest.mark.parametrize(
    "arguments, message",
    [
        ({"dim": 0}, "dim"),
        ({"dim": 6}, "multiple"),
        ({"dim": 8, "alpha": "matrix"}, "alpha"),
        ({"dim": 8, "dropout": 1.0}, "dropout"),
        ({"dim": 8, "num_steps": 0}, "num_steps"),
        ({"dim": 8, "causal": True, "aligned": False}, "aligned"),
    ],
)
def test_wrong_arguments(arguments, message):
    with pytest.raises(ValueError, match=message):
        ATDFusion(**arguments)


def test_wrong_inputs():
    with pytest.raises(ValueError, match="at least two"):
        ATDFusion(8)(numbers(1, 2, 5, 4))
    with pytest.raises(ValueError, match="time, features"):
        ATDFusion(8)([*numbers(1, 2, 5, 4), *numbers(1, 2, 5)])
    with pytest.raises(ValueError, match="same number of steps"):
        ATDFusion(8, causal=True)(numbers(2, (2, 5, 4), (2, 6, 4)))
    with pytest.raises(ValueError, match="one per modality"):
        ATDFusion(8)(numbers(2, 2, 5, 4), mask=[None])
