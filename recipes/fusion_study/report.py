"""Tables, figures and words of what is in `records/`.

    python recipes/fusion_study/report.py

Intervals are of 95 %, by Student's t over seeds. Differences are taken seed by seed,
since models of one seed have seen the same batches, and are positive where a model is
better.
"""

import argparse
import csv
import json
from pathlib import Path

import figures
import numpy as np
import study
import words

FIELDS = ["dataset", "model", "kind", "metric", "seeds", "mean", "interval"]
FIELDS += ["difference", "difference_interval", "over_alone", "over_alone_interval"]
FIELDS += ["parameters", "flops", "time_ratio"]
CURVE_FIELDS = ["dataset", "disturbance", "modality", "level", "model", "seeds", "mean"]
CURVE_FIELDS += ["difference", "difference_interval"]
LOWER_IS_BETTER = ("mse",)


def main(argv=None):
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--records", type=Path, default=study.RECORDS)
    parser.add_argument("--output", default="runs/fusion_study/report")
    args = parser.parse_args(argv)
    write(args.records, args.output)


def write(records, output):
    """`table.csv`, `robustness.csv`, `report.md` and figures."""
    found = read(records)
    if not found:
        print(f"{records}: no dataset is complete for any seed yet", flush=True)
        return
    output = Path(output)
    output.mkdir(parents=True, exist_ok=True)
    table = [row for dataset in found for row in rows(dataset, found[dataset])]
    curves = [row for dataset in found for row in points(dataset, found[dataset])]
    _csv(output / "table.csv", FIELDS, table)
    _csv(output / "robustness.csv", CURVE_FIELDS, curves)
    (output / "report.md").write_text(words.report(table, curves))
    figures.scores(table).savefig(output / "scores.png")
    for dataset in found:
        figure = figures.robustness(dataset, found[dataset])
        figure.savefig(output / f"robustness_{dataset}.png")
    print(f"{output}: {', '.join(found)}", flush=True)


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
    sign = -1 if metric in LOWER_IS_BETTER else 1
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
    sign = -1 if metric in LOWER_IS_BETTER else 1
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


def _csv(path, fields, rows):
    def cell(value):
        if isinstance(value, float):
            return "" if np.isnan(value) else round(value, 5)
        return value

    with open(path, "w", newline="") as file:
        writer = csv.DictWriter(file, fields, lineterminator="\n")
        writer.writeheader()
        for row in rows:
            writer.writerow({key: cell(value) for key, value in row.items()})


if __name__ == "__main__":
    main()
