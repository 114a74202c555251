"""Score the trained models on the rows to test on, and print the table.

    KERAS_BACKEND=jax python recipes/ett/evaluate.py

Every model is scored once, on every window; what was found is kept beside its weights.
"""

import argparse
import json
import sys
import textwrap
from pathlib import Path

import architecture
import data
import keras
import numpy as np
import papers
import scoring
from train import blank_of, folder_of, select, without

from keras_mmfusion.metrics import forecast_metrics
from keras_mmfusion.preprocessing import ConformalIntervals

sys.path.append(str(Path(__file__).parents[1]))
import common
import resuming


def main(argv=None):
    args = parse_arguments(argv)
    tasks = [data.load_as(args, features) for features in args.features]
    common.check_runs([folder_of(args.output, task) for task in tasks])
    for task in tasks:
        folder = folder_of(args.output, task)
        for run in sorted(file.parent for file in folder.glob("*/seed*/run.json")):
            resuming.check_settings(run, task.settings)
            if not (run / "test.json").exists():
                keras.backend.clear_session()
                found = json.dumps(score(run, task), indent=2)
                resuming.write_whole(run / "test.json", found.encode())
                print(f"{run}: scored", flush=True)
        print_table(scoring.read_runs(folder), task.table.name.startswith("ETT"))


def score(run, task):
    """Errors by protocol, without a modality, and how often intervals hold."""
    name = run.parent.name
    model, names = trained(run, task)
    test = without(*select(task.windows("test"), names), blank_of(name))
    found = {"protocols": by_protocol(model, *test, task)}
    if name in architecture.FUSIONS:
        found["without_it"] = {
            lost: by_protocol(model, *losing(test, lost), task)
            for lost in names
            if lost != "series" and lost not in blank_of(name)
        }
    intervals = calibrate(model, names, task, blank_of(name))
    errors = errors_of(model, *test)
    found["coverage"] = {
        level: {
            horizon: round(float(inside(errors, intervals(level), horizon)), 5)
            for horizon in task.horizons
        }
        for level in intervals.levels
    }
    return found


def trained(run, task):
    """The model of a run, and the names of its inputs."""
    resuming.check_settings(run, task.settings)
    model, names = architecture.build(run.parent.name, task)
    model.load_weights(run / "model.weights.h5")
    return model, names


def by_protocol(model, x, y, task):
    """`{protocol: {horizon: {"mse", "mae"}}}` over every window."""
    found = forecast_metrics(model, x, y, horizons=task.horizons)
    return {
        protocol.name: {
            h: {
                key: round(value, 5)
                for key, value in protocol.errors(
                    found[h], task.training_values
                ).items()
            }
            for h in protocol.horizons
        }
        for protocol in data.PROTOCOLS.values()
        if task.features in protocol.features
    }


def losing(windows, name):
    x, y = windows
    return {**x, name: np.broadcast_to(np.float32(np.nan), x[name].shape)}, y


def errors_of(model, x, y):
    """Forecast minus what came, `(windows, horizon, columns)`, NaN beyond the end."""
    batches = data.Batches(x, y, 256)
    forecasts = [model.predict_on_batch(batches[i][0]) for i in range(len(batches))]
    return np.concatenate(forecasts) - y


def calibrate(model, names, task, blank=()):
    """Intervals from the errors on the rows to validate on."""
    validation = without(*select(task.windows("validation"), names), blank)
    return ConformalIntervals().fit(errors_of(model, *validation))


def inside(errors, halfwidths, horizon):
    """Share of values within the intervals, over the windows that reach a horizon."""
    whole = errors[~np.isnan(errors[:, horizon - 1]).any(axis=-1), :horizon]
    return np.mean(np.abs(whole) <= halfwidths[:horizon])


def print_table(found, with_papers=True):
    """Mean squared and absolute errors, a row a model; beside them the papers'."""
    for protocol in data.PROTOCOLS:
        models = {m: runs for m, runs in found.items() if protocol in runs[0]}
        if not models:
            continue
        horizons = list(next(iter(models.values()))[0][protocol])
        print(f"\n{protocol}: MSE / MAE, mean over seeds")
        print(f"{'':14s}{'n':>3s}" + "".join(f"{h:>16s}" for h in horizons))
        for model, runs in models.items():
            cells = ""
            for horizon in horizons:
                mse, mae = (
                    common.spread([run[protocol][horizon][key] for run in runs])["mean"]
                    for key in ("mse", "mae")
                )
                cells += f"{mse:.4f}/{mae:.4f}".rjust(16)
            print(f"{model:14s}{len(runs):3d}{cells}")
        theirs = papers.rows(protocol) if with_papers else {}
        if theirs:
            shown = {h: f"{of['mse']}/{of['mae']}" for h, of in theirs.items()}
            cells = "".join(f"{shown.get(h, ''):>16s}" for h in horizons)
            print(f"{'the papers':17s}{cells}")
    if found and with_papers:
        print("\n" + textwrap.fill(f"The papers: {papers.NOT_COMPARABLE}", 88))


def parse_arguments(argv=None):
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument(
        "--features", nargs="+", choices=data.FEATURES, default=data.FEATURES
    )
    data.add_arguments(parser)
    parser.add_argument("--output", default="runs/ett")
    return parser.parse_args(argv)


if __name__ == "__main__":
    common.as_command(main)
