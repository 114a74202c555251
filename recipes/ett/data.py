"""The table of a run, its windows, and batches of them."""

import hashlib
from dataclasses import dataclass
from functools import cached_property

import keras
import numpy as np

from keras_mmfusion.datasets import ett
from keras_mmfusion.datasets.forecast_protocols import PROTOCOLS
from keras_mmfusion.preprocessing import SeriesPreprocessor, SeriesScaler

FEATURES = ("M", "S")
# Steps that are known, two weeks as in most published results, and three; see the
# README. The linear part is the mean of fits to each.
LOOKBACK = {"M": (336, 504), "S": (336,)}
MODALITIES = ("series", "image", "calendar", "phase")


def horizons_of(features):
    """All horizons of the protocols of these features, in order."""
    found = {
        h for p in PROTOCOLS.values() if features in p.features for h in p.horizons
    }
    return tuple(sorted(found))


@dataclass(frozen=True)
class Task:
    """A table, scaled by its rows to train on, and its windows.

    Windows are of the longest horizon, and may end within it.
    """

    table: ett.SeriesTable
    features: str
    lookbacks: tuple
    preprocessor: SeriesPreprocessor
    rows: dict
    months: list

    @property
    def settings(self):
        """What every model of a table has in common, by the names of the options."""
        # Folders are named after the table, and so are others elsewhere.
        content = self.table.times.tobytes() + self.table.values.tobytes()
        checksum = hashlib.sha256(content).hexdigest()[:8]
        return {
            "csv": f"{self.table.name}.csv ({len(self.table.values):,} rows, checksum "
            f"{checksum})",
            "lookback": list(self.lookbacks),
            "months": self.months,
        }

    @cached_property
    def horizons(self):
        return horizons_of(self.features)

    @property
    def training_values(self):
        return self.table.values[slice(*self.rows["train"])]

    def windows(self, part):
        return self.preprocessor.windows(
            self.table, self.horizons[-1], self.rows[part], whole=False
        )


def add_arguments(parser):
    """The options of every script: which table, and what of it."""
    parser.add_argument("--csv", help="a table of ETT's layout (default: ETTh1)")
    parser.add_argument(
        "--lookback",
        type=int,
        nargs="+",
        help="steps that are known; of several, the linear part is the mean of fits to "
        "each (default: 336 504 for M, 336 for S)",
    )
    parser.add_argument(
        "--months",
        type=int,
        nargs=3,
        default=list(ett.MONTHS.values()),
        metavar=("TRAIN", "VALIDATE", "TEST"),
        help="of 30 days, for each part of the table (default: 12 4 4)",
    )
    parser.add_argument("--data", help="folder with ett/")


def load(features, csv=None, data_dir=None, lookbacks=None, months=None):
    """`Task` of all columns (`"M"`) or of the last one (`"S"`) of ETTh1 or a file."""
    table = ett.load_ett("ETTh1", data_dir) if csv is None else ett.read_series(csv)
    if features == "S":
        table = table.select(table.columns[-1:])
    months = months or list(ett.MONTHS.values())
    rows = ett.split_rows(table, dict(zip(ett.SPLITS, months, strict=True)))
    scaler = SeriesScaler(columns=table.columns).fit(
        table.values[slice(*rows["train"])]
    )
    lookbacks = tuple(lookbacks or LOOKBACK[features])
    prepare = SeriesPreprocessor(
        scaler,
        max(lookbacks),
        MODALITIES,
        step=table.step / np.timedelta64(1, "s"),
    )
    return Task(table, features, lookbacks, prepare, rows, months)


def load_as(args, features):
    """`Task` as the options of a script have it."""
    return load(features, args.csv, args.data, args.lookback, args.months)


class Batches(keras.utils.PyDataset):
    """Batches of windows: what is known, what came, and how much each step counts.

    A step beyond the end of its part counts nothing. Windows are copied a batch at a
    time. `blank` names inputs that are zero throughout, as a control; an epoch has
    `steps` batches at most. With a seed, each `epoch` is in an order of its own.
    """

    def __init__(self, x, y, batch_size, seed=None, blank=(), steps=None):
        super().__init__()
        self.x, self.y, self.batch_size = x, y, batch_size
        self.seed, self.blank, self.steps = seed, blank, steps
        self.epoch = 0

    @property
    def epoch(self):
        return self._epoch

    @epoch.setter
    def epoch(self, epoch):
        self._epoch, self.order = epoch, np.arange(len(self.y))
        if self.seed is not None:
            rng = np.random.default_rng(self.seed)
            for _ in range(epoch + 1):
                rng.shuffle(self.order)

    def __len__(self):
        whole = -(-len(self.y) // self.batch_size)
        return min(whole, self.steps or whole)

    def __getitem__(self, index):
        chosen = self.order[index * self.batch_size :][: self.batch_size]
        x = {name: array[chosen] for name, array in self.x.items()}
        for name in self.blank:
            x[name] = np.zeros_like(x[name])
        y = self.y[chosen]
        counts = ~np.isnan(y).any(axis=-1)
        return x, np.nan_to_num(y), counts.astype("float32")
