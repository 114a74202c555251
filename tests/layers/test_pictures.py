"""Recurrence plots, Markov transition fields, folded periods; pyts for all pictures."""

import keras
import numpy as np
import pytest
from backends import gradients, run
from harness import assert_close, check_layer, numbers
from import_pyts import import_pyts

from keras_mmfusion.layers import (
    GramianAngularField,
    MarkovTransitionField,
    PeriodFold,
    RecurrencePlot,
)

# name: (layer, pyts class and arguments, steps)
CASES = {
    "rp": (RecurrencePlot(), "RecurrencePlot", {}, 20),
    "rp_states": (
        RecurrencePlot(dimension=3, delay=2),
        "RecurrencePlot",
        {"dimension": 3, "time_delay": 2},
        20,
    ),
    "rp_number": (
        RecurrencePlot(threshold=0.7),
        "RecurrencePlot",
        {"threshold": 0.7},
        20,
    ),
    "rp_distance": (
        RecurrencePlot(dimension=2, threshold="distance", percentage=30),
        "RecurrencePlot",
        {"dimension": 2, "threshold": "distance", "percentage": 30},
        20,
    ),
    "rp_point": (
        RecurrencePlot(threshold="point", percentage=25),
        "RecurrencePlot",
        {"threshold": "point", "percentage": 25},
        21,
    ),
    "mtf": (MarkovTransitionField(), "MarkovTransitionField", {}, 24),
    "mtf_segments": (
        MarkovTransitionField(8, num_bins=4),
        "MarkovTransitionField",
        {"image_size": 8, "n_bins": 4},
        24,
    ),
    "mtf_unlike_segments": (
        MarkovTransitionField(7, num_bins=3),
        "MarkovTransitionField",
        {"image_size": 7, "n_bins": 3},
        30,
    ),
    "mtf_uniform": (
        MarkovTransitionField(num_bins=6, strategy="uniform"),
        "MarkovTransitionField",
        {"n_bins": 6, "strategy": "uniform"},
        24,
    ),
}
for size, steps in ((None, 20), (7, 20), (22, 30), (48, 96)):
    for method in ("summation", "difference"):
        CASES[f"gaf_{method}_{size}"] = (
            GramianAngularField(size, method),
            "GramianAngularField",
            {"image_size": size or 1.0, "method": method},
            steps,
        )


def series(name):
    return numbers(1, 3, CASES[name][3], 2, seed=len(name))[0]


@pytest.mark.parametrize("name", CASES)
def test_equals_pyts(name):
    layer, cls, arguments, _ = CASES[name]
    theirs, x = getattr(import_pyts(), cls)(**arguments), series(name)
    expected = np.stack([theirs.transform(x[..., c]) for c in (0, 1)], axis=-1)
    assert_close(run(layer, x), expected, 1e-5)


LAYERS = {
    "rp": lambda **k: RecurrencePlot(6, dimension=2, **k),
    "rp_threshold": lambda **k: RecurrencePlot(threshold="distance", **k),
    "mtf": lambda **k: MarkovTransitionField(4, 3, **k),
    "fold": lambda **k: PeriodFold(4, **k),
    "fold_padded": lambda **k: PeriodFold(4, "pad", **k),
}


@pytest.mark.parametrize("name", LAYERS)
def test_contract(tmp_path, name):
    if name in ("rp_threshold", "mtf"):  # A bin is another one in half precision.
        x = np.round(numbers(1, 3, 10, 2)[0] * 4) / 4
    else:
        x = numbers(1, 3, 10, 2)[0]
    path = tmp_path / "m.keras" if name in ("rp", "mtf") else None
    check_layer(LAYERS[name], x, path=path, train=False)


