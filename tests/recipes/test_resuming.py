"""A training that was killed ends with the weights of one that was not."""

import csv
import errno
import json
import os
import signal
import subprocess
import sys
import time

import h5py
import keras
import numpy as np
import pytest
from backends import once
from ett_files import write_table
from recipe_modules import RECIPES, recipe_modules

(train,) = recipe_modules("ett", "train")
resuming = train.resuming
EPOCHS = 3
SETTINGS = {"epochs": [2, 3], "batch_size": 8}


class Killed(Exception):
    pass


class Noise(keras.utils.PyDataset):
    epoch = 0

    def __len__(self):
        return 3

    def __getitem__(self, index):
        rng = np.random.default_rng((self.epoch, index))
        return rng.normal(size=(4, 3)), rng.normal(size=(4, 1))


def fit(folder, early=False):
    """As a recipe does: the weights that it ends with. `early`: one epoch too few."""
    keras.utils.set_random_seed(1)
    inner = [keras.layers.Dense(4), keras.layers.Dropout(0.5)]
    model = keras.Sequential(
        [keras.Input((3,)), keras.Sequential(inner), keras.layers.Dense(1)]
    )
    batches = Noise()
    stop = keras.callbacks.EarlyStopping(
        "val_loss",
        min_delta=99.0 if early else 0.0,
        patience=1 if early else EPOCHS,
        restore_best_weights=True,
    )
    checkpoint = resuming.Checkpoint(folder, EPOCHS, stop)
    model.compile(keras.optimizers.AdamW(0.1, use_ema=True, ema_momentum=0.5), "mse")
    model.fit(
        batches,
        **checkpoint.span,
        validation_data=Noise(),
        # Batches in another order in each epoch, drawn by Keras.
        shuffle=True,
        verbose=0,
        callbacks=[resuming.EpochOf(batches), stop, checkpoint],
    )
    resuming.finish(folder, {"best": stop.best_epoch, **checkpoint.last})
    return model.get_weights()


def assert_same(folder, weights, other, other_weights):
    for ours, theirs in zip(weights, other_weights, strict=True):
        np.testing.assert_array_equal(ours, theirs)
    for name in "run.json", "train_log.csv":
        assert (folder / name).read_bytes() == (other / name).read_bytes()
    assert sorted(p.name for p in folder.iterdir()) == ["run.json", "train_log.csv"]


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    folder = tmp_path_factory.mktemp("whole")
    return folder, fit(folder)


# After each epoch the checkpoint, then the log; at last `run.json`.
@pytest.mark.parametrize(
    "number, moment", [(1, "half"), (3, "whole"), (4, "half"), (7, "half")]
)
def test_killed_while_it_writes(whole, number, moment, tmp_path, monkeypatch):
    left = [number]

    def replace(source, target):
        left[0] -= 1
        if left[0] == 0:
            if moment == "half":
                source.write_bytes(source.read_bytes()[:20])
            raise Killed
        os.rename(source, target)

    with monkeypatch.context() as patch, pytest.raises(Killed):
        patch.setattr(resuming.os, "replace", replace)
        fit(tmp_path)
    weights = fit(tmp_path)
    assert_same(tmp_path, weights, *whole)


def test_killed_after_it_stopped_early(tmp_path, monkeypatch):
    """Nothing is left to train, but for what `fit` does at its end."""
    weights = fit(tmp_path / "whole", early=True)
    with monkeypatch.context() as patch, pytest.raises(Killed):

        def killed(*args):
            raise Killed

        patch.setattr(resuming, "finish", killed)
        fit(tmp_path / "cut", early=True)
    with open(tmp_path / "whole" / "train_log.csv", newline="") as file:
        assert len(list(csv.DictReader(file))) == 2 < EPOCHS
    again = fit(tmp_path / "cut", early=True)
    assert_same(tmp_path / "cut", again, tmp_path / "whole", weights)


