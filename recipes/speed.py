"""What makes a training fast, the same in every recipe."""

import os
from pathlib import Path

import keras

from keras_mmfusion._kept_memory import keep_freed_memory
from keras_mmfusion.datasets.prefetched_batches import PrefetchedBatches

# What recipes count by, as far as they do.
LEAST = dict.fromkeys(
    ("epochs", "steps", "steps_per_epoch", "batch_size", "width", "triples", "images"),
    1,
)
LEAST |= {"steps_per_execution": 1, "patience": 0, "workers": 0}


def add_arguments(parser, workers=True):
    """The options; without those on batches for a recipe that has arrays."""
    home = Path(os.environ.get("KERAS_HOME") or Path.home() / ".keras").expanduser()
    parser.add_argument(
        "--precision",
        choices=("float32", "mixed_bfloat16", "mixed_float16"),
        default="float32",
        help="of the computation; weights stay in float32 (default: float32)",
    )
    parser.add_argument(
        "--steps-per-execution",
        type=int,
        default=1,
        metavar="N",
        help="training steps that the device is sent at once (default: 1)",
    )
    parser.add_argument(
        "--compile-cache",
        default=str(home / "keras_mmfusion" / "compiled"),
        metavar="FOLDER",
        help="where JAX keeps compiled programs, '' for nowhere; "
        "JAX_COMPILATION_CACHE_DIR goes before (default: %(default)s)",
    )
    if workers:
        parser.add_argument(
            "--workers",
            type=int,
            default=1,
            help="threads that make batches ahead; 0: none (default: 1)",
        )


def set_up(args):
    """What has to be set before a model is built.

    Raises:
        SystemExit: An option, of this recipe or of all, that no training can have.
    """
    for name, least in LEAST.items():
        given = getattr(args, name, None)
        values = given if isinstance(given, list) else [given]
        if any(value is not None and value < least for value in values):
            raise SystemExit(
                f"error: --{name.replace('_', '-')} must be at least {least}. "
                f"Received: {given}"
            )
    keras.config.set_dtype_policy(args.precision)
    keep_freed_memory()
    kept = os.environ.get("JAX_COMPILATION_CACHE_DIR")
    if keras.backend.backend() == "jax" and args.compile_cache and kept is None:
        import jax

        jax.config.update("jax_compilation_cache_dir", args.compile_cache)


class Prefetched(PrefetchedBatches):
    """The batches of another data set, made ahead while a model is learning."""

    def __init__(self, batches, workers):
        self.batches = batches
        super().__init__(workers)

    @property
    def epoch(self):
        """That of the other data set, if it has one; a callback sets it there."""
        return getattr(self.batches, "epoch", 0)

    @epoch.setter
    def epoch(self, value):
        self.batches.epoch = value

    def __len__(self):
        return len(self.batches)

    def batch(self, number):
        return self.batches[number]

    def on_epoch_end(self):
        self.forget()
        self.batches.on_epoch_end()
