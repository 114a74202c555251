"""Train MCWSA on an emotion corpus: every fusion, subset of modalities, with stage 1.

    KERAS_BACKEND=jax python recipes/emotion/train.py --corpus iemocap

A run is one model and one fold: reconstruction (stage 1, unless `--no-pretrain`), then
classification (stage 2) until the accuracy on the turns to validate on no longer
rises. It leaves its weights, its logs and what it says of the turns to test on under
`runs/`; runs that are complete are skipped, one that was killed goes on from its last
epoch.
"""

import argparse
import sys
from pathlib import Path

import features
import keras
import numpy as np
from batches import Turns
from prepare import file_of

from keras_mmfusion.datasets.emotion_corpus import EMOTIONS
from keras_mmfusion.metrics import emotion_metrics
from keras_mmfusion.models import FUSIONS, mcwsa

sys.path.append(str(Path(__file__).parents[1]))
import common
import devices
import resuming
import speed

SUBSETS = {
    "av": ("audio", "visual"),
    "at": ("audio", "text"),
    "vt": ("visual", "text"),
    "avt": ("audio", "visual", "text"),
}
TABLE_II = ("concat", "tfn", "mult", "cascade")
FOLDS = {
    "ten": lambda corpus: corpus.ten_folds(seed=0),
    "session": lambda corpus: corpus.session_folds(),
}
# Of a training, besides what names its folder.
OPTIONS = ("width", "epochs", "patience", "batch_size", "learning_rate", "seed")
OPTIONS += ("precision",)


def main(argv=None):
    args = parse_arguments(argv)
    devices.begin(args)
    speed.set_up(args)
    options = {"expected_counts": None} if args.any_counts else {}
    corpus = features.load_corpus(args.corpus, args.data, **options)
    folds = FOLDS[args.folds](corpus)
    if odd := [n for n in args.fold or () if not 0 <= n < len(folds)]:
        raise SystemExit(
            f"error: --fold must be from 0 to {len(folds) - 1} for --folds "
            f"{args.folds}. Received: {' '.join(map(str, odd))}"
        )
    arrays = load_features(args, corpus)
    for name in dict.fromkeys(n for subset in args.subsets for n in SUBSETS[subset]):
        if np.isnan(arrays[name]).all():
            print(f"no turn has {name}: prepare.py left it out", flush=True)
    for number in range(len(folds)) if args.fold is None else args.fold:
        scaled = features.standardised(arrays, folds[number][0])
        for subset in args.subsets:
            for fusion in args.fusions:
                # In the paper's table, without stage 1 for all modalities only.
                for pretrained in (True, False) if subset == "avt" else (True,):
                    run(args, corpus, scaled, folds[number], number, subset, fusion,
                        pretrained)  # fmt: skip


def load_features(args, corpus):
    """The arrays of `prepare.py`; raise unless they are of these turns."""
    file = file_of(args.output, args.corpus)
    if not file.exists():
        raise SystemExit(
            f"error: No features at {file}. Compute them: python prepare.py --corpus "
            f"{args.corpus} --words FILE"
        )
    with np.load(file) as found:
        if found["names"].tolist() != [turn.name for turn in corpus.turns]:
            raise SystemExit(f"error: {file} is of other turns. Run prepare.py again.")
        return {name: found[name] for name in found.files if name != "names"}


