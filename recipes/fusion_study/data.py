"""The five datasets, each as a `Task`: what to learn from and how to be scored.

They are read by the recipes beside this one. What is to be tested on is read when it
is asked for, which training does not do.
"""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import partial

import numpy as np
import scores
import study
from batches import Arrays, Passes, some
from common import modules_of

from keras_mmfusion.datasets import mitbih
from keras_mmfusion.preprocessing import DigitPreprocessor, RetrievalPreprocessor

(beat_data,) = modules_of("mitbih", "data")
(ett_data,) = modules_of("ett", "data")
(digit_data,) = modules_of("digits", "data")
(emoji_data,) = modules_of("retrieval", "data")

# Beats in a row that are labelled together.
SEGMENT = 16
# The records of DS1 to validate on: S and V beats of several patients.
FOLD = 2
# As in the mitbih recipe: without, hardly a training segment would hold an S beat.
ANCHOR_SHARES = (0.25, 0.4, 0.25, 0.1)
HORIZON = 96
# The setting of Fig. 3 in arXiv:2011.07191. Without noise every fusion is right in
# 99 of 100.
DIGIT_NOISE = digit_data.NOISE["noisy"]
VALIDATION_SEED, TEST_SEED = 1000, 2000
EMOJI_SIZE = 32
NOISE = (10, 0, -10)


@dataclass(frozen=True)
class Task:
    """A dataset as every model of it sees it.

    Attributes:
        name: str, one of `study.DATASETS`.
        kind: `"beats"`, `"classes"`, `"forecast"` or `"retrieval"`.
        shapes: dict, modality to the shape of a sample, in order of fusion.
        outputs: int. Classes, steps to forecast, or different words.
        training: Callable of a seed: a `PyDataset` with an `epoch`.
        validation: Pair `(x, y)`, dict of arrays and array.
        test: Callable without arguments: such a pair.
        metrics: Callable `(y, predictions)`: dict of floats, the main one first.
        lower_is_better: bool, of the main one.
        disturbances: dict, a kind to its levels and modalities, see
            `robustness_curves`.
    """

    name: str
    kind: str
    shapes: dict
    outputs: int
    training: Callable
    validation: tuple
    test: Callable
    metrics: Callable
    lower_is_better: bool = False
    disturbances: dict = field(default_factory=dict)


def load(dataset, budget, folder=None):
    """`Task` of one of `study.DATASETS`."""
    return LOADERS[dataset](dataset, budget, folder)


# MIT-BIH: runs of beats as a waveform, a picture of it, and the rhythm.


def beats(dataset, budget, folder):
    protocol = dataset.replace("mitbih_", "").replace("random", "random_aami5")
    classes = beat_data.classes_of(protocol)
    read = partial(_recordings, protocol, study.SINGLES[dataset], budget, folder)
    if protocol == "interpatient":
        training = read([r for r in mitbih.DS1 if r not in mitbih.FOLDS[FOLD]])
        checked = read(mitbih.FOLDS[FOLD])

        def test():
            return segments(read(mitbih.DS2), lambda r: r.labels >= 0)

    else:
        tested = read(mitbih.RECORDS)
        checked = [_tenth_of_the_rest(r) for r in tested]
        training = [
            replace(r, held_out=r.held_out | c.held_out)
            for r, c in zip(tested, checked, strict=True)
        ]

        def test():
            return segments(tested, lambda r: r.held_out)

    def chosen(r):
        return r.held_out if protocol != "interpatient" else r.labels >= 0

    def sampler(seed):
        return beat_data.SegmentSampler(
            training,
            study.SINGLES[dataset],
            len(classes),
            SEGMENT,
            budget.batch_size,
            budget.steps,
            seed,
            anchor_shares=ANCHOR_SHARES if protocol == "interpatient" else None,
            lead_dropout=0.0,
        )

    return Task(
        dataset,
        "beats",
        {n: (SEGMENT, *v.shape[1:]) for n, v in training[0].modalities.items()},
        len(classes),
        sampler,
        some(*segments(checked, chosen), budget.samples),
        lambda: some(*test(), budget.samples),
        partial(scores.of_beats, classes),
        disturbances={
            "noise": (NOISE, None),
            "missing": ((0.5, 1.0), None),
            "misalignment": ((1, 2, 4), None),
        },
    )


def _recordings(protocol, modalities, budget, folder, names):
    if budget.samples is not None:
        names = [n for n in names if n in ("209", "223", "232", "208", "222")]
    return [
        replace(r, modalities={n: r.modalities[n] for n in modalities})
        for r in beat_data.load(protocol, data_dir=folder, records=names)
    ]


