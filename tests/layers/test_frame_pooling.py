import numpy as np
import pytest
from backends import run
from harness import check_layer, numbers

from keras_mmfusion.layers import FramePooling


@pytest.mark.parametrize("size", [1, 2, 3])
def test_maximum_of_tiles(size):
    x = numbers(1, 2, 3, 7, 6, 4)[0]
    found = run(FramePooling(size), x)
    rows, columns = 7 // size, 6 // size
    tiles = x[:, :, : rows * size, : columns * size]
    tiles = tiles.reshape(2, 3, rows, size, columns, size, 4)
    np.testing.assert_array_equal(found, tiles.max(axis=(3, 5)))


def test_contract(tmp_path):
    x = numbers(1, 3, 5, 4, 4, 2)[0]
    mask = np.arange(5) < np.array([[5], [2], [1]])
    path = tmp_path / "m.keras"
    layer = check_layer(FramePooling, x, mask, path=path, train=False)
    assert layer.compute_mask(x, mask) is mask
    for shape in ((2, 3, 4, 2), (2, 3, 1, 4, 2), (2, 3, None, 4, 2)):
        with pytest.raises(ValueError, match="FramePooling expects"):
            layer.compute_output_shape(shape)
