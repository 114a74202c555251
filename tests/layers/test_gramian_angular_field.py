"""Its numbers are compared with those of pyts in test_pictures.py."""

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
