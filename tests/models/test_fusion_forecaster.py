"""The forecaster: a linear skip, a fusion that starts as zero, and what it may add."""

import keras
import numpy as np
import pytest
from backends import in_turn, once, run
from harness import assert_close

from keras_mmfusion.layers import GramianAngularField, NLinear
from keras_mmfusion.models import FusionForecaster

SHAPES = {"series": (24, 3), "image": (24, 3), "calendar": (24, 2), "phase": (2,)}


def encoders():
    return {
        "series": keras.layers.LSTM(6, return_sequences=True, name="of_series"),
        "image": keras.layers.Conv1D(6, 5, padding="same", name="of_image"),
        "calendar": keras.layers.Dense(6, name="of_calendar"),
    }


def forecaster(**kwargs):
    keras.utils.set_random_seed(0)
    settings = {"inputs": SHAPES, "encoders": encoders(), "fusion": "concat", "dim": 6}
    return FusionForecaster(**{**settings, "horizon": 4, **kwargs})


def data(count=40, seed=0, shapes=SHAPES, horizon=4):
    rng = np.random.default_rng(seed)
    x = {
        n: rng.standard_normal((count, *s)).astype("float32") for n, s in shapes.items()
    }
    columns = shapes["series"][1]
    return x, rng.standard_normal((count, horizon, columns)).astype("float32")


def trained(model, steps=8):
    """A model whose fusion adds something."""
    x, y = data()
    model.fit_closed_form(x, y, alpha=0.1)
    model.compile(keras.optimizers.Adam(0.02), "mse", jit_compile=False)
    for _ in range(steps):
        model.train_on_batch(x, y)
    return model


def test_it_starts_as_its_linear_skip():
    model = forecaster()
    x, y = data()
    model.fit_closed_form(x, y, alpha=0.1)
    alone = NLinear(4)
    alone.fit_closed_form([x["series"], x["phase"]], y, alpha=0.1)
    expected = run(alone, [x["series"], x["phase"]])
    assert_close(run(model, x), expected, 1e-6)


@pytest.mark.parametrize("skip", ["nlinear", "dlinear", "linear", None])
def test_training_moves_the_fusion_and_nothing_else(skip):
    shapes = {n: s for n, s in SHAPES.items() if skip or n != "phase"}
    model = forecaster(skip=skip, inputs=shapes)
    x, y = data(shapes=shapes)
    if skip:
        model.fit_closed_form(x, y, alpha=0.1)
    start = model.get_layer("skip").get_weights()
    first = run(model, x)
    if skip is None:
        assert_close(first, np.repeat(x["series"][:, -1:], 4, axis=1), 1e-6)
    paths = [v.path for v in model.trainable_variables]
    assert not any("skip" in p or "shrinkage" in p for p in paths)
    model.compile(keras.optimizers.Adam(0.02), "mse", jit_compile=False)
    losses = [model.train_on_batch(x, y) for _ in range(12)]
    assert losses[-1] < losses[0]
    for old, new in zip(start, model.get_layer("skip").get_weights(), strict=True):
        assert_close(new, old, 0)
    assert np.abs(run(model, x) - first).max() > 1e-3


def test_columns_are_forecast_one_by_one():
    """By the same weights: what happens in one column changes no other."""
    model = trained(forecaster())
    x, _ = data(6, seed=1)
    whole = run(model, x)
    order = [2, 0, 1]
    turned = {**x, "series": x["series"][..., order], "image": x["image"][..., order]}
    assert_close(run(model, turned), whole[..., order], 1e-5)
    changed = {n: a.copy() for n, a in x.items()}
    changed["series"][..., 1] += 1
    changed["image"][..., 1] *= 2
    output = run(model, changed)
    assert_close(output[..., [0, 2]], whole[..., [0, 2]], 1e-5)
    assert np.abs(output[..., 1] - whole[..., 1]).max() > 0.1


def test_the_fusion_sees_no_level():
    """A series moved to another level is forecast there: the skip does so, too."""
    model = trained(forecaster())
    x, _ = data(6, seed=1)
    moved = {**x, "series": x["series"] + 5, "image": x["image"] - 3}
    assert_close(run(model, moved), run(model, x) + 5, 1e-4)


def test_what_is_missing():
    model = trained(forecaster(modality_dropout=0.3))
    x, _ = data(6, seed=1)
    whole = run(model, x)
    for name in SHAPES:
        without = {n: a.copy() for n, a in x.items()}
        without[name][0] = np.nan
        output = run(model, without)
        assert np.isfinite(output).all()
        assert_close(output[1:], whole[1:], 1e-5)
        assert np.abs(output[0] - whole[0]).max() > 1e-4, name
    nothing = {n: np.full_like(a, np.nan) for n, a in x.items()}
    assert np.isfinite(run(model, nothing)).all()


