"""Penalties of the ridge regressions, chosen over all seasons that may be looked at.

The rows to validate on are four months, June to October, and like no other part of the
year. So the months to train and to validate on are cut into blocks; each in turn is
forecast by what was fitted to the others, and the penalty with the least error counts.
"""

import json
from itertools import pairwise

import architecture
import numpy as np

# Two months each.
BLOCKS = 8


def choose(name, task, folder):
    """`{horizon: penalty}` for a ridge regression; kept in a file of `folder`."""
    file = folder / "penalties" / f"{name}.json"
    if file.exists():
        return {int(h): a for h, a in json.loads(file.read_text())["alpha"].items()}
    errors = cross_validate(name, task)
    chosen = {h: min(of, key=of.get) for h, of in errors.items()}
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps({"alpha": chosen, "mse": errors}, indent=2))
    return chosen


def cross_validate(name, task):
    """`{horizon: {penalty: error}}`, the squared error of its steps over the blocks."""
    model, names = architecture.build(name, task)
    found = []
    for training, held_out in folds(task, names):
        of_block = model.fit_closed_form(
            *training, validation_data=held_out, horizons=task.horizons
        )
        found.append({h: fit["validation_mse"] for h, fit in of_block.items()})
    return {
        h: {a: float(np.mean([of[h][a] for of in found])) for a in found[0][h]}
        for h in task.horizons
    }


def folds(task, names):
    """Windows to fit, and to forecast, block by block.

    No step of the one is among the steps that the others forecast.
    """
    rows = task.rows["train"][0], task.rows["validation"][1]
    x, y = task.preprocessor.windows(task.table, task.horizons[-1], rows, whole=False)
    lookback, horizon = task.preprocessor.lookback, task.horizons[-1]
    origins = max(rows[0], lookback) + np.arange(len(y))
    bounds = np.linspace(origins[0], rows[1], BLOCKS + 1).astype(int)
    for start, stop in pairwise(bounds):
        inside = (origins >= start) & (origins < stop)
        before = origins + horizon <= start - lookback
        after = origins - lookback >= stop + horizon
        yield [
            ({name: x[name][kept] for name in names}, y[kept])
            for kept in (before | after, inside)
        ]


def select(windows, names):
    x, y = windows
    return {name: x[name] for name in names}, y
