"""The MIT-BIH recipe: its runs, and that they can be interrupted."""

import argparse
import csv
import json
import os
import subprocess
import sys
from pathlib import Path

import h5py
import keras
import numpy as np
import pytest
from backends import only_on
from harness import assert_close
from recipe_modules import assert_command_tells_settings

from keras_mmfusion.preprocessing import BeatPreprocessor

ROOT = Path(__file__).parents[2]
RECIPE = ROOT / "recipes" / "mitbih"
sys.path.append(str(RECIPE))

import architecture  # noqa: E402
import data  # noqa: E402
import pretrain  # noqa: E402
import scoring  # noqa: E402
import train  # noqa: E402
import validate  # noqa: E402

pytestmark = only_on("torch")

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
    assert_command_tells_settings(folder, train)
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


def arguments(output, fusion="rhythm", steps=4):
    return argparse.Namespace(
        protocol="interpatient", fusion=fusion, causal=False, output=str(output),
        leads=False, pretrain=False, specialist=False, steps=steps, batch_size=4,
        learning_rate=2e-3, precision="float32",
        tensorboard=False, quiet=True, workers=1, steps_per_execution=1,
        devices=1, process=0,
    )  # fmt: skip


def test_complete_runs_are_skipped(runs, capsys):
    train.run(arguments(runs), [], BeatPreprocessor(), seed=0, fold=2)
    assert capsys.readouterr().out.strip().endswith("seed0_fold2: complete")
    longer = arguments(runs, steps=600)
    with pytest.raises(SystemExit, match=r"with --steps 4\. Received: --steps 600"):
        train.run(longer, [], BeatPreprocessor(), seed=0, fold=2)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("atd", ("atd", architecture.MODALITIES, False, False, False)),
        ("atd_specialist", ("atd", architecture.MODALITIES, False, False, True)),
        ("shape", ("shape", ("shape",), False, False, False)),
        ("step_causal", ("step", architecture.MODALITIES, True, False, False)),
        ("leads_lead_2", ("lead_2", ("lead_2",), False, False, False)),
        ("leads_tfn_pretrained", ("tfn", architecture.LEADS, False, True, False)),
    ],
)
def test_names_of_variants(name, expected):
    found = architecture.parse(name)
    assert found == architecture.Variant(*expected)
    with pytest.raises(ValueError, match="lead_1"):
        architecture.parse("lead_1")  # Which is no view.


@pytest.mark.parametrize(
    ("variant", "protocol", "weights"),
    [
        ("atd", "interpatient", {"ecg": 1.0, "rhythm": 20.0}),
        ("step_causal", "interpatient", {"ecg": 1.0, "rhythm": 20.0}),
        ("shape", "interpatient", {"shape": 1.0}),
        ("leads_cascade_pretrained", "interpatient", None),
        ("atd", "random_nlrav", None),
    ],
)
def test_scores_are_in_consensus_where_models_are(variant, protocol, weights):
    rng = np.random.default_rng(0)
    modalities = {name: rng.normal(size=(30, 2)) for name in ("ecg", "rhythm", "shape")}
    recording = data.Recording("made", modalities, *[np.zeros(30, int)] * 3)
    raw = {"made": rng.dirichlet(np.ones(4), 30)}
    found = scoring.in_consensus(raw, [recording], protocol, variant)["made"]
    consensus = architecture.consensus(variant, protocol)
    assert weights == (consensus and consensus.weights)
    expected = raw["made"]
    if consensus:
        causal = variant.endswith("causal")
        expected = consensus(expected, modalities, causal)
        assert np.abs(expected - raw["made"]).max() > 0.01
    assert_close(found, expected, 0.0)


def test_settings_of_a_consensus_are_compared(monkeypatch, capsys):
    rng = np.random.default_rng(0)
    modalities = {name: rng.normal(size=(80, 2)) for name in ("ecg", "rhythm")}
    labels = np.arange(80) % 4
    recording = data.Recording("made", modalities, labels, labels < 0, labels)
    right = 0.1 + 0.6 * np.eye(4)[labels]
    monkeypatch.setattr(scoring, "read_runs", lambda *a, **k: {0: {"made": right}})
    validate.compare("runs", "atd", [recording])
    _, _, none, *others = capsys.readouterr().out.splitlines()
    # Neighbours drawn at random can only spoil what is right throughout.
    assert none.split()[:3] == ["none", "1", "1.0000"] and len(others) == 18
    assert min(float(row.split()[4]) for row in others) < 1.0


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
