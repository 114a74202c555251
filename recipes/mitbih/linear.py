"""Linear discriminants of single beats: what the models are worth beside them.

    python recipes/mitbih/linear.py            # needs scikit-learn

The classical way to label beats (de Chazal et al., IEEE Trans. Biomed. Eng. 51(7),
2004, with other features): no network, no learned features. It sees what the models
see of a beat, waveform, difference from the template, shape and rhythm, with the rhythm
of two beats before and after. Whether classes are equally likely or as frequent as they
are is chosen by the folds of DS1. `evaluate.py` and `release.py` find it as `linear`.
"""

import argparse
import io
import sys
import time
from pathlib import Path

import data
import numpy as np
import scoring
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis

from keras_mmfusion.datasets import mitbih

sys.path.append(str(Path(__file__).parents[1]))
import common
from resuming import add_output, finish, write_whole

PROTOCOL = "interpatient"
SEEN = ("ecg", "shape")
NEIGHBOURS = range(-2, 3)
PRIORS = ("equal", "as frequent")


def main(argv=None):
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--data", help="folder with mitdb/")
    add_output(parser, "runs/mitbih")
    args = parser.parse_args(argv)
    start = time.time()
    recordings = data.load(PROTOCOL, data_dir=args.data)
    known = [r for r in recordings if r.name in mitbih.DS1]
    scores = {priors: validate(known, priors) for priors in PRIORS}
    chosen = max(scores, key=lambda priors: scores[priors]["macro_f1_nsv"])
    for priors, found in scores.items():
        print(f"{priors}: macro-F1 N S V in the folds {found['macro_f1_nsv']:.3f}")
    model = fit(known, chosen)
    part = scoring.held_out(PROTOCOL)
    predictions = {r.name: predict(model, r) for r in recordings if part(r).any()}
    folder = Path(args.output, PROTOCOL, scoring.LINEAR, "seed0_all")
    file = io.BytesIO()
    np.savez_compressed(file, **predictions)
    write_whole(folder / "test.npz", file.getvalue())
    facts = {
        "command": "python recipes/mitbih/linear.py",
        "commit": common.commit(),
        "priors": chosen,
        "seconds": round(time.time() - start),
        "validation": scores[chosen],
    }
    finish(folder, facts)


def features(recording):
    """A row for each beat; what is missing is 0, the mean of what is standardised."""
    beats = len(recording.labels)
    parts = [recording.modalities[name].reshape(beats, -1) for name in SEEN]
    rhythm = recording.modalities["rhythm"]
    at = np.arange(beats)
    parts += [rhythm[np.clip(at + n, 0, beats - 1)] for n in NEIGHBOURS]
    return np.nan_to_num(np.concatenate(parts, axis=1))


def fit(recordings, priors):
    x = np.concatenate([features(r)[r.labels >= 0] for r in recordings])
    y = np.concatenate([r.labels[r.labels >= 0] for r in recordings])
    classes = len(data.INTERPATIENT_CLASSES)
    even = np.full(classes, 1 / classes) if priors == "equal" else None
    model = LinearDiscriminantAnalysis("lsqr", shrinkage="auto", priors=even)
    return model.fit(x, y)


def predict(model, recording):
    return model.predict_proba(features(recording)).astype("float32")


def validate(recordings, priors):
    """Metrics of all folds together, each without the patients that it is tried on."""
    predictions = {}
    for held_out in mitbih.FOLDS:
        model = fit([r for r in recordings if r.name not in held_out], priors)
        for recording in recordings:
            if recording.name in held_out:
                predictions[recording.name] = predict(model, recording)
    return scoring.score(predictions, recordings, data.INTERPATIENT_CLASSES)[0]


if __name__ == "__main__":
    common.as_command(main)
