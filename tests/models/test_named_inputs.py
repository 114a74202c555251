"""Wrong names and shapes are refused in every way in, and leave the model whole."""

import keras
import numpy as np
import pytest
import small
from backends import once

Y = np.array([0, 1, 2, 0])
GOOD = small.inputs()
WAVE, CALENDAR = GOOD["wave"], GOOD["calendar"]

WRONG = {
    "unknown name": ({"wave": WAVE, "date": CALENDAR}, "'wave', 'calendar'.*'date'"),
    "missing name": ({"wave": WAVE}, "Fill a modality that is missing with NaN"),
    "too many": ({**GOOD, "more": WAVE}, "'more'"),
    "swapped": ({"wave": CALENDAR, "calendar": WAVE}, "'wave' must have the shape"),
    "time": ({"wave": WAVE[:, :5], "calendar": CALENDAR}, r"6, 4.*\(4, 5, 4\)"),
    "samples": ({"wave": WAVE, "calendar": CALENDAR[:2]}, "4 of 'wave', 2 of"),
    "None": ({"wave": WAVE, "calendar": None}, "'calendar' must be.*NoneType"),
    "lists": ({"wave": WAVE.tolist(), "calendar": CALENDAR}, "'wave'.*list"),
    "objects": ({"wave": WAVE.astype(object), "calendar": CALENDAR}, "'wave'.*object"),
    "text": ({"wave": WAVE.astype(str), "calendar": CALENDAR}, "'wave'.*numbers.*<U"),
    "a list": ([WAVE, CALENDAR], "Received: list"),
    "an array": (WAVE, "Received: ndarray"),
}


class Batches(keras.utils.PyDataset):
    def __init__(self, x):
        super().__init__()
        self.x = x

    def __len__(self):
        return 2

    def __getitem__(self, index):
        return self.x, Y


def generator(x, batches=2):
    yield from [(x, Y)] * batches


def in_tensorflow(x):
    tf = pytest.importorskip("tensorflow")
    return tf.data.Dataset.from_tensor_slices((x, Y)).batch(2)


WAYS = {
    "fit": lambda m, x: m.fit(x, Y, verbose=0),
    "fit by keyword": lambda m, x: m.fit(x=x, y=Y, verbose=0),
    "evaluate": lambda m, x: m.evaluate(x, Y, verbose=0),
    "predict": lambda m, x: m.predict(x, verbose=0),
    "train_on_batch": lambda m, x: m.train_on_batch(x, Y),
    "test_on_batch": lambda m, x: m.test_on_batch(x, Y),
    "predict_on_batch": lambda m, x: m.predict_on_batch(x),
    "fused_features": lambda m, x: m.fused_features(x),
    "modality_features": lambda m, x: m.modality_features(x),
    "validation": lambda m, x: m.fit(GOOD, Y, validation_data=(x, Y), verbose=0),
}
SOURCES = {
    "fit": lambda m, x: m.fit(x, verbose=0),
    "evaluate": lambda m, x: m.evaluate(x, verbose=0),
    "predict": lambda m, x: m.predict(x, verbose=0),
    "validation": lambda m, x: m.fit(GOOD, Y, validation_data=x, verbose=0),
}


@pytest.fixture(scope="module")
def model():
    model = small.classifier("concat")
    model.compile("sgd", "sparse_categorical_crossentropy")
    model.fit(GOOD, Y, verbose=0)
    return model


def assert_works(model):
    assert np.isfinite(model.train_on_batch(GOOD, Y))
    assert np.isfinite(model.predict_on_batch(GOOD)).all()


@pytest.mark.parametrize("wrong", WRONG)
@pytest.mark.parametrize("way", WAYS)
def test_refused(model, way, wrong):
    x, message = WRONG[wrong]
    with pytest.raises(ValueError, match=message):
        WAYS[way](model, x)
    assert_works(model)


@pytest.mark.parametrize("wrong", ["unknown name", "missing name", "swapped", "time"])
@pytest.mark.parametrize("way", SOURCES)
def test_refused_data_set(model, way, wrong):
    x, message = WRONG[wrong]
    with pytest.raises(ValueError, match=message):
        SOURCES[way](model, Batches(x))
    assert_works(model)