def _tenth_of_the_rest(recording):
    """`held_out` for a tenth of the beats that are not for testing."""
    free = np.where(recording.held_out, -1, recording.labels)
    return replace(
        recording, held_out=mitbih.random_split(free, 0.1, int(recording.name))
    )


def segments(recordings, chosen):
    """All beats in runs of `SEGMENT`, and labels; -1 for what is not `chosen`."""
    x, y = {name: [] for name in recordings[0].modalities}, []
    for recording in recordings:
        count = len(recording.labels)
        starts = np.append(
            np.arange(0, count - SEGMENT, SEGMENT), count - SEGMENT
        ).clip(0)
        rows = starts[:, None] + np.arange(SEGMENT)
        labels = np.where(chosen(recording), recording.labels, -1)[rows]
        # The last run overlaps the one before: every beat is scored once.
        if len(starts) > 1:
            labels[-1, : starts[-2] + SEGMENT - starts[-1]] = -1
        for name, values in recording.modalities.items():
            x[name].append(values[rows])
        y.append(labels)
    return {name: np.concatenate(v) for name, v in x.items()}, np.concatenate(y)


# ETTh1: all columns, 96 hours ahead.


def etth1(dataset, budget, folder):
    table = ett_data.load("M", data_dir=folder)
    names = study.SINGLES[dataset]

    def part(which):
        x, y = table.preprocessor.windows(table.table, HORIZON, table.rows[which])
        return {name: x[name] for name in names}, y

    training = part("train")
    return Task(
        dataset,
        "forecast",
        {name: values.shape[1:] for name, values in training[0].items()},
        HORIZON,
        lambda seed: Arrays(*training, budget, seed),
        some(*part("validation"), budget.samples),
        lambda: some(*part("test"), budget.samples),
        scores.of_forecasts,
        lower_is_better=True,
        disturbances={
            "noise": (NOISE, None),
            "missing": ((0.5, 1.0), None),
            "misalignment": ((1, 6, 24), None),
        },
    )


# Digits: an image of MNIST with a recording of the same digit.


def digits(dataset, budget, folder):
    pool = digit_data.load("digits", 0, folder)
    prepare = DigitPreprocessor(samples=5000, mel_bands=32)

    def part(split, count, seed):
        batches = digit_data.pairs(
            pool, split, count, seed, DIGIT_NOISE, preprocessor=prepare
        )
        parts = [batches[i] for i in range(len(batches))]
        x = {name: np.concatenate([x[name] for x, _ in parts]) for name in parts[0][0]}
        return x, np.concatenate([y for _, y in parts])

    validation = part("validation", budget.samples or 1024, VALIDATION_SEED)
    count = budget.steps * budget.batch_size
    return Task(
        dataset,
        "classes",
        {name: values.shape[1:] for name, values in validation[0].items()},
        10,
        lambda seed: Arrays(*part("train", count, seed), budget, seed),
        validation,
        lambda: part("test", budget.samples or 4096, TEST_SEED),
        scores.of_classes,
        disturbances={
            "noise": (NOISE, None),
            "missing": ((0.5, 1.0), None),
            "misalignment": ((1, 2, 4, 8), ["sound"]),
        },
    )


# Emoji: pictures found by words, and words by pictures.


def emoji(dataset, budget, folder):
    from keras_mmfusion.datasets.caption_batches import CaptionBatches

    tokenizer = emoji_data.preprocessor("emoji_en", folder).tokenizer
    prepare = RetrievalPreprocessor(tokenizer, EMOJI_SIZE)

    def part(split):
        return emoji_data.load("emoji_en", split, prepare, folder, budget.samples)

    def pairs(split):
        found = part(split)
        images = found.images.astype("float32")
        x = {"image": images, "text": found.texts[found.first_captions]}
        return x, np.arange(len(images))

    train = part("train")

    def training(seed):
        batches = CaptionBatches(
            train.images,
            train.texts,
            train.caption_image,
            budget.batch_size,
            shift=EMOJI_SIZE // 12,
            colour=0.2,
            word_dropout=0.1,
            seed=seed,
        )
        return Passes(batches, budget.steps)

    return Task(
        dataset,
        "retrieval",
        {"image": train.images.shape[1:], "text": train.texts.shape[1:]},
        tokenizer.vocabulary_size,
        training,
        pairs("val"),
        lambda: pairs("test"),
        scores.of_retrieval,
        disturbances={"noise": (NOISE, ["image"]), "missing": ((0.5,), None)},
    )


LOADERS = {
    "mitbih_interpatient": beats,
    "mitbih_random": beats,
    "etth1": etth1,
    "digits": digits,
    "emoji": emoji,
}
