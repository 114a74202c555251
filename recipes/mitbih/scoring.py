"""Numbers from predictions: pooled over recordings, averaged over seeds."""

import json
import sys
from pathlib import Path

import architecture
import data
import numpy as np

from keras_mmfusion.metrics import beat_metrics
from keras_mmfusion.models._specialists import DecidedMean

sys.path.append(str(Path(__file__).parents[1]))
import common

# Under this protocol a model is a `BeatEnsemble`: of members that decide about all
# classes, and of others that decide about nothing but V.
ENSEMBLES = "interpatient"
COMMON, SPECIALISTS = 2, 2
ALONE = False  # The former have their say about V as well.
# What is no network, see `linear.py`, and has no seeds.
LINEAR = "linear"


def has_specialist(protocol, variant):
    """Whether members of such a model decide about nothing but V."""
    return protocol == ENSEMBLES and not _is_single(variant)


def members_of(protocol, variant, number):
    """Model `number` as a list of variant and seed of each member."""
    if not has_specialist(protocol, variant):
        return [(variant, number)]
    special = f"{variant}_specialist"
    return [
        *((variant, COMMON * number + i) for i in range(COMMON)),
        *((special, SPECIALISTS * number + i) for i in range(SPECIALISTS)),
    ]


def _is_single(variant):
    # Of the leads, single models: what is compared there are fusions.
    return (
        variant.startswith("leads_")
        or variant == LINEAR
        or architecture.is_specialist(variant)
    )


def seeds_of(protocol, variant, number):
    """Seeds of this variant, not of those beside it, in model `number`."""
    whole = members_of(protocol, variant.removesuffix("_specialist"), number)
    return [seed for name, seed in whole if name == variant]


def read_models(output, protocol, variant, folds):
    """`{number: {record: probabilities}}` of the models whose members are all there."""
    runs = {
        name: read_runs(output, protocol, name, folds)
        for name, _ in members_of(protocol, variant, 0)
    }
    models = {}
    for number in range(max(runs[variant], default=-1) + 1):
        members = members_of(protocol, variant, number)
        said = [runs[name].get(seed) for name, seed in members]
        if all(said):
            models[number] = together(said, specialists(members), protocol)
    return models


def specialists(members):
    """Which of these members decide about which class, as `BeatEnsemble` takes it."""
    chosen = [
        i for i, (name, _) in enumerate(members) if architecture.is_specialist(name)
    ]
    return {architecture.SPECIALTY: chosen} if chosen and len(members) > 1 else {}


def together(members, specialists, protocol, alone=ALONE):
    """`{record: probabilities}`: what an ensemble of these members says."""
    classes = data.classes_of(protocol)
    numbers = {classes.index(name): of for name, of in specialists.items()}
    mean = DecidedMean(numbers, len(members), len(classes), alone)
    names = set.intersection(*(set(member) for member in members))
    return {
        name: np.asarray(mean([member[name] for member in members]))
        for name in sorted(names)
    }


def read_runs(output, protocol, variant, folds):
    """`{seed: {record: probabilities}}` of the runs that are complete.

    With `folds` the out-of-fold predictions of each seed, pooled; a seed counts
    once all its folds are there.
    """
    part = "fold*" if folds else "all"
    file = "validation.npz" if folds else "test.npz"
    seeds = {}
    for run in sorted(Path(output, protocol, variant).glob(f"seed*_{part}/run.json")):
        predictions = run.with_name(file)
        if predictions.exists():
            seed = int(run.parent.name.split("_")[0].removeprefix("seed"))
            seeds.setdefault(seed, {}).update(np.load(predictions))
    return seeds


def in_consensus(predictions, recordings, protocol, variant):
    """`{record: probabilities}` as a model with a `consensus` predicts them."""
    if variant == LINEAR:
        return predictions
    consensus = architecture.consensus(variant, protocol)
    if consensus is None:
        return predictions
    causal = architecture.parse(variant).causal
    return {
        r.name: consensus(predictions[r.name], r.modalities, causal)
        for r in recordings
        if r.name in predictions
    }


