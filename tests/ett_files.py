"""A made-up table in the layout of ETT."""

import csv

import numpy as np

ROWS = 20 * 30 * 24


def write_table(path):
    """Twenty months: days, noise, and a slow year."""
    rng = np.random.default_rng(0)
    hours = np.arange(ROWS)
    times = np.datetime64("2016-07-01", "s") + hours * np.timedelta64(1, "h")
    year = np.cos(2 * np.pi * hours / 8766)
    columns = [
        level + year + np.sin(2 * np.pi * hours / 24 + level) + rng.normal(0, 0.3, ROWS)
        for level in (5.0, 20.0)
    ]
    with open(path, "w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["date", "HUFL", "OT"])
        for time, *values in zip(times, *columns, strict=True):
            writer.writerow([str(time).replace("T", " "), *np.round(values, 4)])
    return path
