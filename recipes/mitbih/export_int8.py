"""Write a preset as an int8 LiteRT file, and measure what that costs.

    export KERAS_BACKEND=tensorflow
    python recipes/mitbih/export_int8.py atd_mitbih             # scored on DS1
    python recipes/mitbih/export_int8.py atd_mitbih --release   # DS2, once a release

The converter of TensorFlow quantises after training, by ranges calibrated on beats of
DS1. Inputs and outputs stay float32: NaN, which says that something is missing, has no
place among 8-bit integers. With `--release` the size of the file and its scores on DS2
go into the card and the metadata of the preset; without, the beats that are scored are
those of DS1, which the model was trained on.

Needs TensorFlow and ai-edge-litert.
"""

import argparse
import hashlib
import json
import tempfile
from pathlib import Path

import data
import keras
import numpy as np
import scoring
from release import PRESETS, ZOO

from keras_mmfusion import presets
from keras_mmfusion.datasets import mitbih
from keras_mmfusion.export import ExportedModel, export_preset
from keras_mmfusion.preprocessing.beat_segments import BeatSegments

PROTOCOL = "interpatient"
NAMES = [name for name, (protocol, _) in PRESETS.items() if protocol == PROTOCOL]
SEGMENTS = 8  # of each record, for the calibration
KEYS = ("accuracy", "macro_f1_nsv", "S_f1", "V_f1")
BEGIN, END = "<!-- int8:begin -->", "<!-- int8:end -->"


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("preset", choices=NAMES)
    parser.add_argument("--data", help="folder with mitdb/")
    parser.add_argument("--zoo", default=str(ZOO))
    parser.add_argument("--output", metavar="FILE", help="default: PRESET.int8.tflite")
    parser.add_argument("--records", nargs="+", default=mitbih.DS1, help="from DS1")
    parser.add_argument("--release", action="store_true", help="score DS2; write it")
    args = parser.parse_args()
    if not set(args.records) <= set(mitbih.DS1):
        parser.error(f"--records must be of DS1. Received: {' '.join(args.records)}")
    if keras.backend.backend() != "tensorflow":
        parser.error("int8 files are written by TensorFlow: set KERAS_BACKEND")
    folder = Path(args.zoo, args.preset)
    output = Path(args.output or f"{args.preset}.int8.tflite")
    model = presets.load(folder)
    recordings = data.load(PROTOCOL, model.preprocessor, args.data, args.records)
    with tempfile.TemporaryDirectory() as room:
        full = Path(room, "float.tflite")
        export_preset(folder, full, format="litert", batch_size=1)
        report = quantise(folder, output, calibration(model, recordings))
        if args.release:
            recordings = data.load(
                PROTOCOL, model.preprocessor, args.data, list(mitbih.DS2)
            )
        facts = compare(model, full, output, recordings)
    facts["golden_difference"] = round(report["difference"], 4)
    facts["calibration"] = f"{SEGMENTS} segments each of {len(args.records)} records"
    print(section(facts, "DS2" if args.release else "DS1, the training data"))
    if args.release:
        write_card(folder, facts)
        print(f"{folder}: card and metadata written")


def windows(model, recording):
    """How a recording is cut into segments, and the inputs of all of them."""
    cut = BeatSegments(len(recording.labels), model.segment_length, model.causal)
    inputs = {name: cut.cut(recording.modalities[name]) for name in model.modalities}
    return cut, {name: x.astype("float32") for name, x in inputs.items()}


def calibration(model, recordings):
    """Single segments, evenly from every recording."""
    samples = []
    for recording in recordings:
        cut, inputs = windows(model, recording)
        for i in np.linspace(0, len(cut) - 1, SEGMENTS).astype(int):
            samples.append({name: x[i : i + 1] for name, x in inputs.items()})
    return samples


def quantise(folder, target, samples):
    """Write the int8 file; returns the report of the export."""
    import tensorflow as tf

    return export_preset(
        folder,
        target,
        format="litert",
        batch_size=1,
        tolerance=None,
        overwrite=True,
        optimizations=[tf.lite.Optimize.DEFAULT],
        representative_dataset=lambda: iter(samples),
    )


def compare(model, full, small, recordings):
    """Sizes and scores of the float and the int8 file on the same recordings."""
    classes, predicted, scores = data.classes_of(PROTOCOL), {}, {}
    for name, path in {"float32": full, "int8": small}.items():
        run, predictions = ExportedModel(path), {}
        for recording in recordings:
            cut, inputs = windows(model, recording)
            predictions[recording.name] = cut.merge(run(inputs))
        numbers, _ = scoring.score(predictions, recordings, classes)
        scores[name] = {key: round(float(numbers[key]), 4) for key in KEYS}
        scores[name] = {"bytes": path.stat().st_size, **scores[name]}
        predicted[name] = np.concatenate(
            [predictions[r.name].argmax(axis=1) for r in recordings]
        )
    same = np.mean(predicted["float32"] == predicted["int8"])
    return {**scores, "same_label": round(float(same), 5)}


def section(facts, where):
    """What the card says of the int8 file, as Markdown."""
    heads = ["accuracy", "macro-F1, N S V", "S F1", "V F1"]
    rows = [f"| LiteRT file | size | {' | '.join(heads)} |", "|---" * 6 + "|"]
    for name in ("float32", "int8"):
        cells = " | ".join(f"{facts[name][key]:.4f}" for key in KEYS)
        rows.append(f"| {name} | {facts[name]['bytes'] / 1e3:.0f} kB | {cells} |")
    return "\n".join(
        [
            "## As a LiteRT file\n",
            f"Scores of the released weights on {where}; the int8 file was calibrated "
            f"on {facts['calibration']} of DS1. Both give the same label to "
            f"{facts['same_label']:.2%} of the beats. On the golden inputs, as they "
            "are and with leads, inputs or beats missing, no probability of the int8 "
            f"file is further than {facts['golden_difference']:.2g} from the Keras "
            "model's.\n",
            *rows,
        ]
    )


def write_card(folder, facts):
    """Put the section and the numbers into a preset folder, or replace them there."""
    card, file = folder / "README.md", folder / "metadata.json"
    text = card.read_text(encoding="utf-8")
    if BEGIN in text:
        before, rest = text.split(BEGIN)
        text = before.rstrip("\n") + rest.split(END)[1]
    text = f"{text.rstrip()}\n\n{BEGIN}\n{section(facts, 'DS2')}\n{END}\n"
    metadata = json.loads(file.read_text(encoding="utf-8"))
    metadata.setdefault("baselines", {})["litert"] = facts
    content = text.encode("utf-8")
    metadata["files"]["README.md"] = {
        "sha256": hashlib.sha256(content).hexdigest(),
        "bytes": len(content),
    }
    card.write_bytes(content)
    new = json.dumps(metadata, indent=2, ensure_ascii=False) + "\n"
    file.write_text(new, encoding="utf-8")


if __name__ == "__main__":
    main()
