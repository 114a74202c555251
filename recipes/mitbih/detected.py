"""What is lost when beats are detected, as for a user without annotations.

    python recipes/mitbih/detected.py atd_mitbih

measures released presets anew, such as after a change of the detection, and puts the
scores on their cards. Weights stay.
"""

import argparse
import functools
import sys
from dataclasses import replace
from pathlib import Path

import card

from keras_mmfusion import presets
from keras_mmfusion.analysis import compare, pool
from keras_mmfusion.datasets import mitbih
from keras_mmfusion.metrics import NO_BEAT
from keras_mmfusion.preprocessing.beat_detection import detect_beats

sys.path.append(str(Path(__file__).parents[1]))
import common
from revise import retell

# What a card says of them.
PARTS = (
    lambda metadata: card.detector(metadata["baselines"]["detected_beats"]),
    lambda metadata: card.scores_on(
        "detected", metadata["baselines"]["detected_beats"]
    ),
)


def main(argv=None):
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("presets", nargs="+")
    parser.add_argument("--data", help="folder with mitdb/")
    parser.add_argument("--zoo", default=str(common.ZOO))
    args = parser.parse_args(argv)
    for name in args.presets:
        folder = Path(args.zoo) / name
        scores = detected_scores(presets.load(folder), args.data)
        baselines = presets.info(folder)["baselines"]
        retell(folder, {**baselines, "detected_beats": scores}, PARTS)
        print(f"{name}: {scores}", flush=True)


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


if __name__ == "__main__":
    common.as_command(main)
