"""What `FusionClassifier` does with gaps: modalities, steps, and single values."""

import keras
import numpy as np
import pytest
import small
from backends import gradients, once
from harness import assert_close

from keras_mmfusion.layers import LSTMEncoder, PerStepEncoder, ResNet1DEncoder
from keras_mmfusion.models import FUSIONS, FusionClassifier
from keras_mmfusion.models._missing import ShowMask

Y = np.array([0, 1, 2, 0])


@pytest.fixture(scope="module")
def model():
    """Shared by the tests; do not change it."""
    return small.classifier()


@pytest.mark.parametrize("fusion", FUSIONS)
@pytest.mark.parametrize("name", ["wave", "calendar"])
def test_missing_modality(fusion, name):
    model = small.classifier(fusion)
    x = small.inputs()
    whole = small.predict(model, x)
    without = small.predict(model, small.with_nan(x, name, 0))
    assert np.isfinite(without).all()
    assert np.abs(without[0] - whole[0]).max() > 1e-4
    assert_close(without[1:], whole[1:], 2e-6, "the other samples")
    others = small.with_nan(small.inputs(seed=5), name, 0)
    for key in x:
        others[key][0] = x[key][0]
    others[name][0] = np.nan
    assert_close(small.predict(model, others)[0], without[0], 2e-6)
    alone = {key: values[:1] for key, values in small.with_nan(x, name, 0).items()}
    assert_close(small.predict(model, alone)[0], without[0], 2e-6)


@pytest.mark.parametrize("fusion", FUSIONS)
def test_nothing_at_all(fusion):
    model = small.classifier(fusion, decoder=small.temporal())
    x = small.inputs()
    nothing = {name: np.full_like(values, np.nan) for name, values in x.items()}
    outputs = small.predict(model, nothing)
    assert np.isfinite(outputs).all()
    assert_close(outputs, np.repeat(outputs[:1], 4, axis=0), 1e-6)


def test_one_missing_feature_counts_as_zero(model):
    x = small.inputs()
    zeroed = {name: values.copy() for name, values in x.items()}
    zeroed["wave"][1, 2, 3] = 0
    gap = small.with_nan(x, "wave", (1, 2, 3))
    assert_close(small.predict(model, gap), small.predict(model, zeroed), 0.0)


@pytest.mark.parametrize("fusion", FUSIONS)
def test_gradients_of_gaps_are_finite(fusion):
    model = small.per_step_model(fusion, causal=False)
    x = small.with_nan(small.inputs(), "wave", (0, slice(None)))
    x = small.with_nan(x, "calendar", (1, slice(2, 4)))
    x = small.with_nan(x, "wave", (2, 3, 1))
    before = model.get_weights()
    model.compile(keras.optimizers.SGD(0.1), "sparse_categorical_crossentropy")
    # Two steps, as above.
    for _ in range(2):
        loss = model.train_on_batch(x, np.tile(Y[:, None], (1, small.STEPS)))
    assert np.isfinite(loss)
    for old, new, weight in zip(
        before, model.get_weights(), model.weights, strict=True
    ):
        assert np.isfinite(new).all(), weight.path
        if weight.trainable:
            assert np.any(new != old), weight.path


@pytest.mark.parametrize("causal", [False, True])
@pytest.mark.parametrize("fusion", FUSIONS)
def test_padding_changes_nothing(fusion, causal):
    """Steps of NaN at the end equal the same series without them."""
    model = small.per_step_model(fusion, causal)
    x = small.inputs()
    valid = 4
    padded = small.with_nan(x, "wave", np.s_[:, valid:])
    padded = small.with_nan(padded, "calendar", np.s_[:, valid:])
    config = model.get_config()
    config["inputs"] = [[name, [valid, *s[1:]]] for name, s in config["inputs"]]
    short = FusionClassifier.from_config(config)
    short.set_weights(model.get_weights())
    expected = small.predict(short, {name: v[:, :valid] for name, v in x.items()})
    assert_close(small.predict(model, padded)[:, :valid], expected, 1e-5)


@pytest.mark.parametrize("fusion", FUSIONS)
def test_causal_steps_do_not_see_later_ones(fusion):
    model = small.per_step_model(fusion, causal=True)
    x, other = small.inputs(), small.inputs(seed=9)
    for filler in (lambda values: values, lambda values: np.full_like(values, np.nan)):
        late = {
            name: np.concatenate([v[:, :3], filler(other[name][:, 3:])], axis=1)
            for name, v in x.items()
        }
        a, b = small.predict(model, x), small.predict(model, late)
        assert_close(b[:, :3], a[:, :3], 1e-6)
        assert np.abs(b[:, 3:] - a[:, 3:]).max() > 1e-3


