"""What every recipe does: name its commit, sum up seeds, write rows of results.

A recipe is run as a script and sees the modules beside it; this one is beside all of
them, in the folder above, which the recipe appends to `sys.path`.
"""

import csv
import importlib
import io
import subprocess
import sys
from pathlib import Path

import numpy as np

from keras_mmfusion.datasets import RecordError

ZOO = Path(__file__).parents[1] / "zoo"
FIELDS = ["protocol", "model", "preset", "metric", "mean", "sd", "n", "released"]


def commit():
    """The commit that is checked out, if this is a checkout."""
    git = ["git", "-C", str(Path(__file__).parent), "rev-parse", "--short", "HEAD"]
    found = subprocess.run(git, capture_output=True, text=True, check=False)
    return found.stdout.strip() or "unknown"


def as_command(main):
    """End the process as a command: what the user can mend is one line.

    Args:
        main: Function of a script. What it returns is the exit code, if it is an int.
    """
    try:
        code = main()
    except KeyboardInterrupt:
        print("\ninterrupted; the same command goes on from here", file=sys.stderr)
        code = 130
    except (RecordError, OSError) as error:
        sys.exit(f"error: {' '.join(str(error).split())}")
    # Not for 0: whoever runs a script within another goes on.
    if isinstance(code, int) and code:
        sys.exit(code)


def check_runs(folders, pattern="*/seed*/run.json", first="train.py"):
    """Refuse to go on where there is nothing to score or to release.

    Args:
        folders: List of `Path`; a run in one of them is enough.
        pattern: str. The files that a run has below them.
        first: str. The scripts that make these.
    """
    if not any(any(Path(folder).glob(pattern)) for folder in folders):
        raise SystemExit(
            f"error: there must be runs in {' or '.join(map(str, folders))}. Received: "
            f"none. First: {first}, with the same --output and data."
        )


def changed(args, usual, *names):
    """Those of these options that are not the usual ones, as a command has them."""
    options = ""
    for name in names:
        given = getattr(args, name)
        if given != getattr(usual, name):
            values = given if isinstance(given, list) else [given]
            options += " ".join([f" --{name.replace('_', '-')}", *map(str, values)])
    return options


def trained_by(run, seed, script):
    """The field `recipe` of the metadata, of what a training left in `run.json`."""
    return {
        "command": run["command"],
        "commit": run["commit"],
        "seed": seed,
        "script": script,
        "time": f"{run['seconds']} s for one seed",
    }


def spread(values):
    """Mean, sample standard deviation and number of values, one a seed; NaN is none."""
    values = np.asarray(values, "float64")
    known = values[~np.isnan(values)]
    # As `nanmean` and `nanstd`, without their warnings where too few are known.
    mean = float(known.mean()) if len(known) else np.nan
    sd = float(known.std(ddof=1)) if len(known) > 1 else np.nan
    return {
        "mean": round(mean, 5),
        "sd": round(sd, 5) if len(values) > 1 else None,
        "n": len(values),
    }


def small_png(figure, colours=256):
    """PNG of a figure in few colours, a third of the bytes."""
    from PIL import Image

    whole, small = io.BytesIO(), io.BytesIO()
    figure.savefig(whole, format="png")
    # Others merge the lighter colours of a scale into grey.
    method = Image.Quantize.MAXCOVERAGE
    # Colours as means of what they stand for: a grey that is near to a colour is grey.
    few = Image.open(whole).convert("RGB").quantize(colours, method, kmeans=1)
    few.save(small, format="png", optimize=True)
    return small.getvalue()


def write_results(path, protocol, measured, released, owners):
    """Replace the rows of these models in a table of results.

    Args:
        path: The CSV file, made if it is not there.
        protocol: str.
        measured: dict, model to `{metric: spread}`.
        released: dict, model to `{metric: value}` of the weights of its preset. Of
            other models, the rows keep what they had.
        owners: dict, model to the name of its preset.
    """
    rows = []
    if path.exists():
        with open(path, newline="") as file:
            rows = list(csv.DictReader(file))
    kept = {
        (row["model"], row["metric"]): row["released"]
        for row in rows
        if row["protocol"] == protocol and row["model"] in measured
    }
    rows = [
        row
        for row in rows
        if not (row["protocol"] == protocol and row["model"] in measured)
    ]
    for model, metrics in measured.items():
        for metric, value in metrics.items():
            of_weights = kept.get((model, metric), "")
            if model in released:
                of_weights = round(float(released[model][metric]), 5)
            rows.append(
                {
                    "protocol": protocol,
                    "model": model,
                    "preset": owners.get(model, ""),
                    "metric": metric,
                    "mean": value["mean"],
                    "sd": "" if value["sd"] is None else value["sd"],
                    "n": value["n"],
                    "released": of_weights,
                }
            )
    rows.sort(key=lambda row: (row["protocol"], row["model"]))
    with open(path, "w", newline="") as file:
        writer = csv.DictWriter(file, FIELDS, lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)


def modules_of(recipe, *names):
    """Modules of another recipe, though one's own have the same names.

    Args:
        recipe: str, a folder beside this file.
        names: str, of its modules.

    Returns:
        A list of modules. Their names are then free again.
    """
    folder = Path(__file__).parent / recipe
    own = [path.stem for path in folder.glob("*.py")]
    others = {name: sys.modules.pop(name) for name in own if name in sys.modules}
    sys.path.insert(0, str(folder))
    try:
        return [importlib.import_module(name) for name in names]
    finally:
        sys.path.remove(str(folder))
        for name in own:
            sys.modules.pop(name, None)
        sys.modules.update(others)
