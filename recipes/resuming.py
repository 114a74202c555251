"""Trainings that can be killed at any moment, and end with the same weights.

What `keras.callbacks.BackupAndRestore` keeps is not enough for that: random numbers and
what `EarlyStopping` remembers start anew, weights and their epoch are two files, and
both are gone before the weights are saved.
"""

import argparse
import csv
import importlib
import io
import json
import os
import random
import shutil
import time
from pathlib import Path

import keras
import numpy as np

STOPPING = ("wait", "stopped_epoch", "best", "best_epoch")


class EpochOf(keras.callbacks.Callback):
    """Tells the batches which epoch it is, after an interruption too."""

    def __init__(self, batches):
        super().__init__()
        self.batches = batches

    def on_epoch_begin(self, epoch, logs=None):
        self.batches.epoch = epoch


class Checkpoint(keras.callbacks.Callback):
    """After each epoch, all that the next ones depend on goes into one file.

    These are weights, the state of the optimizer and of random numbers, the log, and
    what `EarlyStopping` remembers. The data must depend on their epoch only: see
    `EpochOf`. The last of the callbacks, of a model that is built. The file is kept
    until `finish`, so that a run killed after its last epoch has nothing to repeat.

    ```python
    checkpoint = Checkpoint(folder, epochs=10)
    model.fit(batches, **checkpoint.span, callbacks=[EpochOf(batches), checkpoint])
    model.save_weights(folder / "model.weights.h5")
    finish(folder, {"seconds": checkpoint.seconds})
    ```

    Args:
        folder: `Path` of the run.
        epochs: int, in all.
        stop: The `EarlyStopping` among the callbacks, if any.
        name: str. What is trained; its log is `{name}_log.csv`.
        writes: bool. Whether to keep anything: of several processes, one does.

    Attributes:
        log: list of dict, the logs of all epochs, those of earlier processes included.
        last: dict, the last of them without its number.
        seconds: int, from the first epoch to now, earlier processes included.

    Raises:
        SystemExit: The file is of another training, in `fit` or before.
    """

    def __init__(self, folder, epochs, stop=None, name="train", writes=True):
        super().__init__()
        self.file = Path(folder, "backup", f"{name}.npz")
        self.table = Path(folder, f"{name}_log.csv")
        self.epochs, self.stop, self.writes = epochs, stop, writes
        self.log, self.earlier, self._facts = [], 0, None
        if self.file.exists():
            with np.load(self.file) as found:
                self._facts = json.loads(str(found["facts"]))
            self.log = self._facts["log"]
            self.earlier = self._facts["seconds"]
            if self._facts["epochs"] != epochs:
                self._refuse(f"{self._facts['epochs']} epochs, not of {epochs}")

        self.start = time.time() - self.earlier

    @property
    def last(self):
        return {name: of for name, of in self.log[-1].items() if name != "epoch"}

    @property
    def seconds(self):
        return round(time.time() - self.start)

    @property
    def span(self):
        """The epochs that are left, as arguments of `fit`."""
        stopped = self._facts and self._facts["stopping"].get("stopped_epoch")
        last = len(self.log) if stopped else self.epochs
        return {"initial_epoch": len(self.log), "epochs": last}

    def on_train_begin(self, logs=None):
        if self._facts is not None:
            self._restore()
        self._write_table()

    def on_epoch_end(self, epoch, logs=None):
        row = {name: float(value) for name, value in (logs or {}).items()}
        self.log.append({"epoch": epoch, **row})
        if self.writes:
            self._save()
        self._write_table()

    def _variables(self):
        # With the states of seeds; `weights` would be without.
        return [*self.model.variables, *self.model.optimizer.variables]

    def _save(self):
        stopping, best = {}, None
        if self.stop is not None:
            stopping = {name: getattr(self.stop, name) for name in STOPPING}
            best = self.stop.best_weights
        facts = {
            "epochs": self.epochs,
            "log": self.log,
            "seconds": self.seconds,
            "stopping": stopping,
            # Of the order of batches, where `fit` shuffles them.
            "random": random.getstate(),
        }
        arrays = {"facts": np.array(json.dumps(facts, default=float))}
        for number, variable in enumerate(self._variables()):
            arrays[f"variable_{number}"] = keras.ops.convert_to_numpy(variable)
        for number, weight in enumerate(best or []):
            arrays[f"best_{number}"] = weight
        arrays |= _torch_state()
        content = io.BytesIO()
        np.savez(content, **arrays)
        write_whole(self.file, content.getvalue())

    def _restore(self):
        if not self.model.optimizer.built:
            self.model.optimizer.build(self.model.trainable_variables)
        variables = self._variables()
        with np.load(self.file) as found:
            saved = _numbered(found, "variable")
            if [v.shape for v in saved] != [tuple(v.shape) for v in variables]:
                self._refuse("weights of other shapes")
            for variable, value in zip(variables, saved, strict=True):
                variable.assign(value)
            best = _numbered(found, "best")
            _set_torch_state(found)
        version, state, following = self._facts["random"]
        random.setstate((version, tuple(state), following))
        if self.stop is not None:
            for name, value in self._facts["stopping"].items():
                setattr(self.stop, name, value)
            self.stop.best_weights = best or None

    def _write_table(self):
        """The log as `keras.callbacks.CSVLogger` writes it."""
        if not self.log or not self.writes:
            return
        text = io.StringIO()
        names = ["epoch", *sorted(set(self.log[0]) - {"epoch"})]
        writer = csv.DictWriter(text, names)
        writer.writeheader()
        writer.writerows(self.log)
        write_whole(self.table, text.getvalue().encode())

    def _refuse(self, what):
        raise SystemExit(
            f"error: {self.file} is of a training of {what}. Go on with the options it "
            "was begun with, or remove the file to begin anew."
        )


