"""Reconstruction from a shared code, and the classifier that goes on from it."""

import keras
import numpy as np
import pytest
import small
from backends import only_on
from harness import assert_close

from keras_mmfusion.models import FUSIONS, FusionAutoencoder, FusionClassifier, mcwsa
from keras_mmfusion.models._known_error import KnownSquaredError

DIMS = {"wave": 4, "calendar": 2}


def autoencoder(fusion="cascade", names=tuple(DIMS), **kwargs):
    return FusionAutoencoder(
        inputs={name: (small.STEPS, DIMS[name]) for name in names},
        encoders={
            n: keras.layers.Dense(8, activation="relu", name=f"{n}_encoder")
            for n in names
        },
        decoders={n: keras.layers.Dense(DIMS[n], name=f"{n}_decoder") for n in names},
        fusion=fusion,
        fusion_options=small.OPTIONS.get(fusion) if len(names) > 1 else None,
        **{"dim": 8, **kwargs},
    )


def squeezed(**kwargs):
    """Through a bottleneck of two numbers a sample."""
    code = keras.Sequential(
        [
            keras.layers.Flatten(name="flat"),
            keras.layers.Dense(2, name="numbers"),
            keras.layers.RepeatVector(small.STEPS, name="steps"),
        ],
        name="code",
    )
    return autoencoder(bottleneck=code, **kwargs)


@pytest.mark.parametrize("fusion", FUSIONS)
def test_every_fusion_makes_a_code_of_all_steps(fusion):
    """`lmf` and `tfn` too, in both stages."""
    x = small.inputs()
    model = autoencoder(fusion)
    outputs = small.predict_all(model, x)
    assert {n: v.shape for n, v in outputs.items()} == {
        n: v.shape for n, v in x.items()
    }
    assert model.get_layer("fusion").output.shape == (None, small.STEPS, 8)
    classifier = model.with_num_classes(3)
    assert isinstance(classifier, FusionClassifier)
    assert classifier.get_layer("fusion").output.shape == (None, small.STEPS, 8)
    assert small.predict(classifier, x).shape == (4, 3)


@pytest.mark.parametrize("fusion", ["cascade", "lmf"])
def test_two_stages(fusion, tmp_path):
    """Reconstruct; then classify with the same encoders and fusion."""
    x = small.inputs(8)
    model = autoencoder(fusion)
    model.compile(keras.optimizers.Adam(1e-2))
    model.fit(x, x, verbose=0)
    code = model.code(x)
    classifier = model.with_num_classes(3, dropout=0.1)
    assert_close(classifier.fused_features(x), code)
    before = classifier.get_layer("fusion").get_weights()
    classifier.compile("sgd", "sparse_categorical_crossentropy")
    classifier.fit(x, np.arange(8) % 3, verbose=0)
    after = classifier.get_layer("fusion").get_weights()
    assert all(np.any(a != b) for a, b in zip(before, after, strict=True))
    assert_close(model.code(x), code, 0.0, "the code after the second stage")
    classifier.save(tmp_path / "c.keras")
    again = keras.saving.load_model(tmp_path / "c.keras")
    assert_close(small.predict(again, x), small.predict(classifier, x), 1e-6)


def test_it_learns_to_reconstruct_and_is_saved(tmp_path):
    """Two numbers a sample are enough for samples made of two."""
    rng = np.random.default_rng(0)
    latent = rng.normal(size=(256, 2))
    x = {
        name: np.repeat((latent @ rng.normal(size=(2, d)))[:, None], small.STEPS, 1)
        for name, d in DIMS.items()
    }
    model = squeezed(fusion="concat")
    model.compile(keras.optimizers.Adam(5e-2))
    model.fit(x, x, batch_size=128, epochs=40, verbose=0)
    errors = model.evaluate(x, x, verbose=0, return_dict=True)
    variance = sum(v.var() for v in x.values())
    assert errors["loss"] < 0.1 * variance
    assert model.code(x).shape == (256, small.STEPS, 2)
    model.save(tmp_path / "m.keras")
    again = keras.saving.load_model(tmp_path / "m.keras")
    assert list(again.input) == list(again.output) == list(DIMS)
    same = again.evaluate(x, x, verbose=0, return_dict=True)
    assert same == pytest.approx(errors, rel=1e-5)
    again.fit(x, x, verbose=0)