def score_model(predictions, recordings, protocol, variant):
    """Metrics of one model as it predicts, its consensus included."""
    predictions = in_consensus(predictions, recordings, protocol, variant)
    return score(predictions, recordings, data.classes_of(protocol))[0]


def score(predictions, recordings, classes, part=None):
    """Metrics of one seed as a flat dict.

    Args:
        predictions: dict, record name to probabilities `(beats, classes)`.
        recordings: list of `data.Recording` with the labels.
        classes: tuple of class names.
        part: Callable that picks beats of a recording. Defaults to `None`: all
            with a label.
    """
    reference, predicted = [], []
    for recording in recordings:
        if recording.name not in predictions:
            continue
        chosen = recording.labels >= 0
        if part is not None:
            chosen &= part(recording)
        reference.append(recording.labels[chosen])
        predicted.append(predictions[recording.name][chosen].argmax(axis=1))
    names = np.array(classes)
    reference, predicted = (names[np.concatenate(x)] for x in (reference, predicted))
    metrics = beat_metrics(reference, predicted, classes)
    # The main one first: it is what lists of presets show.
    numbers = {
        "accuracy": metrics.accuracy,
        "macro_f1": metrics.macro_f1,
        "weighted_f1": float(
            np.nansum(metrics.f1 * metrics.support) / metrics.support.sum()
        ),
        "kappa": metrics.kappa,
    }
    if set("NSV") <= set(classes):
        numbers["macro_f1_nsv"] = metrics.macro_f1_nsv
        numbers["j_kappa"] = metrics.j_kappa
    for i, name in enumerate(classes):
        numbers[f"{name}_se"] = metrics.sensitivity[i]
        numbers[f"{name}_ppv"] = metrics.precision[i]
        numbers[f"{name}_f1"] = metrics.f1[i]
    numbers["beats"] = int(metrics.support.sum())
    return numbers, metrics.confusion


def summarise(scores):
    """Mean, sample standard deviation and number over seeds of each metric."""
    return {key: common.spread([s[key] for s in scores]) for key in scores[0]}


def held_out(protocol):
    """Which beats of a recording are for testing."""
    if protocol == "interpatient":
        from keras_mmfusion.datasets import mitbih

        return lambda r: np.full(len(r.labels), r.name in mitbih.DS2)
    return lambda r: r.held_out


def print_table(rows):
    """Rows of `(name, summary)` as aligned text."""
    keys = ["accuracy", "macro_f1", "macro_f1_nsv", "weighted_f1", "j_kappa"]
    keys += [f"{c}_f1" for c in "NSVFQ"] + ["L_f1", "R_f1", "A_f1"]
    keys = [k for k in keys if any(k in summary for _, summary in rows)]
    print(f"{'':12s} {'n':>2s} " + " ".join(f"{k:>13s}" for k in keys))
    for name, summary in rows:
        cells = []
        for key in keys:
            s = summary.get(key)
            sd = "" if s is None or s["sd"] is None else f" ±{s['sd']:.3f}"
            cells.append(f"{s['mean']:.4f}{sd}" if s else "")
        n = next(iter(summary.values()))["n"]
        print(f"{name:12s} {n:2d} " + " ".join(f"{c:>13s}" for c in cells))


def validation_table(output, protocol, recordings, causal=False):
    """What the four folds of DS1 say of each variant; nothing here sees DS2.

    Every seed by itself, and the models that are released; the causal ones of
    recordings that were preprocessed so, or the others.
    """
    rows = []
    for folder in sorted(Path(output, protocol).iterdir()):
        if ("_causal" in folder.name) != causal:
            continue
        names = {r.name for r in recordings}
        for label, read in ((folder.name, read_runs), ("", read_models)):
            found = read(output, protocol, folder.name, folds=True).values()
            complete = [p for p in found if names <= set(p)]
            if complete:
                scores = [
                    score_model(p, recordings, protocol, folder.name) for p in complete
                ]
                members = len(members_of(protocol, folder.name, 0))
                name = label or f"{folder.name} x {members}"
                if label or members > 1:
                    rows.append((name, summarise(scores)))
    return rows


def read_json(path):
    return json.loads(Path(path).read_text())
