"""What is lost when beats are detected, as for a user without annotations."""

import functools
from dataclasses import replace

from keras_mmfusion.analysis import compare, pool
from keras_mmfusion.datasets import mitbih
from keras_mmfusion.metrics import NO_BEAT
from keras_mmfusion.preprocessing.beat_detection import detect_beats


@functools.cache
def _detected(data_dir, names):
    """Pairs of a record and the same with detected beats; takes seconds a record."""
    records = mitbih.load_mitbih(names, data_dir)
    return [(r, replace(r, beats=detect_beats(r), symbols=None)) for r in records]


def detected_scores(model, data_dir=None, records=mitbih.DS2):
    """Scores of a model on detected beats, paired with the annotated ones in 150 ms.

    Missed beats count against sensitivity, extra ones against +P (EC57).
    """
    everything = pool(
        [
            compare(record, model.predict_record(found))
            for record, found in _detected(data_dir, records)
        ]
    )
    metrics = everything.metrics()
    missed = int((everything.predicted == NO_BEAT).sum())
    extra = len(everything.extra)
    paired = len(everything.predicted) - missed
    scores = {
        "detector_se": paired / len(everything.predicted),
        "detector_ppv": paired / (paired + extra),
        "accuracy": metrics.accuracy,
        "macro_f1_nsv": metrics.macro_f1_nsv,
    }
    for name, f1 in zip(metrics.classes, metrics.f1, strict=True):
        scores[f"{name}_f1"] = f1
    return {key: round(float(value), 4) for key, value in scores.items()}