def test_pooling_is_over_valid_steps():
    model = small.classifier("concat", num_classes=0)
    x = small.inputs()
    gaps = small.with_nan(x, "wave", np.s_[:, 4:])
    gaps = small.with_nan(gaps, "calendar", np.s_[:, 4:])
    fused = model.fused_features(gaps)
    assert_close(small.predict(model, gaps), fused[:, :4].mean(axis=1))


def test_pooling_over_many_steps_in_half_precision():
    """Their sum is more than float16 can hold, their number more than bfloat16 can."""
    steps = 3001
    x = {"wave": np.full((1, steps, 2), 40.0, "float32")}
    for dtype in ("mixed_float16", "mixed_bfloat16"):
        model = FusionClassifier(
            {"wave": (steps, 2)}, {"wave": None}, num_classes=0, dim=2, dtype=dtype
        )
        model.get_layer("fusion").set_weights([np.eye(2), np.zeros(2)])
        assert_close(small.predict(model, x).astype("float32"), np.full((1, 2), 40.0))


@pytest.mark.parametrize("fusion", ["atd", "concat", "lmf"])
def test_steps_without_anything_count_in_no_loss_and_no_metric(fusion):
    model = small.per_step_model(fusion, causal=False)
    x = small.with_nan(small.inputs(), "wave", np.s_[1:3, 4:])
    x = small.with_nan(x, "calendar", np.s_[2, 3:])
    y = np.tile(Y[:, None], (1, small.STEPS))
    there = np.ones(y.shape, bool)
    there[2, 4:] = False
    weights = np.random.default_rng(0).random(y.shape)
    model.compile(loss="sparse_categorical_crossentropy", weighted_metrics=["accuracy"])
    loss, accuracy = model.evaluate(x, y, sample_weight=weights, verbose=0)
    p = small.predict(model, x)
    errors = -np.log(np.take_along_axis(p, y[..., None], -1)[..., 0])[there]
    assert loss == pytest.approx(np.mean(errors * weights[there]), rel=1e-5)
    right = (p.argmax(-1) == y)[there]
    assert accuracy == pytest.approx(np.average(right, weights=weights[there]))


WEIGHTED = {
    "fit": lambda m, x, y, w: m.fit(x, y, sample_weight=w, verbose=0),
    "validation": lambda m, x, y, w: m.fit(x, y, validation_data=(x, y, w), verbose=0),
    "evaluate": lambda m, x, y, w: m.evaluate(x, y, sample_weight=w, verbose=0),
    "generator": lambda m, x, y, w: m.evaluate(iter_once(x, y, w), verbose=0),
    "train": lambda m, x, y, w: m.train_on_batch(x, y, w),
    "test": lambda m, x, y, w: m.test_on_batch(x, y, w),
    "classes": lambda m, x, y, w: m.fit(x, y, class_weight={0: 2.0}, verbose=0),
    "classes of a batch": lambda m, x, y, w: m.train_on_batch(
        x, y, class_weight={0: 2}
    ),
}


def iter_once(*batch):
    yield batch


@pytest.mark.parametrize("way", WEIGHTED)
def test_weights_of_samples_are_no_weights_of_steps(way):
    """As many samples as steps: Keras would mistake one for the other."""
    model = small.per_step_model("concat", causal=False)
    x = small.inputs(samples=small.STEPS)
    y = np.zeros((small.STEPS,) * 2, int)
    model.compile("sgd", "sparse_categorical_crossentropy")
    with pytest.raises(
        ValueError, match=r"every step.*\(batch, 6\).*Received: (sh|`cl)"
    ):
        WEIGHTED[way](model, x, y, np.arange(6.0))
    if "classes" not in way:
        WEIGHTED[way](model, x, y, np.ones((6, 6)))
    pooled = small.classifier("concat")
    pooled.compile("sgd", "sparse_categorical_crossentropy")
    WEIGHTED[way](pooled, x, y[0], np.arange(6.0))


def test_encoders_are_given_the_mask():
    """A recurrent encoder passes over missing steps."""
    encoder = LSTMEncoder((4,), name="lstm")
    model = FusionClassifier({"a": (6, 2)}, {"a": encoder}, dim=8, pooling=None)
    x = small.inputs()["calendar"]
    gap = x.copy()
    gap[:, 3] = np.nan
    without = np.delete(x, 3, axis=1)
    padded = np.concatenate([without, np.full_like(x[:, :1], np.nan)], axis=1)
    a, b = small.predict(model, {"a": gap}), small.predict(model, {"a": padded})
    assert_close(a[:, 4:], b[:, 3:5])


