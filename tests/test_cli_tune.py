"""`mmfusion tune`: what it writes, that it goes on, and what it refuses."""

import csv
import json
import os
import re
import signal
import subprocess
import sys
import threading
import time

import keras
import numpy as np
import pytest
from backends import once
from cli_fakes import copy_excerpt

from keras_mmfusion import cli, presets
from keras_mmfusion.cli import _tune_data, _tune_workers, tune
from keras_mmfusion.models import BeatClassifier, FusionForecaster
from keras_mmfusion.preprocessing import BeatPreprocessor

pytest.importorskip("keras_tuner")
pytestmark = once

RANGES = ["fusion=concat,lmf", "dim=8", "encoder=dense", "encoder_dim=4:8"]
LINE = [word for text in RANGES for word in ("--range", text)]
LINE += ["--epochs", "2", "--batch-size", "8"]


def write_arrays(path, **changes):
    rng = np.random.default_rng(0)
    arrays = {
        "voice": rng.normal(size=(24, 4, 3)),
        "text": rng.normal(size=(24, 5)),
        "y": np.arange(24) % 3,
        "groups": np.repeat(np.array(["a", "b", "c", "d", "e", "f"]), 4),
        **changes,
    }
    np.savez(path, **{k: v for k, v in arrays.items() if v is not None})
    return path


@pytest.fixture
def file(tmp_path):
    return write_arrays(tmp_path / "data.npz")


@pytest.fixture
def output(tmp_path):
    return tmp_path / "found"


@pytest.fixture
def refused(capsys):
    def check(message, *words):
        capsys.readouterr()
        assert cli.main(["tune", *map(str, words)]) == 2
        captured = capsys.readouterr()
        lines = captured.err.strip().split("\n")
        assert lines[-1].startswith("mmfusion: error: ")
        assert captured.out == ""
        assert re.search(message, lines[-1]), lines[-1]

    return check


def command(file, output, *words):
    return ["tune", str(file), "--output", str(output), *LINE, *words]


def rows_of(output):
    with open(output / "trials.csv", newline="", encoding="utf-8") as file:
        return {row["trial"]: row for row in csv.DictReader(file)}


def trials_of(output):
    folder = output.with_name(f"{output.name}.search")
    return {
        path.parent.name: json.loads(path.read_text())
        for path in sorted(folder.glob("trial_*/trial.json"))
    }


def test_search_then_go_on(file, output, capsys):
    assert cli.main(command(file, output, "--max-trials", "2")) == 0
    captured = capsys.readouterr()
    rows = rows_of(output)
    assert set(rows) == {"0", "1"}
    best = min(rows.values(), key=lambda row: float(row["val_loss"]))
    assert f"Best: trial {best['trial']}, val_loss {best['val_loss']}" in captured.out
    assert "trial 2 of 2: val_loss" in captured.err
    assert captured.out.startswith("trial  status")

    model = presets.load(str(output))
    assert model.get_config()["fusion"] == best["fusion"]
    assert list(model.input) == ["voice", "text"]
    metadata = json.loads((output / "metadata.json").read_text())
    assert metadata["task"] == "classification"
    assert metadata["recipe"]["command"].startswith("mmfusion tune data.npz --output")
    # The model that was scored, on the patients that it was scored on.
    data = _tune_data.read(file)
    from keras_mmfusion.cli._tune_search import _folds

    training, held = _folds(data, None, 0)[0]
    assert not set(data.groups[training]) & set(data.groups[held])
    model.compile(loss="sparse_categorical_crossentropy", weighted_metrics=["accuracy"])
    x = {name: values[held] for name, values in data.x.items()}
    scores = model.evaluate(x, data.y[held], verbose=0, return_dict=True)
    assert scores["loss"] == pytest.approx(float(best["val_loss"]), rel=1e-3)

    before = trials_of(output)
    assert cli.main(command(file, output, "--max-trials", "3")) == 0
    after = trials_of(output)
    assert {name: after[name] for name in before} == before
    assert set(rows_of(output)) == {"0", "1", "2"}
    assert "trial 3 of 3" in capsys.readouterr().err


