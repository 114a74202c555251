"""Score the trained networks on test pairs at every level of noise, and print tables.

    KERAS_BACKEND=tensorflow python recipes/digits/evaluate.py

Every network sees the same pairs with the same noise, scaled. What it says is kept
beside its weights, so that a second call scores nothing anew.
"""

import argparse
import json
from pathlib import Path

import data
import keras
import numpy as np
import scoring
from train import NETWORKS, build, seen_by

from keras_mmfusion.datasets import digits as dataset
from keras_mmfusion.datasets.digit_batches import MODALITIES

TEST_SEED = 2000


def main(argv=None):
    args = parse_arguments(argv)
    for run in unscored(args):
        seed = int(run.name.removeprefix("seed"))
        score_run(run, data.load(args.protocol, seed, args.data), args)
    print_tables(scoring.read_grids(args.output, args.protocol, args.noise))


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
    """What one network says of each test pair, at every pair of levels."""
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
                    classes_of(model, network, digits, args, sound=sound, image=image)
                    for image in levels["image"]
                ]
            )
            for sound in levels["sound"]
        ]
    )
    images, _ = digits.pairs["test"][test_pairs(digits, args).numbers]
    labels = digits.image_labels[images]
    np.savez_compressed(
        run / "test.npz", predicted=predicted.astype("uint8"), labels=labels
    )
    print(f"{run}: scored on {len(labels)} pairs", flush=True)


def classes_of(model, network, digits, args, **snr):
    pairs = test_pairs(digits, args, seen_by(network), snr, model.preprocessor)
    return model.predict(data.Parts(pairs), verbose=0).argmax(axis=-1)


def test_pairs(digits, args, modalities=MODALITIES, snr=None, preprocessor=None):
    options = {"preprocessor": preprocessor, "batch_size": 128}
    return data.pairs(digits, "test", args.pairs, TEST_SEED, snr, modalities, **options)


def trained(run):
    """The network of a run, with its weights."""
    made = json.loads((run / "run.json").read_text())
    keras.config.set_dtype_policy("float32")
    model = build(run.parent.name, made["size"], made["samples"])
    model.load_weights(run / "model.weights.h5")
    return model


def print_tables(grids):
    print(f"\n{'network':10s} seeds  original        as in training  all levels")
    for network in NETWORKS:
        if network in grids:
            seeds = [scoring.metrics(grid) for grid in grids[network]]
            cells = [np.array([s[key] for s in seeds]) for key in seeds[0]]
            cells = "  ".join(
                f"{c.mean():.4f} ±{scoring.deviation(c):.4f}" for c in cells
            )
            print(f"{network:10s} {len(seeds):5d}  {cells}")
    for other in ("second", "fc"):
        if {"initial", other} <= set(grids):
            found = scoring.compare(grids["initial"], grids[other])
            print(f"\ninitial - {other}: {scoring.in_words(found)}")


def parse_arguments(argv=None):
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--protocol", choices=dataset.PROTOCOLS, default="digits")
    parser.add_argument("--noise", choices=data.NOISE, default="noisy")
    parser.add_argument("--network", nargs="+", choices=NETWORKS, default=NETWORKS)
    parser.add_argument("--pairs", type=int, default=512, help="test pairs a cell")
    parser.add_argument("--data", help="folder with mnist/ and fsdd/")
    parser.add_argument("--output", default="runs/digits")
    return parser.parse_args(argv)


if __name__ == "__main__":
    main()
