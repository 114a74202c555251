"""Write the tables of results into README.md and docs/, from the zoo.

    python docs/make_results.py           # rewrites what stands between the markers
    python docs/make_results.py --check   # exit code 1 if anything would change

A table stands between `<!-- NAME:begin -->` and `<!-- NAME:end -->`. Its numbers come
from `zoo/*/metadata.json`, which the recipes write. None is typed by hand.
"""

import argparse
import json
import re
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
# Columns of the tables, where a preset has them: key in the metadata, title.
METRICS = {
    "accuracy": "accuracy",
    "macro_f1_nsv": "macro-F1 (N S V)",
    "macro_f1": "macro-F1",
    "weighted_f1": "weighted F1",
    "N_f1": "N F1",
    "S_f1": "S F1",
    "V_f1": "V F1",
    "F_f1": "F F1",
    **{f"mse_{h}": f"MSE, {h} steps" for h in (96, 192, 336, 720)},
    "mae_96": "MAE, 96 steps",
    "mae_720": "MAE, 720 steps",
    "mse": "MSE, all",
    **{f"mse_channel_{n}": f"MSE, channel {n}" for n in (1, 2, 3)},
    "mean_recall": "mean recall",
    **{f"tr_r{k}": f"R@{k}, texts" for k in (1, 5, 10)},
    **{f"ir_r{k}": f"R@{k}, images" for k in (1, 5, 10)},
}
IN_README = ("accuracy", "macro_f1_nsv", "macro_f1", "S_f1", "V_f1")
IN_README += ("mse_96", "mse_192", "mse_336", "mse_720", "mse")
IN_README += ("mean_recall", "tr_r1", "tr_r10", "ir_r1", "ir_r10")
NONE_YET = "There are no trained presets yet."


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--check", action="store_true", help="change nothing")
    args = parser.parse_args()
    changed = outdated(ROOT)
    for path, text in changed.items():
        if not args.check:
            path.write_text(text, encoding="utf-8")
        print(f"{path.relative_to(ROOT)}: {'out of date' if args.check else 'written'}")
    return 1 if args.check and changed else 0


def outdated(root, zoo=None):
    """`{path: new text}` of the pages that differ from what the zoo says."""
    presets = read_zoo(zoo or root / "zoo")
    pages = {
        root / "README.md": {"results": overview(presets)},
        root / "docs" / "index.md": {"concat": beside_concat(presets)},
        root / "docs" / "papers.md": {"measured": comparisons(presets)},
        root / "docs" / "missing_modalities.md": {"subsets": subsets(presets)},
    }
    changed = {}
    for path, blocks in pages.items():
        old = new = path.read_text(encoding="utf-8")
        for name, table in blocks.items():
            new = replace_block(new, name, table)
        if new != old:
            changed[path] = new
    return changed


def read_zoo(zoo):
    """The metadata of every preset in a folder, by name."""
    files = sorted(zoo.glob("*/metadata.json"))
    return [json.loads(file.read_text(encoding="utf-8")) for file in files]


def is_trained(preset):
    """Whether there are weights, and so results; corpora may forbid them."""
    return "model.weights.h5" in preset["files"]


def replace_block(text, name, content):
    """Put `content` between the markers of a block."""
    begin, end = f"<!-- {name}:begin -->", f"<!-- {name}:end -->"
    if text.count(begin) != 1 or text.count(end) != 1:
        raise ValueError(f"Expected one {begin} and one {end}.")
    before, rest = text.split(begin)
    after = rest.split(end)[1]
    return f"{before}{begin}\n{content}\n{end}{after}"


def overview(presets):
    """A table a task, one row a preset."""
    trained = [preset for preset in presets if is_trained(preset)]
    if not trained:
        return NONE_YET
    tasks = dict.fromkeys(preset.get("task") for preset in trained)
    groups = [[p for p in trained if p.get("task") == task] for task in tasks]
    parts = [_overview(group) for group in groups]
    others = [
        f"[`{p['name']}`](zoo/{p['name']}/README.md)"
        for p in presets
        if not is_trained(p)
    ]
    if others:
        parts.append(
            f"Without weights, for corpora that need a licence: {', '.join(others)}."
        )
    return "\n\n".join(parts)


