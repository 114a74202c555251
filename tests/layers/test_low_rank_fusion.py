import numpy as np
import pytest
from backends import run
from harness import assert_close, built, check_fusion, numbers
from reference import interpolate, named_weights

from keras_mmfusion.layers import LowRankFusion


def test_contract(tmp_path):
    check_fusion(lambda **k: LowRankFusion(5, rank=2, **k), tmp_path / "m.keras")


def low_rank(layer, vectors):
    """The weight tensor made in full and contracted with the outer product."""
    w = named_weights(layer)
    letters = "abcde"[: len(vectors)]
    factors = []
    for m, x in enumerate(vectors):
        full = np.vstack([w[f"factor_{m}/kernel"], w[f"factor_{m}/bias"]])
        factors.append(full.reshape(x.shape[-1] + 1, layer.rank, layer.dim))
    of_factors = ",".join(f"{letter}ro" for letter in letters)
    tensor = np.einsum(
        f"r,{of_factors}->{letters}o", w["rank_weights/kernel"][:, 0], *factors
    )
    ones = [np.concatenate([x, np.ones((len(x), 1))], axis=1) for x in vectors]
    of_vectors = ",".join(f"n{letter}" for letter in letters)
    return np.einsum(f"{letters}o,{of_vectors}->no", tensor, *ones) + w["bias"]


def test_equation():
    x = numbers(3, (2, 5, 4), (2, 8, 3), (2, 1, 2))
    layer = built(lambda: LowRankFusion(6, rank=3), x)
    means = [v.astype("float64").mean(1) for v in x]
    output, scores = run(layer, x, return_attention_scores=True)
    assert scores == [] and output.shape == (2, 1, 6)
    assert_close(output[:, 0], low_rank(layer, means))
    # The mean of the valid steps; a modality that is missing is [0, …, 0, 1].
    masks = [np.array([[1, 0, 1, 1, 0], [1] * 5], bool), np.ones((2, 8), bool), None]
    masks[1][0] = False
    means[0][0] = x[0][0, [0, 2, 3]].mean(0)
    means[1][0] = 0
    assert_close(run(layer, x, masks)[:, 0], low_rank(layer, means))


@pytest.mark.parametrize("steps", [(5, 5), (5, 8)])
def test_step_by_step(steps):
    x = numbers(2, (2, steps[0], 4), (2, steps[1], 3))
    layer = built(lambda: LowRankFusion(6, pooling=None), x)
    other = interpolate(x[1], steps[0])
    output = run(layer, x)
    for t in range(steps[0]):
        assert_close(output[:, t], low_rank(layer, [x[0][:, t], other[:, t]]))


def test_wrong_arguments():
    with pytest.raises(ValueError, match="rank"):
        LowRankFusion(6, rank=0)
    with pytest.raises(ValueError, match="pooling"):
        LowRankFusion(6, pooling="max")
    with pytest.raises(ValueError, match="same number of steps"):
        x = numbers(2, (2, 5, 4), (2, 6, 4))
        LowRankFusion(6, pooling=None, aligned=True)(x)