def test_strided_encoder_of_a_missing_modality():
    """Where the encoder changes the length, a modality is there or not."""
    model = FusionClassifier(
        {"wave": (8, 4), "calendar": (8, 2)},
        {
            "wave": ResNet1DEncoder((4,), 3, normalization=None, name="resnet"),
            "calendar": None,
        },
        fusion="concat",
        dim=8,
    )
    x = small.inputs(steps=8)
    assert model.fused_features(x).shape == (4, 4, 8)
    gap = small.with_nan(x, "wave", 0)
    a = small.predict(model, gap)
    assert np.isfinite(a).all()
    assert_close(a[1:], small.predict(model, x)[1:], 2e-6)


@pytest.mark.parametrize("fusion", [f for f in FUSIONS if f not in ("lmf", "tfn")])
def test_lengths_that_are_known_at_run_time_only(fusion):
    """Also where one encoder changes the length and the other one does not."""

    def make(time, strides):
        resnet = ResNet1DEncoder((4,), 3, strides, normalization=None, name="resnet")
        options = {} if fusion == "concat" else {"num_heads": 2}
        return FusionClassifier(
            {"wave": (time, 4), "calendar": (time, 2)},
            {"wave": resnet, "calendar": None},
            fusion=fusion,
            fusion_options=options,
            dim=8,
        )

    x = small.with_nan(small.inputs(steps=8), "wave", 0)
    x = small.with_nan(x, "calendar", np.s_[1, 3:])
    for strides in (1, 2) if fusion == "concat" else (2,):
        model, known = make(None, strides), make(8, strides)
        model.set_weights(known.get_weights())
        assert model.get_layer("fusion").output.shape == (None, None, 8)
        expected = small.predict(known, x)
        assert_close(small.predict(model, x), expected, 1e-6)
        if strides == 1:
            gap = [(0, 0), (0, 4), (0, 0)]
            x = {k: np.pad(v, gap, constant_values=np.nan) for k, v in x.items()}
            assert_close(small.predict(model, x), expected, 1e-6)
            x = {k: v[:, :8] for k, v in x.items()}


def test_missing_elements_do_not_reach_batch_statistics():
    encoder = PerStepEncoder(ResNet1DEncoder((4,), 3, name="resnet"), name="per_step")
    model = FusionClassifier({"beats": (5, 16, 2)}, {"beats": encoder}, dim=8)
    x = np.random.default_rng(0).normal(size=(4, 5, 16, 2)).astype("float32")
    x[0, 2:] = np.nan
    x[3] = np.nan
    model.compile("sgd", "sparse_categorical_crossentropy")
    model.train_on_batch({"beats": x}, np.zeros(4))
    values = [v for v in model.get_weights() if v.dtype == "float32"]
    assert all(np.isfinite(v).all() for v in values)


def test_dropped_modalities_only_in_training():
    model = small.classifier(modality_dropout=0.5)
    x = small.inputs()
    a, b = small.predict(model, x), small.predict(model, x)
    assert_close(a, b, 0.0)
    tensors = {name: keras.ops.convert_to_tensor(v) for name, v in x.items()}
    outputs = [
        keras.ops.convert_to_numpy(model(tensors, training=True)) for _ in range(4)
    ]
    assert max(np.abs(o - a).max() for o in outputs) > 1e-4


def test_dropped_is_the_same_as_missing():
    model = small.classifier(modality_dropout=[0.999999, 0.0])
    x = small.inputs()
    tensors = {name: keras.ops.convert_to_tensor(v) for name, v in x.items()}
    dropped = keras.ops.convert_to_numpy(model(tensors, training=True))
    missing = small.predict(model, small.with_nan(x, "wave", slice(None)))
    assert_close(dropped, missing, 1e-6)


def test_gradients_reach_every_weight():
    model = small.classifier("atd", decoder=small.temporal())

    class OfList(keras.layers.Layer):
        """The harness hands over a list of arrays."""

        def __init__(self):
            super().__init__()
            self.inner = model
            self.built = True

        def call(self, inputs, training=None):
            return self.inner(dict(zip(model.modalities, inputs, strict=True)))

    x = small.inputs()
    by_input, by_weight = gradients(OfList(), [x["wave"], x["calendar"]])
    for gradient in [*by_input, *by_weight.values()]:
        assert np.isfinite(gradient).all() and np.abs(gradient).max() > 0


