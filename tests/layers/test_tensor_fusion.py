import numpy as np
import pytest
from backends import run
from harness import assert_close, built, check_fusion, numbers
from reference import interpolate, named_weights

from keras_mmfusion.layers import TensorFusion


@pytest.mark.parametrize("max_size", [16384, 10])
def test_contract(tmp_path, max_size):
    def make(**kwargs):
        return TensorFusion(5, "tanh", max_size=max_size, **kwargs)

    check_fusion(make, tmp_path / "m.keras")


def tensor(vectors):
    ones = [np.concatenate([x, np.ones((len(x), 1))], axis=1) for x in vectors]
    letters = "abcde"[: len(vectors)]
    equation = ",".join(f"n{letter}" for letter in letters) + f"->n{letters}"
    return np.einsum(equation, *ones).reshape(len(vectors[0]), -1)


def projected(layer, vectors):
    w = named_weights(layer)
    return tensor(vectors) @ w["projection/kernel"] + w["projection/bias"]


def test_equation():
    x = numbers(3, (2, 5, 4), (2, 8, 3), (2, 1, 2))
    layer = built(lambda: TensorFusion(6), x)
    assert layer.widths == [4, 3, 2]
    means = [v.astype("float64").mean(1) for v in x]
    output, scores = run(layer, x, return_attention_scores=True)
    assert scores == [] and output.shape == (2, 1, 6)
    assert_close(output[:, 0], projected(layer, means))
    # The mean of the valid steps; a modality that is missing is [0, …, 0, 1].
    masks = [np.array([[1, 0, 1, 1, 0], [1] * 5], bool), np.ones((2, 8), bool), None]
    masks[1][0] = False
    means[0][0] = x[0][0, [0, 2, 3]].mean(0)
    means[1][0] = 0
    assert_close(run(layer, x, masks)[:, 0], projected(layer, means))


def test_step_by_step():
    x = numbers(2, (2, 5, 4), (2, 8, 3))
    layer = built(lambda: TensorFusion(6, pooling=None), x)
    other = interpolate(x[1], 5)
    output = run(layer, x)
    for t in range(5):
        assert_close(output[:, t], projected(layer, [x[0][:, t], other[:, t]]))


def test_wide_modalities_are_reduced():
    x = numbers(3, (2, 4, 9), (2, 4, 2), (2, 4, 7))
    layer = built(lambda: TensorFusion(6, max_size=110), x)
    assert layer.widths == [5, 2, 5]  # 6 · 3 · 6 entries, where 7 · 3 · 7 is too many
    w = named_weights(layer)
    means = [v.astype("float64").mean(1) for v in x]
    for m in (0, 2):
        means[m] = means[m] @ w[f"reduction_{m}/kernel"] + w[f"reduction_{m}/bias"]
    assert_close(run(layer, x)[:, 0], projected(layer, means))
    masks = [np.zeros((2, 4), bool), None, None]
    means[0][:] = 0
    assert_close(run(layer, x, masks)[:, 0], projected(layer, means))


def test_size_of_the_product():
    for count, width in ((2, 64), (3, 24), (4, 10), (5, 5)):
        layer = TensorFusion(3)
        layer.build([(None, None, 64)] * count)
        assert layer.widths == [width] * count
    with pytest.raises(ValueError, match="at least 32 entries"):
        TensorFusion(3, max_size=31).build([(None, None, 64)] * 5)
    with pytest.raises(ValueError, match="max_size"):
        TensorFusion(3, max_size=0)
