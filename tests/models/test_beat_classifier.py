"""Whole recordings: the model of the recipe, untrained, on the shipped excerpt."""

import json
import sys
from dataclasses import replace
from pathlib import Path

import keras
import numpy as np
import pytest
from cli_fakes import copy_excerpt, write_beats
from harness import assert_close

from keras_mmfusion.cli.demo import EXCERPT
from keras_mmfusion.datasets import RecordError, read_wfdb
from keras_mmfusion.models import BeatClassifier
from keras_mmfusion.preprocessing import BeatPreprocessor
from keras_mmfusion.preprocessing.beat_detection import detect_beats

sys.path.append(str(Path(__file__).parents[2] / "recipes" / "mitbih"))

import architecture

CLASSES = ("N", "S", "V", "F")


def build(causal=False, modalities=("ecg", "rhythm"), fusion="atd"):
    model = architecture.build(CLASSES, fusion, modalities, causal)
    model.preprocessor = BeatPreprocessor(causal=causal)
    return model


@pytest.fixture(scope="module")
def record():
    return read_wfdb(EXCERPT, "atr")


@pytest.fixture(scope="module")
def model():
    """Shared by the tests; do not change it."""
    return build()


@pytest.fixture(scope="module")
def labels(model, record):
    return model.predict_record(record)


def test_whole_record(labels, record):
    assert len(labels.labels) == len(record.beats) == 274
    assert np.array_equal(labels.samples, record.beats)
    assert labels.probabilities.shape == (274, 4)
    assert labels.probabilities.dtype == "float32"
    assert_close(labels.probabilities.sum(axis=1), np.ones(274))
    best = np.array(CLASSES)[labels.probabilities.argmax(axis=1)]
    assert labels.labels.tolist() == best.tolist()
    assert labels.leads == ("MLII", "V1") and not labels.reasons.any()


def test_path_and_record_are_the_same(model, labels):
    from_path = model.predict_record(EXCERPT)
    assert_close(from_path.probabilities, labels.probabilities, 0.0)
    assert from_path.beat_source == "atr"


def test_paths_that_say_too_little(model, record, tmp_path):
    path = copy_excerpt(tmp_path)
    write_beats(tmp_path, record.beats[1:-1] + 90)
    with pytest.raises(RecordError, match="belong to another record"):
        model.predict_record(path)
    with pytest.raises(RecordError, match=r"a WFDB record.*ecg\.csv.*read_csv"):
        model.predict_record("ecg.csv")
    with pytest.raises(ValueError, match=r"or 'detect'\. .*replace\(read_wfdb"):
        model.predict_record(path, beats=record.beats)
    Path(f"{path}.atr").unlink()
    with pytest.raises(RecordError, match=r"No annotation file.*beats=\"detect\""):
        model.predict_record(path)


@pytest.mark.parametrize("beats", ["detect", "xqrs"])
def test_detection_goes_by_both_names_in_the_named_lead(model, record, beats):
    labels = model.predict_record(EXCERPT, beats=beats, leads="V1")
    assert labels.leads == ("V1",) and labels.beat_source == "xqrs"
    assert labels.samples.tolist() == detect_beats(record, "V1").tolist()
    bare = replace(record, beats=None)
    again = model.predict_record(bare, beats=beats, leads="V1")
    assert again.samples.tolist() == labels.samples.tolist()


def test_batch_size_and_progress(model, labels, record):
    calls = []
    other = model.predict_record(
        record, batch_size=4, progress=lambda done, total: calls.append((done, total))
    )
    assert_close(other.probabilities, labels.probabilities, 1e-5)
    assert calls == [(4, 12), (8, 12), (12, 12)]


@pytest.mark.parametrize("count", [1, 5, 31, 32, 33])
def test_fewer_beats_than_a_segment(model, record, count):
    few = replace(record, beats=record.beats[:count])
    labels = model.predict_record(few)
    assert labels.probabilities.shape == (count, 4)
    assert_close(labels.probabilities.sum(axis=1), np.ones(count))