def of_tokens(encoder, length, **kwargs):
    keras.utils.set_random_seed(0)
    return FusionClassifier(
        inputs={"text": (length,), "wave": (small.STEPS, 4)},
        encoders={"text": encoder, "wave": None},
        fusion_options=small.OPTIONS["atd"],
        dim=8,
        **kwargs,
    )


def words(kind="embedding", length=None):
    embedding = keras.layers.Embedding(600, 4, "normal", mask_zero=True, name="words")
    if kind == "embedding":
        return embedding
    lstm = keras.layers.LSTM(4, return_sequences=True)
    if kind == "sequential":
        return keras.Sequential([embedding, lstm], name="text_encoder")
    if kind == "nested":
        layers = [keras.layers.Identity(), keras.Sequential([embedding]), lstm]
        return keras.Sequential(layers, name="text_encoder")
    numbers = keras.Input((length,))
    return keras.Model(numbers, lstm(embedding(numbers)), name="text_encoder")


@pytest.mark.parametrize("kind", ["embedding", "sequential", "functional", "nested"])
def test_padding_that_the_encoder_masks_counts_nothing(kind):
    x = {"text": np.array([[7, 5, 9, 0, 0]] * 2), "wave": small.inputs(2)["wave"]}
    of_any_length = of_tokens(words(kind), None)
    shorter = small.predict(of_any_length, {**x, "text": x["text"][:, :3]})
    assert_close(small.predict(of_any_length, x), shorter, 1e-6)
    fixed = of_tokens(words(kind, 5), 5)
    fixed.set_weights(of_any_length.get_weights())
    assert_close(small.predict(fixed, x), shorter, 1e-6)
    # A text of zeros is missing, as one of NaN.
    missing = {**x, "text": np.full((2, 5), np.nan, "float32")}
    empty = {**x, "text": 0 * x["text"]}
    assert_close(small.predict(fixed, empty), small.predict(fixed, missing), 0.0)
    shown = ShowMask()(fixed.get_layer("text_features").output)
    mask = small.predict(keras.Model(fixed.input, shown), x)
    assert mask[0].tolist() == [True] * 3 + [False] * 2


def test_zeros_that_a_masking_layer_masks_count_nothing():
    x = small.inputs()
    padded = {**x, "wave": np.pad(x["wave"], ((0, 0), (0, 2), (0, 0)))}
    gaps = {**padded, "wave": np.where(padded["wave"] == 0, np.nan, padded["wave"])}
    outputs = []
    for first in ([keras.layers.Masking()], []):
        keras.utils.set_random_seed(0)
        lstm = keras.layers.LSTM(4, return_sequences=True)
        model = FusionClassifier(
            inputs={"wave": (small.STEPS + 2, 4), "calendar": (small.STEPS, 2)},
            encoders={"wave": keras.Sequential([*first, lstm]), "calendar": None},
            fusion="concat",
        )
        outputs.append(small.predict(model, padded if first else gaps))
    assert_close(*outputs, 1e-6)


def test_token_numbers_stay_exact_in_half_precision():
    model = of_tokens(words(), 2, dtype="mixed_bfloat16")
    x = small.inputs(1)["wave"]
    numbers = ([256, 4], [257, 4])  # 257 is no bfloat16
    one, other = (
        small.predict(model, {"text": np.array([n]), "wave": x}) for n in numbers
    )
    assert np.abs(one - other).max() > 1e-3


@pytest.mark.filterwarnings("error:.*does not support masking")
def test_a_functional_encoder_hands_on_its_mask():
    x = small.with_nan(small.inputs(), "wave", (slice(None), 2))
    outputs = []
    for kind in (keras.Sequential, keras.Model):
        keras.utils.set_random_seed(0)
        wave = keras.Input((small.STEPS, 4))
        lstm = keras.layers.LSTM(4, return_sequences=True, bias_initializer="ones")
        encoder = (
            kind([wave, lstm]) if kind is keras.Sequential else kind(wave, lstm(wave))
        )
        model = FusionClassifier(
            inputs={"wave": (small.STEPS, 4), "calendar": (small.STEPS, 2)},
            encoders={"wave": encoder, "calendar": None},
            fusion="concat",
        )
        outputs.append(small.predict(model, x))
    assert_close(*outputs, 1e-6)


@once
@pytest.mark.filterwarnings("error:.*does not support masking")
def test_an_encoder_that_uses_no_mask_is_given_none():
    vector = keras.Sequential([keras.layers.Dense(4), keras.layers.Reshape((1, 4))])
    FusionClassifier({"wave": (6, 4), "age": (3,)}, {"wave": None, "age": vector})
