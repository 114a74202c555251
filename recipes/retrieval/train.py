"""Train retrievers of pictures by words, all on the same images and captions.

    KERAS_BACKEND=jax python recipes/retrieval/train.py --corpus emoji_en

A run is one model with one seed. It leaves its weights, its log and its recalls on the
images to validate on under `runs/`; runs that are complete are skipped, one that was
killed goes on from its last epoch. Nothing here looks at the images to test on.
"""

import argparse
import sys
from pathlib import Path

import architecture
import data
import keras
import scoring

from keras_mmfusion.datasets.caption_batches import CaptionBatches

sys.path.append(str(Path(__file__).parents[1]))
import common
import devices
import resuming
import speed

# How much the second look may count; chosen on the images to validate on.
WEIGHTS = (0.0, 0.25, 0.5, 1.0, 2.0)
# Of a training; in its command where they are not the usual ones.
OPTIONS = ("epochs", "batch_size", "precision", "learning_rate", "images")


def main(argv=None):
    args = parse_arguments(argv)
    devices.begin(args, compares=True)
    speed.set_up(args)
    for corpus in args.corpus:
        prepare = data.preprocessor(corpus, args.data)
        parts = {
            split: data.load(corpus, split, prepare, args.data, args.images)
            for split in ("train", "val")
        }
        if data.is_small(corpus):
            baseline = scoring.neighbours(parts["train"], parts["val"])
            print(f"{corpus}: neighbours in colours and words {baseline}", flush=True)
        for seed in args.seeds:
            for name in args.models:
                run(args, corpus, prepare, parts, name, seed)


def run(args, corpus, prepare, parts, name, seed):
    """Train one model, or leave it if it is there already."""
    folder = Path(args.output, corpus, name, f"seed{seed}")
    if not resuming.begin(
        folder, resuming.settings(args, *OPTIONS), writes=args.process == 0
    ):
        return
    keras.utils.set_random_seed(seed)
    model = data.model(name, corpus, prepare, seed)
    train = parts["train"]
    batches = CaptionBatches(
        train.images,
        train.texts,
        train.caption_image,
        args.batch_size,
        shift=train.images.shape[1] // 12,
        colour=0.2,
        word_dropout=0.1,
        seed=seed,
    )
    steps = args.epochs * len(batches)
    schedule = keras.optimizers.schedules.CosineDecay(
        0.0,
        steps - steps // 10,
        alpha=0.01,
        warmup_target=args.learning_rate,
        warmup_steps=steps // 10,
    )
    checkpoint = resuming.Checkpoint(folder, args.epochs, writes=args.process == 0)
    with devices.on_devices(model, args) as trained:
        trained.compile(
            keras.optimizers.AdamW(schedule, weight_decay=0.05, global_clipnorm=1.0),
            jit_compile=keras.backend.backend() == "jax",
            steps_per_execution=args.steps_per_execution,
        )
        trained.fit(
            devices.shares(speed.Prefetched(batches, args.workers), args),
            **checkpoint.span,
            shuffle=False,
            verbose=2 if args.quiet else 1,
            callbacks=[resuming.EpochOf(batches), checkpoint],
        )
    seconds = checkpoint.seconds
    if args.process > 0:
        return
    model.save_weights(folder / "model.weights.h5")
    found = validate(model, parts["val"])
    best = max(found, key=lambda weight: found[weight]["mean_recall"])
    resuming.finish(
        folder,
        {
            "command": command(args, corpus, name, seed),
            "settings": resuming.settings(args, *OPTIONS),
            "commit": common.commit(),
            "backend": keras.backend.backend(),
            "keras": keras.__version__,
            "epochs": args.epochs,
            "parameters": model.count_params(),
            "seconds": seconds,
            "rerank_weight": best,
            "validation": found[best],
            "validation_of_towers": found[0.0],
        },
    )
    print(f"{folder}: {found[best]}", flush=True)


def command(args, corpus, name, seed):
    """The command for this run alone; what is left out is the default."""
    return (
        f"python recipes/retrieval/train.py --corpus {corpus} --models {name} "
        f"--seeds {seed}{common.changed(args, parse_arguments([]), *OPTIONS)}"
    )


def validate(model, part):
    """`{weight of the second look: recalls}`."""
    found = {}
    for weight in WEIGHTS:
        model.rerank_weight = weight
        found[weight] = scoring.score(model, part, rerank=0 if weight == 0 else None)
    return found


def parse_arguments(argv=None):
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument(
        "--corpus", nargs="+", choices=data.CORPORA, default=["emoji_en"]
    )
    parser.add_argument(
        "--models",
        nargs="+",
        choices=architecture.MODELS,
        default=list(architecture.MODELS),
    )
    parser.add_argument("--seeds", type=int, nargs="+", default=range(3))
    parser.add_argument("--epochs", type=int, default=60)
    parser.add_argument("--batch-size", type=int, default=66)
    parser.add_argument("--learning-rate", type=float, default=1e-3)
    parser.add_argument("--images", type=int, help="of a split, default: all")
    speed.add_arguments(parser)
    devices.add_arguments(parser)
    parser.add_argument("--data", help="folder with the corpus")
    resuming.add_output(parser, "runs/retrieval")
    parser.add_argument("--quiet", action="store_true", help="one line an epoch")
    parser.add_argument("--smoke", action="store_true", help="a minute, on the CPU")
    args = parser.parse_args(argv)
    if args.smoke:
        args.seeds, args.epochs, args.images, args.batch_size = [0], 1, 32, 16
        args.models = ["zoom_shift"]
    return args


if __name__ == "__main__":
    common.as_command(main)
