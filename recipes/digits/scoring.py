"""Accuracies over grids of noise, and whether one network beats another on them.

Runs are scored where they were trained, and may be recorded beside the recipe: what a
network said of every pair, without its weights. A study can so go on elsewhere.
"""

import json
import shutil
from pathlib import Path

import data
import numpy as np
from scipy import stats

RECORDS = Path(__file__).parent / "records"

TITLES = {
    "accuracy": "original",
    "accuracy_image": "image only",
    "accuracy_sound": "sound only",
    "accuracy_noisy": "image 0.25, sound 0.5",
    "accuracy_all_levels": "mean of all levels",
}


def read(output, protocol, noise):
    """All that was scored: `{network: {seed: accuracies}}`, `{network: [metrics]}`.

    Accuracies are `(sound, image)`, levels in the order of `data.LEVELS`; metrics are
    in the order of the seeds. A network that does not hear has one level of sound, one
    that does not see has one of images.
    """
    grids, found = {}, {}
    for (network, seed), run in sorted(scored_runs(output, protocol, noise).items()):
        scored = np.load(run / "test.npz")
        grid = (scored["predicted"] == scored["labels"]).mean(axis=-1)
        grids.setdefault(network, {})[seed] = grid
        found.setdefault(network, []).append(metrics(grid, scored))
    return grids, found


def scored_runs(output, protocol, noise):
    """`{(network, seed): folder}`, recorded ones where there is no run of one's own.

    Recorded ones of another size, or of other pairs than one's own, such as those of
    `--smoke`, cannot stand beside these, and are left out.
    """
    recorded, own = (
        {
            (file.parts[-3], int(file.parts[-2].removeprefix("seed"))): file.parent
            for file in folder.glob(f"{protocol}/{noise}/*/seed*/test.npz")
        }
        for folder in (RECORDS, Path(output))
    )
    made = {_made_with(run) for run in own.values()}
    alike = {key: run for key, run in recorded.items() if made <= {_made_with(run)}}
    return alike | own


def _made_with(run):
    facts = json.loads((run / "run.json").read_text())
    return facts["size"], facts["samples"], facts["pairs"]


def pairs_of(output, protocol, noise):
    """`{network: pairs}` that each was trained on, the fewest of its seeds."""
    found = {}
    for (network, _), run in sorted(scored_runs(output, protocol, noise).items()):
        pairs = json.loads((run / "run.json").read_text())["pairs"]
        found[network] = min(pairs, found.get(network, pairs))
    return found


def record(output):
    """Keep what was scored, and what is known of its training, beside the recipe."""
    for file in sorted(Path(output).glob("*/*/*/seed*/test.npz")):
        kept = RECORDS / file.parent.relative_to(output)
        kept.mkdir(parents=True, exist_ok=True)
        for name in ("test.npz", "run.json", "train_log.csv"):
            shutil.copyfile(file.with_name(name), kept / name)
        print(f"{kept}: recorded", flush=True)


def metrics(grid, scored):
    """What is said of one seed, see `TITLES`; what a network cannot do is left out."""
    levels = (data.LEVELS.index(data.NOISE["noisy"][m]) for m in ("sound", "image"))
    # A network that does not hear, or see, has one level of it.
    noisy = tuple(min(i, n - 1) for i, n in zip(levels, grid.shape, strict=True))
    clean = {
        key: float(np.mean(scored[key] == scored["clean_labels"]))
        for key in TITLES
        if key in scored
    }
    return {
        **clean,
        "accuracy_noisy": float(grid[noisy]),
        "accuracy_all_levels": float(grid.mean()),
    }


def subsets(modalities):
    """Those that a network may be given: all it takes, then each by itself."""
    alone = [(name,) for name in modalities] if len(modalities) > 1 else []
    return [tuple(modalities), *alone]


def clean_name(present):
    """Of the accuracy with these modalities, without noise."""
    return f"accuracy_{present[0]}" if len(present) == 1 else "accuracy"


def summary(grids):
    """Mean and sample standard deviation over seeds, `(sound, image)` each."""
    grids = np.stack(list(grids.values()))
    spread = np.full(grids.shape[1:], np.nan)
    if len(grids) > 1:
        spread = grids.std(axis=0, ddof=1)
    return grids.mean(axis=0), spread


def comparisons(grids):
    """What `compare` finds of the network that fuses first, by the other network."""
    first = grids.get("initial", {})
    return {
        other: compare(first, grids[other])
        for other in ("second", "fc")
        if set(first) & set(grids.get(other, {}))
    }


def compare(ours, other):
    """Where `ours` is better than `other`, cell by cell.

    A seed of both was trained on the same pairs, so their difference is taken seed by
    seed, of those that both have. A cell counts as sure where the mean difference is
    more than two standard deviations over seeds from zero.

    Args:
        ours: dict of accuracies `(sound, image)` by seed; at least one seed is in both.
        other: the same of another network.

    Returns:
        dict of `"difference"` and `"spread"`, arrays `(sound, image)`: mean over
        seeds and standard deviation; `"mean"`, the mean difference over all cells,
        with its deviation over seeds `"mean_spread"`; the numbers of `"seeds"`, of
        `"cells"`, and of cells that are `"higher"`, `"lower"`, `"surely_higher"`,
        `"surely_lower"`.
    """
    differences = {seed: ours[seed] - other[seed] for seed in ours if seed in other}
    mean, spread = summary(differences)
    of_seeds = np.array([cells.mean() for cells in differences.values()])
    return {
        "difference": mean,
        "spread": spread,
        "seeds": len(differences),
        "cells": mean.size,
        "higher": int((mean > 0).sum()),
        "lower": int((mean < 0).sum()),
        "surely_higher": int((mean > 2 * spread).sum()),
        "surely_lower": int((mean < -2 * spread).sum()),
        "mean": float(of_seeds.mean()),
        "mean_spread": deviation(of_seeds),
    }


def in_words(found):
    """What `compare` found, in sentences."""
    if found["seeds"] == 1:
        return (
            f"{found['mean']:+.4f} of accuracy over all levels of noise. Higher in "
            f"{found['higher']} of {found['cells']} cells, lower in {found['lower']}: "
            "of one seed, so nothing of this is sure."
        )
    told = (
        f"{found['mean']:+.4f} ± {found['mean_spread']:.4f} of accuracy over all "
        f"levels of noise. Higher in {found['higher']} of {found['cells']} cells, by "
        f"more than two standard deviations over seeds in {found['surely_higher']}; "
        f"lower in {found['lower']}, by more than two in {found['surely_lower']}."
    )
    return (
        f"{told} With {found['seeds']} seeds, about {by_chance(found):.0f} of "
        f"{found['cells']} cells would be that far apart by chance."
    )


def by_chance(found):
    """Cells that `compare` would count as sure, higher or lower, were all equal."""
    seeds = found["seeds"]
    return found["cells"] * 2 * stats.t.sf(2 * np.sqrt(seeds), seeds - 1)


def deviation(values):
    """Sample standard deviation; NaN of a single value."""
    return float(values.std(ddof=1)) if len(values) > 1 else float("nan")
