"""Scores of a trained model when modalities or a lead are missing."""

import itertools

import numpy as np
import scoring


def subset_scores(model, recordings, classes, part):
    """Scores of one trained model when only some modalities are there."""
    names = model.modalities
    subsets = [
        kept
        for size in range(len(names), 0, -1)
        for kept in itertools.combinations(names, size)
    ]
    scores = {}
    for kept in subsets:
        lost = [name for name in names if name not in kept]
        scores[" + ".join(kept)] = _score_with(
            model, recordings, classes, part, lambda r, lost=lost: _without(r, lost)
        )
    for lead, label in enumerate(("first lead only", "second lead only")):
        if "ecg" not in names:
            continue  # Leads are modalities of their own.
        scores[label] = _score_with(
            model, recordings, classes, part, lambda r, lead=lead: _one_lead(r, lead)
        )
    return scores


def _score_with(model, recordings, classes, part, change):
    predictions = {
        r.name: model.predict_beats(change(r.modalities))
        for r in recordings
        if part(r).any()
    }
    numbers, _ = scoring.score(predictions, recordings, classes, part)
    keys = ["accuracy", "macro_f1_nsv" if "macro_f1_nsv" in numbers else "macro_f1"]
    return {key: round(float(numbers[key]), 4) for key in keys}


def _without(modalities, lost):
    return {
        name: np.full_like(values, np.nan) if name in lost else values
        for name, values in modalities.items()
    }


def _one_lead(modalities, kept):
    changed = {name: values.copy() for name, values in modalities.items()}
    for name in ("ecg", "image"):
        changed[name][..., 1 - kept :: 2] = np.nan
    half = changed["shape"].shape[-1] // 2
    changed["shape"][:, (1 - kept) * half : (2 - kept) * half] = np.nan
    return changed
