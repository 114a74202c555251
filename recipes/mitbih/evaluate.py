"""Score the held-out beats, once for each trained model, and print the table.

    python recipes/mitbih/evaluate.py --protocol interpatient

Predictions are kept beside the weights of each run, so that a second call scores
nothing anew. Models are chosen before, by `validate.py`.
"""

import argparse
import sys
from pathlib import Path

import architecture
import data
import scoring

from keras_mmfusion.datasets import mitbih
from keras_mmfusion.preprocessing import BeatPreprocessor

sys.path.append(str(Path(__file__).parents[1]))
import common
import resuming


def main(argv=None):
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--protocol", choices=data.PROTOCOLS, default="interpatient")
    parser.add_argument("--data", help="folder with mitdb/")
    parser.add_argument("--output", default="runs/mitbih")
    args = parser.parse_args(argv)
    common.check_runs([Path(args.output, args.protocol)])
    rows = []
    for folder in sorted(Path(args.output, args.protocol).iterdir()):
        if architecture.is_specialist(folder.name):
            continue  # They are members of others.
        scores = test_scores(args.output, args.protocol, folder.name, args.data)
        if scores:
            rows.append((folder.name, scoring.summarise(list(scores.values()))))
    scoring.print_table(rows)


def test_scores(output, protocol, variant, data_dir=None):
    """`{number of the model: metrics}` of a variant on the held-out beats."""
    recordings = load_once(protocol, variant.endswith("_causal"), data_dir)
    for name in dict(scoring.members_of(protocol, variant, 0)):
        predict_all(output, protocol, name, recordings)
    models = scoring.read_models(output, protocol, variant, folds=False)
    return {
        number: metrics(protocol, variant, predictions, recordings)
        for number, predictions in models.items()
    }


def metrics(protocol, variant, predictions, recordings):
    """Metrics of one model on the held-out beats."""
    predictions = scoring.in_consensus(predictions, recordings, protocol, variant)
    classes, part = data.classes_of(protocol), scoring.held_out(protocol)
    numbers, _ = scoring.score(predictions, recordings, classes, part)
    if protocol == "interpatient":
        others = [r for r in recordings if r.name != "232"]
        without, _ = scoring.score(predictions, others, classes, part)
        numbers["S_f1_without_232"] = without["S_f1"]
    return numbers


def predict_all(output, protocol, variant, recordings):
    """Predict the recordings with held-out beats for each run that lacks it."""
    part = scoring.held_out(protocol)
    model = None
    for run in sorted(Path(output, protocol, variant).glob("seed*_all")):
        if not (run / "run.json").exists() or (run / "test.npz").exists():
            continue
        model = model or build(protocol, variant)
        model.load_weights(run / "model.weights.h5")
        predictions = {
            r.name: model.predict_beats(r.modalities).astype("float32")
            for r in recordings
            if part(r).any()
        }
        resuming.save_arrays(run / "test.npz", **predictions)


def build(protocol, variant):
    """The untrained model of a variant, such as `"atd"` or `"atd_causal"`."""
    of = architecture.parse(variant)
    model = architecture.build(
        data.classes_of(protocol), of.fusion, of.modalities, of.causal, of.specialist
    )
    separate = not set(of.modalities) <= set(architecture.MODALITIES)
    model.preprocessor = BeatPreprocessor(causal=of.causal, separate_leads=separate)
    return model


_loaded = {}


def load_once(protocol, causal, data_dir):
    """Recordings with held-out beats; reading them takes longer than scoring."""
    key = protocol, causal
    if key not in _loaded:
        records = mitbih.DS2 if protocol == "interpatient" else None
        preprocessor = BeatPreprocessor(causal=causal, separate_leads=True)
        _loaded[key] = data.load(protocol, preprocessor, data_dir, records)
    return _loaded[key]


if __name__ == "__main__":
    common.as_command(main)
