"""Write the forecasting presets: weights, card, picture, rows of zoo/results.csv.

    KERAS_BACKEND=jax python recipes/ett/release.py

Released is the seed with the lowest error on the rows to validate on.
"""

import argparse
import sys
from pathlib import Path

import architecture
import card
import data
import evaluate
import figures
import numpy as np
import scoring
from train import select

from keras_mmfusion import presets

sys.path.append(str(Path(__file__).parents[1]))
import common
from front_matter import with_front_matter

# Columns, and which model.
PRESETS = {"atd_etth1": ("M", "atd"), "stepfusion_etth1": ("S", "step")}
LEVELS = (0.5, 0.8, 0.9, 0.95)
SHOWN = ("96", "192", "336", "720")


def main(argv=None):
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("presets", nargs="*", metavar="PRESET", help="default: all")
    parser.add_argument("--csv", help=f"{card.TABLE}.csv, if it is elsewhere")
    parser.add_argument("--lookback", type=int, nargs="+", help="as for train.py")
    parser.add_argument("--data", help="folder with ett/")
    parser.add_argument("--output", default="runs/ett")
    parser.add_argument("--zoo", default=str(common.ZOO))
    args = parser.parse_args(argv)
    if args.csv and Path(args.csv).stem != card.TABLE:
        parser.error(
            f"presets and cards are those of {card.TABLE}. Received: --csv {args.csv}. "
            "Save a model of another table by presets.save, see docs/forecast.md"
        )
    unknown = sorted(set(args.presets) - set(PRESETS))
    if unknown:
        parser.error(f"presets are {', '.join(PRESETS)}. Received: {unknown}")
    for name in args.presets or PRESETS:
        release(name, args)


def release(name, args):
    features, model_name = PRESETS[name]
    task = data.load(features, args.csv, args.data, args.lookback)
    folder = Path(args.output, task.table.name, features)
    common.check_runs(
        [folder / model_name], "seed*/test.json", "train.py and evaluate.py"
    )
    trained = scoring.read_facts(folder)
    seeds = trained[model_name]
    seed = min(seeds, key=lambda s: scoring.validation_error(seeds[s]))
    run = folder / model_name / f"seed{seed}"
    found = scoring.read_runs(folder)
    position = sorted(seeds).index(seed)
    model, names = evaluate.trained(run, task)
    prepare = task.preprocessor
    prepare.intervals = evaluate.calibrate(model, names, task)
    test = select(task.windows("test"), names)
    errors = evaluate.errors_of(model, *test)
    tables = {
        protocol: {m: spreads(runs, protocol) for m, runs in found.items()}
        for protocol in found[model_name][0]
    }
    released = {
        protocol: flat(of) for protocol, of in found[model_name][position].items()
    }
    facts = card.Facts(
        name=name,
        model=model_name,
        features=features,
        seed=seed,
        run=seeds[seed],
        tables=tables,
        released=released,
        validation={m: of_validation(of.values()) for m, of in trained.items()},
        without=without(folder, model_name),
        gains={
            other: gains(found, model_name, other)
            for other in (architecture.LINEAR_PART, "concat", "blank")
            if other in found
        },
        coverage=coverage(folder, model_name, task),
        parameters=model.count_params(),
    )
    metadata = card.metadata(facts)
    presets.save(
        model,
        Path(args.zoo) / name,
        preprocessor=prepare,
        metadata=metadata,
        golden=golden(prepare),
        files={
            "README.md": with_front_matter(card.text(facts), metadata),
            "forecasts.png": common.small_png(
                figures.forecasts(task, errors, test[1], prepare.intervals)
            ),
            "train_log.csv": run / "train_log.csv",
        },
        overwrite=True,
    )
    path = Path(args.zoo, "results.csv")
    for protocol, models in tables.items():
        common.write_results(
            path,
            card.key(protocol, features),
            models,
            {model_name: released[protocol]},
            {model_name: name},
        )
    print(f"{name}: seed {seed} released in {Path(args.zoo) / name}", flush=True)


def flat(of_horizons):
    """`{"mse_96": value}` of `{horizon: {"mse", "mae"}}`, the main horizon first."""
    # Lists of presets show the first one.
    horizons = sorted(of_horizons, key=lambda h: h != SHOWN[0])
    return {
        f"{metric}_{h}": value
        for h in horizons
        for metric, value in of_horizons[h].items()
    }


def spreads(runs, protocol):
    """Over seeds, of what `scoring.read_runs` gives for a model."""
    values = [flat(run[protocol]) for run in runs]
    return {k: common.spread([v[k] for v in values]) for k in values[0]}


def of_validation(runs):
    """Squared errors on the rows to validate on."""
    runs = [run["validation"] for run in runs]
    return {f"mse_{h}": common.spread([r[h]["mse"] for r in runs]) for h in SHOWN}


def without(folder, model):
    """Squared and absolute errors where a modality is missing."""
    runs = scoring.read_runs(folder, "without_it")[model]
    return {
        lost: spreads([run[lost] for run in runs], "ltsf_standard") for lost in runs[0]
    }


def gains(found, ours, other):
    """Squared error of `ours` minus that of `other`, seed by seed if it has seeds."""
    protocol, differences = "ltsf_standard", {}
    for h in SHOWN:
        a, b = (
            np.array([run[protocol][h]["mse"] for run in found[m]])
            for m in (ours, other)
        )
        differences[f"mse_{h}"] = common.spread(a - (b if len(b) == len(a) else b[0]))
    return differences


def coverage(folder, model, task):
    """Share of test values inside the intervals, by level and horizon."""
    runs = scoring.read_runs(folder, "coverage")[model]
    return {
        level: {
            h: common.spread([run[level][str(h)] for run in runs])
            for h in task.horizons
            if str(h) in SHOWN or h < 24
        }
        for level in map(str, LEVELS)
    }


def golden(prepare):
    """Two made samples of every input: the data themselves may not be altered."""
    rng = np.random.default_rng(0)
    shapes = prepare.shapes
    walk = np.cumsum(rng.normal(0, 0.1, (2, *shapes["series"])), axis=1)
    x = {"series": walk.astype("float32").round(3)}
    x["image"] = x["series"]
    for name in ("calendar", "phase"):
        x[name] = rng.uniform(-1, 1, (2, *shapes[name])).astype("float32").round(3)
    x["image"] = x["image"].copy()
    x["image"][1] = np.nan
    return x


if __name__ == "__main__":
    common.as_command(main)
