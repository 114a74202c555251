"""A search that goes on after its process was killed, at whatever moment.

Keras Tuner writes its state into files that are half there for an instant, one after
the other. Beside each of them a copy is kept, which is always whole.
"""

import contextlib
import json
import os
import shutil
import time

import numpy as np

from keras_mmfusion.datasets import RecordError
from keras_mmfusion.tuning._packages import import_keras_tuner

keras_tuner = import_keras_tuner()

ORACLES = {
    "random": keras_tuner.oracles.RandomSearchOracle,
    "bayesian": keras_tuner.oracles.BayesianOptimizationOracle,
    "hyperband": keras_tuner.oracles.HyperbandOracle,
}

# How many trials are drawn at random before Bayesian optimisation learns from them.
DRAWN = 10


def make_tuner(
    kind, hypermodel, objective, max_trials, epochs, seed, folder, report=None
):
    """A tuner that takes up what it finds in its folder.

    Args:
        kind: `"random"`, `"bayesian"` or `"hyperband"`.
        hypermodel: `keras_tuner.HyperModel`.
        objective: str, such as `"val_loss"`.
        max_trials: int. Trials in all, those of earlier processes included.
        epochs: int. Of each trial; with Hyperband, of the longest ones.
        seed: int, 0 or more.
        folder: `Path` of the state.
        report: Function of the oracle, called after each trial. Defaults to `None`.

    Returns:
        `keras_tuner.Tuner`.
    """
    # Keras Tuner counts its seed up at each draw: of near ones, most trials are alike.
    far = int(np.random.SeedSequence(seed).generate_state(1)[0])
    options = {"objective": objective, "seed": far}
    if kind == "hyperband":
        # As often as it takes: the number of trials is what ends it.
        options |= {"max_epochs": epochs, "hyperband_iterations": None}
    else:
        options["max_trials"] = max_trials
    if kind == "bayesian":
        # Keras Tuner itself would draw three for each hyperparameter.
        options["num_initial_points"] = DRAWN
    oracle = _durable(ORACLES[kind])(**options)
    oracle.max_trials = max_trials
    oracle.report, oracle.folder = report, folder
    name = os.environ.get("KERASTUNER_TUNER_ID", "tuner0")
    if not is_worker():
        recover(folder, name)
    return (_Hyperband if kind == "hyperband" else _Tuner)(
        oracle=oracle,
        hypermodel=hypermodel,
        directory=str(folder.parent),
        project_name=folder.name,
    )


def is_worker():
    """Whether this process asks another one, the chief, for its trials."""
    name = os.environ.get("KERASTUNER_TUNER_ID", "")
    return "KERASTUNER_ORACLE_IP" in os.environ and "chief" not in name


class _Tuner(keras_tuner.Tuner):
    """A tuner that a full disk ends: no fault of the model, the trial is repeated."""

    def run_trial(self, *args, **kwargs):
        try:
            return super().run_trial(*args, **kwargs)
        except OSError as error:
            raise keras_tuner.errors.FatalError(str(error)) from error


class _Hyperband(_Tuner, keras_tuner.Hyperband):
    """Hyperband with an oracle of our own."""

    def __init__(self, **kwargs):
        keras_tuner.Tuner.__init__(self, **kwargs)


def _durable(oracle_class):
    class DurableOracle(oracle_class):
        """An oracle whose files have whole copies beside them."""

        def save(self):
            # A trial first: the oracle's file names those that have a copy.
            for trial in self.ongoing_trials.values():
                _keep(self.folder / f"trial_{trial.trial_id}" / "trial.json")
            super().save()
            _keep(self.folder / "oracle.json")

        def score_trial(self, trial):
            super().score_trial(trial)
            if not np.isfinite(trial.score):
                # As NaN, it failed. Bayesian optimisation takes infinity for 0.
                trial.score = float("nan")

        @keras_tuner.synchronized
        def create_trial(self, tuner_id):
            trial = super().create_trial(tuner_id)
            if trial.status == "IDLE":
                # A worker asks again at once.
                time.sleep(0.2)
            return trial

        @keras_tuner.synchronized
        def end_trial(self, trial):
            super().end_trial(trial)
            # Only by now is it no longer one of those to run again.
            self.save()
            if self.report is not None:
                self.report(self)

    return DurableOracle


def recover(folder, tuner_id):
    """Put the files of a search right, so that Keras Tuner can take it up.

    Args:
        folder: `Path` of the state, there or not.
        tuner_id: str. The name of the tuner that will.

    Raises:
        RecordError: A trial of it is not there.
    """
    state = _whole(folder / "oracle.json")
    started = [] if state is None else state["start_order"]
    lost = [n for n in started if _whole(folder / f"trial_{n}" / "trial.json") is None]
    if lost:
        # Numbers of new trials would be those of old ones.
        raise RecordError(
            f"{folder} must hold all trials that were begun. Received: none for "
            f"{', '.join(lost)}. Put back what was removed, or start anew."
        )
    for trial in folder.glob("trial_*"):
        if trial.name.removeprefix("trial_") not in started:
            # Killed while it was begun. It begins again, under the same number.
            shutil.rmtree(trial)
    if state is None:
        for path in folder.glob("*.json"):
            if path.name != SETTINGS:
                path.unlink()
    else:
        # It holds nothing, but Keras Tuner goes on only if there is one of this name.
        (folder / f"{tuner_id}.json").write_text("{}", encoding="utf-8")


SETTINGS = "search.json"


def _keep(path):
    if path.exists():
        part = path.with_suffix(".part")
        shutil.copyfile(path, part)
        os.replace(part, path.with_suffix(".kept"))


def _whole(path):
    """What a JSON file holds, or its copy, which then takes its place; or None."""
    for candidate in (path, path.with_suffix(".kept")):
        with contextlib.suppress(OSError, ValueError):
            value = json.loads(candidate.read_text(encoding="utf-8"))
            if candidate != path:
                shutil.copyfile(candidate, path)
            return value
    return None