@pytest.mark.parametrize("make", [generator, in_tensorflow])
@pytest.mark.parametrize("way", SOURCES)
def test_refused_stream(model, way, make):
    x, message = WRONG["unknown name"]
    with pytest.raises(ValueError, match=message):
        SOURCES[way](model, make(x))
    assert_works(model)


class Changing(keras.utils.PyDataset):
    """Three batches, of which one is wrong, unless the data set is `good` by now."""

    def __init__(self, wrong, at, good=False):
        super().__init__()
        self.wrong, self.at, self.good = wrong, at, good

    def __len__(self):
        return 3

    def __getitem__(self, index):
        return (self.wrong if index == self.at and not self.good else GOOD), Y


LATER = {
    "generator": lambda wrong: iter_batches([GOOD, wrong, GOOD]),
    "data set": lambda wrong: Changing(wrong, at=1),
}


def iter_batches(inputs):
    yield from ((x, Y) for x in inputs)


@pytest.mark.parametrize("wrong", ["missing name", "swapped", "time"])
@pytest.mark.parametrize("source", LATER)
@pytest.mark.parametrize("way", SOURCES)
def test_a_later_batch_is_wrong(way, source, wrong):
    """The model is whole after it, also on JAX, which takes its values out before."""
    model = compiled()
    before = model.get_weights()
    x, message = WRONG[wrong]
    # TensorFlow makes an error of its own of it.
    with pytest.raises(Exception, match=f"(?s){message}"):
        SOURCES[way](model, LATER[source](x))
    assert model.count_params() == sum(w.size for w in model.get_weights())
    if way in ("evaluate", "predict"):
        for old, new in zip(before, model.get_weights(), strict=True):
            np.testing.assert_array_equal(old, new)
    assert np.isfinite(model.evaluate(GOOD, Y, verbose=0))
    assert_works(model)
    model.fit(GOOD, Y, verbose=0)


def compiled():
    model = small.classifier("concat")
    model.compile("adam", "sparse_categorical_crossentropy")
    return model


def test_an_epoch_after_validation_begins_wrong():
    """What the epoch before learnt is kept, and where the optimizer was."""
    model, other = compiled(), compiled()
    other.set_weights(model.get_weights())
    settings = {"verbose": 0, "shuffle": False, "validation_data": (GOOD, Y)}
    other.fit(Changing(GOOD, at=0), **settings)
    x = Changing(WRONG["time"][0], at=0, good=True)

    class Change(keras.callbacks.Callback):
        def on_epoch_end(self, epoch, logs=None):
            x.good = False

    with pytest.raises(Exception):  # noqa: B017
        model.fit(x, epochs=2, callbacks=Change(), **settings)
    for a, b in zip(model.get_weights(), other.get_weights(), strict=True):
        np.testing.assert_allclose(a, b, atol=1e-6)
    assert int(other.optimizer.iterations) == 3
    if keras.backend.backend() != "tensorflow":  # Which counts a step that failed.
        assert int(model.optimizer.iterations) == 3
    assert_works(model)


def test_data_set_is_asked_as_ever():
    """Its own settings and hooks count, and none of its batches is asked for twice."""

    class Counted(Batches):
        def __init__(self):
            super().__init__(GOOD)
            self.workers, self.max_queue_size = 2, 3
            self.epochs, self.asked = [], []

        def __getitem__(self, index):
            self.asked.append(index)
            return super().__getitem__(index)

        def on_epoch_begin(self):
            self.epochs.append("begin")

        def on_epoch_end(self):
            self.epochs.append("end")

    model, stock = compiled(), compiled()
    stock = keras.Model(stock.input, stock.output)
    stock.compile("adam", "sparse_categorical_crossentropy")
    seen = []
    for each in (model, stock):
        data = Counted()
        each.fit(data, epochs=2, verbose=0)
        seen.append((data.epochs, len(data.asked)))
    # Once more, for the check of the first batch before all.
    assert seen[0] == (seen[1][0], seen[1][1] + 1)


@pytest.mark.parametrize("way", ["fit", "evaluate", "predict"])
def test_interrupted(way):
    """By Ctrl-C, as one does in notebooks."""

    class Interrupt(keras.callbacks.Callback):
        def on_train_batch_end(self, batch, logs=None):
            raise KeyboardInterrupt

        on_test_batch_end = on_predict_batch_end = on_train_batch_end

    model = compiled()
    with pytest.raises(KeyboardInterrupt):
        getattr(model, way)(Batches(GOOD), callbacks=[Interrupt()], verbose=0)
    assert np.isfinite(model.evaluate(GOOD, Y, verbose=0))
    assert_works(model)


