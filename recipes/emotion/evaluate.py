"""Print the paper's Table II of what was trained, and draw confusion matrices.

    python recipes/emotion/evaluate.py --corpus iemocap --folds session

Accuracies are unweighted (UA) and F1 weighted by class, pooled over the folds that
are there, and UA fold by fold for the spread; the paper takes the mean over folds, and
does not say which F1 it has. Chosen is by validation, never here.
"""

import argparse
import sys
from pathlib import Path

import features
import numpy as np
from train import FOLDS, SUBSETS, TABLE_II, folder_of

from keras_mmfusion.analysis import plot_confusion
from keras_mmfusion.datasets.emotion_corpus import EMOTIONS
from keras_mmfusion.metrics import emotion_metrics
from keras_mmfusion.models import FUSIONS

sys.path.append(str(Path(__file__).parents[1]))
import common

# Table II of the paper: unweighted accuracy in per cent, and F1.
PAPER = {
    "iemocap": {
        "concat": {
            "av": (73.0, 0.731),
            "at": (69.5, 0.695),
            "vt": (74.6, 0.742),
            "avt_np": (82.4, 0.826),
            "avt": (84.5, 0.833),
        },
        "tfn": {"avt_np": (80.4, 0.806), "avt": (81.1, 0.813)},
        "mult": {
            "av": (75.0, 0.754),
            "at": (71.4, 0.712),
            "vt": (75.9, 0.762),
            "avt_np": (83.0, 0.832),
            "avt": (84.8, 0.850),
        },
        "cascade": {
            "av": (78.9, 0.787),
            "at": (74.0, 0.745),
            "vt": (78.3, 0.788),
            "avt_np": (85.5, 0.854),
            "avt": (86.3, 0.865),
        },
    },
    "msp_improv": {
        "concat": {
            "av": (58.6, 0.570),
            "at": (55.0, 0.511),
            "vt": (58.7, 0.555),
            "avt_np": (66.5, 0.658),
            "avt": (66.8, 0.657),
        },
        "tfn": {"avt_np": (66.2, 0.661), "avt": (67.4, 0.668)},
        "mult": {
            "av": (61.9, 0.606),
            "at": (59.4, 0.579),
            "vt": (60.8, 0.594),
            "avt_np": (67.6, 0.660),
            "avt": (68.6, 0.679),
        },
        "cascade": {
            "av": (63.1, 0.609),
            "at": (60.1, 0.584),
            "vt": (64.4, 0.614),
            "avt_np": (70.9, 0.688),
            "avt": (71.8, 0.718),
        },
    },
}
COLUMNS = {name: (name, True) for name in SUBSETS} | {"avt_np": ("avt", False)}


def main(argv=None):
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--corpus", choices=features.CORPORA, required=True)
    parser.add_argument("--folds", choices=FOLDS, default="session")
    parser.add_argument("--data", help="folder above that of the corpus")
    parser.add_argument("--output", default="runs/emotion")
    parser.add_argument(
        "--any-counts", action="store_true", help="accept a part of the corpus"
    )
    args = parser.parse_args(argv)
    common.check_runs([Path(args.output, args.corpus, args.folds)], "*/fold*/test.npz")
    options = {"expected_counts": None} if args.any_counts else {}
    labels = features.load_corpus(args.corpus, args.data, **options).labels
    found = table(args, labels)
    print(
        f"{args.corpus}, {args.folds} folds: UA % ± sd over folds / weighted F1; in "
        "brackets the paper's, of ten folds with speakers on all sides"
    )
    print(" " * 16 + "".join(f"{column:>36s}" for column in COLUMNS))
    for fusion in dict.fromkeys([*TABLE_II, *(f for f, _ in found)]):
        cells = [
            _cell(found.get((fusion, column)), PAPER[args.corpus], fusion, column)
            for column in COLUMNS
        ]
        print(f"{fusion:16s}" + "".join(f"{cell:>36s}" for cell in cells))
    for scores in found.values():
        _, figure = plot_confusion(scores["labels"], scores["predicted"], EMOTIONS)
        figure.savefig(scores["folder"] / "confusion.png")
    return found


def table(args, labels):
    """`{(fusion, column): scores}` of what is complete."""
    found = {}
    for fusion in FUSIONS:
        for column, (subset, pretrained) in COLUMNS.items():
            folder = folder_of(
                args.output, args.corpus, args.folds, subset, fusion, pretrained
            )
            files = sorted(folder.glob("fold*/test.npz"))
            if files:
                found[fusion, column] = {"folder": folder, **scores(files, labels)}
    return found


def scores(files, labels):
    """Pooled over folds, and UA of each."""
    said, rows, by_fold = [], [], []
    for file in files:
        with np.load(file) as fold:
            said.append(fold["probabilities"].argmax(axis=-1))
            rows.append(fold["rows"])
        one = emotion_metrics(labels[rows[-1]], said[-1], len(EMOTIONS))
        by_fold.append(one.unweighted_accuracy)
    predicted, reference = np.concatenate(said), labels[np.concatenate(rows)]
    pooled = emotion_metrics(reference, predicted, len(EMOTIONS))
    return {
        "ua": pooled.unweighted_accuracy,
        "f1": pooled.weighted_f1,
        "sd": float(np.std(by_fold, ddof=1)) if len(by_fold) > 1 else None,
        "folds": len(by_fold),
        "labels": reference,
        "predicted": predicted,
    }


def _cell(scores, paper, fusion, column):
    if scores is None:
        return ""
    spread = "" if scores["sd"] is None else f" ± {100 * scores['sd']:.1f}"
    theirs = paper.get(fusion, {}).get(column)
    theirs = "" if theirs is None else " [{:.1f} / {:.3f}]".format(*theirs)
    return f"{100 * scores['ua']:.1f}{spread} / {scores['f1']:.3f}{theirs}"


if __name__ == "__main__":
    common.as_command(main)
