"""Tables, figures and words of what is in `records/`.

    python recipes/fusion_study/report.py            # writes docs/fusion_study
    python recipes/fusion_study/report.py --check    # exit code 1 if it would change

Intervals are of 95 %, by Student's t over seeds. Differences are taken seed by seed,
since models of one seed have seen the same batches, and are positive where a model is
better.
"""

import argparse
import csv
import hashlib
import io
import json
import os
import sys
from pathlib import Path

import figures
import numpy as np
import study
import words
from common import small_png

PAGE = Path(__file__).parents[2] / "docs" / "fusion_study"
FIELDS = ["dataset", "model", "kind", "metric", "seeds", "mean", "interval"]
FIELDS += ["difference", "difference_interval", "over_alone", "over_alone_interval"]
FIELDS += ["parameters", "flops", "time_ratio"]
CURVE_FIELDS = ["dataset", "disturbance", "modality", "level", "model", "seeds", "mean"]
CURVE_FIELDS += ["difference", "difference_interval"]


def main(argv=None):
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--records", type=Path, default=study.RECORDS)
    parser.add_argument("--output", type=Path, default=PAGE)
    parser.add_argument("--check", action="store_true", help="change nothing")
    args = parser.parse_args(argv)
    if not args.check:
        write(args.records, args.output)
        return 0
    stale = outdated(args.records, args.output)
    for name in stale:
        print(f"{args.output / name}: out of date, run recipes/fusion_study/report.py")
    return 1 if stale else 0


def write(records, output):
    """`results.md`, `table.csv`, `robustness.csv` and figures."""
    found = read(records)
    if not found:
        print(f"{records}: no dataset is complete for any seed yet", flush=True)
        return
    output = Path(output)
    output.mkdir(parents=True, exist_ok=True)
    table, curves = tables(found)
    for name, text in texts(records, output, table, curves).items():
        (output / name).write_text(text, encoding="utf-8")
    (output / "scores.png").write_bytes(small_png(figures.scores(table)))
    for dataset in found:
        figure = figures.robustness(dataset, found[dataset])
        (output / words.curves_of(dataset)).write_bytes(small_png(figure))
    print(f"{output}: {', '.join(found)}", flush=True)


def outdated(records, output):
    """Names of the files that differ from what would be written, or are not there.

    Figures are known by the records that the page names.
    """
    table, curves = tables(read(records))
    expected = texts(records, output, table, curves)
    stale = [
        name
        for name, text in expected.items()
        if not (output / name).exists() or (output / name).read_text("utf-8") != text
    ]
    pictures = {"scores.png", *(words.curves_of(row["dataset"]) for row in table)}
    return stale + sorted(n for n in pictures if not (output / n).exists())


def tables(found):
    """Rows of the table, and of the curves."""
    return (
        [row for dataset in found for row in rows(dataset, found[dataset])],
        [row for dataset in found for row in points(dataset, found[dataset])],
    )


def texts(records, output, table, curves):
    """`{name of the file: its text}` of all but the figures."""
    digest = hashlib.sha256()
    for file in sorted(Path(records).glob("*.json")):
        digest.update(file.read_bytes())
    recipe = os.path.relpath(Path(__file__).parent / "README.md", output)
    page = words.report(table, curves, Path(recipe).as_posix())
    return {
        "results.md": f"{page}\n<!-- of the records {digest.hexdigest()[:16]} -->\n",
        "table.csv": _csv(FIELDS, table),
        "robustness.csv": _csv(CURVE_FIELDS, curves),
    }


def read(records):
    """`{dataset: {seed: {model: facts}}}`, in the order of the study."""
    found = {}
    for dataset in study.DATASETS:
        for file in sorted(Path(records).glob(f"{dataset}_seed*.json")):
            seed = int(file.stem.rpartition("seed")[2])
            models = json.loads(file.read_text())
            if study.REFERENCE in models:
                found.setdefault(dataset, {})[seed] = with_towers(models)
    return found


