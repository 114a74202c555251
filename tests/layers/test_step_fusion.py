import numpy as np
import pytest
from backends import run
from harness import assert_close, built, check_fusion, numbers
from reference import below, conv, named_weights, step_fusion

from keras_mmfusion.layers import StepFusion


def test_contract(tmp_path):
    def make(**kwargs):
        return StepFusion(8, num_heads=2, **kwargs)

    check_fusion(make, tmp_path / "m.keras")


@pytest.mark.parametrize("steps", [(6, 6), (5, 8)])
def test_equations(steps):
    x = numbers(2, (2, steps[0], 4), (2, steps[1], 3))
    layer = built(lambda: StepFusion(8, 2, kernel_size=4), x)
    expected, scores = step_fusion(named_weights(layer), *x, 2)
    output, weights = run(layer, x, return_attention_scores=True)
    assert_close(output, expected)
    assert_close(weights[0], scores)


def test_causal():
    x = numbers(2, (2, 6, 4), (2, 6, 3))
    layer = built(lambda: StepFusion(8, 2, causal=True), x)
    before = run(layer, x)
    later = [v.copy() for v in x]
    for v in later:
        v[:, 4:] += 1
    after = run(layer, later)
    assert_close(after[:, :4], before[:, :4], 1e-6)
    assert np.abs(after[:, 4:] - before[:, 4:]).max() > 1e-2


def test_three_modalities_are_a_left_fold():
    x = numbers(3, (2, 5, 4), (2, 7, 3), (2, 5, 2))
    layer = built(lambda: StepFusion(8, 2), x)
    weights = named_weights(layer)
    first, _ = step_fusion(weights, *x[:2], 2)
    expected, _ = step_fusion(weights, first, x[2], 2, prefix="fold_1/")
    output, scores = run(layer, x, return_attention_scores=True)
    assert_close(output, expected)
    assert [s.shape for s in scores] == [(2, 2, 5, 7), (2, 2, 5, 5)]


def test_without_modality_2_the_first_is_convolved_alone():
    x = numbers(2, (2, 5, 4), (2, 7, 3))
    layer = built(lambda: StepFusion(8, 2), x)
    weights = below(named_weights(layer), "fold_0/")
    first = step_fusion(named_weights(layer), *x, 2, part="first")
    expected = conv(first, weights, "global_conv", False)
    masks = [None, np.zeros((2, 7), bool)]
    assert_close(run(layer, x, masks), expected)


def test_wrong_arguments():
    with pytest.raises(ValueError, match="multiple"):
        StepFusion(6)
    with pytest.raises(ValueError, match="kernel_size"):
        StepFusion(8, kernel_size=0)
    with pytest.raises(ValueError, match="same number of steps"):
        StepFusion(8, causal=True)(numbers(2, (2, 5, 4), (2, 6, 4)))
