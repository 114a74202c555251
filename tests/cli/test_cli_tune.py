"""`mmfusion tune`: what it writes, and that it goes on."""

import csv
import json
import os
import shlex
import signal
import subprocess
import sys
import threading
import time
from types import SimpleNamespace

import numpy as np
import pytest
from backends import once
from cli_fakes import copy_excerpt
from tune_files import command, write_arrays

from keras_mmfusion import cli, presets
from keras_mmfusion.cli import _tune_data, _tune_workers, tune
from keras_mmfusion.cli._tune_table import TrialTable
from keras_mmfusion.models import BeatClassifier, FusionForecaster

pytest.importorskip("keras_tuner")
pytestmark = once


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
    words = command(file, output, "--max-trials", "2", "--seed", "3")
    assert cli.main(words) == 0
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
    again = shlex.split(metadata["recipe"]["command"])
    parse = cli._parser().parse_args
    args, ours = parse(again[1:]), parse(words)
    assert {**vars(args), "data": file, "output": output} == vars(ours)
    assert (args.data.name, args.output.name) == tuple(
        map(str, (args.data, args.output))
    )
    # The model that was scored, on the patients that it was scored on.
    data = _tune_data.read(file)
    from keras_mmfusion.cli._tune_search import _folds

    training, held = _folds(data, None, 3)[0]
    assert not set(data.groups[training]) & set(data.groups[held])
    model.compile(loss="sparse_categorical_crossentropy", weighted_metrics=["accuracy"])
    x = {name: values[held] for name, values in data.x.items()}
    scores = model.evaluate(x, data.y[held], verbose=0, return_dict=True)
    assert scores["loss"] == pytest.approx(float(best["val_loss"]), rel=1e-3)

    before = trials_of(output)
    assert cli.main([*words, "--max-trials", "3"]) == 0
    after = trials_of(output)
    assert {name: after[name] for name in before} == before
    assert set(rows_of(output)) == {"0", "1", "2"}
    assert "trial 3 of 3" in capsys.readouterr().err


def test_the_reported_one_of_equally_good_trials_is_saved(
    file, output, monkeypatch, capsys
):
    """Whatever the order in which the trials are found on the disk."""
    import keras_tuner

    words = command(file, output, "--max-trials", "2")
    assert cli.main(words) == 0
    reload = keras_tuner.Oracle.reload

    def backwards(self):
        reload(self)
        self.trials = {name: self.trials[name] for name in ("1", "0")}
        for trial in self.trials.values():
            trial.score = 1.0

    monkeypatch.setattr(keras_tuner.Oracle, "reload", backwards)
    capsys.readouterr()
    assert cli.main(words) == 0
    assert "Best: trial 0, val_loss 1\n" in capsys.readouterr().out
    dropout = presets.load(str(output)).get_config()["dropout"]
    assert dropout == pytest.approx(float(rows_of(output)["0"]["dropout"]), rel=1e-4)


def test_a_search_with_nothing_else_to_try_says_so(file, output, capsys):
    words = ["--range", "encoder_dim=8", "--range", "fusion=concat"]
    words += ["--range", "dropout=0.1", "--range", "learning_rate=0.001"]
    assert cli.main(command(file, output, *words, "--max-trials", "3")) == 0
    assert "1 of 3 trials: nothing else was found to try" in capsys.readouterr().out


def test_of_equally_good_trials_the_oldest_is_first():
    """Also when a search that went on gives its trials longer numbers."""
    names = ["10", "9", "02", "1"]
    trials = [SimpleNamespace(trial_id=n, status="COMPLETED", score=1.0) for n in names]
    oracle = SimpleNamespace(
        trials={trial.trial_id: trial for trial in trials},
        objective=SimpleNamespace(direction="max"),
    )
    ordered = TrialTable("val_accuracy", [], True).in_order(oracle)
    assert [trial.trial_id for trial in ordered] == ["1", "02", "9", "10"]


@pytest.mark.parametrize(
    "y", [np.arange(96).reshape(24, 4) % 3 - 1, np.ones((24, 4, 3))]
)
def test_weights_of_samples_are_those_of_their_steps(tmp_path, y):
    weight = np.arange(24.0)
    file = write_arrays(tmp_path / "weights.npz", y=y, sample_weight=weight)
    data = _tune_data.read(file)
    known = y >= 0 if y.ndim == 2 else np.ones((24, 4))
    np.testing.assert_array_equal(data.sample_weight, weight[:, None] * known)


def test_seed_is_that_of_the_weights_too(file, output):
    import keras_tuner

    from keras_mmfusion.cli._tune_search import Search

    data, weights = _tune_data.read(file), []
    for seed in ("0", "0", "1"):
        args = cli._parser().parse_args(command(file, output, "--seed", seed))
        model = Search(args, data, {}).hypermodel.build(keras_tuner.HyperParameters())
        weights.append(model.get_layer("voice_encoder").get_weights()[0])
    assert np.array_equal(weights[0], weights[1])
    assert not np.array_equal(weights[0], weights[2])


def test_folds_of_a_series_are_blocks_of_time(tmp_path):
    from keras_mmfusion.cli._tune_search import _folds

    arrays = {"load": np.zeros((23, 8, 2)), "y": np.zeros((23, 3, 2))}
    np.savez(tmp_path / "series.npz", **arrays)
    folds = _folds(_tune_data.read(tmp_path / "series.npz"), 4, 0)
    assert all(np.ptp(held) == len(held) - 1 for _, held in folds)
    assert sorted(np.concatenate([held for _, held in folds])) == list(range(23))
    with pytest.raises(ValueError, match=r"from 2 to 23.*folds=24"):
        _folds(_tune_data.read(tmp_path / "series.npz"), 24, 0)


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
    command = metadata["recipe"]["command"]
    assert f"--preset-like ./{labeller.name} " in command
    assert command.endswith("--records 101 207")


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
