"""The search of `mmfusion tune`: its settings, its trials, and the best model."""

import argparse
import contextlib
import os
import shlex
import sys
from functools import cached_property
from pathlib import Path

import numpy as np

from keras_mmfusion import presets
from keras_mmfusion.cli._tune_state import settings_of, write_whole
from keras_mmfusion.cli._tune_table import TrialTable, aligned
from keras_mmfusion.cli._tune_workers import arguments_of
from keras_mmfusion.datasets import RecordError
from keras_mmfusion.tuning import (
    ClassifierHyperModel,
    ForecasterHyperModel,
    group_folds,
)
from keras_mmfusion.tuning._durable import keras_tuner, make_tuner

TABLE = "trials.csv"
SPLIT = 4


class Search:
    """A search on some data, in a folder beside the preset that it will give."""

    def __init__(self, args, data, ranges):
        self.args, self.data, self.ranges = args, data, ranges
        self.folder = args.output.with_name(f"{args.output.name}.search")
        parts = _folds(data, args.folds, args.seed)
        _check_parts(data, parts if args.folds else parts[:1])
        self.split = None if args.folds else parts[0]
        self.hypermodel = _hypermodel(
            data, ranges, parts if args.folds else None, args.seed
        )
        self.table = TrialTable(args.objective, self.hypermodel.space, bool(args.folds))
        measured = {"val_loss", *(f"val_{m}" for m in self.hypermodel.metrics)}
        if args.objective not in measured:
            raise RecordError(
                f"--objective must be one of {sorted(measured)} for these data. "
                f"Received: {args.objective}"
            )

    @cached_property
    def tuner(self):
        args = self.args
        with _quiet():
            return make_tuner(
                args.tuner,
                self.hypermodel,
                args.objective,
                args.max_trials,
                args.epochs,
                args.seed,
                self.folder,
                report=self.report,
            )

    def settings(self):
        """What makes a search the same one."""
        return settings_of(self.args, self.data, self.hypermodel.space)

    def check(self):
        """Raise for models that cannot be built."""
        import keras_tuner

        self.hypermodel.build(keras_tuner.HyperParameters())

    def run(self):
        """Try what has not been tried, up to the number of trials."""
        x, y, weight = self.data.x, self.data.y, self.data.sample_weight
        options = {"epochs": self.args.epochs, "batch_size": self.args.batch_size}
        if self.split is not None:
            x, y, weight = self._part(self.split[0])
            held = [v for v in self._part(self.split[1]) if v is not None]
            options["validation_data"] = tuple(held)
        try:
            with _quiet():
                self.tuner.search(x, y, sample_weight=weight, verbose=0, **options)
        except (OSError, keras_tuner.errors.FatalError) as error:
            raise RecordError(
                f"The search in {self.folder} was ended ({error}). Once that is "
                "mended, such as by room on the disk, the same command goes on."
            ) from error
        except Exception as error:
            # From the chief of several processes, it comes as an error of gRPC.
            details = getattr(error, "details", None)
            text = str(details() if callable(details) else error)
            if "consecutive failures" not in text:
                raise
            _, *lines = text.strip().splitlines()
            why = lines[-1] if lines else f"{self.args.objective} is no number"
            if details:
                why = "the logs of the workers say why"
            raise RecordError(
                f"Three models in a row could not be trained ({why}). Try something "
                "else (--range)."
            ) from error

    def report(self, oracle):
        """Say how a trial went, and write the table so far."""
        trial = oracle.trials[oracle.end_order[-1]]
        ended = sum(t.status in ("COMPLETED", "FAILED") for t in oracle.trials.values())
        print(
            f"trial {ended} of {self.args.max_trials}: {self.table.line(trial)}",
            file=sys.stderr,
        )
        write_whole(self.folder / TABLE, self.table.csv(oracle))

    def save(self):
        """Write the best model as a preset; returns what to tell about it."""
        oracle = self.tuner.oracle
        best = self.table.in_order(oracle)[0] if oracle.trials else None
        if best is None or best.status != "COMPLETED":
            reasons = [t.message for t in oracle.trials.values() if t.message]
            last = f" ({reasons[-1].strip().splitlines()[-1]})" if reasons else ""
            raise RecordError(
                f"No model could be trained in {len(oracle.trials)} trials{last}. Try "
                "something else (--range)."
            )
        model = self._trained(best)
        table = self.table.csv(oracle)
        write_whole(self.folder / TABLE, table)
        lines = aligned(table)
        presets.save(
            model,
            self.args.output,
            metadata=self._metadata(model, best, oracle),
            files={TABLE: table, "README.md": self._card(best, lines)},
            overwrite=True,
        )
        return "\n".join(
            [
                *lines,
                "",
                f"Best: trial {best.trial_id}, {self.args.objective} {best.score:.5g}",
                *self._ended_early(oracle),
                f"Wrote {self.args.output}",
            ]
        )

    def _ended_early(self, oracle):
        """A line of a search that had nothing else to try, if it ended so."""
        tried, wanted = len(oracle.trials), self.args.max_trials
        if tried >= wanted:
            return []
        return [
            f"{tried} of {wanted} trials: nothing else was found to try. For more, "
            "widen the ranges (--range)."
        ]

    def _trained(self, trial):
        if self.split is not None:
            # Not `get_best_models`: of equally good trials, it may take another.
            try:
                return self.tuner.load_model(trial)
            except OSError as error:
                raise RecordError(
                    f"The weights of trial {trial.trial_id}, the best one, cannot be "
                    f"read ({error}). Add --force to search anew."
                ) from error
        # The models of the folds have each seen a part only.
        model = self.hypermodel.build(trial.hyperparameters)
        self.hypermodel.train(
            model,
            self.data.x,
            self.data.y,
            self.data.sample_weight,
            epochs=trial.best_step + 1,
            batch_size=self.args.batch_size,
            verbose=0,
        )
        return model

    def _part(self, index):
        data = self.data
        weight = None if data.sample_weight is None else data.sample_weight[index]
        return {n: v[index] for n, v in data.x.items()}, data.y[index], weight

    def _metadata(self, model, best, oracle):
        classes = getattr(model, "classes", None)
        kind = "forecasting" if self.data.forecasting else "classification"
        metrics = {
            name: float(best.metrics.get_last_value(name))
            for name in best.metrics.metrics
        }
        # The main one first.
        metrics = {self.args.objective: metrics[self.args.objective], **metrics}
        return {
            "task": kind,
            **({"outputs": {"classes": list(classes)}} if classes else {}),
            "metrics": {"validation": metrics},
            "recipe": {"command": self._command(), "seed": self.args.seed},
            "limitations": [
                f"The best of {len(oracle.trials)} models on the samples that they "
                "were compared on, so these numbers are too good. Test it on others.",
            ],
        }

    def _command(self):
        """The command, with names of files and folders only."""
        names = {key: Path(getattr(self.args, key).name) for key in ("data", "output")}
        like = self.args.preset_like
        if like is not None and Path(like).is_dir():
            names["preset_like"] = f"./{Path(like).name}"
        args = argparse.Namespace(**{**vars(self.args), **names})
        return shlex.join(["mmfusion", *arguments_of(args)])

    def _card(self, best, lines):
        how = (
            f"the mean over {self.args.folds} folds; then trained on all data"
            if self.args.folds
            else "one split; trained on the rest"
        )
        groups = "with" if self.data.groups is not None else "without"
        return (
            f"# {self.args.output.name}\n\nFound by `{self._command()}`: trial "
            f"{best.trial_id}, {self.args.objective} {best.score:.5g}, {how}, "
            f"{groups} groups.\n\n```\n" + "\n".join(lines) + "\n```\n"
        )


