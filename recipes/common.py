"""What recipes share: commits, several devices, spreads over seeds, rows of results.

A recipe is run as a script and sees the modules beside it; this one is beside all of
them, in the folder above, which the recipe appends to `sys.path`.
"""

import contextlib
import csv
import io
import subprocess
from pathlib import Path

import keras
import numpy as np

from keras_mmfusion.distribution import data_parallel

ZOO = Path(__file__).parents[1] / "zoo"
FIELDS = ["protocol", "model", "preset", "metric", "mean", "sd", "n", "released"]


def commit():
    """The commit that is checked out, if this is a checkout."""
    git = ["git", "-C", str(Path(__file__).parent), "rev-parse", "--short", "HEAD"]
    found = subprocess.run(git, capture_output=True, text=True, check=False)
    return found.stdout.strip() or "unknown"


@contextlib.contextmanager
def on_devices(model, devices, batch_size):
    """A context with the model to train, for `devices` above 1 a copy that uses them.

    At its end the model has the weights that the copy has learnt, and goes on alone: it
    can be scored on any number of samples, and knows nothing of devices.

    Args:
        model: Keras model, not compiled.
        devices: int.
        batch_size: int, a multiple of it.
    """
    if devices == 1:
        yield model
        return
    if devices < 1 or batch_size % devices:
        raise SystemExit(
            "error: --batch-size must be a multiple of --devices. "
            f"Received: --batch-size {batch_size} --devices {devices}"
        )
    with data_parallel(devices):
        copy = type(model).from_config(model.get_config())
        copy.set_weights(model.get_weights())
        yield copy
        learnt = copy.get_weights()
    model.set_weights(learnt)


class WholeBatches(keras.utils.PyDataset):
    """Batches filled up to a multiple of the devices, with their own first samples.

    These count twice: in the last batch of an epoch, if at all.
    """

    def __init__(self, batches, devices):
        super().__init__()
        self.batches, self.devices = batches, devices

    def __len__(self):
        return len(self.batches)

    def __getitem__(self, index):
        batch = self.batches[index]
        samples = len(keras.tree.flatten(batch)[0])
        missing = -samples % self.devices
        if not missing:
            return batch
        rows = np.arange(samples + missing) % samples
        return keras.tree.map_structure(lambda values: values[rows], batch)

    def on_epoch_end(self):
        self.batches.on_epoch_end()


def spread(values):
    """Mean, sample standard deviation and number of values, one a seed; NaN is none."""
    values = np.asarray(values, "float64")
    several = len(values) > 1
    return {
        "mean": round(float(np.nanmean(values)), 5),
        "sd": round(float(np.nanstd(values, ddof=1)), 5) if several else None,
        "n": len(values),
    }


def small_png(figure, colours=192):
    """PNG of a figure in few colours, a third of the bytes."""
    from PIL import Image

    whole, small = io.BytesIO(), io.BytesIO()
    figure.savefig(whole, format="png")
    few = Image.open(whole).convert("RGB").quantize(colours)
    few.save(small, format="png", optimize=True)
    return small.getvalue()


def write_results(path, protocol, measured, released, owners):
    """Replace the rows of these models in a table of results.

    Args:
        path: The CSV file, made if it is not there.
        protocol: str.
        measured: dict, model to `{metric: spread}`.
        released: dict, model to `{metric: value}` of the weights of its preset. Of
            other models, the rows keep what they had.
        owners: dict, model to the name of its preset.
    """
    rows = []
    if path.exists():
        with open(path, newline="") as file:
            rows = list(csv.DictReader(file))
    kept = {
        (row["model"], row["metric"]): row["released"]
        for row in rows
        if row["protocol"] == protocol and row["model"] in measured
    }
    rows = [
        row
        for row in rows
        if not (row["protocol"] == protocol and row["model"] in measured)
    ]
    for model, metrics in measured.items():
        for metric, value in metrics.items():
            of_weights = kept.get((model, metric), "")
            if model in released:
                of_weights = round(float(released[model][metric]), 5)
            rows.append(
                {
                    "protocol": protocol,
                    "model": model,
                    "preset": owners.get(model, ""),
                    "metric": metric,
                    "mean": value["mean"],
                    "sd": "" if value["sd"] is None else value["sd"],
                    "n": value["n"],
                    "released": of_weights,
                }
            )
    rows.sort(key=lambda row: (row["protocol"], row["model"]))
    with open(path, "w", newline="") as file:
        writer = csv.DictWriter(file, FIELDS, lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