def with_towers(models):
    """Of retrieval also what the towers of the reference find by themselves."""
    reference = models[study.REFERENCE]
    if f"{study.TOWERS}_mean_recall" not in reference["test"]:
        return models
    alone = {"mean_recall": reference["test"][f"{study.TOWERS}_mean_recall"]}
    return {**models, study.TOWERS: {"test": alone, "disturbed": []}}


def rows(dataset, seeds):
    """A row of the table for every model."""
    first = next(iter(seeds.values()))
    metric = next(iter(first[study.REFERENCE]["test"]))
    sign = -1 if metric in study.LOWER_IS_BETTER else 1
    names = [n for n in first if all(n in models for models in seeds.values())]
    scores = {
        name: np.array([models[name]["test"][metric] for models in seeds.values()])
        for name in names
    }
    alone = [name for name in names if name not in study.FUSIONS]
    best = max(alone, key=lambda n: sign * scores[n].mean()) if alone else None
    made = []
    for name in names:
        facts = first[name]
        row = {
            "dataset": dataset,
            "model": name,
            "kind": "alone" if name in alone else "fusion",
            "metric": metric,
            "seeds": len(seeds),
        }
        row["mean"], row["interval"] = interval(scores[name])
        against = {"difference": study.REFERENCE, "over_alone": best}
        for key, other in against.items():
            if other not in (None, name):
                found = interval(sign * (scores[name] - scores[other]))
                row[key], row[f"{key}_interval"] = found
        row["parameters"] = facts.get("parameters", "")
        row["flops"] = facts.get("flops") or ""
        ratios = [
            models[name]["seconds"] / models[study.REFERENCE]["seconds"]
            for models in seeds.values()
            if models[name].get("seconds") and models[study.REFERENCE]["seconds"]
        ]
        row["time_ratio"] = round(float(np.median(ratios)), 2) if ratios else ""
        made.append(row)
    return made


def points(dataset, seeds):
    """A row for every model and disturbance; the first ones are undisturbed."""
    first = next(iter(seeds.values()))
    metric = next(iter(first[study.REFERENCE]["test"]))
    sign = -1 if metric in study.LOWER_IS_BETTER else 1
    scores = {}
    for models in seeds.values():
        for name, facts in models.items():
            if "clean" in facts:
                clean = scores.setdefault(("none", "", 0), {})
                clean.setdefault(name, []).append(facts["clean"])
            for *place, score in facts["disturbed"]:
                here = scores.setdefault(tuple(place), {})
                here.setdefault(name, []).append(score)
    made = []
    for (kind, modality, level), models in scores.items():
        for name, values in models.items():
            row = {
                "dataset": dataset,
                "disturbance": kind,
                "modality": modality,
                "level": level,
                "model": name,
                "seeds": len(values),
                "mean": float(np.mean(values)),
            }
            # A single modality has no noise on all of them, so no fusion beside it.
            other = models.get(study.REFERENCE, ())
            if name != study.REFERENCE and len(other) == len(values):
                differences = sign * (np.array(values) - other)
                row["difference"], row["difference_interval"] = interval(differences)
            made.append(row)
    return made


def interval(values):
    """Mean, and half of its interval; NaN of a single value."""
    values = np.asarray(values, "float64")
    half = np.nan
    if len(values) > 1:
        from scipy.stats import t

        deviation = values.std(ddof=1) / np.sqrt(len(values))
        half = float(t.ppf(0.975, len(values) - 1) * deviation)
    return float(values.mean()), half


def _csv(fields, rows):
    def cell(value):
        if isinstance(value, float):
            return "" if np.isnan(value) else round(value, 5)
        return value

    text = io.StringIO()
    writer = csv.DictWriter(text, fields, lineterminator="\n")
    writer.writeheader()
    for row in rows:
        writer.writerow({key: cell(value) for key, value in row.items()})
    return text.getvalue()


if __name__ == "__main__":
    sys.exit(main())