def begin(folder, settings, writes=True):
    """Whether there is something left to train; `settings` are kept until `finish`.

    Args:
        folder: `Path` of the run.
        settings: dict, option to value, as in its `run.json`.
        writes: bool. Whether to keep anything: of several processes, one does.

    Raises:
        SystemExit: The run was trained, or begun, with other settings.
    """
    if (folder / "run.json").exists():
        check_settings(folder, settings)
        print(f"{folder}: complete", flush=True)
        return False
    file = folder / "backup" / "settings.json"
    # Without a checkpoint, it has nothing of other settings.
    if file.exists() and any(file.parent.glob("*.npz")):
        _refuse_other(
            f"{folder} was begun with",
            json.loads(file.read_text()),
            settings,
            "Go on with what it was begun with, choose another --output, or remove "
            f"{file.parent} to begin anew.",
        )
    if writes:
        write_whole(file, json.dumps(settings, indent=2).encode())
    return True


def finish(folder, facts):
    """Say what a run was in its `run.json`: it is complete, and never repeated."""
    write_whole(folder / "run.json", json.dumps(facts, indent=2).encode())
    shutil.rmtree(folder / "backup", ignore_errors=True)


def settings(args, *names):
    """What a run is made with, `{option: value}`; see `begin`."""
    return {name: getattr(args, name) for name in names}


def check_settings(folder, settings):
    """Refuse a run that is complete, but was trained with other settings.

    Args:
        folder: `Path` of the run, with `settings` in its `run.json`.
        settings: dict, option to value; some of them are enough.

    Raises:
        SystemExit: Of those that both know, one is another.
    """
    _refuse_other(
        f"{folder} was trained with",
        json.loads((folder / "run.json").read_text()).get("settings", {}),
        settings,
        "Give what it was trained with, or choose another --output.",
    )


def _refuse_other(what, found, settings, advice):
    other = [k for k in settings if k in found and found[k] != settings[k]]
    if other:
        raise SystemExit(
            f"error: {what} {_options(other, found)}. Received: "
            f"{_options(other, settings)}. {advice}"
        )


def _options(names, settings):
    words = []
    for name in names:
        value = settings[name]
        values = value if isinstance(value, list) else [value]
        words += [f"--{name.replace('_', '-')}", *map(str, values)]
    return " ".join(words)


def add_output(parser, default):
    """The option `--output`: a folder, which is there or can be made.

    What cannot be written is said before data are read and models trained.
    """
    parser.add_argument(
        "--output",
        type=_output_folder,
        default=default,
        metavar="DIR",
        help=f"folder to write to (default: {default})",
    )


def _output_folder(text):
    path = Path(text).absolute()
    there = next(p for p in (path, *path.parents) if os.path.lexists(p))
    if not there.is_dir():
        raise argparse.ArgumentTypeError(f"{there} is no folder. Choose another one.")
    if not os.access(there, os.W_OK | os.X_OK):
        raise argparse.ArgumentTypeError(
            f"Cannot write to the folder {there}. Choose another one."
        )
    return text


def write_whole(path, content):
    """Write a file that is whole or not there, whenever this is killed."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f"{path.name}.partial")
    try:
        partial.write_bytes(content)
    except OSError as error:
        # Of a full disk, the system does not say for which file. The last one stays.
        partial.unlink(missing_ok=True)
        raise OSError(error.errno, error.strerror, str(path)) from error
    os.replace(partial, path)


def save_arrays(path, **arrays):
    """`numpy.savez_compressed` into a file that is whole or not there."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f"{path.name}.partial")
    with open(partial, "wb") as file:
        np.savez_compressed(file, **arrays)
    os.replace(partial, path)


def _numbered(found, name):
    count = sum(key.startswith(f"{name}_") for key in found.files)
    return [found[f"{name}_{number}"] for number in range(count)]


def _torch_state():
    """The random numbers of PyTorch, of which layers without a seed draw."""
    if keras.backend.backend() != "torch":
        return {}
    torch = importlib.import_module("torch")
    states = [torch.get_rng_state(), *torch.cuda.get_rng_state_all()]
    return {f"torch_{number}": state.numpy() for number, state in enumerate(states)}


def _set_torch_state(found):
    states = _numbered(found, "torch")
    if states:
        torch = importlib.import_module("torch")
        cpu, *others = (torch.from_numpy(state) for state in states)
        torch.set_rng_state(cpu)
        torch.cuda.set_rng_state_all(others)