@contextlib.contextmanager
def _quiet():
    """What Keras Tuner prints is not what this command prints."""
    with open(os.devnull, "w") as nowhere, contextlib.redirect_stdout(nowhere):
        yield


def _folds(data, folds, seed):
    """Pairs of index arrays; only the first is used for a single split."""
    samples, number = len(data.y), folds or SPLIT
    if data.groups is None and data.forecasting and not folds:
        # Windows in the order of time: the last ones are forecast.
        cut = samples - max(samples // SPLIT, 1)
        return [(np.arange(cut), np.arange(cut, samples))]
    groups = np.arange(samples) if data.groups is None else data.groups
    if data.groups is None and data.forecasting:
        # Windows overlap those before and after: folds are blocks of time.
        groups = groups * min(number, samples) // samples
    y = None
    if not data.forecasting:
        y = data.y
        if data.sample_weight is not None and data.sample_weight.shape == y.shape:
            y = np.where(data.sample_weight > 0, y, -1)
    if not folds:
        number = min(number, len(np.unique(groups)))
    return group_folds(groups, number, y, seed)


def _check_parts(data, parts):
    """Refuse what nothing can be learnt or compared on: its scores would be 0."""
    weight = data.sample_weight
    if weight is None:
        weight = np.ones(data.y.shape[:2])
    if not all(weight[index].any() for pair in parts for index in pair):
        raise RecordError(
            "Samples to train on and to validate on must count for something. "
            "Received: a part of which all y are unknown, or all weights 0. Add "
            "samples, or try fewer --folds."
        )
    if not data.forecasting:
        classes = np.unique(data.y[weight > 0])
        if len(classes) < 2:
            raise RecordError(f"y must hold two classes. Received: {classes} only.")


def _hypermodel(data, ranges, folds, seed):
    shared = {"ranges": ranges, "folds": folds, "seed": seed}
    kind = ForecasterHyperModel if data.forecasting else ClassifierHyperModel
    last = data.y.shape[1] if data.forecasting else int(data.y.max()) + 1
    if data.like is not None:
        hypermodel = kind.like(data.like, **shared)
        expected = data.like.output_shape[1:]
        received = data.y.shape[1:] + (() if data.forecasting else (last,))
        fits = len(expected) == len(received) and received[:-1] == expected[:-1]
        fits &= received[-1] <= expected[-1]
        if not fits or (data.forecasting and received != expected):
            raise RecordError(
                f"y must fit the outputs of the preset, {expected}. Received: "
                f"{received}" + ("" if data.forecasting else ", the last of classes")
            )
        return hypermodel
    shapes = {name: values.shape[1:] for name, values in data.x.items()}
    if data.forecasting:
        return ForecasterHyperModel(shapes, last, **shared)
    options = {"pooling": None} if data.y.ndim == 2 else {}
    return ClassifierHyperModel(shapes, max(last, 2), **options, **shared)
