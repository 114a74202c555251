"""MIT-BIH recordings as model inputs, and the segments that training draws."""

from dataclasses import dataclass, replace

import keras
import numpy as np

from keras_mmfusion.datasets import mitbih
from keras_mmfusion.preprocessing import BeatPreprocessor

INTERPATIENT_CLASSES = ("N", "S", "V", "F")
PROTOCOLS = ("interpatient", "random_nlrav", "random_aami5")


@dataclass(frozen=True)
class Recording:
    """Inputs and labels of one recording; label -1 is not scored.

    `held_out` marks beats that no training may see the label of; `times` are the R
    peaks in seconds.
    """

    name: str
    modalities: dict
    labels: np.ndarray
    held_out: np.ndarray
    times: np.ndarray
    simulated: bool = False


def simulated_recording(name, waves, labels, intervals, preprocessor):
    """`Recording` of beats that were put together, `intervals` seconds before each."""
    times = np.cumsum(intervals)
    return Recording(
        name,
        preprocessor.describe(waves, times),
        labels,
        np.zeros(len(labels), bool),
        times,
        simulated=True,
    )


def classes_of(protocol):
    return {
        "interpatient": INTERPATIENT_CLASSES,
        "random_nlrav": mitbih.NLRAV_CLASSES,
        "random_aami5": mitbih.AAMI_CLASSES,
    }[protocol]


def load(protocol, preprocessor=None, data_dir=None, records=None):
    """All recordings that a protocol uses, read and preprocessed from WFDB files."""
    if records is None:
        interpatient = protocol == "interpatient"
        records = mitbih.DS1 + mitbih.DS2 if interpatient else mitbih.RECORDS
    preprocessor = preprocessor or BeatPreprocessor(separate_leads=True)
    recordings = []
    for record in mitbih.load_mitbih(records, data_dir):
        if protocol == "random_nlrav":
            labels = mitbih.nlrav_labels(record.symbols)
        else:
            labels = mitbih.aami_labels(record.symbols)
        labels[labels >= len(classes_of(protocol))] = -1
        modalities = preprocessor(record).modalities
        held_out = np.zeros(len(labels), bool)
        times = record.beats / record.fs
        recordings.append(Recording(record.name, modalities, labels, held_out, times))
    if protocol != "interpatient":
        recordings = _hold_out_beats(recordings)
    return recordings


def _hold_out_beats(recordings, share=0.2, seed=0):
    """The random split: of every class, a fifth of the beats of all records."""
    labels = np.concatenate([r.labels for r in recordings])
    held_out = mitbih.random_split(labels, share, seed)
    ends = np.cumsum([len(r.labels) for r in recordings])[:-1]
    return [
        replace(r, held_out=part)
        for r, part in zip(recordings, np.split(held_out, ends), strict=True)
    ]


class SegmentSampler(keras.utils.PyDataset):
    """Random runs of consecutive beats.

    With `anchor_shares` each run holds an anchor beat of a class drawn by these
    shares, from a record drawn by its number of such beats to the power `temper`,
    so that neither the common class nor one patient fills the batch. Without, runs
    are drawn evenly. `simulated_share` of the runs are from simulated records, if
    there are any. A batch depends on the seed and its number only, so a training
    that was interrupted goes on as if it had not been.
    """

    def __init__(
        self,
        recordings,
        modalities,
        num_classes,
        segment,
        batch_size,
        steps,
        seed,
        anchor_shares=None,
        temper=0.5,
        lead_dropout=0.2,
        simulated_share=0.15,
    ):
        super().__init__()
        self.modalities = modalities
        self.num_classes, self.segment = num_classes, segment
        self.batch_size, self.steps = batch_size, steps
        self.seed, self.epoch = seed, 0
        self.lead_dropout = lead_dropout
        # Weight, recordings, and the pools of beats that anchors are drawn from.
        self.sources = []
        for weight, simulated in (1 - simulated_share, False), (simulated_share, True):
            chosen = [r for r in recordings if r.simulated == simulated]
            if chosen:
                pools = self._pools(chosen, anchor_shares, temper)
                self.sources.append((weight, chosen, pools))

    def _pools(self, recordings, shares, temper):
        """`(share, [beats of each record], probability of each record)` per class."""
        trainable = [(r.labels >= 0) & ~r.held_out for r in recordings]
        if shares is None:
            groups, shares = [trainable], [1.0]
            temper = 1.0
        else:
            groups = [
                [
                    t & (r.labels == k)
                    for r, t in zip(recordings, trainable, strict=True)
                ]
                for k in range(self.num_classes)
            ]
        pools = []
        for share, group in zip(shares, groups, strict=True):
            beats = [np.flatnonzero(chosen) for chosen in group]
            weights = np.array([len(b) for b in beats], "float64")
            weights = np.where(weights > 0, weights**temper, 0.0)
            if weights.sum():
                pools.append((share, beats, weights / weights.sum()))
        total = sum(share for share, _, _ in pools)
        return [(share / total, beats, p) for share, beats, p in pools]

    def __len__(self):
        return self.steps

    def __getitem__(self, index):
        rng = np.random.default_rng((self.seed, self.epoch, index))
        parts = [self._segment(rng) for _ in range(self.batch_size)]
        x = {
            name: np.stack(
                [recording.modalities[name][rows] for recording, rows in parts]
            )
            for name in self.modalities
        }
        labels = np.stack([r.labels[rows] for r, rows in parts])
        used = labels >= 0
        used &= ~np.stack([r.held_out[rows] for r, rows in parts])
        self._augment(x, rng)
        y = keras.utils.to_categorical(np.maximum(labels, 0), self.num_classes)
        return x, y, used.astype("float32")

    def _segment(self, rng):
        _, recordings, pools = _draw(self.sources, rng)
        _, beats, p = _draw(pools, rng)
        record = rng.choice(len(p), p=p)
        recording = recordings[record]
        last = len(recording.labels) - self.segment
        start = rng.choice(beats[record]) - rng.integers(self.segment)
        start = int(np.clip(start, 0, last))
        return recording, slice(start, start + self.segment)

    def _augment(self, x, rng):
        size = self.batch_size
        if self.lead_dropout:
            lost = rng.random(size) < self.lead_dropout
            lead = rng.integers(2, size=size)
            for row in np.flatnonzero(lost):
                for name in ("ecg", "image"):
                    if name in x:
                        x[name][row, ..., lead[row] :: 2] = np.nan
                if {"lead_1", "lead_2"} <= set(x):
                    x[f"lead_{lead[row] + 1}"][row] = np.nan
                if "shape" in x:
                    half = x["shape"].shape[-1] // 2
                    x["shape"][row, :, lead[row] * half :][:, :half] = np.nan


def _draw(weighted, rng):
    """One of the tuples, each by its first entry."""
    weights = np.array([w for w, *_ in weighted])
    return weighted[rng.choice(len(weighted), p=weights / weights.sum())]


class EpochOf(keras.callbacks.Callback):
    """Tell the sampler and the random layers which epoch it is, after a resume too."""

    def __init__(self, sampler):
        super().__init__()
        self.sampler = sampler

    def on_epoch_begin(self, epoch, logs=None):
        self.sampler.epoch = epoch
        for layer in self.model.layers:
            generator = getattr(layer, "seed_generator", None)
            if generator is not None:
                # An epoch does not depend on those before it.
                generator.state.assign([self.sampler.seed, 10_000 * epoch])
