"""The same weights give the same numbers on every backend, and always have."""

import numpy as np
import pytest
from harness import assert_close
from make_layers import CASES, FILE, outputs


@pytest.fixture(scope="module")
def frozen():
    with np.load(FILE) as arrays:
        return dict(arrays)


def test_no_case_is_missing(frozen):
    assert {key.split("/")[0] for key in frozen} == set(CASES)


@pytest.mark.parametrize("name", CASES)
def test_parity(frozen, name):
    def stored(kind):
        prefix = f"{name}/{kind}_"
        count = sum(key.startswith(prefix) for key in frozen)
        return [frozen[f"{prefix}{i}"] for i in range(count)]

    expected = stored("output")
    _, _, result = outputs(name, stored("weight"))
    assert len(result) == len(expected) > 0
    for actual, value in zip(result, expected, strict=True):
        assert_close(actual.astype("float32"), value, 1e-5)
