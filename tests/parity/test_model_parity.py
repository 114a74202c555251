"""A recording gives the same probabilities on every backend, and always has."""

import numpy as np
import pytest
from harness import assert_close
from make_model import CASES, FILE, build, outputs


@pytest.fixture(scope="module")
def frozen():
    with np.load(FILE) as arrays:
        return dict(arrays)


@pytest.mark.parametrize("case", CASES)
def test_model_parity(frozen, case):
    owner = "offline" if case == "causal" else case
    count = sum(key.startswith(f"{owner}/weight") for key in frozen)
    weights = [frozen[f"{owner}/weight_{i}"] for i in range(count)]
    expected = frozen[f"{case}/output"]
    # Frozen probabilities that say something.
    assert np.ptp(expected, axis=0).max() > 0.1 and expected.max() < 0.999
    result = outputs(build(case), weights, CASES[case][1])
    assert_close(result, expected, 1e-5, "probabilities")
