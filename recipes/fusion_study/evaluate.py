"""Score finished runs on the data to test on, once, and on disturbed ones of them."""

import json

import keras
import models
import resuming
import study
from batches import some

from keras_mmfusion.analysis import robustness_curves

DRAWS = 2


def run(task, name, seed, budget, output):
    """Score a run, or leave it if that is done already."""
    folder = study.folder_of(output, task.name, name, seed)
    file = folder / "test.json"
    if file.exists():
        return
    keras.utils.set_random_seed(seed)
    model = models.build(task, name, seed)
    model.load_weights(folder / "best.weights.h5")
    predicts = models.predictor(task, model)
    x, y = task.test()
    found = task.metrics(y, predicts.predict(x, batch_size=64, verbose=0))
    curves = disturbed(task, predicts, *some(x, y, budget.disturbed))
    scores = json.dumps({"test": found, **curves}, indent=1)
    resuming.write_whole(file, scores.encode())
    print(f"{folder}: test {next(iter(found.items()))}", flush=True)


def disturbed(task, predicts, x, y):
    """The main score of disturbed inputs, all models being given the same ones."""
    names = list(predicts.input)
    metric = main_metric(task)
    points, clean = [], None
    for kind, (levels, modalities) in task.disturbances.items():
        chosen = [n for n in modalities or x if n in names]
        if not chosen or (kind == "misalignment" and len(names) < 2):
            continue
        groups = list(chosen)
        if kind == "noise" and len(chosen) > 1:
            groups.append(tuple(chosen))
        curves = robustness_curves(
            predicts, x, y, {kind: levels}, groups, metric, repeats=DRAWS
        )
        clean = curves.clean["model"]
        points += [
            [row["disturbance"], row["modality"], row["level"], round(row["mean"], 5)]
            for row in curves.rows
        ]
    return {"clean": clean, "disturbed": points, "samples": len(y)}


def main_metric(task):
    def metric(y, predictions):
        return next(iter(task.metrics(y, predictions).values()))

    return metric


def record(output, dataset, seed, names, records):
    """Keep what is known of all models of a dataset and seed, if all are scored."""
    found = {}
    for name in names:
        folder = study.folder_of(output, dataset, name, seed)
        files = folder / "run.json", folder / "test.json"
        if not all(file.exists() for file in files):
            return False
        found[name] = {
            k: v for f in files for k, v in json.loads(f.read_text()).items()
        }
    records.mkdir(parents=True, exist_ok=True)
    text = ",\n".join(f"{json.dumps(n)}: {json.dumps(f)}" for n, f in found.items())
    (records / f"{dataset}_seed{seed}.json").write_text("{\n" + text + "\n}\n")
    return True