@pytest.mark.parametrize("value,reason", [(0, "flat"), (np.nan, "missing samples")])
def test_record_without_signal(model, record, value, reason):
    dead = replace(record, signals=np.full_like(record.signals, value))
    labels = model.predict_record(dead)
    assert set(labels.labels) == {"Q"} and set(labels.reasons) == {reason}
    assert not labels.probabilities.any()


def test_beats_without_signal_are_q_and_no_others(model, record):
    signals = record.signals.copy()
    signals[20_000:24_000] = np.nan
    labels = model.predict_record(replace(record, signals=signals))
    unusable = labels.reasons != ""
    assert 10 < unusable.sum() < 40
    assert set(labels.labels[unusable]) == {"Q"}
    assert not labels.probabilities[unusable].any()
    assert_close(
        labels.probabilities[~unusable].sum(axis=1), np.ones((~unusable).sum())
    )


def test_a_beat_without_finite_probabilities_is_q(model, record, monkeypatch):
    predicted = model.predict_beats(BeatPreprocessor()(record).modalities)
    predicted[7] = np.nan
    monkeypatch.setattr(model, "predict_beats", lambda *args: predicted)
    labels = model.predict_record(record)
    assert labels.labels[7] == "Q" and labels.reasons[7] == "no finite probability"
    assert np.isfinite(labels.probabilities).all() and not labels.reasons[8:].any()


def test_one_lead(model, record):
    single = replace(record, signals=record.signals[:, :1], leads=("MLII",))
    labels = model.predict_record(single)
    assert labels.leads == ("MLII",) and np.isfinite(labels.probabilities).all()


def test_needs_preprocessor_and_classes(model, record):
    other = model.with_num_classes(2)
    assert other.preprocessor is model.preprocessor
    with pytest.raises(ValueError, match="classes=None"):
        other.predict_record(record)
    bare = BeatClassifier.from_config(model.get_config())
    with pytest.raises(ValueError, match="preprocessor=None"):
        bare.predict_record(record)


def test_no_beats(model, record):
    with pytest.raises(RecordError, match="no beats"):
        model.predict_record(replace(record, beats=None))


@pytest.mark.parametrize("fusion", ["atd", "step", "concat"])
def test_causal_model_does_not_know_the_future(record, fusion):
    model = build(causal=True, fusion=fusion)
    assert model.causal
    inputs = model.preprocessor(record).modalities
    whole = model.predict_beats(inputs)
    rng = np.random.default_rng(0)
    # At the start, inside windows, at the last one, which ends with the record.
    for last in (0, 47, 260):
        for missing in (False, True):
            changed = {name: values.copy() for name, values in inputs.items()}
            for values in changed.values():
                tail = values[last + 1 :]
                tail[:] = np.nan if missing else rng.normal(size=tail.shape)
            other = model.predict_beats(changed)
            assert_close(other[: last + 1], whole[: last + 1], 1e-6)
            assert np.abs(other[last + 1 :] - whole[last + 1 :]).max() > 1e-3


def test_a_causal_model_says_live_what_it_says_of_the_whole(record):
    model = build(causal=True)
    inputs = model.preprocessor(record).modalities
    whole = model.predict_beats(inputs)
    for count in (1, 20, 40, 63, 200, 273):
        so_far = {name: values[:count] for name, values in inputs.items()}
        assert_close(model.predict_beats(so_far), whole[:count], 1e-6)