@once
def test_the_log_is_that_of_csv_logger(tmp_path):
    class Fake(resuming.Checkpoint):
        def _save(self):
            pass

    fake = Fake(tmp_path, 2)
    usual = keras.callbacks.CSVLogger(tmp_path / "usual.csv")
    for callback in fake, usual:
        callback.set_model(keras.Sequential())
        callback.on_train_begin()
        for epoch in range(2):
            callback.on_epoch_end(epoch, {"val_loss": 1 / 3, "loss": 0.1 * epoch})
    usual.on_train_end()
    written = (tmp_path / "train_log.csv").read_bytes()
    assert written == (tmp_path / "usual.csv").read_bytes()


@once
def test_of_another_training(tmp_path, monkeypatch):
    monkeypatch.setattr(resuming, "finish", lambda *args: None)
    fit(tmp_path)
    with pytest.raises(
        SystemExit, match=r"train\.npz is of a training of 3 epochs, not"
    ):
        resuming.Checkpoint(tmp_path, 4)
    model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(1)])
    model.compile("adam", "mse")
    checkpoint = resuming.Checkpoint(tmp_path, EPOCHS)
    with pytest.raises(SystemExit, match=r"weights of other shapes.*remove the file"):
        model.fit(Noise(), **checkpoint.span, verbose=0, callbacks=[checkpoint])


@pytest.fixture
def begun(tmp_path):
    """A run that was killed after an epoch."""
    folder = tmp_path / "seed0"
    assert resuming.begin(folder, SETTINGS)
    (folder / "backup" / "train.npz").touch()
    return folder


@once
def test_the_same_settings_go_on_until_it_is_complete(begun, capsys):
    assert resuming.begin(begun, SETTINGS)
    assert capsys.readouterr().out == ""
    resuming.finish(begun, {"settings": SETTINGS})
    assert not resuming.begin(begun, SETTINGS)
    assert capsys.readouterr().out == f"{begun}: complete\n"
    assert [file.name for file in begun.iterdir()] == ["run.json"]


@once
@pytest.mark.parametrize("complete", [False, True])
@pytest.mark.parametrize("writes", [False, True])
def test_other_settings_are_refused(begun, complete, writes):
    how = "begun"
    if complete:
        resuming.finish(begun, {"settings": SETTINGS})
        how = "trained"
    before = {path: path.stat().st_mtime_ns for path in begun.rglob("*")}
    match = rf"seed0 was {how} with --batch-size 8\. Received: --batch-size 4\. "
    with pytest.raises(SystemExit, match=match):
        resuming.begin(begun, {**SETTINGS, "batch_size": 4}, writes)
    assert {path: path.stat().st_mtime_ns for path in begun.rglob("*")} == before


@once
def test_runs_of_unknown_settings_are_accepted(begun, tmp_path):
    """From before settings were kept, or before there was an option."""
    assert resuming.begin(begun, {**SETTINGS, "precision": "float32"})
    (begun / "backup" / "settings.json").unlink()
    assert resuming.begin(begun, {"batch_size": 4})
    resuming.finish(tmp_path / "old", {})
    assert not resuming.begin(tmp_path / "old", SETTINGS)


@once
def test_what_has_no_checkpoint_begins_anew(begun):
    (begun / "backup" / "train.npz").unlink()
    other = {**SETTINGS, "batch_size": 4}
    assert resuming.begin(begun, other)
    kept = json.loads((begun / "backup" / "settings.json").read_text())
    assert kept == other


@once
def test_of_several_processes_one_keeps_settings(tmp_path):
    assert resuming.begin(tmp_path / "seed0", SETTINGS, writes=False)
    assert not list(tmp_path.iterdir())


def weights_of(run):
    found = []

    def collect(name, node):
        if isinstance(node, h5py.Dataset):
            found.append(np.array(node))

    with h5py.File(run / "model.weights.h5") as file:
        file.visititems(collect)
    return found


