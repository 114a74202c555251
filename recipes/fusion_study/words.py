"""What the tables say, in words: where fusion helps, and when the order changes."""

import numpy as np
import study


def report(table, curves):
    """Markdown of all datasets."""
    datasets = list(dict.fromkeys(row["dataset"] for row in table))
    parts = ["# The fusion study", introduction(table)]
    for dataset in datasets:
        rows = [row for row in table if row["dataset"] == dataset]
        parts += [f"## {dataset}", as_table(rows), what_helps(rows)]
        disturbed = [row for row in curves if row["dataset"] == dataset]
        parts += [
            "What changes the order, which is that of the means over seeds:",
            what_changes(disturbed),
        ]
    return "\n\n".join(parts) + "\n"


def introduction(table):
    compared = sum("difference" in row for row in table)
    compared += sum("over_alone" in row for row in table)
    return (
        "Of each dataset, all models have the same encoders, batches, steps and seeds. "
        "± is half of an interval of 95 % over seeds, and differences are taken seed "
        "by seed: positive is better. None is corrected for their number: of the "
        f"{compared} differences below, one in twenty would pass for real by chance if "
        "no two models differed. The best alone is the one with the best mean below."
    )


def as_table(rows):
    metric = rows[0]["metric"]
    head = f"| model | {metric} | against {study.REFERENCE} | against the best alone "
    lines = [head + "| parameters | MFLOPs | time |", "| --- |" + " --: |" * 6]
    for row in rows:
        flops = f"{row['flops'] / 1e6:.2f}" if row["flops"] else ""
        time = f"{row['time_ratio']:.1f}" if row["time_ratio"] != "" else ""
        cells = [
            f"`{row['model']}`" + (" alone" if row["kind"] == "alone" else ""),
            number(row["mean"], row["interval"], ""),
            number(row.get("difference"), row.get("difference_interval")),
            number(row.get("over_alone"), row.get("over_alone_interval")),
            f"{row['parameters']:,}" if row["parameters"] else "",
            flops,
            time,
        ]
        lines.append("| " + " | ".join(cells) + " |")
    seeds = rows[0]["seeds"]
    lines += ["", f"{seeds} seed{'s' * (seeds > 1)}. Time: CPU seconds of an epoch of "]
    lines[-1] += f"training over those of `{study.REFERENCE}`, median of the seeds."
    return "\n".join(lines)


def number(mean, half, sign="+"):
    if mean is None:
        return ""
    text = f"{mean:{sign}.3f}"
    return text if np.isnan(half) else f"{text} ± {half:.3f}"


def what_helps(rows):
    """Sentences on fusions against the best single modality, and the plainest one."""
    if rows[0]["seeds"] < 2:
        return "One seed has no interval: nothing is said yet of what is better."
    fusions = [row for row in rows if row["kind"] == "fusion"]
    alone = [row for row in rows if row["kind"] == "alone"]
    best = [row["model"] for row in alone if "over_alone" not in row]
    lines = []
    if best:
        what = f"Against `{best[0]}` alone"
        lines.append(sides(what, fusions, "over_alone"))
    others = [row for row in fusions if row["model"] != study.REFERENCE]
    lines.append(sides(f"Against `{study.REFERENCE}`", others, "difference"))
    return "\n\n".join(lines)


def sides(what, rows, key):
    """Which models are surely better, surely worse, and neither."""
    found = {"better": [], "worse": [], "not told apart": []}
    for row in rows:
        found[side(row[key], row[f"{key}_interval"])].append(f"`{row['model']}`")
    return (
        f"{what}: "
        + "; ".join(
            f"{word} {', '.join(names) or 'none'}" for word, names in found.items()
        )
        + "."
    )


def side(mean, half):
    if not abs(mean) > half:
        return "not told apart"
    return "better" if mean > 0 else "worse"


def what_changes(curves):
    """A line for each disturbance: how alike the orders are, and what changed sides."""
    places = {}
    for row in curves:
        if row["model"] in study.FUSIONS:
            place = row["disturbance"], row["modality"], row["level"]
            places.setdefault(place, {})[row["model"]] = row
    clean = places.pop(("none", "", 0), {})
    lines = []
    for (kind, modality, level), models in places.items():
        names = [name for name in models if name in clean]
        ranks = order_of(clean, names), order_of(models, names)
        first = [names[int(np.argmin(of))] if names else "" for of in ranks]
        line = f"- {kind} of {modality}, {level:g}: "
        line += f"`{first[1]}` is first"
        line += "" if first[0] == first[1] else f" in place of `{first[0]}`"
        if len(names) > 2:
            line += f", orders correlate by {np.corrcoef(*ranks)[0, 1]:.1f}"
        changed = [
            f"`{name}` {now}"
            for name in names
            if "difference" in models[name]
            for before, now in [[side_of(of[name]) for of in (clean, models)]]
            if before != now and now != "not told apart"
        ]
        if changed:
            line += f"; against `{study.REFERENCE}` now {', '.join(changed)}"
        lines.append(line + ".")
    return "\n".join(lines) or "nothing was disturbed."


def side_of(row):
    half = row["difference_interval"]
    # Of one seed nothing is told apart.
    return side(row["difference"], np.inf if np.isnan(half) else half)


def order_of(models, names):
    """Rank of each, 0 for the best. The plainest is the zero of the differences."""
    gains = [models[name].get("difference", 0.0) for name in names]
    return np.argsort(np.argsort(-np.array(gains), kind="stable"), kind="stable")