@pytest.mark.parametrize("fusion", ["lmf", "tfn", "mult", "cross_attention"])
def test_every_beat_by_any_fusion(record, fusion):
    """The name is all that changes; a beat that lacks a modality is judged too."""
    model = BeatClassifier(
        {"rhythm": (32, 2), "shape": (32, 10)},
        {"rhythm": None, "shape": None},
        classes=CLASSES,
        fusion=fusion,
        fusion_options={"num_layers": 1} if fusion == "mult" else None,
        dim=8,
    )
    inputs = BeatPreprocessor()(record).modalities
    whole = model.predict_beats(inputs)
    assert whole.shape == (274, 4)
    inputs["shape"][100] = np.nan
    without = model.predict_beats(inputs)
    assert np.isfinite(without).all()
    assert np.abs(without[100] - whole[100]).max() > 1e-4
    if fusion in ("lmf", "tfn"):  # each beat by itself
        others = np.arange(274) != 100
        assert_close(without[others], whole[others], 1e-6)


def test_offline_model_uses_the_future(model, record):
    inputs = model.preprocessor(record).modalities
    changed = {name: values.copy() for name, values in inputs.items()}
    for values in changed.values():
        values[101:] = 0
    whole, other = model.predict_beats(inputs), model.predict_beats(changed)
    assert np.abs(other[100] - whole[100]).max() > 1e-4
    assert_close(other[:60], whole[:60], 1e-6)


def test_config_round_trip_through_sorted_json(model, record, labels):
    text = json.dumps(keras.saving.serialize_keras_object(model), sort_keys=True)
    again = keras.saving.deserialize_keras_object(json.loads(text))
    assert again.classes == CLASSES and again.causal is False
    assert again.modalities == ["ecg", "rhythm"] and again.segment_length == 32
    again.set_weights(model.get_weights())
    again.preprocessor = model.preprocessor
    again_labels = again.predict_record(record)
    assert_close(again_labels.probabilities, labels.probabilities, 1e-6)


def test_keras_file(model, record, labels, tmp_path):
    model.save(tmp_path / "model.keras")
    again = keras.saving.load_model(tmp_path / "model.keras")
    assert type(again) is BeatClassifier
    # A `.keras` file holds the model alone; presets hold both.
    again.preprocessor = BeatPreprocessor()
    probabilities = again.predict_record(record).probabilities
    assert_close(probabilities, labels.probabilities, 1e-6)


@pytest.mark.parametrize("num_classes", [0, 3])
def test_other_heads(model, record, num_classes):
    other = model.with_num_classes(num_classes)
    assert other.classes is None and type(other) is BeatClassifier
    features = other.predict_beats(other.preprocessor(record).modalities)
    assert features.shape == (274, num_classes or 48)


def test_padding_with_missing_beats(record):
    """In one segment, missing beats at the end count like the end of the record."""
    model = build()
    inputs = model.preprocessor(replace(record, beats=record.beats[:32])).modalities
    x = {name: inputs[name][None].copy() for name in model.modalities}
    for values in x.values():
        values[:, 20:] = np.nan
    few = {name: values[0, :20] for name, values in x.items()}
    assert_close(model.predict_on_batch(x)[0, :20], model.predict_beats(few), 1e-5)


def test_missing_beats_teach_nothing(record):
    """Labels of steps without any input have no effect on a training step."""
    inputs = BeatPreprocessor()(replace(record, beats=record.beats[:32])).modalities
    losses = []
    model = build(modalities=("rhythm", "shape"), fusion="concat")
    model.compile("sgd", "sparse_categorical_crossentropy")
    x = {name: np.repeat(inputs[name][None], 2, axis=0) for name in model.modalities}
    for values in x.values():
        values[:, 20:] = np.nan
    for label in (0, 1):
        y = np.zeros((2, 32), "int64")
        y[:, 20:] = label
        losses.append(model.test_on_batch(x, y))
    assert losses[0] == pytest.approx(losses[1], abs=1e-6)


@pytest.mark.parametrize(
    "wrong", [{"num_classes": 3}, {"pooling": "mean"}], ids=["count", "pooling"]
)
def test_arguments_that_go_with_no_beats(wrong):
    with pytest.raises(ValueError, match=rf"Received: {next(iter(wrong))}="):
        BeatClassifier({"e": (6, 4)}, {"e": None}, classes=["N", "V"], **wrong)
