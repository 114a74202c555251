"""Forecasts of rows to test on, of windows chosen by a rule."""

import numpy as np
from matplotlib.dates import ConciseDateFormatter
from matplotlib.figure import Figure

from keras_mmfusion.analysis.forecast import BAND, LINE, PAST

RANKS = (0.1, 0.5, 0.9)
STEPS, BEFORE, LEVEL = 192, 96, 0.9


def chosen(errors, steps=STEPS, ranks=RANKS):
    """Windows of which this share of all windows has a smaller squared error."""
    whole = np.flatnonzero(~np.isnan(errors[:, steps - 1]).any(axis=-1))
    order = np.argsort(np.mean(errors[whole, :steps] ** 2, axis=(1, 2)))
    return [int(whole[order[int(rank * (len(order) - 1))]]) for rank in ranks]


def forecasts(task, errors, y, intervals):
    """The last column of three windows, in its own unit, with intervals.

    Args:
        task: `data.Task`.
        errors: Array `(windows, horizon, columns)`, forecast minus what came, scaled.
        y: Array of the same shape, what came, scaled.
        intervals: `ConformalIntervals`.

    Returns:
        matplotlib `Figure`.
    """
    column = len(task.table.columns) - 1
    center, scale = (v[column] for v in (task.preprocessor.scaler.center, scales(task)))
    first = max(task.rows["test"][0], task.preprocessor.lookback)
    half = intervals(LEVEL)[:STEPS, column] * scale
    figure = Figure(figsize=(10, 7.5), dpi=110, layout="constrained")
    axes = figure.subplots(len(RANKS), 1)
    for axis, rank, window in zip(axes, RANKS, chosen(errors), strict=True):
        origin = first + window
        shown = slice(origin - BEFORE, origin + STEPS)
        times = task.table.times[origin : origin + STEPS]
        target = y[window, :STEPS, column]
        forecast = (target + errors[window, :STEPS, column]) * scale + center
        axis.fill_between(
            times,
            forecast - half,
            forecast + half,
            color=BAND,
            linewidth=0,
            label=f"{LEVEL:.0%} interval",
        )
        axis.plot(
            task.table.times[shown],
            task.table.values[shown, column],
            color=PAST,
            linewidth=1.2,
            label="measured",
        )
        axis.plot(times, forecast, color=LINE, linewidth=1.8, label="forecast")
        axis.set_title(
            f"error larger than that of {rank:.0%} of the windows", loc="left"
        )
        axis.xaxis.set_major_formatter(
            ConciseDateFormatter(axis.xaxis.get_major_locator())
        )
        axis.set_ylabel(task.table.columns[column])
        axis.grid(alpha=0.25)
        for side in ("top", "right"):
            axis.spines[side].set_visible(False)
    axes[0].legend(loc="upper right", ncols=3, frameon=False, fontsize=9)
    return figure


def scales(task):
    return task.preprocessor.scaler.scale
