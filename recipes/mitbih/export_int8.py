"""Write a preset as an int8 LiteRT file, and measure what that costs.

    export KERAS_BACKEND=tensorflow
    python recipes/mitbih/export_int8.py atd_mitbih             # DS1 only
    python recipes/mitbih/export_int8.py atd_mitbih --release   # DS2, once a release

Two schemes are compared on the training beats (DS1): weights of 8 bits, and weights
and activations of 8 bits, calibrated on beats of DS1. Inputs and outputs stay float32
in both: NaN, which says that something is missing, has no place among 8-bit integers.
The scheme by which more beats keep the label that the float file gives is taken, the
smaller file among equals; one that does not run with these weights is left out. With
`--release` the one taken is scored on DS2 beside the float file, and the figures go
into the card and the metadata of the preset.

Needs TensorFlow and ai-edge-litert.
"""

import argparse
import json
import math
import shutil
import sys
import tempfile
from pathlib import Path

import data
import int8
import keras
import numpy as np
import scoring
from release import PRESETS

from keras_mmfusion import presets
from keras_mmfusion.datasets import mitbih
from keras_mmfusion.export import ExportedModel, ExportError, export_preset
from keras_mmfusion.preprocessing.beat_segments import BeatSegments

sys.path.append(str(Path(__file__).parents[1]))
import common

PROTOCOL = "interpatient"
NAMES = [name for name, (protocol, _) in PRESETS.items() if protocol == PROTOCOL]
SEGMENTS = 8  # of each record, for the calibration


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("preset", choices=NAMES)
    parser.add_argument("--data", help="folder with mitdb/")
    parser.add_argument("--zoo", default=str(common.ZOO))
    parser.add_argument("--output", metavar="FILE", help="default: PRESET.int8.tflite")
    parser.add_argument("--records", nargs="+", default=mitbih.DS1, help="from DS1")
    parser.add_argument("--release", action="store_true", help="score DS2; write it")
    args = parser.parse_args()
    if not set(args.records) <= set(mitbih.DS1):
        parser.error(f"--records must be of DS1. Received: {' '.join(args.records)}")
    if args.release and set(args.records) != set(mitbih.DS1):
        parser.error("--release needs all records of DS1: leave --records out")
    if keras.backend.backend() != "tensorflow":
        parser.error("int8 files are written by TensorFlow: set KERAS_BACKEND")
    folder = Path(args.zoo, args.preset)
    output = Path(args.output or f"{args.preset}.int8.tflite")
    model = presets.load(folder)
    recordings = data.load(PROTOCOL, model.preprocessor, args.data, args.records)
    with tempfile.TemporaryDirectory() as room:
        reports = export(folder, Path(room), calibration(model, recordings))
        predictions = {
            name: predict(report["path"], model, recordings)
            for name, report in reports.items()
        }
        changes = {
            name: {"bytes": report["bytes"], **compare(predictions, name)}
            for name, report in reports.items()
            if name != "float32"
        }
        chosen = max(
            changes, key=lambda n: (changes[n]["same_label"], -changes[n]["bytes"])
        )
        print(json.dumps({"training_beats": changes, "chosen": chosen}, indent=2))
        if args.release:
            facts = score(folder, model, reports, chosen, args.data)
            int8.write(folder, {**facts, "training_beats": changes})
            print(int8.section(int8.read(folder)))
        shutil.copyfile(reports[chosen]["path"], output)
    print(f"{output}: written")


def export(folder, room, samples):
    """`{name: report}` of the float file and of one for each scheme that runs."""
    import tensorflow as tf

    schemes = {
        "float32": {},
        "dynamic_range": {"weights": "int8"},
        "full_integer": {
            "tolerance": math.inf,
            "optimizations": [tf.lite.Optimize.DEFAULT],
            "representative_dataset": lambda: iter(samples),
        },
    }
    reports = {}
    for name, arguments in schemes.items():
        path = room / f"{name}.tflite"
        try:
            reports[name] = export_preset(
                folder, path, format="litert", batch_size=1, **arguments
            )
        except ExportError as error:
            # Such as a divisor of the pictures that is 0 in 8 bits.
            if name != "full_integer":
                raise
            print(f"{name}: left out. {error}", file=sys.stderr)
    return reports


def calibration(model, recordings):
    """Single segments, evenly from every recording."""
    samples = []
    for recording in recordings:
        cut, inputs = windows(model, recording)
        for i in np.linspace(0, len(cut) - 1, SEGMENTS).astype(int):
            samples.append({name: x[i : i + 1] for name, x in inputs.items()})
    return samples


def windows(model, recording):
    """How a recording is cut into segments, and the inputs of all of them."""
    cut = BeatSegments(len(recording.labels), model.segment_length, model.causal)
    inputs = {name: cut.cut(recording.modalities[name]) for name in model.modalities}
    return cut, {name: x.astype("float32") for name, x in inputs.items()}


def predict(path, model, recordings):
    """`{record: probabilities}` by an exported file, which is the model in segments."""
    run, predictions = ExportedModel(path), {}
    for recording in recordings:
        cut, inputs = windows(model, recording)
        merged = cut.merge(run(inputs))
        if model.consensus is not None:
            merged = model.consensus(merged, recording.modalities, model.causal)
        predictions[recording.name] = merged
    return predictions


def compare(predictions, name):
    """What a file does to the probabilities and labels of the float file."""
    ours, theirs = (
        np.concatenate([predictions[n][record] for record in predictions["float32"]])
        for n in (name, "float32")
    )
    change = np.abs(ours - theirs).max(axis=1)
    return {
        "same_label": rounded(np.mean(ours.argmax(axis=1) == theirs.argmax(axis=1)), 6),
        "mean_change": rounded(change.mean(), 6),
        "largest_change": rounded(change.max(), 6),
    }


def score(folder, model, reports, chosen, data_dir):
    """What goes into the metadata: the chosen file and the float file on DS2."""
    recordings = data.load(PROTOCOL, model.preprocessor, data_dir, list(mitbih.DS2))
    files = {"float32": reports["float32"], "int8": reports[chosen]}
    predictions, scores = {}, {}
    for name, report in files.items():
        predictions[name] = predict(report["path"], model, recordings)
        numbers, _ = scoring.score(
            predictions[name], recordings, data.classes_of(PROTOCOL)
        )
        scores[name] = {key: rounded(numbers[key], 5) for key in int8.KEYS}
        scores[name] = {"bytes": report["bytes"], **scores[name]}
    return {
        "scheme": chosen,
        "command": int8.command(chosen, folder.name),
        **int8.model_of(presets.info(folder)),
        "scores": scores,
        "same_label": compare(predictions, "int8")["same_label"],
        "golden_difference": rounded(reports[chosen]["difference"], 6),
    }


def rounded(value, digits):
    return round(float(value), digits)


if __name__ == "__main__":
    common.as_command(main)