@pytest.mark.parametrize("name", LAYERS)
def test_flat_line_and_steps(name):
    x = np.full((2, 8, 1), 3.0, "f")
    x[0, :3] = 2.0
    image = run(LAYERS[name](), x)
    assert np.isfinite(image).all()
    by_input, _ = gradients(LAYERS[name](), x)
    assert np.isfinite(by_input[0]).all()
    expected = {"rp": 0.0, "rp_threshold": 0.0, "mtf": 1.0, "fold": 3.0}
    flat = image[1] if name != "fold_padded" else image[1][:, :, 0].ravel()
    assert_close(flat, np.full(flat.shape, expected.get(name, 3.0)), 1e-6)


@pytest.mark.parametrize("name", LAYERS)
def test_further_axes(name):
    x = numbers(1, 2, 3, 8, 2)[0]
    image = run(LAYERS[name](), x)
    assert_close(image[:, 1], run(LAYERS[name](), x[:, 1]), 1e-6)


def test_soft_gradients_point_the_right_way():
    """To move a value over an edge of its bin is what the gradient says it is."""
    x = np.array([0.0, 1.0, 0.45, 0.2, 0.9, 0.55], "f")[None, :, None]
    layer = MarkovTransitionField(num_bins=2, strategy="uniform")
    by_input, _ = gradients(layer, x)
    near, far = np.abs(by_input[0][0, 2, 0]), np.abs(by_input[0][0, 3, 0])
    assert near > 10 * far


def test_periods():
    x = np.arange(11, dtype="f").reshape(1, 11, 1)
    image = run(PeriodFold(4), x)[0, :, :, 0]
    assert image.tolist() == [[3, 4, 5, 6], [7, 8, 9, 10]]
    image = run(PeriodFold(4, "pad"), x)[0, :, :, 0]
    assert image.tolist() == [[0, 0, 1, 2], [3, 4, 5, 6], [7, 8, 9, 10]]
    image = run(PeriodFold(4), x[:, :8])[0, :, :, 0]
    assert image.tolist() == [[0, 1, 2, 3], [4, 5, 6, 7]]
    shape = PeriodFold(4).compute_output_shape((None, None, 2))
    assert shape == (None, None, 4, 2)


def test_errors():
    x = numbers(1, 2, 8, 1)[0]
    with pytest.raises(ValueError, match="at least one period of 9"):
        PeriodFold(9)(x)
    with pytest.raises(ValueError, match="remainder"):
        PeriodFold(4, "wrap")
    with pytest.raises(ValueError, match="spans 9 steps"):
        RecurrencePlot(dimension=3, delay=4)(x)
    with pytest.raises(ValueError, match="threshold"):
        RecurrencePlot(threshold="half")
    with pytest.raises(ValueError, match="percentage"):
        RecurrencePlot(percentage=101)
    with pytest.raises(ValueError, match="num_bins"):
        MarkovTransitionField(num_bins=1)
    for layer in (MarkovTransitionField(9), RecurrencePlot(9)):
        with pytest.raises(ValueError, match="image_size"):
            layer(x)
    with pytest.raises(ValueError, match="time, channels"):
        MarkovTransitionField()(keras.ops.ones((2, 8)))


@pytest.mark.parametrize("remainder", ["drop", "pad"])
def test_a_day_is_missing_where_all_its_hours_are(remainder):
    layer = PeriodFold(4, remainder)
    mask = np.ones((2, 10), bool)
    mask[0, 2:6] = mask[0, 7] = False
    found = keras.ops.convert_to_numpy(layer.compute_mask(None, mask))
    days = [[False, True], [True, True]]
    first = [[True], [True]] if remainder == "pad" else [[], []]
    assert found.tolist() == [a + b for a, b in zip(first, days, strict=True)]


def test_mask_of_a_picture_in_a_model():
    x = keras.Input((8, 2))
    picture = PeriodFold(4)(keras.layers.Masking()(x))
    days = keras.layers.TimeDistributed(keras.layers.Flatten())(picture)
    model = keras.Model(x, keras.layers.GlobalAveragePooling1D()(days))
    series = np.ones((1, 8, 2), "float32")
    series[0, 4:] = 0  # The second day is missing.
    assert np.allclose(model(series), 1)
