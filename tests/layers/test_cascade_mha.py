import numpy as np
import pytest
from backends import only_on, run
from harness import assert_close, built, check_fusion, numbers
from reference import dense, interpolate, multi_head, named_weights

from keras_mmfusion.layers import CascadeMHA


@pytest.mark.parametrize(
    "block_diagonal", [False, pytest.param(True, marks=only_on("torch"))]
)
def test_contract(tmp_path, block_diagonal):
    def make(**kwargs):
        return CascadeMHA(8, 2, block_diagonal=block_diagonal, **kwargs)

    check_fusion(make, tmp_path / "m.keras")


def full(weights, name, heads):
    """Projections of a block-diagonal attention as full matrices."""
    found = dict(weights)
    for part in ("query", "key", "value"):
        kernel = weights.get(f"{name}/{part}/blocks/kernel")
        if kernel is not None:
            width = kernel.shape[1]
            matrix = np.zeros((heads * width, heads * width))
            for h in range(heads):
                block = slice(h * width, (h + 1) * width)
                matrix[block, block] = kernel[h]
            found[f"{name}/{part}/kernel"] = matrix
            if part != "key":
                bias = weights[f"{name}/{part}/blocks/bias"]
                found[f"{name}/{part}/bias"] = bias.reshape(-1)
    return found


def cascade(layer, x, orders, heads=2, missing=()):
    """Eq. 3 to 7, an order after the other."""
    w = named_weights(layer)
    z = [dense(v.astype("float64"), w, f"projection_{m}") for m, v in enumerate(x)]
    results = []
    for order in orders:
        fused, name, there = z[order[0]], f"stage_{order[0]}", order[0] not in missing
        for m in order[1:]:
            name = f"{name}_{m}"
            first, second = fused, z[m]
            steps = first.shape[1]
            if there and m not in missing:
                v = full(full(w, f"{name}/to_second", heads), f"{name}/to_first", heads)
                to_second, _ = multi_head(second, first, v, f"{name}/to_second", heads)
                to_first, _ = multi_head(first, second, v, f"{name}/to_first", heads)
                both = [interpolate(to_second, steps), to_first]
                fused = dense(np.concatenate(both, -1), w, f"{name}/joint")
            elif not there:
                fused, there = interpolate(second, steps), m not in missing
        results.append(interpolate(fused, z[0].shape[1]))
    if len(results) == 1:
        return results[0]
    return dense(np.concatenate(results, -1), w, "combination")


ALL = {
    2: [(0, 1)],
    3: [(0, 1, 2), (0, 2, 1), (1, 2, 0)],  # MTI, MIT, TIM
    4: [
        *[(0, 1, 2, 3), (0, 1, 3, 2), (0, 2, 1, 3), (0, 2, 3, 1), (0, 3, 1, 2)],
        *[(0, 3, 2, 1), (1, 2, 0, 3), (1, 2, 3, 0), (1, 3, 0, 2), (1, 3, 2, 0)],
        *[(2, 3, 0, 1), (2, 3, 1, 0)],
    ],
}
SHAPES = [(2, 5, 4), (2, 8, 3), (2, 5, 2), (2, 3, 6)]


@pytest.mark.parametrize("block_diagonal", [False, True])
@pytest.mark.parametrize("count", ALL)
def test_equations(count, block_diagonal):
    x = numbers(count, *SHAPES[:count])
    layer = built(lambda: CascadeMHA(8, 2, block_diagonal=block_diagonal), x)
    assert_close(run(layer, x), cascade(layer, x, ALL[count]))


@pytest.mark.parametrize(
    ("orders", "expected"),
    [
        ("canonical", [(0, 1, 2)]),
        ([(1, 2, 0)], [(1, 2, 0)]),
        ([(2, 1, 0), (0, 1, 2)], [(1, 2, 0), (0, 1, 2)]),
    ],
)
def test_orders(orders, expected):
    x = numbers(3, *SHAPES[:3])
    layer = built(lambda: CascadeMHA(8, 2, orders), x)
    assert_close(run(layer, x), cascade(layer, x, expected))


def test_orders_that_begin_alike_share_their_stages():
    x = numbers(4, *SHAPES)
    layer = built(lambda: CascadeMHA(8, 2, [(0, 1, 2, 3), (1, 0, 3, 2)]), x)
    names = [stage.name for stage in layer.stages]
    pairs, longer = names[:1], ["0_1_2", "0_1_3", "0_1_2_3", "0_1_3_2"]
    assert pairs == ["stage_0_1"] and names[1:] == [f"stage_{n}" for n in longer]
    asked = [("b", "a"), ("a", "b"), ("c", "a + b"), ("a + b", "c")]
    assert layer.attention_names("abcd")[:4] == asked


@pytest.mark.parametrize("missing", [(0,), (1,), (2,), (0, 2), (0, 1)])
def test_what_is_missing_is_passed_by(missing):
    x = numbers(3, (2, 5, 4), (2, 5, 3), (2, 5, 2))
    layer = built(lambda: CascadeMHA(8, 2), x)
    masks = [np.full((2, 5), m not in missing) for m in range(3)]
    expected = cascade(layer, x, ALL[3], missing=missing)
    assert_close(run(layer, x, masks), expected)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"num_heads": 3}, "multiple"),
        ({"causal": True, "aligned": False}, "aligned=False"),
        ({"orders": "some"}, 'must be "all"'),
        ({"orders": []}, 'must be "all"'),
        ({"orders": [(0, 1)]}, r"name the modalities \[0, 1, 2\] once"),
        ({"orders": [(0, 1, 1)]}, "once"),
    ],
)
def test_wrong_arguments(arguments, message):
    with pytest.raises(ValueError, match=message):
        CascadeMHA(8, **arguments)(numbers(3, 2, 5, 4))
