"""MIT-BIH Arrhythmia Database: AAMI classes, published splits, reader.

Moody and Mark, "The impact of the MIT-BIH Arrhythmia Database", 2001;
ANSI/AAMI EC57 for the classes; de Chazal et al. 2004 for DS1 and DS2.
"""

import numbers

import numpy as np

from keras_mmfusion.datasets._find import find_folder
from keras_mmfusion.datasets.ecg_record import read_wfdb

AAMI_CLASSES = ("N", "S", "V", "F", "Q")
AAMI_SYMBOLS = {"N": "NLRej", "S": "AaJS", "V": "VE", "F": "F", "Q": "/fQ"}
NLRAV_CLASSES = ("N", "L", "R", "A", "V")

# fmt: off
DS1 = (
    "101", "106", "108", "109", "112", "114", "115", "116", "118", "119", "122",
    "124", "201", "203", "205", "207", "208", "209", "215", "220", "223", "230",
)
DS2 = (
    "100", "103", "105", "111", "113", "117", "121", "123", "200", "202", "210",
    "212", "213", "214", "219", "221", "222", "228", "231", "232", "233", "234",
)
# Records with paced beats, left out of inter-patient work as EC57 asks.
PACED = ("102", "104", "107", "217")
# fmt: on
RECORDS = tuple(sorted(DS1 + DS2 + PACED))
# Patient-wise validation inside DS1. Each fold holds a share of every class:
# 209, 201, 220 and 118/223 carry most S beats, 208 nearly all F beats.
FOLDS = (
    ("209", "101", "106", "114", "122", "205"),
    ("201", "207", "108", "112", "119"),
    ("220", "223", "109", "115", "203", "230"),
    ("118", "208", "116", "124", "215"),
)
URL = "https://physionet.org/content/mitdb/1.0.0/"


def aami_labels(symbols):
    """Index into `AAMI_CLASSES` of each WFDB beat code; -1 for no AAMI class.

    Example:

    ```python
    from keras_mmfusion.datasets.mitbih import aami_labels

    assert aami_labels(["N", "A", "V", "+"]).tolist() == [0, 1, 2, -1]
    ```
    """
    codes = {
        symbol: index
        for index, name in enumerate(AAMI_CLASSES)
        for symbol in AAMI_SYMBOLS[name]
    }
    return np.array([codes.get(symbol, -1) for symbol in symbols], dtype="int64")


def nlrav_labels(symbols):
    """Index into `NLRAV_CLASSES` of each WFDB beat code; -1 for any other code."""
    codes = {symbol: index for index, symbol in enumerate(NLRAV_CLASSES)}
    return np.array([codes.get(symbol, -1) for symbol in symbols], dtype="int64")


def find_mitbih(data_dir=None):
    """Folder with the database: `data_dir`, `KERAS_MMFUSION_DATA`, or the cache.

    Args:
        data_dir: Folder that holds `100.hea`, or holds a folder `mitdb` that
            does. Defaults to `None`.

    Raises:
        RecordError: No such folder; the message lists where it looked.
    """
    return find_folder(
        "mitdb",
        lambda folder: (folder / "100.hea").is_file(),
        data_dir,
        "The MIT-BIH Arrhythmia Database",
        f"Download it from {URL} (73 MB, ODC-By 1.0)",
    )


def load_mitbih(records=RECORDS, data_dir=None):
    """Read records of the MIT-BIH Arrhythmia Database with their annotations.

    Args:
        records: Name of a record, or iterable of names. Defaults to all 48.
        data_dir: See `find_mitbih`.

    Returns:
        List of `ECGRecord`, in the order asked for. Beats without an AAMI class
        (`?`) are left out, which makes 109,494 beats in all.

    Example:

    ```python
    from keras_mmfusion.datasets.mitbih import DS1, load_mitbih

    records = load_mitbih(DS1)
    ```
    """
    records = (records,) if isinstance(records, (str, numbers.Integral)) else records
    folder = find_mitbih(data_dir)
    return [_aami_beats(read_wfdb(folder / str(name), "atr")) for name in records]


def _aami_beats(record):
    from dataclasses import replace

    known = aami_labels(record.symbols) >= 0
    return replace(record, beats=record.beats[known], symbols=record.symbols[known])


def random_split(labels, share=0.2, seed=0):
    """Of each class, a random share of beats is for testing.

    Beats of one patient then lie on both sides; results say so. The papers do not state
    a split; their figures fit this one.

    Args:
        labels: int array `(beats,)`; negative labels are never chosen.
        share: float. Part of each class to test on. Defaults to `0.2`.
        seed: int. Defaults to `0`.

    Returns:
        bool array `(beats,)`, True for test beats.

    Raises:
        ValueError: Labels are no numbers, or the share is none of 0 to 1.
    """
    labels = np.asarray(labels)
    part = isinstance(share, numbers.Real) and 0 <= share <= 1
    if labels.ndim != 1 or labels.dtype.kind not in "iufb" or not part:
        raise ValueError(
            "`labels` must be integers (beats,), and `share` from 0 to 1. Received: "
            f"{labels.dtype} of shape {labels.shape}, share={share!r}"
        )
    rng = np.random.default_rng(seed)
    test = np.zeros(len(labels), bool)
    for label in np.unique(labels[labels >= 0]):
        beats = np.flatnonzero(labels == label)
        test[rng.permutation(beats)[: round(share * len(beats))]] = True
    return test
