"""Predictions as numbers, the main one first."""

import numpy as np

from keras_mmfusion.metrics import beat_metrics, retrieval_metrics

RANKS = (1, 5, 10)


def of_beats(classes, y, predictions):
    """Of labels `(segments, beats)`, those below zero are not scored."""
    names, scored = np.array(classes), y >= 0
    found = beat_metrics(
        names[y[scored]], names[predictions[scored].argmax(axis=-1)], classes
    )
    return {
        # A class that is neither there nor predicted, as in short runs, counts nothing.
        "macro_f1_nsv": float(np.nan_to_num(found.macro_f1_nsv)),
        "accuracy": found.accuracy,
        **{f"{c}_f1": float(f) for c, f in zip(classes, found.f1, strict=True)},
    }


def of_forecasts(y, predictions):
    error = np.asarray(predictions, "float64") - y
    return {"mse": float(np.mean(error**2)), "mae": float(np.mean(np.abs(error)))}


def of_classes(y, predictions):
    return {"accuracy": float(np.mean(predictions.argmax(axis=-1) == y))}


def of_retrieval(y, predictions):
    """Mean of the recalls at 1, 5 and 10, both ways; also without the second look.

    Row by row, pictures and words belong together.
    """
    found, rows = {}, np.arange(len(y))
    for key, (scores, image_scores) in predictions.items():
        recalls = retrieval_metrics(scores, rows, image_scores, RANKS)
        values = [*recalls.text_recall.values(), *recalls.image_recall.values()]
        found[key] = float(np.mean(values))
    return {"mean_recall": found["looked"], "towers_mean_recall": found["towers"]}