def test_the_fusion_is_never_worse_on_validation():
    model = trained(forecaster(), steps=30)
    validation = data(30, seed=1)
    without = FusionForecaster({"series": (24, 3), "phase": (2,)}, {}, 4)
    without.get_layer("skip").set_weights(model.get_layer("skip").get_weights())
    part = {n: validation[0][n] for n in ("series", "phase")}
    bar = np.mean(np.square(run(without, part) - validation[1]))

    def error(factor):
        model.get_layer("shrinkage").factor.assign(np.full((4, 1), factor))
        return np.mean(np.square(run(model, validation[0]) - validation[1]))

    factor = model.fit_shrinkage(*validation, batch_size=7)
    best = error(factor)
    assert 0 <= factor <= 1 and best <= bar + 1e-6
    assert error(1.0) > bar, "or there is nothing to shrink in this test"
    for other in np.linspace(0, 1, 11):
        assert error(other) >= best - 1e-6


def test_a_fusion_that_helps_is_kept():
    model = forecaster()
    x, y = data()
    model.fit_closed_form(x, y, alpha=0.1)
    skip = run(model, x)
    rng = np.random.default_rng(3)
    head = model.get_layer("head")
    head.set_weights([0.3 * rng.standard_normal(w.shape) for w in head.get_weights()])
    added = run(model, x) - skip
    assert model.fit_shrinkage(x, skip + 0.25 * added) == pytest.approx(0.25, abs=1e-4)
    assert model.fit_shrinkage(x, skip + 2 * added) == 1.0
    assert model.fit_shrinkage(x, skip - added) == 0.0


def test_a_factor_for_each_horizon():
    """As the best of these steps alone, over the windows that reach them."""
    model = forecaster()
    x, y = data()
    model.fit_closed_form(x, y, alpha=0.1)
    skip = run(model, x)
    head = model.get_layer("head")
    rng = np.random.default_rng(3)
    head.set_weights([0.3 * rng.standard_normal(w.shape) for w in head.get_weights()])
    added = run(model, x) - skip
    y = skip + np.array([0.25, 0.25, 0.75, 0.75])[:, None] * added
    y[-5:, 2:] = np.nan
    found = model.fit_shrinkage(x, y, horizons=(2, 4))
    assert found == pytest.approx({2: 0.25, 4: 0.75}, abs=1e-4)
    assert_close(run(model, x)[:-5], y[:-5], 1e-5)


def test_the_fusion_is_worse_in_no_part():
    """Where it helps in one part and not in the next, it is left out."""
    model = forecaster()
    x, y = data()
    model.fit_closed_form(x, y, alpha=0.1)
    skip = run(model, x)
    head = model.get_layer("head")
    rng = np.random.default_rng(3)
    head.set_weights([0.3 * rng.standard_normal(w.shape) for w in head.get_weights()])
    added = run(model, x) - skip
    for helps, expected in (([0.8, 0.3], 0.3), ([0.8, -0.1], 0.0), ([0.7, 2.0], 0.7)):
        y = skip + np.repeat(helps, 20)[:, None, None] * added
        found = model.fit_shrinkage(x, y, batch_size=7, parts=2)
        assert found == pytest.approx(expected, abs=1e-4)
    # Parts that end before a horizon do not count for it.
    y[20:, 2:] = np.nan
    found = model.fit_shrinkage(x, y, horizons=(2, 4), parts=2)
    assert found == pytest.approx({2: 0.7, 4: 0.7}, abs=1e-4)
    y[:20] = skip[:20] - added[:20]
    found = model.fit_shrinkage(x, y, horizons=(2, 4), parts=2)
    assert found == {2: 0.0, 4: 0.0}
    with pytest.raises(ValueError, match="from 1 to 40"):
        model.fit_shrinkage(x, y, parts=41)


@pytest.mark.parametrize(
    "fusion",
    in_turn(
        pytest.param(name, id=name)
        for name in ("atd", "step", "concat", "cross_attention", "lmf")
    ),
)
def test_every_fusion_saved_and_loaded(tmp_path, fusion):
    options = {"num_heads": 2} if fusion in ("atd", "step", "cross_attention") else None
    model = trained(forecaster(fusion=fusion, fusion_options=options), steps=2)
    model.fit_shrinkage(*data(seed=1))
    x, _ = data(5, seed=2)
    expected = run(model, x)
    model.save(tmp_path / "m.keras")
    again = keras.saving.load_model(tmp_path / "m.keras")
    assert_close(run(again, x), expected, 1e-6)
    assert list(again.shapes) == list(SHAPES)
    left, right = ({**m.get_config(), "encoders": 0} for m in (again, model))
    assert left == right
    assert not again.get_layer("skip").trainable


