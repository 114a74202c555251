"""What the tables say, in words: where fusion helps, and when the order changes."""

import numpy as np
import study

TASKS = {
    "mitbih_interpatient": "beats of an ECG labelled, of patients never seen",
    "mitbih_random": "beats of an ECG labelled, of patients seen before",
    "etth1": "seven series forecast, 96 hours ahead",
    "digits": "digits named that are seen and heard, both in noise",
    "emoji": "pictures found by words, and words by pictures",
}


def report(table, curves, recipe):
    """Markdown of all datasets; `recipe` is where a link leads to."""
    datasets = list(dict.fromkeys(row["dataset"] for row in table))
    of = {name: [row for row in table if row["dataset"] == name] for name in datasets}
    parts = [
        "# The fusion study",
        introduction(table, recipe),
        "## In short",
        summary(of),
        "![Scores, and gains over the plainest fusion](scores.png)",
    ]
    for dataset in datasets:
        disturbed = [row for row in curves if row["dataset"] == dataset]
        parts += [
            f"## {dataset}: {TASKS[dataset]}",
            as_table(of[dataset]),
            what_helps(of[dataset]),
            f"![Scores of disturbed inputs]({curves_of(dataset)})",
            '<details markdown="1">',
            "<summary>What changes the order</summary>",
            what_changes(disturbed),
            "</details>",
        ]
    parts.append(
        "All numbers: [scores](table.csv), [of disturbed inputs](robustness.csv)."
    )
    return "\n\n".join(parts) + "\n"


def curves_of(dataset):
    """The file of the figure."""
    return f"robustness_{dataset}.png"


def introduction(table, recipe):
    compared = sum("difference" in row for row in table)
    compared += sum("over_alone" in row for row in table)
    return (
        f"Made by [its recipe]({recipe}), which says what is the same for all models "
        "of a dataset (encoders, batches, steps, seeds) and what is not (parameters, "
        "costs).\n\n"
        "± is half of an interval of 95 % over seeds, and differences are taken seed "
        "by seed: positive is better. None is corrected for their number: of the "
        f"{compared} differences below, one in twenty would pass for real by chance if "
        "no two models differed. Not told apart does not mean equal. The best alone is "
        "the modality with the best mean; of `emoji`, the towers of `concat`."
    )


def summary(of):
    """A row for each dataset: which fusions are surely better or worse than what."""
    head = "| dataset | best alone | fusions better than it | and worse "
    head += f"| better than `{study.REFERENCE}` | and worse |"
    lines = [head, "|" + " --- |" * 6]
    for dataset, rows in of.items():
        fusions = [row for row in rows if row["kind"] == "fusion"]
        others = [row for row in fusions if row["model"] != study.REFERENCE]
        best = [f"`{row['model']}`" for row in rows if is_best_alone(row)]
        over = divided(fusions, "over_alone") if best else {}
        against = divided(others, "difference")
        cells = [dataset, ", ".join(best)]
        for found, count in (over, len(fusions)), (against, len(others)):
            for side in ("better", "worse"):
                names = found.get(side, [])
                every = len(names) == count
                cells.append("all" if every else ", ".join(names) or "none")
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines)


def is_best_alone(row):
    return row["kind"] == "alone" and "over_alone" not in row


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
    best = [row["model"] for row in rows if is_best_alone(row)]
    lines = []
    if best:
        what = f"Against `{best[0]}` alone"
        lines.append(sides(what, fusions, "over_alone"))
    others = [row for row in fusions if row["model"] != study.REFERENCE]
    lines.append(sides(f"Against `{study.REFERENCE}`", others, "difference"))
    return "\n\n".join(lines)


def sides(what, rows, key):
    """Which models are surely better, surely worse, and neither, as a sentence."""
    return (
        f"{what}: "
        + "; ".join(
            f"{word} {', '.join(names) or 'none'}"
            for word, names in divided(rows, key).items()
        )
        + "."
    )


def divided(rows, key):
    """`{side: names of its models}`."""
    found = {"better": [], "worse": [], "not told apart": []}
    for row in rows:
        half = row[f"{key}_interval"]
        # Of one seed nothing is told apart.
        half = np.inf if np.isnan(half) else half
        found[side(row[key], half)].append(f"`{row['model']}`")
    return found


def side(mean, half):
    if not abs(mean) > half:
        return "not told apart"
    return "better" if mean > 0 else "worse"


def what_changes(curves):
    """A row for each disturbance: how alike the orders are, and what changed sides."""
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
        cells = [kind, modality, f"{level:g}", f"`{first[1]}`"]
        cells.append(f"{np.corrcoef(*ranks)[0, 1]:.1f}" if len(names) > 2 else "")
        changed = [
            f"`{name}` {now}"
            for name in names
            if "difference" in models[name]
            for before, now in [[side_of(of[name]) for of in (clean, models)]]
            if before != now and now != "not told apart"
        ]
        lines.append("| " + " | ".join([*cells, ", ".join(changed)]) + " |")
    if not lines:
        return "Nothing was disturbed."
    ranks = order_of(clean, list(clean))
    head = "| disturbance | of | level | first by its mean | orders correlate by "
    head += f"| against `{study.REFERENCE}` now |"
    return "\n".join(
        [
            f"Undisturbed, `{list(clean)[int(np.argmin(ranks))]}` is first.",
            "",
            head,
            "| --- | --- | --: | --- | --: | --- |",
            *lines,
        ]
    )


def side_of(row):
    half = row["difference_interval"]
    # Of one seed nothing is told apart.
    return side(row["difference"], np.inf if np.isnan(half) else half)


def order_of(models, names):
    """Rank of each, 0 for the best. The plainest is the zero of the differences."""
    gains = [models[name].get("difference", 0.0) for name in names]
    return np.argsort(np.argsort(-np.array(gains), kind="stable"), kind="stable")
