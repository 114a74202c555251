"""Score the trained models on the images to test on, and print the table.

    KERAS_BACKEND=jax python recipes/mnist_channels/evaluate.py

Every model is scored once, on the same triples of test images; beside them, principal
components of the training images. What was found is kept beside the weights.
"""

import argparse
import json
import sys
from pathlib import Path

import architecture
import data
import numpy as np
import scoring

sys.path.append(str(Path(__file__).parents[1]))
import common
import resuming

TEST_SEED = 2000


def main(argv=None):
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--data", help="folder with mnist/")
    parser.add_argument("--output", default="runs/mnist_channels")
    args = parser.parse_args(argv)
    common.check_runs([args.output])
    images = test_triples(args.data)
    for name in architecture.MODELS:
        for run in sorted(Path(args.output, name).glob("seed*/run.json")):
            if not (run.parent / "test.json").exists():
                outputs = trained(run.parent).predict(images, verbose=0)
                keep(run.parent, scoring.errors(outputs, images))
    training = data.Triples(data.load("train", args.data), 4096, seed=0).whole()
    for name, outputs in scoring.principal_components(training, images).items():
        folder = Path(args.output, name, "seed0")
        keep(folder, scoring.errors(outputs, images))
    print_table(scoring.read(args.output), len(next(iter(images.values()))))


def test_triples(data_dir=None, count=None):
    """dict of test images from 0 to 1, the same triples every time."""
    images = data.load("test", data_dir)
    return data.Triples(images, 4096, TEST_SEED, limit=count).whole()


def trained(run):
    """The model of a run."""
    model = architecture.build(run.parent.name)
    model.load_weights(run / "model.weights.h5")
    return model


def keep(folder, errors):
    found = json.dumps(errors, indent=2)
    resuming.write_whole(folder / "test.json", found.encode())


def print_table(found, count):
    """Mean over seeds, a row a model."""
    print(f"{count:,} test triples, mean squared error, mean over seeds")
    for name, seeds in found.items():
        means = {
            key: common.spread([of[key] for of in seeds.values()])["mean"]
            for key in next(iter(seeds.values()))
        }
        cells = "".join(f"{np.round(mean, 5):12.5f}" for mean in means.values())
        print(f"{name:16s}{len(seeds):3d}{cells}")


if __name__ == "__main__":
    common.as_command(main)