def test_folds_bayesian_and_steps(tmp_path, output):
    """A class for each step, some of them unknown; then Hyperband, which has rounds."""
    y = np.arange(24 * 4).reshape(24, 4) % 3
    y[3, :2] = -1
    file = write_arrays(tmp_path / "steps.npz", y=y)
    words = ["--tuner", "bayesian", "--folds", "2", "--max-trials", "2"]
    words += ["--objective", "val_accuracy"]
    assert cli.main(command(file, output, *words)) == 0
    rows = list(rows_of(output).values())
    scores = [float(row["val_accuracy"]) for row in rows]
    assert scores == sorted(scores, reverse=True)
    assert presets.load(str(output)).output_shape == (None, 4, 3)
    assert "over 2 folds" in (output / "README.md").read_text()

    words = ["--tuner", "hyperband", "--max-trials", "4", "--epochs", "3", "--force"]
    assert cli.main(command(file, output, *words)) == 0
    assert len(rows_of(output)) == 4


def test_forecast(tmp_path, output):
    rng = np.random.default_rng(0)
    arrays = {
        "load": rng.normal(size=(24, 8, 2)),
        "calendar": rng.normal(size=(24, 8, 3)),
        "y": rng.normal(size=(24, 3, 2)),
    }
    np.savez(tmp_path / "series.npz", **arrays)
    words = ["--max-trials", "1", "--objective", "val_mae"]
    assert cli.main(command(tmp_path / "series.npz", output, *words)) == 0
    model = presets.load(str(output))
    assert isinstance(model, FusionForecaster) and model.horizon == 3
    assert float(rows_of(output)["0"]["val_mae"]) > 0


@pytest.fixture(scope="module")
def labeller(tmp_path_factory):
    """A preset that labels beats by their rhythm and shape."""
    keras.utils.set_random_seed(0)
    model = BeatClassifier(
        inputs={"rhythm": (16, 2), "shape": (16, 10)},
        encoders={
            "rhythm": keras.layers.Dense(4, name="rhythm_encoder"),
            "shape": keras.layers.Dense(4, name="shape_encoder"),
        },
        classes=["N", "S", "V"],
        fusion="concat",
        dim=8,
    )
    model.preprocessor = BeatPreprocessor()
    folder = tmp_path_factory.mktemp("preset") / "labeller"
    presets.save(model, folder)
    return folder


def test_records_like_a_preset(tmp_path, output, labeller, capsys):
    """A folder of WFDB records; of MIT-BIH those to train on."""
    folder = tmp_path / "mitdb"
    for name in ("101", "202", "207", "208"):
        copy_excerpt(folder, name)
    data = _tune_data.read(folder, str(labeller))
    assert set(data.groups) == {"101", "207", "208"} and "DS1" in data.notes[0]
    assert data.x["shape"].shape == (len(data.y), 16, 10)
    assert data.y.max() <= 2 and set(np.unique(data.sample_weight)) <= {0, 1}
    assert data.sample_weight.mean() > 0.5
    both = _tune_data.read(folder, str(labeller), ["101", "202"])
    assert set(both.groups) == {"101", "201"}

    words = ["--output", str(output), "--preset-like", str(labeller)]
    words += ["--range", "fusion=lmf,concat", "--range", "dim=8", "--epochs", "1"]
    words += ["--max-trials", "1", "--records", "101", "207"]
    assert cli.main(["tune", str(folder), *words]) == 0
    model = presets.load(str(output))
    assert isinstance(model, BeatClassifier) and model.classes == ("N", "S", "V")
    assert len(model.predict_record(folder / "101").labels) > 50
    metadata = json.loads((output / "metadata.json").read_text())
    assert metadata["outputs"]["classes"] == ["N", "S", "V"]


KILLED = """
import os, signal, sys
from keras_mmfusion import cli
from keras_mmfusion.tuning._hyper_model import FusionHyperModel
train, calls = FusionHyperModel.train, []
def killed(*args, **kwargs):
    history = train(*args, **kwargs)
    calls.append(1)
    if len(calls) == 2:
        os.kill(os.getpid(), signal.SIGKILL)
    return history
FusionHyperModel.train = killed
cli.main(sys.argv[1:])
"""


def test_killed_in_a_trial(file, output):
    """Killed when the second model was trained and nothing of it noted."""
    words = command(file, output, "--max-trials", "3")
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    process = subprocess.run(
        [sys.executable, "-c", KILLED, *words],
        env=environment,
        capture_output=True,
        text=True,
    )
    assert process.returncode == -signal.SIGKILL, process.stderr
    before = trials_of(output)
    assert [t["status"] for t in before.values()] == ["COMPLETED", "RUNNING"]
    assert not output.exists()
    assert cli.main(words) == 0
    after = trials_of(output)
    assert [t["status"] for t in after.values()] == ["COMPLETED"] * 3
    assert after["trial_0"] == before["trial_0"]
    assert after["trial_1"]["hyperparameters"] == before["trial_1"]["hyperparameters"]