def _overview(presets):
    found = [find_metrics(preset.get("metrics", {})) for preset in presets]
    columns = [key for key in IN_README if any(key in metrics for metrics in found)]
    head = ["preset", "protocol", "parameters", "size", *(METRICS[k] for k in columns)]
    rows = []
    for preset, metrics in zip(presets, found, strict=True):
        name = preset["name"]
        size = sum(entry["bytes"] for entry in preset["files"].values())
        row = [
            f"[`{name}`](zoo/{name}/README.md)",
            protocol(preset),
            f"{preset['parameters']:,}",
            f"{size / 1e6:.1f} MB",
        ]
        rows.append(row + [number(metrics.get(key)) for key in columns])
    return f"{table(head, rows)}\n\n{spread_note(found)}"


def comparisons(presets):
    """For each preset, what was measured beside it and what its paper reports."""
    if not presets:
        return NONE_YET
    parts = []
    for preset in filter(is_trained, presets):
        baselines = preset.get("baselines", {})
        models = {f"**{preset['name']}**": preset.get("metrics", {})}
        models |= named(baselines.get("same_run", baselines), preset)
        split = preset.get("dataset", {}).get("split")
        lines = [f"### {preset['name']}", ""]
        if split:
            lines += [f"Test data: {split}.".replace("..", "."), ""]
        lines += [*comparison(models), ""]
        if baselines.get("random_aami5"):
            lines += ["Beside it, models of the protocol `random_aami5`:", ""]
            lines += [*comparison(named(baselines["random_aami5"], preset)), ""]
        if "paper" in preset:
            lines += [f"In the paper: {sentence(preset['paper'])}", ""]
        parts.append("\n".join(lines).rstrip())
    return "\n\n".join(parts)


def named(models, preset):
    """Models by what a reader calls them."""
    if preset.get("task") in ("forecasting", "reconstruction", "retrieval"):
        return {
            name.replace("_towers", ", towers alone"): m for name, m in models.items()
        }
    return {
        f"{name} alone" if name in preset["inputs"] else f"{name}, all modalities": m
        for name, m in models.items()
    }


def comparison(models):
    """Lines of a table of models, and of how many seeds it tells."""
    found = {name: find_metrics(metrics) for name, metrics in models.items()}
    columns = [k for k in METRICS if any(k in m for m in found.values())]
    rows = [[n, *(number(m.get(k)) for k in columns)] for n, m in found.items()]
    head = ["model", *(METRICS[k] for k in columns)]
    return [table(head, rows), "", spread_note(list(found.values()))]


def subsets(presets, name="atd_mitbih"):
    """Scores of one preset with modalities missing."""
    preset = next((p for p in presets if p["name"] == name), None)
    scores = (preset or {}).get("baselines", {}).get("subsets_of_modalities")
    if not scores:
        return NONE_YET
    columns = [k for k in METRICS if any(k in values for values in scores.values())]
    rows = [
        [present, *(number(values.get(key)) for key in columns)]
        for present, values in scores.items()
    ]
    head = ["present", *(METRICS[key] for key in columns)]
    where = f"`{name}`, released weights, protocol {protocol(preset)}:"
    return f"{where}\n\n{table(head, rows)}"


def beside_concat(presets):
    """Each preset's fusion beside concatenation and one modality, of the same run."""
    rows = [row for row in map(_beside_concat, presets) if row]
    if not rows:
        return NONE_YET
    verdicts = [row[-1] for row in rows]
    head = ["preset", "fusion", "metric", "this fusion", "`concat`"]
    head += ["best modality alone", "beside `concat`"]
    counted = (
        f"In {len(rows)} comparisons the fusion is better than concatenation in "
        f"{verdicts.count('better')} and worse in {verdicts.count('worse')}; "
        f"elsewhere the difference is below two standard deviations, which is none."
    )
    return f"{table(head, rows)}\n\n{counted}"


