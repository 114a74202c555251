"""`--devices` and `--coordinator` of the recipes: batches shared out among devices."""

import contextlib

import keras
import numpy as np

from keras_mmfusion.distribution import data_parallel


def add_arguments(parser):
    """The options, for `begin`."""
    parser.add_argument(
        "--devices", type=int, default=1, help="to share each batch out among"
    )
    parser.add_argument(
        "--coordinator",
        metavar="HOST:PORT",
        help="where the first of several processes listens (JAX); all of them see "
        "the folder of --output, and use all devices",
    )
    parser.add_argument("--processes", type=int, default=1, help="in all")
    parser.add_argument("--process", type=int, default=0, help="which this is, from 0")


def begin(args, compares=False):
    """Meet the other processes, and check that batches can be shared out.

    Args:
        args: What was parsed. `args.devices` becomes the number in all processes.
        compares: bool. Whether the loss compares the samples of a batch: TensorFlow
            would show each device its own only.

    Raises:
        SystemExit: That cannot be; the message says why.
    """
    backend = keras.backend.backend()
    several = args.devices != 1 or args.coordinator
    if bool(args.coordinator) != (args.processes > 1):
        raise SystemExit(
            "error: --coordinator and --processes, 2 or more, go together. Received: "
            f"--coordinator {args.coordinator} --processes {args.processes}"
        )
    if not 0 <= args.process < args.processes:
        raise SystemExit(
            f"error: --process must be 0 to {args.processes - 1}. "
            f"Received: --process {args.process}"
        )
    able = ("jax",) if args.coordinator or compares else ("jax", "tensorflow")
    if several and backend not in able:
        raise SystemExit(
            f"error: here several devices need KERAS_BACKEND={' or '.join(able)}. "
            f"Received: {backend}"
        )
    if args.coordinator:
        keras.distribution.initialize(args.coordinator, args.processes, args.process)
        args.devices = len(keras.distribution.list_devices())
    if args.devices < 1 or args.batch_size % args.devices:
        raise SystemExit(
            "error: --batch-size must be a multiple of --devices. "
            f"Received: --batch-size {args.batch_size} --devices {args.devices}"
        )


@contextlib.contextmanager
def on_devices(model, args):
    """A context with the model to train, for several devices a copy that uses them.

    The copy draws the same random numbers. At its end the model has the weights that
    the copy has learnt, and knows nothing of devices: it can be scored on any number
    of samples.

    Args:
        model: Keras model, not compiled.
        args: As `begin` leaves them.
    """
    if args.devices == 1:
        yield model
        return
    with data_parallel(args.devices):
        copy = type(model).from_config(model.get_config())
        for ours, own in zip(copy.variables, model.variables, strict=True):
            ours.assign(keras.ops.convert_to_numpy(own))
        yield copy
        learnt = copy.get_weights()
    model.set_weights(learnt)


def shares(batches, args):
    """The batches as this process gives them to `fit`."""
    return batches if args.devices == 1 else Shares(batches, args)


class Shares(keras.utils.PyDataset):
    """The part of each batch that is this process's, all of it if it is alone.

    A batch that the devices do not divide is filled up with its first samples, which
    weigh nothing; the others weigh more, so that the loss stays the mean over them.
    Batches without targets must be whole.
    """

    def __init__(self, batches, args):
        super().__init__()
        self.batches, self.devices = batches, args.devices
        self.process, self.processes = args.process, args.processes

    def __len__(self):
        return len(self.batches)

    def __getitem__(self, index):
        x, *targets = self.batches[index]
        count = len(keras.tree.flatten(x)[0])
        filled = count + -count % self.devices
        size = filled // self.processes
        rows = np.arange(self.process * size, (self.process + 1) * size)
        x, targets = keras.tree.map_structure(lambda a: a[rows % count], (x, targets))
        if not targets:
            return (x,)
        y, *weights = targets
        # Of forecasts, steps have weights, not samples.
        weights = weights[0] if weights else np.ones((size, *y.shape[1:-1]), "float32")
        counts = np.where(rows < count, filled / count, 0).astype("float32")
        return x, y, weights * counts.reshape(-1, *[1] * (weights.ndim - 1))
