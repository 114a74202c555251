"""The MIT-BIH recipe: what training is shown, and that it can be interrupted."""

import argparse
import csv
import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import h5py
import keras
import numpy as np
import pytest
from backends import only_on
from harness import assert_close

from keras_mmfusion.datasets import mitbih
from keras_mmfusion.preprocessing import BeatPreprocessor

ROOT = Path(__file__).parents[2]
RECIPE = ROOT / "recipes" / "mitbih"
sys.path.append(str(RECIPE))

import architecture  # noqa: E402
import data  # noqa: E402
import pretrain  # noqa: E402
import train  # noqa: E402

pytestmark = only_on("torch")

MODALITIES = ("ecg", "image", "rhythm", "shape")
SEGMENT = 32


def recording(number, beats=100, name=None):
    """Every value of a beat tells its record and its place: 1000 · number + beat."""
    rng = np.random.default_rng(number)
    code = (1000 * number + np.arange(beats)).astype("float32")

    def filled(*shape):
        return np.broadcast_to(
            code.reshape(-1, *[1] * len(shape)), (beats, *shape)
        ).copy()

    return data.Recording(
        name or str(number),
        {
            "ecg": filled(6, 4),
            "image": filled(6, 2),
            "rhythm": filled(2),
            "shape": filled(10),
        },
        rng.choice([-1, 0, 0, 0, 1, 2, 3], beats),
        rng.random(beats) < 0.2,
        0.8 * np.arange(beats),
    )


def sampler(recordings, **kwargs):
    settings = {"lead_dropout": 0.0, "seed": 0, **kwargs}
    return data.SegmentSampler(
        recordings, MODALITIES, 4, SEGMENT, batch_size=8, steps=10, **settings
    )


@pytest.fixture
def recordings():
    return [recording(n, beats) for n, beats in ((1, 100), (2, 32), (3, 60))]


SHARES = pytest.mark.parametrize("shares", [None, (0.25, 0.4, 0.25, 0.1)])