@once
def test_a_recipe_that_is_killed(tmp_path):
    """Really: with dropout, early stopping, and windows in another order each epoch."""
    table = write_table(tmp_path / "made.csv")
    options = ["--csv", str(table), "--lookback", "48", "--features", "S", "--quiet"]
    options += ["--models", "patches", "--seeds", "0", "--steps-per-epoch", "2"]
    options += ["--epochs", "4", "--batch-size", "8", "--output"]
    script = str(RECIPES / "ett" / "train.py")
    cut, whole = (tmp_path / name for name in ("cut", "whole"))
    run = os.path.join("made", "S", "patches", "seed0")
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    process = subprocess.Popen([sys.executable, script, *options, cut], env=environment)
    try:
        while not (cut / run / "backup" / "train.npz").exists():
            assert process.poll() is None, "it ended before it could be killed"
            time.sleep(0.01)
    finally:
        process.send_signal(signal.SIGKILL)
        process.wait()
    assert not (cut / run / "run.json").exists()
    train.main([*options, str(cut)])
    train.main([*options, str(whole)])
    ours, theirs = (folder / run for folder in (cut, whole))
    facts, expected = (
        json.loads((folder / "run.json").read_text()) for folder in (ours, theirs)
    )
    assert facts["validation"] == expected["validation"]
    name = "train_log.csv"
    assert (ours / name).read_bytes() == (theirs / name).read_bytes()
    for mine, other in zip(weights_of(ours), weights_of(theirs), strict=True):
        np.testing.assert_array_equal(mine, other)


SCRIPTS = {
    "digits": "train",
    "emotion": "train prepare",
    "ett": "train",
    "fusion_study": "run",
    "mitbih": "train linear",
    "mnist_channels": "train",
    "retrieval": "train",
}


@once
@pytest.mark.parametrize("recipe", SCRIPTS)
def test_an_output_that_is_no_folder(tmp_path, monkeypatch, capsys, recipe):
    """Before data are read, for hours where they are large."""
    file = tmp_path / "model.h5"
    file.touch()
    for script in recipe_modules(recipe, *SCRIPTS[recipe].split()):
        parse = getattr(script, "parse_arguments", script.main)
        for output in (file, file / "runs"):
            with pytest.raises(SystemExit):
                parse(["--output", str(output)])
            assert f"{file} is no folder. Choose an" in capsys.readouterr().err
        with monkeypatch.context() as patch:
            patch.setattr(os, "access", lambda *_: False)
            with pytest.raises(SystemExit):
                parse(["--output", str(tmp_path / "runs" / "new")])
        assert f"Cannot write to the folder {tmp_path}. " in capsys.readouterr().err


@once
def test_a_full_disk_names_the_file_and_leaves_the_last_one(tmp_path, monkeypatch):
    file = tmp_path / "train.npz"
    resuming.write_whole(file, b"before")

    def write(path, content):
        path.touch()
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(type(file), "write_bytes", write)
    with pytest.raises(OSError, match=r"No space left on device: '.*train\.npz'"):
        resuming.write_whole(file, b"after")
    assert [(f.name, f.read_bytes()) for f in tmp_path.iterdir()] == [
        ("train.npz", b"before")
    ]


@once
def test_arrays_are_whole_or_not_there(tmp_path, monkeypatch):
    file = tmp_path / "run" / "test.npz"
    with monkeypatch.context() as patch, pytest.raises(Killed):

        def half(file, **arrays):
            file.write(b"PK")
            raise Killed

        patch.setattr(resuming.np, "savez_compressed", half)
        resuming.save_arrays(file, said=np.arange(3))
    assert not file.exists()
    resuming.save_arrays(file, said=np.arange(3))
    assert np.load(file)["said"].tolist() == [0, 1, 2]
    assert [f.name for f in file.parent.iterdir()] == ["test.npz"]