def test_what_is_missing_counts_nothing():
    """In the input, it is reconstructed from the rest; in the target, not compared."""
    x = small.inputs()
    gone = {**x, "wave": x["wave"].copy()}
    gone["wave"][0] = np.nan
    gone["wave"][1, 2, 1] = np.nan
    model = autoencoder()
    outputs = model.predict(gone, verbose=0)
    assert all(np.isfinite(v).all() for v in outputs.values())
    model.compile("sgd")
    errors = model.evaluate(gone, gone, verbose=0, return_dict=True)
    gap = (outputs["wave"] - gone["wave"]) ** 2
    by_sample = [0.0, *(np.nanmean(of) for of in gap[1:])]
    assert errors["wave_loss"] == pytest.approx(np.mean(by_sample), rel=1e-4)
    of_calendar = np.mean((outputs["calendar"] - x["calendar"]) ** 2)
    assert errors["calendar_loss"] == pytest.approx(of_calendar, rel=1e-4)
    assert errors["loss"] == pytest.approx(
        errors["wave_loss"] + errors["calendar_loss"], rel=1e-5
    )
    model.fit(gone, gone, verbose=0)
    assert all(np.isfinite(w).all() for w in model.get_weights())


def test_loss_by_hand():
    truth, guess = np.array([[1.0, np.nan], [np.nan] * 2]), np.array([[3.0, 9.0]] * 2)
    loss = KnownSquaredError(reduction=None)
    assert keras.ops.convert_to_numpy(loss(truth, guess)).tolist() == [4.0, 0.0]


def test_a_single_modality():
    x = {"wave": small.inputs()["wave"]}
    model = autoencoder(names=["wave"])
    assert small.predict_all(model, x)["wave"].shape == x["wave"].shape
    classifier = model.with_num_classes(2)
    assert_close(classifier.fused_features(x), model.fused_features(x))


def test_modality_dropout_is_for_training_only():
    x = small.inputs()
    model, plain = autoencoder(modality_dropout=0.5), autoencoder()
    plain.set_weights([w for w in model.get_weights() if w.dtype != "uint32"])
    ours, theirs = model.predict(x, verbose=0), plain.predict(x, verbose=0)
    assert_close(ours["wave"], theirs["wave"])
    model.compile("sgd")
    model.fit(x, x, verbose=0)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"decoders": {"wave": keras.layers.Dense(4)}}, "decoder for each"),
        (
            {"decoders": {n: keras.layers.Dense(3) for n in DIMS}},
            r"must yield \(batch, 6, 4\)",
        ),
        (
            {"decoders": {n: keras.layers.Dense(DIMS[n], name=n) for n in DIMS}},
            "name other than",
        ),
    ],
)
def test_decoders_that_do_not_fit(changes, message):
    encoders = {name: None for name in DIMS}
    inputs = {name: (small.STEPS, d) for name, d in DIMS.items()}
    with pytest.raises(ValueError, match=message):
        FusionAutoencoder(inputs, encoders, dim=8, **changes)


def test_names_are_checked():
    model = autoencoder()
    model.compile("sgd")
    x = small.inputs()
    with pytest.raises(ValueError, match="'wave', 'calendar'"):
        model.fit({"wave": x["wave"]}, x)


# MCWSA.


@only_on("torch")  # where nothing has to be compiled; its layers are tried on all
def test_mcwsa_at_a_small_width():
    """Sizes are the paper's but for the width of the code."""
    model = mcwsa(width=8, fusion="concat")
    shapes = {"audio": (128, 64, 3), "visual": (32, 2048), "text": (32, 300)}
    x = {name: np.ones((2, *shape), "float32") for name, shape in shapes.items()}
    outputs = small.predict_all(model, x)
    assert {n: v.shape[1:] for n, v in outputs.items()} == shapes
    features = [model.get_layer(f"{n}_features").output.shape for n in shapes]
    assert features == [(None, 32, 8)] * 3
    x["audio"][0] = np.nan
    assert all(np.isfinite(v).all() for v in small.predict_all(model, x).values())


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"modalities": ["smell"]}, "smell"),
        ({"modalities": ["text", "text"]}, "each once"),
        ({"width": 6}, "multiple of 4"),
    ],
)
def test_mcwsa_refuses(arguments, message):
    with pytest.raises(ValueError, match=message):
        mcwsa(**arguments)