@SHARES
def test_segments_are_consecutive_beats_of_one_recording(recordings, shares):
    seen = set()
    batches = sampler(recordings, anchor_shares=shares)
    for index in range(10):
        x, _, _ = batches[index]
        assert {name: v.shape[:2] for name, v in x.items()} == dict.fromkeys(
            MODALITIES, (8, SEGMENT)
        )
        code = x["rhythm"][..., 0]
        assert (np.diff(code, axis=1) == 1).all()
        assert (code[:, 0] // 1000 == code[:, -1] // 1000).all()
        assert all((v.reshape(8, SEGMENT, -1) == code[..., None]).all()
                   for v in x.values())  # fmt: skip
        seen |= set(code[:, 0] // 1000)
    assert seen == {1, 2, 3}


@SHARES
def test_no_weight_for_held_out_or_unlabelled_beats(recordings, shares):
    batches = sampler(recordings, anchor_shares=shares)
    weighed = set()
    for index in range(10):
        x, y, weight = batches[index]
        assert y.shape == (8, SEGMENT, 4) and set(np.unique(weight)) <= {0, 1}
        for code, target, used in zip(
            x["rhythm"][..., 0].ravel().astype(int), y.reshape(-1, 4), weight.ravel(),
            strict=True,
        ):  # fmt: skip
            source = recordings[code // 1000 - 1]
            label, held_out = source.labels[code % 1000], source.held_out[code % 1000]
            assert used == (label >= 0 and not held_out)
            assert not used or target.argmax() == label
            weighed.add((bool(used), label >= 0, bool(held_out)))
    assert {(False, False, False), (False, True, True), (True, True, False)} <= weighed


@SHARES
def test_every_segment_holds_a_beat_to_learn_from(recordings, shares):
    batches = sampler(recordings, anchor_shares=shares)
    assert all((batches[i][2].sum(axis=1) > 0).all() for i in range(10))


def test_anchors_follow_the_shares():
    rare = recording(1, 1000)
    rare.labels[:] = 0
    rare.labels[::200] = 2
    rare.held_out[:] = False
    batches = sampler([rare], anchor_shares=(0.2, 0.4, 0.4, 0.0))
    held = [
        (y.argmax(-1) == 2).any(axis=1).mean() for _, y, _ in map(batches.__getitem__,
                                                                  range(10))
    ]  # fmt: skip
    # By chance one segment in six would hold one; two anchors in three do here,
    # as nobody has class 1.
    assert np.mean(held) > 0.5


def test_simulated_records_fill_their_share(recordings):
    recordings[2] = replace(recordings[2], simulated=True)
    batches = sampler(recordings, simulated_share=0.25)
    sources = np.concatenate(
        [batches[i][0]["rhythm"][:, 0, 0] // 1000 == 3 for i in range(10)]
    )
    assert 0.1 < sources.mean() < 0.4
    assert sampler(recordings[:2])[0][0]["rhythm"].max() < 3000


def test_a_batch_depends_on_seed_epoch_and_number_only(recordings):
    def batch(seed=0, epoch=0, index=3, before=()):
        batches = sampler(recordings, seed=seed, lead_dropout=0.5)
        batches.epoch = epoch
        for i in before:
            batches[i]
        x, y, weight = batches[index]
        return [*x.values(), y, weight]

    def same(a, b):
        return all(np.array_equal(v, w, True) for v, w in zip(a, b, strict=True))

    assert same(batch(), batch(before=(0, 7)))
    for change in ({"seed": 1}, {"epoch": 1}, {"index": 4}):
        assert not same(batch(), batch(**change))


def test_recordings_are_not_changed(recordings):
    copies = [recording(n, beats) for n, beats in ((1, 100), (2, 32), (3, 60))]
    batches = sampler(recordings, lead_dropout=0.9)
    for index in range(5):
        batches[index]
    for source, copy in zip(recordings, copies, strict=True):
        for name in MODALITIES:
            assert np.array_equal(source.modalities[name], copy.modalities[name])
        assert np.array_equal(source.labels, copy.labels)
        assert np.array_equal(source.held_out, copy.held_out)


def test_lead_dropout_hits_all_of_one_lead(recordings):
    x, _, _ = sampler(recordings, lead_dropout=0.7)[0]
    of_lead = {
        "ecg": ([0, 2], [1, 3]),
        "image": ([0], [1]),
        "shape": ([0, 1, 2, 3, 4], [5, 6, 7, 8, 9]),
    }
    lost = []
    for row in range(8):
        gone = [
            [np.isnan(x[name][row][..., columns[lead]]) for name, columns
             in of_lead.items()] for lead in range(2)
        ]  # fmt: skip
        complete = [all(g.all() for g in lead) for lead in gone]
        untouched = [not any(g.any() for g in lead) for lead in gone]
        assert complete[0] + untouched[0] == complete[1] + untouched[1] == 1
        assert not all(complete)
        lost.append((complete[0], complete[1]))
    assert {(True, False), (False, True), (False, False)} == set(lost)
    assert np.isfinite(x["rhythm"]).all()


@pytest.mark.parametrize("fold", [None, 0, 1, 2, 3])
def test_interpatient_split_holds_no_test_record(fold):
    everyone = [recording(0, 1, name) for name in mitbih.RECORDS]
    training, validation = train.split("interpatient", everyone, fold)
    names = {r.name for r in training}, {r.name for r in validation}
    assert names[1] == (set() if fold is None else set(mitbih.FOLDS[fold]))
    assert names[0] == set(mitbih.DS1) - names[1]


@pytest.mark.parametrize("protocol", ["random_nlrav", "random_aami5"])
def test_random_protocols_hold_a_fifth_out(data_dir, protocol):
    recordings = data.load(protocol, data_dir=data_dir, records=["100", "209"])
    labels = np.concatenate([r.labels for r in recordings])
    held_out = np.concatenate([r.held_out for r in recordings])
    assert held_out.tolist() == mitbih.random_split(labels).tolist()
    assert held_out[labels >= 0].mean() == pytest.approx(0.2, abs=1e-3)


def test_interpatient_drops_q(data_dir):
    (record,) = data.load("interpatient", data_dir=data_dir, records=["101"])
    (source,) = mitbih.load_mitbih(["101"], data_dir)
    q = mitbih.aami_labels(source.symbols) == 4
    assert q.any() and (record.labels[q] == -1).all() and (record.labels[~q] >= 0).all()
    assert not record.held_out.any()


# Runs.

# Tracing a dozen small models takes longer than all other tests.
EAGERLY = """
import runpy, keras
compile = keras.Model.compile
keras.Model.compile = lambda *a, **k: compile(*a, **k, run_eagerly=True)
runpy.run_path("recipes/mitbih/train.py", run_name="__main__")
"""


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """What the command leaves behind; on the cheapest of the models."""
    folder = os.environ.get("KERAS_MMFUSION_DATA")
    if not folder:
        pytest.skip("needs real data: set KERAS_MMFUSION_DATA")
    output = tmp_path_factory.mktemp("runs")
    start = ["recipes/mitbih/train.py"]
    if keras.backend.backend() == "tensorflow":
        start = ["-c", EAGERLY]
    command = ["--smoke", "--quiet", "--folds", "--fusion", "rhythm", "--output"]
    result = subprocess.run(
        [sys.executable, *start, *command, str(output)],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert result.returncode == 0, result.stderr[-2000:]
    return output


@pytest.mark.parametrize("fold,records", list(enumerate(("209", "119", "220", "208"))))
def test_smoke_run(runs, fold, records):
    folder = runs / "interpatient" / "rhythm" / f"seed0_fold{fold}"
    facts = json.loads((folder / "run.json").read_text())
    assert facts["backend"] == keras.backend.backend()
    assert facts["validated_on"] == [records]
    assert not (folder / "backup").exists()
    with np.load(folder / "validation.npz") as scored:
        probabilities = scored[records]
        # What is simulated of this patient's beats is scored too.
        simulated = {"209": "S", "119": "V", "220": "S"}.get(records, "")
        rich = [f"{records} {kind} 0.{n}" for kind in simulated for n in (60, 75)]
        assert list(scored) == [records, *rich]
    assert probabilities.shape[1] == 4 and len(probabilities) > 1000
    assert_close(probabilities.sum(axis=1), np.ones(len(probabilities)))
    model = architecture.build(data.classes_of("interpatient"), "rhythm", ("rhythm",))
    before = model.get_layer("head").get_weights()[0]
    model.load_weights(folder / "model.weights.h5")
    assert np.abs(model.get_layer("head").get_weights()[0] - before).max() > 1e-4
    lines = (folder / "train_log.csv").read_text().splitlines()
    assert len(lines) == 2
    log = dict(zip(lines[0].split(","), lines[1].split(","), strict=True))
    assert np.isfinite(float(log["loss"]))


def arguments(output, fusion="rhythm"):
    return argparse.Namespace(
        protocol="interpatient", fusion=fusion, causal=False, output=str(output),
        leads=False, pretrain=False, steps=4, batch_size=4, learning_rate=1e-2,
        tensorboard=False, quiet=True, workers=1, steps_per_execution=1,
        devices=1, process=0,
    )  # fmt: skip


def test_complete_runs_are_skipped(runs, capsys):
    train.run(arguments(runs), [], BeatPreprocessor(), seed=0, fold=2)
    assert capsys.readouterr().out.strip().endswith("seed0_fold2: complete")


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("atd", ("atd", architecture.MODALITIES, False, False)),
        ("shape", ("shape", ("shape",), False, False)),
        ("step_causal", ("step", architecture.MODALITIES, True, False)),
        ("leads_lead_2", ("lead_2", ("lead_2",), False, False)),
        ("leads_tfn_pretrained", ("tfn", architecture.LEADS, False, True)),
    ],
)
def test_names_of_variants(name, expected):
    found = architecture.parse(name)
    assert found == architecture.Variant(*expected)
    with pytest.raises(ValueError, match="lead_1"):
        architecture.parse("lead_1")  # Which is no view.


def test_stage_1_is_what_the_classifier_begins_with(tmp_path):
    """Encoders and fusion learn in place; decoder and head do not."""
    rng = np.random.default_rng(0)
    shapes = {name: architecture.SHAPES[name] for name in architecture.LEADS}
    beats = {name: rng.normal(size=(64, *s)) for name, s in shapes.items()}
    recording = data.Recording(
        "108", beats, rng.integers(4, size=64), np.zeros(64, bool), np.arange(64.0)
    )
    sampler = data.SegmentSampler(
        [recording], architecture.LEADS, 4, architecture.SEGMENT, 2, 2, seed=0
    )
    model = architecture.build(tuple("NSVF"), "concat", architecture.LEADS)
    before = {layer.name: layer.get_weights() for layer in model.layers}
    _, errors = pretrain.pretrain(model, sampler, tmp_path, arguments(tmp_path))
    assert set(errors) == {"loss", "lead_1_loss", "lead_2_loss", "rhythm_loss"}
    assert all(np.isfinite(list(errors.values())))
    for layer in model.layers:
        same = all(map(np.array_equal, before[layer.name], layer.get_weights()))
        learned = layer.name.endswith("_encoder") or layer.name == "fusion"
        assert same != learned, layer.name


class PowerCut(Exception):
    pass


@pytest.fixture
def recorded():
    """Enough to train on for fold 0, with two of the small modalities."""
    rng = np.random.default_rng(0)
    return [
        data.Recording(
            name,
            {
                "rhythm": rng.normal(size=(60, 2)).astype("float32"),
                "shape": rng.normal(size=(60, 10)).astype("float32"),
            },
            rng.integers(4, size=60),
            np.zeros(60, bool),
            0.8 * np.arange(60),
        )
        for name in ("108", "119", "209")
    ]


def finished(folder):
    """Weights by name, rows of the log, and scores of a run that is complete."""
    (folder,) = folder.glob("*/*/*")
    weights = {}

    def collect(name, node):
        if isinstance(node, h5py.Dataset):
            weights[name] = np.array(node)

    with h5py.File(folder / "model.weights.h5") as file:
        file.visititems(collect)
    with open(folder / "train_log.csv", encoding="utf-8") as log:
        rows = list(csv.DictReader(log))
    with np.load(folder / "validation.npz") as scored:
        return weights, rows, scored["209"]


# `concat` has modality dropout, which draws random numbers of its own.
@pytest.mark.parametrize("fusion", ["rhythm", "concat"])
def test_interrupted_run_goes_on_as_if_it_had_not_been(
    recorded, fusion, tmp_path, monkeypatch
):
    monkeypatch.setattr(architecture, "MODALITIES", ("rhythm", "shape"))
    monkeypatch.setattr(train, "STEPS_PER_EPOCH", 2)
    if keras.backend.backend() == "tensorflow":
        compile_model = keras.Model.compile
        monkeypatch.setattr(
            keras.Model,
            "compile",
            lambda *args, **kwargs: compile_model(*args, **kwargs, run_eagerly=True),
        )
    train.run(arguments(tmp_path / "whole", fusion), recorded, BeatPreprocessor(), 5, 0)

    begin = data.EpochOf.on_epoch_begin

    def cut(self, epoch, logs=None):
        if epoch == 1:
            raise PowerCut
        begin(self, epoch, logs)

    with monkeypatch.context() as patch:
        patch.setattr(data.EpochOf, "on_epoch_begin", cut)
        with pytest.raises(PowerCut):
            train.run(
                arguments(tmp_path / "cut", fusion), recorded, BeatPreprocessor(), 5, 0
            )
    keras.utils.set_random_seed(123)
    train.run(arguments(tmp_path / "cut", fusion), recorded, BeatPreprocessor(), 5, 0)

    weights, rows, scores = finished(tmp_path / "whole")
    other_weights, other_rows, other_scores = finished(tmp_path / "cut")
    assert [row["epoch"] for row in rows] == ["0", "1"]
    assert [row["epoch"] for row in other_rows] == ["0", "1"]
    for row, other in zip(rows, other_rows, strict=True):
        assert float(other["loss"]) == pytest.approx(float(row["loss"]), abs=1e-5)
    assert set(weights) == set(other_weights)
    for name, values in weights.items():
        assert_close(other_weights[name], values, 1e-5, name)
    assert_close(other_scores, scores, 1e-5, "validation")
