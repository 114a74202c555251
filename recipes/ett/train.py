"""Train the models of the forecasting study, all on the same windows.

    KERAS_BACKEND=jax python recipes/ett/train.py --features S

A run is one model with one seed. It leaves its weights, its log and its errors on the
rows to validate on under `runs/`; runs that are complete are skipped, one that was
killed goes on from its last epoch. Nothing here looks at the rows to test on.
"""

import argparse
import sys
import time
from pathlib import Path

import architecture
import data
import keras
import numpy as np

from keras_mmfusion.metrics import forecast_metrics

sys.path.append(str(Path(__file__).parents[1]))
import common
import devices
import resuming
import speed

# Months to validate on: a fusion counts for what it is worth in each of them, the
# time of the year for what it is surely worth over all.
MONTHS = 4
# Penalties of ridge regression that are tried; see the README.
ALPHAS = (0, 1e-3, 1e-2, 1e-1)
# Options of what is trained by steps.
BUDGET = ("epochs", "patience", "steps_per_epoch", "batch_size", "learning_rate")
OPTIONS = ("lookback", "months", *BUDGET, "precision")


def main(argv=None):
    args = parse_arguments(argv)
    devices.begin(args)
    speed.set_up(args)
    tasks = [data.load_as(args, features) for features in args.features]
    for task in tasks:
        check(args, task)
    for task in tasks:
        for seed in args.seeds:
            for name in args.models:
                # Of one look-back there is none that is shorter.
                again = name == architecture.SHORT and len(task.lookbacks) == 1
                seeded = seed == min(args.seeds) or name in architecture.TRAINED
                if seeded and not again:
                    run(args, task, name, seed)


def check(args, task):
    """Refuse what cannot be trained, or not be compared with what is there."""
    check_rows(task)
    for name in args.models:
        architecture.check(name, task)
    folder = folder_of(args.output, task)
    for file in sorted(folder.glob("*/seed*/run.json")):
        name = file.parts[-3]
        resuming.check_settings(file.parent, settings_of(args, task, name))


def check_rows(task):
    """Refuse a table without a window of the longest horizon in each of its parts."""
    longest = task.horizons[-1]
    needed = {
        "train": task.preprocessor.lookback + longest,
        "validation": longest + MONTHS - 1,
        "test": longest,
    }
    rows = {part: last - first for part, (first, last) in task.rows.items()}
    if any(rows[part] < needed[part] for part in needed):
        raise SystemExit(
            f"error: to forecast {longest} steps, the rows to train, validate and test "
            f"on must be {_in_words(needed)} or more. Received: {_in_words(rows)} of "
            f"{task.table.name}, with --months {' '.join(map(str, task.months))}. Give "
            "a longer table, and the months of each part."
        )


def _in_words(counts):
    *first, last = (f"{count:,}" for count in counts.values())
    return f"{', '.join(first)} and {last}"


def settings_of(args, task, name):
    """What a run depends on, besides its table, model and seed."""
    of_steps = BUDGET if name in architecture.TRAINED else ()
    return {
        **task.settings,
        **architecture.choices(name, task.features),
        **resuming.settings(args, *of_steps, "precision"),
    }


def run(args, task, name, seed):
    """Fit one model, or leave it if it is there already."""
    folder = folder_of(args.output, task) / name / f"seed{seed}"
    if not resuming.begin(
        folder, settings_of(args, task, name), writes=args.process == 0
    ):
        return
    keras.utils.set_random_seed(seed)
    model, names = architecture.build(name, task)
    parts = {
        part: select(task.windows(part), names) for part in ("train", "validation")
    }
    start, facts = time.time(), {}
    if name in architecture.RIDGE or name in architecture.FUSIONS:
        found = model.fit_closed_form(
            *parts["train"],
            validation_data=parts["validation"],
            horizons=task.horizons,
            parts=MONTHS,
            alphas=ALPHAS,
            **architecture.fitted_to(name, task),
        )
        facts["alpha"] = {h: fit["alpha"] for h, fit in found.items()}
        if "phase" in names:
            facts["phase_alpha"] = {h: f["covariate_alpha"] for h, f in found.items()}
    if name in architecture.TRAINED:
        checkpoint, facts["epochs"] = train(args, model, name, parts, seed, folder)
        start -= checkpoint.earlier
    if args.process > 0:
        return
    blank = blank_of(name)
    validation = without(*parts["validation"], blank)
    if name in architecture.FUSIONS:
        factors = model.fit_shrinkage(*validation, horizons=task.horizons, parts=MONTHS)
        facts["shrinkage"] = {h: round(f, 4) for h, f in factors.items()}
    errors = forecast_metrics(model, *validation, horizons=task.horizons)
    model.save_weights(folder / "model.weights.h5")
    resuming.finish(
        folder,
        {
            "command": "python recipes/ett/train.py"
            + (f" --csv {Path(args.csv).name}" if args.csv else "")
            + f" --features {task.features} --models {name}"
            + common.changed(args, parse_arguments([]), *OPTIONS),
            "commit": common.commit(),
            "backend": keras.backend.backend(),
            "keras": keras.__version__,
            "lookback": task.preprocessor.lookback,
            "settings": settings_of(args, task, name),
            "parameters": model.count_params(),
            "seconds": round(time.time() - start),
            **facts,
            "validation": {
                h: {key: of[key] for key in ("mse", "mae", "windows")}
                for h, of in errors.items()
            },
        },
    )
    shown = ", ".join(f"{h} {of['mse']:.4f}" for h, of in errors.items())
    print(f"{folder}: validation MSE {shown}", flush=True)


