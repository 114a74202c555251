"""Score the trained networks on test pairs, and print tables.

    KERAS_BACKEND=tensorflow python recipes/digits/evaluate.py

At every level of noise; and, on more pairs, without noise, whole and with one of the
two missing. Every network sees the same pairs with the same noise, scaled. What it says
is kept beside its weights, so that a second call scores nothing anew.
"""

import argparse
import json
import sys
from pathlib import Path

import data
import keras
import numpy as np
import scoring
from train import NETWORKS, build, seen_by

from keras_mmfusion.datasets import digits as dataset
from keras_mmfusion.datasets.digit_batches import MODALITIES

sys.path.append(str(Path(__file__).parents[1]))
import common
import resuming

TEST_SEED = 2000


def main(argv=None):
    args = parse_arguments(argv)
    below = Path(args.protocol, args.noise)
    ours = Path(args.output) / below
    common.check_runs([ours, scoring.RECORDS / below])
    if not ours.is_dir():
        print(f"{ours} is not there: what follows was recorded beside this recipe")
    for run in unscored(args):
        seed = int(run.name.removeprefix("seed"))
        score_run(run, data.load(args.protocol, seed, args.data), args)
    print_tables(*scoring.read(args.output, args.protocol, args.noise))
    if args.record:
        scoring.record(args.output)


def unscored(args):
    """Folders of complete runs without scores."""
    found = Path(args.output, args.protocol, args.noise).glob("*/seed*/run.json")
    return [
        file.parent
        for file in sorted(found)
        if file.parent.parent.name in args.network
        and not file.with_name("test.npz").exists()
    ]


def score_run(run, digits, args):
    """What one network says of each test pair."""
    network = run.parent.name
    model = trained(run)
    levels = {
        name: data.LEVELS if name in seen_by(network) else data.LEVELS[:1]
        for name in ("sound", "image")
    }
    predicted = np.stack(
        [
            np.stack(
                [
                    classes_of(model, seen_by(network), digits, args.pairs, **snr)
                    for snr in ({"sound": sound, "image": i} for i in levels["image"])
                ]
            )
            for sound in levels["sound"]
        ]
    )
    clean = {
        scoring.clean_name(present): classes_of(
            model, present, digits, args.clean_pairs
        ).astype("uint8")
        for present in scoring.subsets(seen_by(network))
    }
    resuming.save_arrays(
        run / "test.npz",
        predicted=predicted.astype("uint8"),
        labels=labels_of(digits, args.pairs),
        clean_labels=labels_of(digits, args.clean_pairs),
        **clean,
    )
    print(f"{run}: scored", flush=True)


def classes_of(model, modalities, digits, count, **snr):
    pairs = test_pairs(digits, count, modalities, snr, model.preprocessor)
    return model.predict(data.Parts(pairs), verbose=0).argmax(axis=-1)


def labels_of(digits, count):
    images, _ = digits.pairs["test"][test_pairs(digits, count).numbers]
    return digits.image_labels[images]


def test_pairs(digits, count, modalities=MODALITIES, snr=None, preprocessor=None):
    options = {"preprocessor": preprocessor, "batch_size": 128}
    return data.pairs(digits, "test", count, TEST_SEED, snr, modalities, **options)


def trained(run):
    """The network of a run, with its weights."""
    made = json.loads((run / "run.json").read_text())
    keras.config.set_dtype_policy("float32")
    model = build(run.parent.name, made["size"], made["samples"])
    model.load_weights(run / "model.weights.h5")
    return model


def print_tables(grids, metrics):
    titles = "".join(f"{title:>24s}" for title in scoring.TITLES.values())
    print(f"\n{'network':10s} seeds{titles}")
    for network in NETWORKS:
        if network in metrics:
            seeds = metrics[network]
            cells = ""
            for key in scoring.TITLES:
                values = np.array([of.get(key, np.nan) for of in seeds])
                cell = f"{values.mean():.4f} ±{scoring.deviation(values):.4f}"
                cells += f"{cell if key in seeds[0] else '':>24s}"
            print(f"{network:10s} {len(seeds):5d}{cells}")
    for other, found in scoring.comparisons(grids).items():
        print(f"\ninitial - {other}: {scoring.in_words(found)}")


def parse_arguments(argv=None):
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--protocol", choices=dataset.PROTOCOLS, default="digits")
    parser.add_argument("--noise", choices=data.NOISE, default="noisy")
    parser.add_argument("--network", nargs="+", choices=NETWORKS, default=NETWORKS)
    parser.add_argument("--pairs", type=int, default=256, help="test pairs a cell")
    parser.add_argument(
        "--clean-pairs", type=int, default=4096, help="test pairs without noise"
    )
    parser.add_argument(
        "--record", action="store_true", help="keep all scores beside this recipe"
    )
    parser.add_argument("--data", help="folder with mnist/ and fsdd/")
    parser.add_argument("--output", default="runs/digits")
    return parser.parse_args(argv)


if __name__ == "__main__":
    common.as_command(main)