def run(args, corpus, arrays, fold, number, subset, fusion, pretrained):
    """One model on one fold, or nothing if it is there already."""
    folder = folder_of(args.output, args.corpus, args.folds, subset, fusion, pretrained)
    folder = folder / f"fold{number}"
    if not resuming.begin(
        folder, resuming.settings(args, *OPTIONS), writes=args.process == 0
    ):
        return
    seed = args.seed + number
    keras.utils.set_random_seed(seed)
    train, validation, test = (
        {name: arrays[name][rows] for name in SUBSETS[subset]} for rows in fold
    )
    of_train, of_validation, _ = (corpus.labels[rows] for rows in fold)
    seconds, facts = 0, {}
    model = mcwsa(SUBSETS[subset], fusion, args.width)
    # Made before stage 1, so that its random numbers depend on the seed only.
    classifier = model.with_num_classes(len(EMOTIONS), dropout=0.5)
    if pretrained:
        stage_1 = fit(
            args,
            model,
            Turns((train, train), args.batch_size, seed),
            Turns((validation, validation), args.batch_size),
            stopping(args, "val_loss", "min"),
            folder,
            "stage_1",
        )
        seconds += stage_1.seconds
        facts["reconstruction"] = min(of["val_loss"] for of in stage_1.log)
    # Of few turns with an emotion each, all emotions count alike: UA is what counts.
    share = np.bincount(of_train, minlength=len(EMOTIONS)) / len(of_train)
    weight = (1 / np.maximum(share * len(EMOTIONS), 1e-6)).astype("float32")
    stage_2 = fit(
        args,
        classifier,
        Turns((train, of_train, weight[of_train]), args.batch_size, seed),
        Turns((validation, of_validation, weight[of_validation]), args.batch_size),
        stopping(args, "val_accuracy", "max"),
        folder,
        "stage_2",
        loss="sparse_categorical_crossentropy",
        weighted_metrics=["accuracy"],
    )
    if args.process > 0:
        return
    classifier.save_weights(folder / "model.weights.h5")
    said = classifier.predict(test, batch_size=args.batch_size, verbose=0)
    resuming.save_arrays(folder / "test.npz", probabilities=said, rows=fold[2])
    of_validation_said = classifier.predict(validation, verbose=0)
    found = emotion_metrics(of_validation, of_validation_said, len(EMOTIONS))
    usual = parse_arguments(["--corpus", args.corpus])
    resuming.finish(
        folder,
        {
            "command": f"python recipes/emotion/train.py --corpus {args.corpus} "
            f"--folds {args.folds} --subsets {subset} --fusions {fusion}"
            f"{common.changed(args, usual, *OPTIONS)}",
            "settings": resuming.settings(args, *OPTIONS),
            "commit": common.commit(),
            "backend": keras.backend.backend(),
            "keras": keras.__version__,
            "parameters": classifier.count_params(),
            "seconds": seconds + stage_2.seconds,
            "validation_ua": found.unweighted_accuracy,
            "epochs": len(stage_2.log),
            **facts,
        },
    )


def fit(args, model, training, validation, stop, folder, name, **compiled):
    """Train a stage to its end, in place: the checkpoint, which has the log."""
    epochs = args.epochs[("stage_1", "stage_2").index(name)]
    checkpoint = resuming.Checkpoint(
        folder, epochs, stop, name, writes=args.process == 0
    )
    with devices.on_devices(model, args) as trained:
        trained.compile(
            keras.optimizers.Adam(args.learning_rate, weight_decay=1e-4),
            steps_per_execution=args.steps_per_execution,
            **compiled,
        )
        trained.fit(
            devices.shares(training, args),
            **checkpoint.span,
            validation_data=devices.shares(validation, args),
            shuffle=False,
            verbose=2 if args.quiet else 1,
            callbacks=[resuming.EpochOf(training), stop, checkpoint],
        )
    return checkpoint


def stopping(args, monitor, mode):
    return keras.callbacks.EarlyStopping(
        monitor, mode=mode, patience=args.patience, restore_best_weights=True
    )


def folder_of(output, corpus, folds, subset, fusion, pretrained):
    name = f"{fusion}_{subset}" + ("" if pretrained else "_np")
    return Path(output) / corpus / folds / name


def parse_arguments(argv=None):
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--corpus", choices=features.CORPORA, required=True)
    parser.add_argument(
        "--folds",
        choices=FOLDS,
        default="session",
        help="ten, the paper's: speakers on all sides; session: speaker-clean "
        "(default: session)",
    )
    parser.add_argument("--fold", type=int, nargs="+", help="numbers, default: all")
    parser.add_argument("--subsets", nargs="+", choices=SUBSETS, default=list(SUBSETS))
    parser.add_argument(
        "--fusions", nargs="+", choices=FUSIONS, default=TABLE_II, metavar="FUSION"
    )
    parser.add_argument("--width", type=int, default=300, help="of the code")
    parser.add_argument(
        "--epochs", type=int, nargs=2, default=[200, 200], help="of stages 1 and 2"
    )
    parser.add_argument("--patience", type=int, default=20, help="epochs")
    parser.add_argument("--batch-size", type=int, default=64)
    parser.add_argument("--learning-rate", type=float, default=1e-3)
    parser.add_argument("--seed", type=int, default=0)
    speed.add_arguments(parser, workers=False)
    devices.add_arguments(parser)
    parser.add_argument("--data", help="folder above that of the corpus")
    resuming.add_output(parser, "runs/emotion")
    parser.add_argument("--quiet", action="store_true", help="one line an epoch")
    parser.add_argument(
        "--any-counts", action="store_true", help="accept a part of the corpus"
    )
    return parser.parse_args(argv)


if __name__ == "__main__":
    common.as_command(main)
