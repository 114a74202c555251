"""Compare linear forecasts with parts of the year left out in turn.

    KERAS_BACKEND=jax python recipes/ett/validate.py --features S --phase
    KERAS_BACKEND=jax python recipes/ett/validate.py --smoothing

The months to train and to validate on are cut into quarters. For each, ridge regression
learns from all windows that do not touch it, and forecasts every window in it. Compared
is how far forecasts revert to the mean (`LinearForecast.fit_closed_form`), which the
four months to validate on alone cannot tell, or how far maps are smoothed; with
`--phase`, of forecasts that know the time of the year. The rows to test on are never
read.
"""

import argparse
import itertools
import sys
from pathlib import Path

import architecture
import data
import numpy as np

from keras_mmfusion.metrics import forecast_metrics
from keras_mmfusion.models import FusionForecaster

sys.path.append(str(Path(__file__).parents[1]))
import common

QUARTERS = 4
TRIED = {
    "reversion": (0.0, 0.25, 0.5, 0.75, 1.0),
    "smoothing": (0.0, 0.1, 0.2, 0.3, 0.5, 1.0),
}
ALPHA = 0.1


def main(argv=None):
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument(
        "--features", nargs="+", choices=data.FEATURES, default=data.FEATURES
    )
    parser.add_argument(
        "--phase", action="store_true", help="with the time of the year"
    )
    parser.add_argument(
        "--smoothing",
        action="store_true",
        help="how far maps are smoothed, with the reversion of the recipe",
    )
    data.add_arguments(parser)
    args = parser.parse_args(argv)
    option = "smoothing" if args.smoothing else "reversion"
    names = ("series", "phase") if args.phase else ("series",)
    for features in args.features:
        task = data.load_as(args, features)
        found = compare(task, option, TRIED[option], names)
        print_table(features, option, task.horizons, found)


def compare(task, option, values, names=("series",)):
    """`{value: errors}`, errors of shape (quarters, horizons).

    `option` is one of `TRIED`; `names` are the inputs that a linear forecast sees.
    """
    options = {"lookbacks": task.lookbacks}
    if option == "smoothing":
        fitted = architecture.fitted_to(architecture.LINEAR_PART, task)
        options = {"reversion": 0.0, **fitted}
    rows = (0, task.rows["validation"][1])
    x, y = task.preprocessor.windows(task.table, task.horizons[-1], rows, whole=False)
    x, found = {n: x[n] for n in names}, {value: [] for value in values}
    edges = np.linspace(0, rows[1], QUARTERS + 1).astype(int)
    for edge in itertools.pairwise(edges):
        training, held_out = split(x, y, task.preprocessor.lookback, *edge)
        for value in values:
            shapes = {n: task.preprocessor.shapes[n] for n in names}
            model = FusionForecaster(shapes, {}, task.horizons[-1], skip="linear")
            model.fit_closed_form(
                *training,
                alpha=ALPHA,
                horizons=task.horizons,
                **{**options, option: value},
            )
            errors = forecast_metrics(model, *held_out, horizons=task.horizons)
            found[value].append([errors[h]["mse"] for h in task.horizons])
    return {value: np.array(of) for value, of in found.items()}


def split(x, y, lookback, begin, end):
    """Windows that do not touch the rows from `begin` to `end`, and those in them.

    Steps on the other side of an edge are NaN, and do not count.
    """
    ahead = np.arange(len(y))[:, None] + lookback + np.arange(y.shape[1])
    before, after = ahead[:, 0] < begin, ahead[:, 0] - lookback >= end
    inside = (ahead[:, 0] >= begin) & (ahead[:, 0] < end)
    masked = np.where((ahead < begin)[..., None], y, np.nan)
    learned = np.concatenate([masked[before], y[after]])
    known = {n: np.concatenate([v[before], v[after]]) for n, v in x.items()}
    came = np.where((ahead < end)[inside][..., None], y[inside], np.nan)
    return (known, learned), ({n: v[inside] for n, v in x.items()}, came)


def print_table(features, option, horizons, found):
    """A row a value: means over quarters, and in how many they are below the first.

    Last the geometric mean over horizons of these means, each beside the first row's.
    """
    first, *_ = found.values()
    print(f"\n{features}: mean squared error over {len(first)} quarters left out; in")
    print("how many of them it is below that of the first row")
    print(f"{option:>9s}" + "".join(f"{h:>13d}" for h in horizons) + "     all")
    for value, of in found.items():
        less = (of < first).sum(axis=0)
        cells = zip(of.mean(axis=0), less, strict=True)
        ratio = np.exp(np.log(of.mean(axis=0) / first.mean(axis=0)).mean())
        print(
            f"{value:9g}"
            + "".join(f"{mean:9.4f} ({count})" for mean, count in cells)
            + f"{ratio:8.3f}",
            flush=True,
        )


if __name__ == "__main__":
    common.as_command(main)