def train(args, model, name, parts, seed, folder):
    """The part that is trained by steps: its checkpoint, the number of epochs kept."""
    blank = blank_of(name)
    training = data.Batches(
        *parts["train"], args.batch_size, seed, blank, args.steps_per_epoch
    )
    validation = data.Batches(*parts["validation"], 256, blank=blank)
    stop = keras.callbacks.EarlyStopping(
        "val_loss", patience=args.patience, restore_best_weights=True
    )
    checkpoint = resuming.Checkpoint(
        folder, args.epochs, stop, writes=args.process == 0
    )
    with devices.on_devices(model, args) as trained:
        trained.compile(
            keras.optimizers.Adam(args.learning_rate, clipnorm=1.0),
            "mse",
            jit_compile=keras.backend.backend() == "jax",
            steps_per_execution=args.steps_per_execution,
        )
        trained.fit(
            devices.shares(speed.Prefetched(training, args.workers), args),
            **checkpoint.span,
            validation_data=devices.shares(validation, args),
            shuffle=False,
            verbose=2 if args.quiet else 1,
            callbacks=[
                resuming.EpochOf(training),
                stop,
                *([keras.callbacks.TensorBoard(folder)] if args.tensorboard else []),
                checkpoint,
            ],
        )
    return checkpoint, stop.best_epoch + 1


def blank_of(name):
    """Inputs that a control is shown as zeros."""
    return ("image",) if name == "blank" else ()


def without(x, y, blank):
    """The same windows, some inputs zero, without copying what stays."""
    zeros = {name: np.broadcast_to(np.float32(0), x[name].shape) for name in blank}
    return {**x, **zeros}, y


def select(windows, names):
    x, y = windows
    return {name: x[name] for name in names}, y


def folder_of(output, task):
    """Where the runs of a table and its columns are."""
    return Path(output, task.table.name, task.features)


def parse_arguments(argv=None):
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument(
        "--features",
        nargs="+",
        choices=data.FEATURES,
        default=data.FEATURES,
        help="M: all columns; S: the last one (default: both)",
    )
    parser.add_argument(
        "--models",
        nargs="+",
        choices=architecture.MODELS,
        default=architecture.MODELS,
        metavar="MODEL",
        help=f"of {', '.join(architecture.MODELS)} (default: all)",
    )
    parser.add_argument("--seeds", type=int, nargs="+", default=range(3))
    data.add_arguments(parser)
    parser.add_argument("--epochs", type=int, default=10, help="at most")
    parser.add_argument("--patience", type=int, default=2, help="epochs")
    parser.add_argument("--steps-per-epoch", type=int, help="default: all windows")
    parser.add_argument("--batch-size", type=int, default=64, help="windows")
    parser.add_argument("--learning-rate", type=float, default=3e-4)
    speed.add_arguments(parser)
    devices.add_arguments(parser)
    resuming.add_output(parser, "runs/ett")
    parser.add_argument("--tensorboard", action="store_true")
    parser.add_argument("--quiet", action="store_true", help="one line an epoch")
    parser.add_argument("--smoke", action="store_true", help="a minute, on the CPU")
    args = parser.parse_args(argv)
    if args.smoke:
        args.features, args.seeds = ["S"], [0]
        args.models = ["persistence", "nlinear_phase", "atd"]
        args.epochs, args.steps_per_epoch = 1, 8
    return args


if __name__ == "__main__":
    common.as_command(main)