def _beside_concat(preset):
    others = preset.get("baselines", {}).get("same_run", {})
    command = preset.get("recipe", {}).get("command", "")
    found = re.search(r"--(?:fusion|models) (\w+)", command)
    if not is_trained(preset) or not found:
        return None
    # Models that learned without labels first are compared with such models.
    concat = others.get("concat_pretrained" if "--pretrain" in command else "concat")
    fusion, ours = found[1], preset["metrics"]
    if fusion == "concat":
        fusion, ours, concat = "cascade", others.get("cascade"), ours
    if not ours or not concat:
        return None
    ours, concat = find_metrics(ours), find_metrics(concat)
    key = next(k for k in ("macro_f1_nsv", "macro_f1", "mse_96", "mse") if k in ours)
    sign = -1 if key.startswith("mse") else 1
    alone = [find_metrics(others[n])[key] for n in preset["inputs"] if n in others]
    if None in [m[key][part] for m in (ours, concat) for part in ("mean", "sd")]:
        return None
    alone = [value for value in alone if value["mean"] is not None]
    best = max(alone, key=lambda value: sign * value["mean"], default=None)
    gain = sign * (ours[key]["mean"] - concat[key]["mean"])
    spread = (ours[key]["sd"] ** 2 + concat[key]["sd"] ** 2) ** 0.5
    verdict = "no difference"
    if abs(gain) > 2 * spread:
        verdict = "better" if gain > 0 else "worse"
    name = preset["name"]
    row = [f"[`{name}`](../zoo/{name}/README.md)", f"`{fusion}`", METRICS[key]]
    return [*row, *map(number, (ours[key], concat[key], best)), verdict]


def protocol(preset):
    """Name of the protocol of the metrics, else the split in words."""
    named = [k for k, v in preset.get("metrics", {}).items() if _is_group(v)]
    if named:
        return f"`{named[0]}`"
    dataset = preset.get("dataset", {})
    return dataset.get("split", dataset.get("name", ""))


def _is_group(value):
    return isinstance(value, dict) and "mean" not in value


def find_metrics(metrics):
    """`{key: value}` of the columns, from metrics that may be nested."""
    found = {}
    for name, value in metrics.items():
        if _is_group(value):
            found = find_metrics(value) | found
        elif name in METRICS:
            found[name] = value
    return found


def number(value):
    """A metric as text: a number, or a dict with mean and sd."""
    if value is None:
        return ""
    if isinstance(value, dict) and value["mean"] is None:
        # As of F1 where a class neither occurs nor is predicted.
        return ""
    if not isinstance(value, dict):
        return f"{value:.3f}" if isinstance(value, (int, float)) else str(value)
    # Small errors need their digits.
    digits = 5 if abs(value["mean"]) < 0.01 else 3
    text, spread = f"{value['mean']:.{digits}f}", value.get("sd")
    return text if spread is None else f"{text} ± {spread:.{digits}f}"


def spread_note(found):
    """How many seeds the numbers are means of, where they say so."""
    values = [v for metrics in found for v in metrics.values() if isinstance(v, dict)]
    counts = sorted({value["n"] for value in values if "n" in value})
    if not counts:
        return "One training run each."
    seeds = " or ".join(str(count) for count in counts)
    return f"Mean ± standard deviation over {seeds} models, trained with other seeds."


def sentence(value):
    """What a paper reports, as one line."""
    if isinstance(value, dict):
        return "; ".join(
            f"{key.replace('_', ' ')} {sentence(v)}" for key, v in value.items()
        )
    if isinstance(value, list):
        return ", ".join(sentence(item) for item in value)
    return str(value)


def table(head, rows):
    """A Markdown table; all columns but the first stand to the right."""
    rule = ["---", *["--:"] * (len(head) - 1)]
    lines = [[str(cell).replace("|", "\\|") for cell in line] for line in (head, *rows)]
    return "\n".join(f"| {' | '.join(line)} |" for line in (lines[0], rule, *lines[1:]))


if __name__ == "__main__":
    sys.exit(main())