@pytest.mark.parametrize("name", ["unknown name", "swapped", "time", "samples"])
def test_call_refuses(model, name):
    with pytest.raises(ValueError):
        model({k: keras.ops.convert_to_tensor(v) for k, v in WRONG[name][0].items()})
    assert_works(model)


@pytest.mark.parametrize("make", [generator, Batches, in_tensorflow])
def test_every_batch_of_a_source_is_used(model, make):
    expected = model.predict(GOOD, verbose=0)
    rows = model.predict(make(GOOD), verbose=0)
    copies = len(rows) // len(expected)
    assert copies == (1 if make is in_tensorflow else 2)
    np.testing.assert_allclose(rows, np.tile(expected, (copies, 1)), atol=1e-6)


def test_no_batch_is_lost_in_evaluation():
    """Neither alone nor in `fit`: all is as in a model that checks nothing."""
    model = small.classifier("concat")
    stock = keras.Model(model.input, model.output)

    def losses(model):
        taken, seen = [], []

        def numbered():
            for i in range(6):
                taken.append(i)
                yield GOOD, np.full(4, i % 3)

        class Seen(keras.callbacks.Callback):
            def on_test_batch_end(self, batch, logs=None):
                seen.append(logs["loss"])

        model.compile(keras.optimizers.SGD(0.0), "sparse_categorical_crossentropy")
        kwargs = {"callbacks": [Seen()], "verbose": 0}
        model.evaluate(numbered(), **kwargs)
        assert taken == list(range(6)) and len(seen) == 6
        kwargs |= {"epochs": 2, "validation_steps": 2}
        model.fit(GOOD, Y, validation_data=numbered(), **kwargs)
        return seen

    assert losses(model) == pytest.approx(losses(stock), abs=1e-5)


def test_order_of_the_keys_does_not_matter(model):
    backwards = dict(reversed(GOOD.items()))
    a, b = model.predict(GOOD, verbose=0), model.predict(backwards, verbose=0)
    np.testing.assert_array_equal(a, b)


def test_float64_and_integers_are_taken(model):
    whole = {name: np.rint(values) for name, values in GOOD.items()}
    expected = small.predict(model, {k: v.astype("float32") for k, v in whole.items()})
    for dtype in ("float64", "int64"):
        x = {name: values.astype(dtype) for name, values in whole.items()}
        np.testing.assert_allclose(model.predict(x, verbose=0), expected, atol=1e-6)


SPARSE = keras.losses.SparseCategoricalCrossentropy


@once
@pytest.mark.parametrize(
    "loss",
    ["sparse_categorical_crossentropy", SPARSE(ignore_class=-1)],
    ids=["by name", "with gaps"],
)
@pytest.mark.parametrize("wrong", [3, -2, np.nan])
def test_labels_that_are_no_classes(loss, wrong):
    """On JAX they would count as no loss."""
    model = small.classifier("concat")
    model.compile("sgd", loss)
    for y in (list(Y), np.array(["N", "S", "V"])[Y], np.array(["N", "S", "V"], "O")[Y]):
        with pytest.raises(ValueError, match=r"an array of the numbers.*unique"):
            model.fit(GOOD, y, verbose=0)
    labels = np.where(Y == 2, wrong, Y)
    for y in (labels, labels[:, None]):
        with pytest.raises(ValueError, match=r"from 0 to 2. Received: .*1 of 4"):
            model.fit(GOOD, y, verbose=0)
    with pytest.raises(ValueError, match=r"from 0 to 2. Received: .*1 of 4"):
        model.fit(GOOD, Y, validation_data=(GOOD, labels), verbose=0)


@once
def test_labels_that_are_left_out():
    model = small.classifier("concat")
    y = np.where(Y == 2, -1, Y)
    model.compile("sgd", SPARSE(ignore_class=-1))
    assert np.isfinite(model.evaluate(GOOD, y, verbose=0))
    model.compile("sgd", lambda y, p: keras.ops.sum(p, axis=-1))
    model.evaluate(GOOD, y, verbose=0)