def test_the_picture_may_be_a_gramian_field(tmp_path):
    """Of every column by itself; a missing or a flat one is no NaN."""
    picture = keras.Sequential(
        [
            keras.Input((24, 1)),
            GramianAngularField(image_size=8),
            keras.layers.Reshape((8, 8)),
            keras.layers.Dense(6),
        ],
        name="of_image",
    )
    model = trained(forecaster(encoders={**encoders(), "image": picture}), steps=2)
    x, _ = data(5, seed=2)
    whole = run(model, x)
    x["image"][0], x["image"][1] = np.nan, 1.0
    changed = run(model, x)
    assert np.isfinite(changed).all()
    assert np.abs(changed[:2] - whole[:2]).max(axis=(1, 2)).min() > 1e-4
    assert_close(changed[2:], whole[2:], 1e-6)
    model.save(tmp_path / "m.keras")
    again = keras.saving.load_model(tmp_path / "m.keras")
    assert_close(run(again, x), changed, 1e-6)


def test_int8_and_half_precision(tmp_path):
    model = trained(forecaster(), steps=2)
    x, _ = data(5, seed=2)
    expected = run(model, x)
    half = FusionForecaster.from_config(
        {**model.get_config(), "dtype": keras.dtype_policies.get("mixed_bfloat16")}
    )
    half.set_weights(model.get_weights())
    assert_close(run(half, x).astype("float32"), expected, 0.1)
    model.quantize("int8")
    quantized = run(model, x)
    assert_close(quantized, expected, 0.1)
    model.save(tmp_path / "m.keras")
    again = keras.saving.load_model(tmp_path / "m.keras")
    assert_close(run(again, x), quantized, 1e-6)


def test_what_it_shows_of_its_fusion():
    model = trained(forecaster(fusion="atd", fusion_options={"num_heads": 2}), steps=1)
    x, _ = data(5)
    assert model.fused_features(x).shape == (15, 24, 6)
    assert set(model.modality_features(x)) == {"series", "image", "calendar"}
    assert model.attention_scores(x)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"skip": "ridge"}, "`skip` must be one of"),
        ({"skip": None}, "may go to a linear skip"),
        ({"inputs": {"series": (24,)}, "encoders": {}}, "must be the series"),
        ({"inputs": {}, "encoders": {}}, "must be the series"),
        ({"inputs": {**SHAPES, "week": (7,)}}, "may go to a linear skip"),
        ({"inputs": {**SHAPES, "maps": (4, 4, 1)}}, r"\(time, features\) or"),
        ({"encoders": {}}, "Expected an encoder"),
        ({"inputs": {**SHAPES, "weather": (24, 1)}}, "Expected an encoder"),
        ({"horizon": 0}, "positive integer"),
    ],
)
def test_wrong_settings(settings, message):
    with pytest.raises(ValueError, match=message):
        forecaster(**settings)


def test_wrong_calls():
    model = forecaster()
    x, y = data()
    with pytest.raises(ValueError, match="modalities"):
        model.predict({"series": x["series"]}, verbose=0)
    with pytest.raises(ValueError, match="needs a fusion"):
        FusionForecaster({"series": (24, 3)}, {}, 4).fit_shrinkage(x, y)
    gap = y.copy()
    gap[3, 1] = np.nan
    for targets, message in (
        (gap, "needs numbers throughout"),
        (y[..., :1], "Expected `y` of shape"),
        (y[:-1], "Expected `y` of shape"),
    ):
        with pytest.raises(ValueError, match=message):
            model.fit_shrinkage(x, targets)
    assert (model.get_layer("shrinkage").get_weights()[0] == 1.0).all()
    shapes = {n: s for n, s in SHAPES.items() if n != "phase"}
    with pytest.raises(ValueError, match="needs a linear skip"):
        forecaster(skip=None, inputs=shapes).fit_closed_form(x, y, 0.1)


@once
def test_weights_of_samples_are_no_weights_of_steps():
    """As many samples as steps: Keras would mistake one for the other."""
    model = forecaster()
    x, y = data(4)
    model.compile("sgd", "mse")
    with pytest.raises(ValueError, match=r"forecasts every step.*\(batch, 4\).*\(4,\)"):
        model.evaluate(x, y, sample_weight=np.arange(4.0), verbose=0)
    with pytest.raises(ValueError, match=r"that classify\. A FusionForecaster"):
        model.fit(x, y, class_weight={0: 2.0}, verbose=0)
    weights = np.repeat(np.arange(4.0)[:, None], 4, axis=1)
    loss = model.evaluate(x, y, sample_weight=weights, verbose=0)
    errors = np.square(model.predict(x, verbose=0) - y).mean(axis=2)
    assert loss == pytest.approx((errors * weights).mean(), rel=1e-5)
