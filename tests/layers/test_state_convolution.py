import keras
import numpy as np
import pytest
from backends import gradients, run
from harness import assert_close, numbers, scale_of
from keras import ops

from keras_mmfusion.layers import _state_convolution
from keras_mmfusion.layers._state_convolution import StateConvolution

WAYS = ["patches", "winograd"]


def array(*shape):
    return numbers(1, *shape)[0]


def convolution(by, size, channels=3, filters=5, **kwargs):
    layer = StateConvolution(filters, (3, 3), by=by, **kwargs)
    layer.build((None, *size, channels))
    layer.kernel.assign(array(3, 3, channels, filters))
    return layer


def by_hand(x, kernel):
    """The sum over neighbours, in 64 bits."""
    x, kernel = x.astype("float64"), np.asarray(kernel, "float64")
    height, width = x.shape[1:3]
    x = np.pad(x, [(0, 0), (1, 1), (1, 1), (0, 0)])
    return sum(
        x[:, r : r + height, c : c + width] @ kernel[r, c]
        for r in range(3)
        for c in range(3)
    )


@pytest.mark.parametrize("by", ["direct", *WAYS])
@pytest.mark.parametrize("size", [(1, 1), (3, 2), (4, 4), (5, 8), (9, 7)])
def test_against_the_sum(by, size):
    layer, x = convolution(by, size), array(2, *size, 3)
    expected = by_hand(x, ops.convert_to_numpy(layer.kernel))
    assert_close(run(layer, x), expected, 1e-5 * scale_of(expected))


@pytest.mark.parametrize("by", WAYS)
def test_gradients(by):
    x = array(2, 6, 5, 3)
    direct, fast = (convolution(way, (6, 5)) for way in ("direct", by))
    ([of_x], of_kernel), ([x_found], kernel_found) = (
        gradients(layer, x) for layer in (direct, fast)
    )
    assert_close(x_found, of_x, 1e-4)
    assert_close(*kernel_found.values(), *of_kernel.values(), 1e-4)


def test_half_precision_is_not_made_worse():
    """Products of sums have larger errors, so they are made in 32 bits."""
    x, errors = array(2, 8, 8, 16), {}
    for by in ("direct", "winograd"):
        layer = convolution(by, (8, 8), 16, dtype="float16")
        expected = by_hand(x, ops.convert_to_numpy(layer.kernel))
        errors[by] = np.abs(np.asarray(run(layer, x), "float64") - expected).max()
        assert layer.compute_dtype == "float16"
    assert errors["winograd"] <= 2 * errors["direct"]


@pytest.mark.parametrize("channels", [3, 16, 64])
@pytest.mark.parametrize("devices", [["cpu:0"], ["gpu:0"]])
def test_what_is_fast_here(monkeypatch, devices, channels):
    taken = []
    monkeypatch.setattr(keras.distribution, "list_devices", lambda *args: devices)
    for name, way in (
        ("_convolve_patches", "patches"),
        ("convolve_tiles", "winograd"),
    ):
        monkeypatch.setattr(
            _state_convolution,
            name,
            lambda x, kernel, way=way: (
                taken.append(way) or ops.conv(x, kernel, padding="same")
            ),
        )

    def way(training, size=(4, 5), **kwargs):
        taken.clear()
        layer = convolution("auto", size, channels, **kwargs)
        run(layer, array(1, *size, channels), raw=True, training=training)
        return taken[0] if taken else "direct"

    backend, on_cpu = keras.backend.backend(), "cpu:0" in devices
    otherwise = "patches" if backend == "jax" and on_cpu else "direct"
    least = {"jax": 16, "tensorflow": 64}.get(backend, np.inf)
    fast = "winograd" if on_cpu and channels >= least else otherwise
    assert way(training=False) == "direct"
    assert way(training=True) == fast
    # Of another size: what JAX has traced once is not called again.
    assert way(training=None, size=(6, 5)) == (fast if backend == "jax" else otherwise)
    assert way(training=True, size=(3, 4)) == otherwise
    assert way(training=True, dtype="float16") == otherwise
