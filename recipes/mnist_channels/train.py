"""Train autoencoders of three channels of digits, all on the same triples.

    KERAS_BACKEND=jax python recipes/mnist_channels/train.py

A run is one model with one seed. It leaves its weights, its log and its error on the
triples to validate on under `runs/`; runs that are complete are skipped, one that was
killed goes on from its last epoch. Nothing here looks at the images to test on.
"""

import argparse
import sys
from pathlib import Path

import architecture
import data
import keras

sys.path.append(str(Path(__file__).parents[1]))
import common
import devices
import resuming
import speed

VALIDATION_SEED = 1000
DEFAULT = ("cascade", "concat", "separate", "separate_wide")
# Of a training, besides what names its folder.
OPTIONS = ("epochs", "triples", "batch_size", "learning_rate", "precision")


def main(argv=None):
    args = parse_arguments(argv)
    devices.begin(args)
    speed.set_up(args)
    images = {part: data.load(part, args.data) for part in ("train", "validation")}
    for seed in args.seeds:
        for name in args.models:
            run(args, images, name, seed)


def run(args, images, name, seed):
    """Train one model, or leave it if it is there already."""
    folder = folder_of(args.output, name, seed)
    if not resuming.begin(
        folder, resuming.settings(args, *OPTIONS), writes=args.process == 0
    ):
        return
    keras.utils.set_random_seed(seed)
    model = architecture.build(name)
    training = data.Triples(
        images["train"], args.batch_size, seed, redraw=True, limit=args.triples
    )
    validation = data.Triples(
        images["validation"], 256, VALIDATION_SEED, limit=args.triples
    )
    rate = keras.optimizers.schedules.CosineDecay(
        args.learning_rate, args.epochs * len(training), alpha=0.01
    )
    checkpoint = resuming.Checkpoint(folder, args.epochs, writes=args.process == 0)
    with devices.on_devices(model, args) as trained:
        trained.compile(
            keras.optimizers.Adam(rate),
            loss={channel: "mse" for channel in architecture.CHANNELS},
            jit_compile=keras.backend.backend() == "jax",
            steps_per_execution=args.steps_per_execution,
        )
        trained.fit(
            devices.shares(speed.Prefetched(training, args.workers), args),
            **checkpoint.span,
            validation_data=devices.shares(validation, args),
            # The triples of each epoch are drawn anew, and batches made ahead in order.
            shuffle=False,
            verbose=2 if args.quiet else 1,
            callbacks=[resuming.EpochOf(training), checkpoint],
        )
    if args.process > 0:
        return
    model.save_weights(folder / "model.weights.h5")
    errors = {
        channel: checkpoint.last[f"val_{channel}_loss"]
        for channel in architecture.CHANNELS
    }
    resuming.finish(
        folder,
        {
            "command": f"python recipes/mnist_channels/train.py --models {name}"
            f"{common.changed(args, parse_arguments([]), *OPTIONS)}",
            "settings": resuming.settings(args, *OPTIONS),
            "commit": common.commit(),
            "backend": keras.backend.backend(),
            "keras": keras.__version__,
            "epochs": args.epochs,
            "triples": training.count,
            "parameters": model.count_params(),
            "seconds": checkpoint.seconds,
            "validation": errors,
        },
    )


def folder_of(output, name, seed):
    return Path(output) / name / f"seed{seed}"


def parse_arguments(argv=None):
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument(
        "--models",
        nargs="+",
        choices=architecture.MODELS,
        default=DEFAULT,
        metavar="MODEL",
        help=f"of {', '.join(architecture.MODELS)} (default: {', '.join(DEFAULT)})",
    )
    parser.add_argument("--seeds", type=int, nargs="+", default=range(3))
    parser.add_argument("--epochs", type=int, default=12)
    parser.add_argument("--triples", type=int, help="an epoch, default: all images")
    parser.add_argument("--batch-size", type=int, default=64)
    parser.add_argument("--learning-rate", type=float, default=2e-3)
    speed.add_arguments(parser)
    devices.add_arguments(parser)
    parser.add_argument("--data", help="folder with mnist/")
    resuming.add_output(parser, "runs/mnist_channels")
    parser.add_argument("--quiet", action="store_true", help="one line an epoch")
    parser.add_argument("--smoke", action="store_true", help="a minute, on the CPU")
    args = parser.parse_args(argv)
    if args.smoke:
        args.seeds, args.epochs, args.triples = [0], 1, 256
        args.models = ["cascade", "separate"]
    return args


if __name__ == "__main__":
    common.as_command(main)