def test_half_written_files(file, output):
    """Whatever the moment of the kill, what was scored is not lost."""
    words = command(file, output, "--max-trials", "2")
    assert cli.main(words) == 0
    before = trials_of(output)
    folder = output.with_name("found.search")
    (folder / "oracle.json").write_text('{"ongoing_tri')
    (folder / "trial_1" / "trial.json").write_text("")
    (folder / "trial_2").mkdir()  # begun, and not yet known to the oracle
    (folder / "trial_2" / "trial.json").write_text("{")
    assert cli.main(command(file, output, "--max-trials", "3")) == 0
    after = trials_of(output)
    assert after["trial_0"] == before["trial_0"]
    assert [t["status"] for t in after.values()] == ["COMPLETED"] * 3

    # Nothing but the settings: from the beginning.
    (folder / "oracle.json").unlink()
    (folder / "oracle.kept").unlink()
    assert cli.main(words) == 0
    assert len(trials_of(output)) == 2


def test_workers_one_of_them_killed(file, output, monkeypatch, capfd):
    """Real processes on 127.0.0.1: chief and workers, by Keras Tuner's protocol."""
    begun, start = {}, _tune_workers._start

    def watched(name, *args):
        begun.setdefault(name, []).append(start(name, *args))
        return begun[name][-1]

    monkeypatch.setattr(_tune_workers, "_start", watched)
    oracle, killed = output.with_name("found.search") / "oracle.json", []

    def kill():
        while not killed:
            try:
                ongoing = json.loads(oracle.read_text())["ongoing_trials"]
            except (OSError, ValueError):
                ongoing = {}
            if "worker1" in ongoing:
                begun["worker1"][0].kill()
                killed.append(ongoing["worker1"])
            time.sleep(0.01)

    thread = threading.Thread(target=kill, daemon=True)
    thread.start()
    words = ["--max-trials", "3", "--workers", "2"]
    assert cli.main(command(file, output, *words)) == 0, capfd.readouterr().err
    error = capfd.readouterr().err
    assert "worker1 was ended by signal 9; it starts again" in error
    assert "trial 3 of 3: val_loss" in error
    trials = trials_of(output)
    assert [t["status"] for t in trials.values()] == ["COMPLETED"] * 3
    assert f"trial_{killed[0]}" in trials
    assert len(rows_of(output)) == 3 and presets.load(str(output)).built
    assert {name: len(p) for name, p in begun.items()} == {
        "chief": 1,
        "worker1": 2,
        "worker2": 1,
    }
    assert all(p.poll() is not None for ps in begun.values() for p in ps)


def test_a_failing_worker_ends_all(tmp_path, monkeypatch):
    from keras_mmfusion.datasets import RecordError

    with pytest.raises(RecordError, match=r"(chief|worker\d) failed \(exit code 2\)"):
        _tune_workers.run_workers(["tune"], 2, tmp_path)


