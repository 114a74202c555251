"""What every recipe does with the numbers of its seeds."""

import warnings

import numpy as np
import pytest
from backends import once
from recipe_modules import recipe_modules

(common,) = recipe_modules("", "common")
NAN = float("nan")
pytestmark = once


@pytest.mark.parametrize(
    ("values", "mean", "sd"),
    [
        ([0.5], 0.5, None),
        ([1.0, 2.0, 4.0], 2.33333, 1.52753),
        ([1.0, NAN, 2.0], 1.5, 0.70711),
        # Of a class that no model predicts, or only one of them.
        ([NAN], NAN, None),
        ([NAN, 0.5], 0.5, NAN),
        ([NAN, NAN, NAN], NAN, NAN),
    ],
)
def test_spread_over_seeds(values, mean, sd):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = common.spread(values)
    np.testing.assert_equal(found, {"mean": mean, "sd": sd, "n": len(values)})
