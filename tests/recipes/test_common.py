"""What every recipe does with the numbers of its seeds."""

import errno
import warnings

import numpy as np
import pytest
from backends import once
from recipe_modules import recipe_modules

from keras_mmfusion.datasets import RecordError

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


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (RecordError("no table.\nCheck the path."), "error: no table. Check the path."),
        (OSError(errno.ENOSPC, "Disk full"), r"error: \[Errno 28\] Disk full"),
        (KeyboardInterrupt(), "^130$"),
    ],
)
def test_what_users_can_mend_is_one_line(error, code):
    def main():
        raise error

    with pytest.raises(SystemExit, match=code):
        common.as_command(main)


def test_errors_of_our_own_have_a_traceback():
    with pytest.raises(ZeroDivisionError):
        common.as_command(lambda: 1 / 0)


@pytest.mark.parametrize("found", [None, 0, {"ua": 0.5}])
def test_a_script_that_succeeds_does_not_end_who_runs_it(found):
    common.as_command(lambda: found)


def test_exit_code():
    with pytest.raises(SystemExit) as ended:
        common.as_command(lambda: 3)
    assert ended.value.code == 3


def test_nothing_to_score_is_said(tmp_path):
    folders = [tmp_path / "M", tmp_path / "S"]
    with pytest.raises(SystemExit, match=r"runs in .*M or .*S. Received: none. First"):
        common.check_runs(folders)
    (tmp_path / "S" / "atd" / "seed0").mkdir(parents=True)
    (tmp_path / "S" / "atd" / "seed0" / "run.json").touch()
    common.check_runs(folders)
