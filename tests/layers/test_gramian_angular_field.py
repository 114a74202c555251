import importlib.util
import itertools
import os
import subprocess
import sys

import numpy as np
import pytest
from backends import gradients, run
from harness import assert_close, check_layer, numbers

from keras_mmfusion.layers import GramianAngularField


@pytest.mark.parametrize("method", ["summation", "difference"])
def test_contract(tmp_path, method):
    check_layer(
        lambda **k: GramianAngularField(4, method, **k),
        numbers(1, 3, 10, 2)[0],
        path=tmp_path / "m.keras",
        train=False,
    )


SIZES = [(None, 20), (7, 20), (22, 30), (48, 96)]
METHODS = ["summation", "difference"]
PYTS = """
import sys, numpy as np
from pyts.image import GramianAngularField
arrays = dict(np.load(sys.argv[1]))
for key, x in arrays.items():
    size, method = key.split("_")[:2]
    size = 1.0 if size == "None" else int(size)
    arrays[key] = GramianAngularField(image_size=size, method=method).transform(x)
np.savez(sys.argv[2], **arrays)
"""


@pytest.fixture(scope="module")
def from_pyts(tmp_path_factory):
    """The pictures pyts makes, in a process of its own: numba compiles for a minute."""
    if importlib.util.find_spec("pyts") is None:
        pytest.skip("needs pyts: pip install pyts")
    folder = tmp_path_factory.mktemp("pyts")
    series = {
        f"{size}_{method}_{channel}": numbers(1, 3, steps, 2)[0][..., channel]
        for (size, steps), method, channel in itertools.product(SIZES, METHODS, (0, 1))
    }
    np.savez(folder / "in.npz", **series)
    subprocess.run(
        [sys.executable, "-c", PYTS, folder / "in.npz", folder / "out.npz"],
        env={**os.environ, "NUMBA_DISABLE_JIT": "1"},
        check=True,
    )
    return dict(np.load(folder / "out.npz"))


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("size, steps", SIZES)
def test_equals_pyts(from_pyts, method, size, steps):
    x = numbers(1, 3, steps, 2)[0]
    image = run(GramianAngularField(size, method), x)
    for channel in (0, 1):
        expected = from_pyts[f"{size}_{method}_{channel}"]
        assert_close(image[..., channel], expected, 1e-5)


def test_flat_series():
    x = np.full((2, 6, 1), 3.0, "f")
    assert_close(run(GramianAngularField(), x), np.full((2, 6, 6, 1), -1.0))
    image = run(GramianAngularField(method="difference"), x)
    assert_close(image, np.zeros((2, 6, 6, 1)))
    x[0, :3] = 2.0  # two levels: both ends of the range
    for method in ("summation", "difference"):
        by_input, _ = gradients(GramianAngularField(4, method), x)
        assert np.isfinite(by_input[0]).all()


def test_further_axes():
    x = numbers(1, 2, 3, 8, 2)[0]
    layer = GramianAngularField(4)
    image = run(layer, x)
    assert image.shape == (2, 3, 4, 4, 2)
    assert_close(image[:, 1], run(GramianAngularField(4), x[:, 1]), 1e-6)


def test_errors():
    with pytest.raises(ValueError, match="method"):
        GramianAngularField(method="product")
    with pytest.raises(ValueError, match="image_size"):
        GramianAngularField(9)(numbers(1, 2, 8, 1)[0])
    with pytest.raises(ValueError, match="time, channels"):
        GramianAngularField()(numbers(1, 2, 8)[0])
