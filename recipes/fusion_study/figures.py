"""Scores with their intervals, and curves of robustness."""

import numpy as np
import study
from matplotlib.ticker import LogLocator, NullLocator

from keras_mmfusion.analysis import RobustnessCurves
from keras_mmfusion.analysis._figure_class import figure_class

GREY = "#5d6770"
UNITS = {
    "noise": "signal-to-noise ratio in dB",
    "missing": "share of the samples",
    "misalignment": "shift in steps",
}


def scores(table):
    """A column for each dataset: scores above, gains over the plainest below."""
    datasets = list(dict.fromkeys(row["dataset"] for row in table))
    figure = figure_class()(
        figsize=(1.2 + 3.0 * len(datasets), 8.0), dpi=110, layout="constrained"
    )
    grid = figure.subplots(2, len(datasets), squeeze=False)
    for column, dataset in enumerate(datasets):
        rows = [row for row in table if row["dataset"] == dataset]
        above, below = grid[:, column]
        seeds = rows[0]["seeds"]
        seeds = f"{seeds} seed{'s' * (seeds > 1)}"
        above.set_title(f"{dataset}\n{seeds}", fontsize=10)
        _dots(above, rows, "mean", "interval")
        above.set_xlabel(rows[0]["metric"], fontsize=9)
        others = [row for row in rows if "difference" in row]
        if not others:
            below.set_axis_off()
            continue
        _dots(below, others, "difference", "difference_interval", times=True)
        below.axvline(0, color=GREY, ls=":", lw=1)
        below.set_xlabel(f"better than {study.REFERENCE} by", fontsize=9)
    return figure


def _dots(axes, rows, key, interval, times=False):
    """A row for each model. What is far off all fusions is an arrow with its value."""
    low, high = _window(rows, key, interval)
    for place, row in enumerate(rows):
        colour = "C0" if row["kind"] == "fusion" else GREY
        value, half = row[key], np.nan_to_num(row[interval])
        if low <= value <= high:
            axes.errorbar(value, place, xerr=half, fmt="o", color=colour, capsize=2)
            continue
        left = value < low
        axes.plot(low if left else high, place, "<" if left else ">", color=colour)
        axes.annotate(
            f"{value:.2f}",
            (low if left else high, place),
            (7 if left else -7, 0),
            textcoords="offset points",
            ha="left" if left else "right",
            va="center",
            fontsize=8,
            color=colour,
        )
    margin = 0.04 * (high - low)
    axes.set_xlim(low - margin, high + margin)
    names = [row["model"] for row in rows]
    if times:
        names = [
            name + (f"  ×{row['time_ratio']:.1f}" if row["time_ratio"] != "" else "")
            for name, row in zip(names, rows, strict=True)
        ]
    axes.set_yticks(range(len(rows)), names, fontsize=8)
    axes.invert_yaxis()
    axes.tick_params(axis="x", labelsize=8)
    axes.grid(axis="x", alpha=0.25)
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)


def _window(rows, key, interval):
    """From the least to the most of the fusions, and a quarter of that besides.

    Where none is there, of all rows.
    """
    ends = [
        row[key] + side * np.nan_to_num(row[interval])
        for row in [row for row in rows if row["kind"] == "fusion"] or rows
        for side in (-1, 1)
    ]
    margin = 0.25 * max(np.ptp(ends), 1e-3)
    return min(ends) - margin, max(ends) + margin


def robustness(dataset, seeds):
    """Curves of all fusions, means and deviations over seeds."""
    first = next(iter(seeds.values()))
    names = [name for name in first if name in study.FUSIONS]
    places, clean = {}, {}
    for name in names:
        runs = [models[name] for models in seeds.values() if name in models]
        clean[name] = float(np.mean([run["clean"] for run in runs]))
        for run in runs:
            for kind, modality, level, score in run["disturbed"]:
                places.setdefault((kind, modality, level, name), []).append(score)
    rows = [
        {
            "model": name,
            "disturbance": kind,
            "modality": modality,
            "level": level,
            "mean": float(np.mean(values)),
            "sd": float(np.std(values, ddof=1)) if len(values) > 1 else 0.0,
            "scores": values,
        }
        for (kind, modality, level, name), values in places.items()
    ]
    kinds = dict.fromkeys(row["disturbance"] for row in rows)
    reference = first[study.REFERENCE]
    curves = RobustnessCurves(
        rows,
        clean,
        next(iter(reference["test"])),
        reference["samples"],
        {kind: UNITS[kind] for kind in kinds},
    )
    figure = curves.plot(dataset)
    if curves.metric in study.LOWER_IS_BETTER:
        # Errors have no upper end: else the largest would hide all others.
        for axes in figure.axes:
            axes.set_yscale("log")
            axes.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
            axes.yaxis.set_major_formatter("{x:g}")
            axes.yaxis.set_minor_locator(NullLocator())
    return figure
