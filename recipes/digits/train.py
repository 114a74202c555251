"""Train the networks of the digits study, all on the same pairs.

    KERAS_BACKEND=tensorflow python recipes/digits/train.py --network initial

A run is one training of one network with one seed, one pass over as many pairs as in
the paper, which does not say how often it goes over them. It leaves its weights and its
log under `runs/`; runs that are complete with the same options are skipped, a run that
was killed goes on from its last part. Nothing here looks at the pairs to test on.
"""

import argparse
import sys
from pathlib import Path

import architecture
import data
import keras

from keras_mmfusion.datasets import digits as dataset
from keras_mmfusion.preprocessing import DigitPreprocessor

sys.path.append(str(Path(__file__).parents[1]))
import common
import devices
import resuming
import speed

# Both inputs, fused at three depths; or the first of these networks with one input.
ALONE = ("image", "sound")
NETWORKS = (*architecture.NETWORKS, *ALONE)
# Of one pass over the pairs: to watch it, and to go on after an interruption.
PARTS = 12
VALIDATION_SEED = 1000

# Of a training; in its command where they are not the usual ones.
OPTIONS = ("pairs", "validation", "parts", "batch_size", "learning_rate", "precision")


def main(argv=None):
    args = parse_arguments(argv)
    devices.begin(args)
    speed.set_up(args)
    for seed in args.seeds:
        for network in args.network:
            run(args, network, seed)


def run(args, network, seed):
    """Train one network, or leave it if it is there already."""
    folder = folder_of(args.output, args.protocol, args.noise, network, seed)
    if not resuming.begin(
        folder,
        resuming.settings(args, "size", "samples", *OPTIONS),
        writes=args.process == 0,
    ):
        return
    digits = data.load(args.protocol, seed, args.data)
    keras.utils.set_random_seed(seed)
    model = build(network, args.size, args.samples)
    settings = {
        "snr": data.NOISE[args.noise],
        "modalities": seen_by(network),
        "preprocessor": model.preprocessor,
        "batch_size": args.batch_size,
    }
    training = data.pairs(digits, "train", args.pairs, seed, **settings)
    validation = data.pairs(
        digits, "validation", args.validation, VALIDATION_SEED, **settings
    )
    parts = data.Parts(training, args.parts, data.MISSING.get(args.noise, 0.0))
    # Falling: at a constant rate, the same network differs from one twelfth of a run to
    # the next by as much as the networks do from each other.
    rate = keras.optimizers.schedules.CosineDecay(
        args.learning_rate, args.parts * len(parts), alpha=0.01
    )
    checkpoint = resuming.Checkpoint(folder, args.parts, writes=args.process == 0)
    with devices.on_devices(model, args) as trained:
        trained.compile(
            optimizer=keras.optimizers.Adam(rate),
            loss="sparse_categorical_crossentropy",
            metrics=["accuracy"],
            jit_compile=keras.backend.backend() == "jax",
            steps_per_execution=args.steps_per_execution,
        )
        trained.fit(
            devices.shares(speed.Prefetched(parts, args.workers), args),
            **checkpoint.span,
            validation_data=devices.shares(data.Parts(validation), args),
            shuffle=False,
            verbose=2 if args.quiet else 1,
            callbacks=[
                resuming.EpochOf(parts),
                *([keras.callbacks.TensorBoard(folder)] if args.tensorboard else []),
                checkpoint,
            ],
        )
    if args.process > 0:
        return
    model.save_weights(folder / "model.weights.h5")
    resuming.finish(
        folder,
        {
            "command": command(args, network),
            "settings": resuming.settings(args, "size", "samples", *OPTIONS),
            "commit": common.commit(),
            "backend": keras.backend.backend(),
            "keras": keras.__version__,
            "size": args.size,
            "samples": args.samples,
            "pairs": min(args.parts * len(parts) * args.batch_size, args.pairs),
            "parameters": model.count_params(),
            "seconds": checkpoint.seconds,
            "validation_accuracy": checkpoint.last["val_accuracy"],
        },
    )


def build(network, size, samples=architecture.SAMPLES):
    """One of `NETWORKS`, untrained."""
    network = "initial" if network in ALONE else network
    return architecture.build(network, size, DigitPreprocessor(samples=samples))


def seen_by(network):
    """The modalities that a network is given."""
    return (network,) if network in ALONE else ALONE


def command(args, network):
    """The command for one network; what is left out is the default."""
    return (
        "python recipes/digits/train.py"
        f" --protocol {args.protocol} --noise {args.noise}"
        f" --network {network} --size {args.size} --samples {args.samples}"
        f"{common.changed(args, parse_arguments([]), *OPTIONS)}"
    )


def folder_of(output, protocol, noise, network, seed):
    return Path(output) / protocol / noise / network / f"seed{seed}"


def parse_arguments(argv=None):
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--protocol", choices=dataset.PROTOCOLS, default="digits")
    parser.add_argument("--noise", choices=data.NOISE, default="noisy")
    parser.add_argument("--network", nargs="+", choices=NETWORKS, default=NETWORKS)
    parser.add_argument("--size", choices=architecture.SIZES, default="tiny")
    parser.add_argument(
        "--seeds",
        type=int,
        nargs="+",
        default=range(3),
        help="of digits_speaker, each leaves out another speaker (default: 0 1 2)",
    )
    parser.add_argument(
        "--samples", type=int, default=architecture.SAMPLES, help="of every recording"
    )
    parser.add_argument("--pairs", type=int, default=87_516, help="to train on")
    parser.add_argument("--validation", type=int, default=1_024, help="pairs")
    parser.add_argument("--parts", type=int, default=PARTS, help="reports of a run")
    parser.add_argument("--batch-size", type=int, default=64)
    parser.add_argument("--learning-rate", type=float, default=1e-3)
    speed.add_arguments(parser)
    devices.add_arguments(parser)
    parser.add_argument("--data", help="folder with mnist/ and fsdd/")
    resuming.add_output(parser, "runs/digits")
    parser.add_argument("--tensorboard", action="store_true")
    parser.add_argument("--quiet", action="store_true", help="one line a part")
    parser.add_argument("--smoke", action="store_true", help="a minute, on the CPU")
    args = parser.parse_args(argv)
    if args.smoke:
        args.seeds, args.parts, args.batch_size = [0], 2, 8
        args.pairs, args.validation, args.size = 32, 8, "tiny"
    if min(args.parts, args.batch_size, args.validation) < 1:
        parser.error("--parts, --batch-size and --validation must be at least 1")
    if args.pairs <= (args.parts - 1) * args.batch_size:
        parser.error(
            f"--pairs must be a batch for each of {args.parts} --parts, more than "
            f"{(args.parts - 1) * args.batch_size:,}. Received: {args.pairs:,}. Train "
            "on more, or with fewer --parts."
        )
    return args


if __name__ == "__main__":
    common.as_command(main)
