"""The same weights give the same numbers on every backend, and always have."""

import pytest
from harness import assert_close
from make_layers import CASES, load, outputs

from keras_mmfusion import layers


@pytest.fixture(scope="module")
def frozen():
    return load()


def test_no_case_is_missing(frozen):
    assert set(frozen) == set(CASES)
    made = [make() for make, *_ in CASES.values()]
    # The parts of a model as well.
    parts = [part for layer in made for part in getattr(layer, "layers", [layer])]
    assert set(layers.__all__) <= {type(part).__name__ for part in parts}


@pytest.mark.parametrize("name", CASES)
def test_parity(frozen, name):
    seed, weights, expected = frozen[name]
    _, _, result = outputs(name, seed, weights)
    assert len(result) == len(expected) > 0
    for actual, value in zip(result, expected, strict=True):
        assert_close(actual.astype("float32"), value, 1e-5)
