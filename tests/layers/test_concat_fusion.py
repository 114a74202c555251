import numpy as np
from backends import run
from harness import assert_close, built, check_fusion, numbers
from reference import dense, interpolate, named_weights

from keras_mmfusion.layers import ConcatFusion


def test_contract(tmp_path):
    check_fusion(lambda **k: ConcatFusion(5, "tanh", **k), tmp_path / "m.keras")


def test_equation_with_flags():
    x = numbers(2, (2, 5, 4), (2, 8, 3))
    layer = built(lambda: ConcatFusion(6), x)
    ones = np.ones((2, 5, 1))
    other = interpolate(x[1], 5)
    joined = np.concatenate([x[0], ones, other, ones], axis=-1)
    expected = dense(joined, named_weights(layer), "projection")
    assert_close(run(layer, x), expected)
    masks = [None, np.array([[True] * 8, [False] * 8])]
    joined[1, :, 5:] = 0
    expected = dense(joined, named_weights(layer), "projection")
    assert_close(run(layer, x, masks), expected)
    output, scores = run(layer, x, return_attention_scores=True)
    assert output.shape == (2, 5, 6) and scores == []


def test_missing_differs_from_zero():
    x = numbers(2, 2, 5, 3)
    x[1][:] = 0
    layer = built(lambda: ConcatFusion(6), x)
    missing = run(layer, x, [None, np.zeros((2, 5), bool)])
    assert np.abs(missing - run(layer, x)).max() > 1e-2