def test_no_worker_outlives_its_parent():
    code = (
        "import time\nfrom keras_mmfusion.cli._tune_workers import end_with_parent\n"
        "end_with_parent()\nprint('here', flush=True)\ntime.sleep(600)"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", code],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )
    with process:
        assert process.stdout.readline() == b"here\n"
        assert process.poll() is None
        process.stdin.close()
        assert process.wait(60) == 1


def test_ranges():
    texts = ["fusion=atd,concat", "dim=16:64", "dropout=0.1", "a/encoder=lstm"]
    assert tune.read_ranges(texts) == {
        "fusion": ["atd", "concat"],
        "dim": (16, 64),
        "dropout": [0.1],
        "a/encoder": ["lstm"],
    }


class TestRefused:
    def test_arguments(self, file, output, refused, tmp_path):
        words = (file, "--output", output)
        refused(r"--epochs must be at least 1.*0", *words, "--epochs", 0)
        refused(r"--seed must be 0 or more", *words, "--seed", -1)
        refused(r"--range must be such as.*'dim'", *words, "--range", "dim")
        refused(
            r"of this search.*'film/encoder'", *words, "--range", "film/encoder=lstm"
        )
        refused(r"must be of.*'glue'", *words, "--range", "fusion=glue")
        refused(r"from 2 to 6.*folds=9", *words, "--folds", 9)
        refused(r"val_accuracy.*Received: val_mae", *words, "--objective", "val_mae")
        refused(r"preset.*nothing_such", *words, "--preset-like", "nothing_such")
        refused(r"letters, digits", file, "--output", tmp_path / "two words")
        refused(r"--records is for a folder", *words, "--records", "101")
        assert sorted(tmp_path.iterdir()) == [file]

    @pytest.mark.parametrize(
        "changes, message",
        [
            ({"y": None}, r"and y\. Received: \['groups', 'text', 'voice'\]"),
            ({"voice": np.zeros((23, 4, 3))}, r"same samples.*'voice': 23"),
            ({"y": np.zeros((24, 2))}, r"float64, shape \(24, 2\)"),
            ({"y": np.zeros((24, 2, 2), int)}, r"y of shape \(24, 2, 2\)"),
            ({"y": np.full(24, -1)}, "negative ones only"),
            ({"groups": np.zeros((24, 2))}, r"groups.*\(24, 2\)"),
            ({"text": np.array(["a"] * 24)}, "must be numbers.*text of dtype <U1"),
            ({"text": np.array([None] * 24)}, "plain arrays"),
            ({"groups": np.zeros(24)}, "groups.*two different"),
            ({"voice": np.zeros((24, 4, 3, 2, 2, 2))}, "'voice' of shape"),
        ],
    )
    def test_arrays(self, changes, message, tmp_path, output, refused):
        file = write_arrays(tmp_path / "bad.npz", **changes)
        refused(message, file, "--output", output)
        assert not output.exists()

    def test_files(self, file, output, refused, tmp_path, labeller):
        refused(r"none\.npz is not there", tmp_path / "none.npz", "--output", output)
        (tmp_path / "text.npz").write_text("no arrays")
        refused("must be an .npz file", tmp_path / "text.npz", "--output", output)
        np.save(tmp_path / "one.npy", np.zeros(3))
        refused("must be an .npz file", tmp_path / "one.npy", "--output", output)
        refused("needs --preset-like", tmp_path, "--output", output)
        like = ("--output", output, "--preset-like", labeller)
        refused("must hold WFDB records.*Received: none", tmp_path, *like)
        refused(r"none for \['101'\]", tmp_path, *like, "--records", "101")
        refused(r"as in the preset.*rhythm.*Received.*voice", file, *like)
        rng = np.random.default_rng(0)
        arrays = {"shape": rng.random((8, 16, 10)), "rhythm": rng.random((8, 16, 2))}
        np.savez(tmp_path / "like.npz", y=np.arange(8), **arrays)
        refused(r"outputs of the preset, \(16, 3\)", tmp_path / "like.npz", *like)

    def test_another_search(self, file, output, refused, tmp_path):
        few = ["--max-trials", "1"]
        assert cli.main(command(file, output, *few)) == 0
        refused(
            "other epochs.*--force", *command(file, output, *few, "--epochs", 3)[1:]
        )
        changed = write_arrays(tmp_path / "other.npz", y=np.arange(24) % 2)
        refused("other data", *command(changed, output, *few)[1:])
        (output.with_name("found.search") / "search.json").unlink()
        refused("no search of it", *command(file, output, *few)[1:])
        assert cli.main(command(changed, output, *few, "--force")) == 0
        other = tmp_path / "mine"
        other.mkdir()
        (other / "notes.txt").write_text("dear diary")
        refused("is no preset", *command(file, other, *few)[1:])
        assert (other / "notes.txt").exists()

    def test_two_at_once(self, file, output, refused):
        from keras_mmfusion.cli._tune_state import only_one

        with only_one(output.with_name("found.search")):
            refused("Another process searches", *command(file, output)[1:])

    def test_nothing_can_be_trained(self, file, output, refused):
        words = command(file, output, "--range", "learning_rate=1e38")
        refused("No model.*in 1 trials", *words[1:], "--max-trials", "1")
        refused(r"Three models in a row.*\(val_loss is no number\)", *words[1:])

    def test_without_the_package(self, file, output, refused, monkeypatch):
        monkeypatch.setitem(sys.modules, "keras_tuner", None)
        refused(r"keras_mmfusion\[tuner\]", file, "--output", output)
