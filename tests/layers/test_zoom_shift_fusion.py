import numpy as np
import pytest
from backends import only_on, run
from harness import assert_close, built, check_fusion, numbers
from reference import atd_guide, dense, interpolate, multi_head, named_weights

from keras_mmfusion.layers import ZoomShiftFusion


@pytest.mark.parametrize("guide", [True, pytest.param(False, marks=only_on("torch"))])
def test_contract(tmp_path, guide):
    def make(**kwargs):
        return ZoomShiftFusion(8, 2, guide=guide, **kwargs)

    check_fusion(make, tmp_path / "m.keras")


def zoom_shift(layer, x, missing=()):
    w = named_weights(layer)
    f = [dense(v.astype("float64"), w, f"projection_{m}") for m, v in enumerate(x)]
    if layer.guide:
        f = [atd_guide(w, v, m, "guide/", layer.conditional) for m, v in enumerate(f)]
    parts, scores = [], []
    for m, own in enumerate(f):
        moved = own
        for n, other in enumerate(f):
            if n == m or n in missing:
                continue
            answer, weights = multi_head(own, other, w, f"displacement_{m}_{n}", 2)
            moved = moved + answer
            scores.append(weights)
        moved = interpolate(moved, x[0].shape[1])
        parts.append(0 * moved if m in missing else moved)
    return dense(np.concatenate(parts, -1), w, "fusion"), scores


@pytest.mark.parametrize(
    "options", [{}, {"conditional": False}, {"guide": False}], ids=str
)
def test_equations(options):
    x = numbers(3, (2, 5, 4), (2, 8, 3), (2, 5, 2))
    layer = built(lambda: ZoomShiftFusion(8, 2, **options), x)
    expected, expected_scores = zoom_shift(layer, x)
    output, scores = run(layer, x, return_attention_scores=True)
    assert_close(output, expected)
    for actual, weights in zip(scores, expected_scores, strict=True):
        assert_close(actual, weights)


@pytest.mark.parametrize("missing", [(0,), (1,), (1, 2)])
def test_what_is_missing_adds_nothing(missing):
    x = numbers(3, (2, 5, 4), (2, 5, 3), (2, 5, 2))
    layer = built(lambda: ZoomShiftFusion(8, 2), x)
    masks = [np.full((2, 5), m not in missing) for m in range(3)]
    assert_close(run(layer, x, masks), zoom_shift(layer, x, missing)[0])


def test_names_of_the_scores():
    layer = ZoomShiftFusion(8, 2)
    pairs = [("a", "b"), ("a", "c"), ("b", "a"), ("b", "c"), ("c", "a"), ("c", "b")]
    assert layer.attention_names("abc") == pairs


def test_wrong_arguments():
    with pytest.raises(ValueError, match="multiple"):
        ZoomShiftFusion(6)
    with pytest.raises(ValueError, match="aligned=False"):
        ZoomShiftFusion(8, causal=True, aligned=False)
