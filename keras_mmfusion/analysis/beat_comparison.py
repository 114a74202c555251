"""Labelled beats beside the reference beats of the same recording."""

from dataclasses import dataclass

import numpy as np

from keras_mmfusion.datasets._checked_record import checked_record
from keras_mmfusion.datasets.ecg_record import RecordError
from keras_mmfusion.datasets.mitbih import AAMI_CLASSES, AAMI_SYMBOLS, aami_labels
from keras_mmfusion.metrics import NO_BEAT, beat_metrics, match_beats

CLASSES = ("N", "S", "V", "F")
_UNKNOWN = "?"


@dataclass(frozen=True)
class Comparison:
    """Reference and predicted labels of one record, or of several pooled.

    Attributes:
        name: str. Record name.
        reference: str array `(beats,)` of AAMI classes.
        predicted: str array `(beats,)`, likewise; `NO_BEAT` where none was detected.
        extra: str array, likewise, of detections that are no reference beat.
        left_out: int. Reference beats without an AAMI class (`?`).

    Example:

    ```python
    from keras_mmfusion.analysis import compare

    compare(record, model.predict_record(record)).metrics().accuracy
    ```
    """

    name: str
    reference: np.ndarray
    predicted: np.ndarray
    extra: np.ndarray
    left_out: int = 0

    def metrics(self):
        """`BeatMetrics` over N, S, V and F."""
        return beat_metrics(self.reference, self.predicted, CLASSES, self.extra)


def compare(record, labels, name=None):
    """Pair labelled beats with reference beats, both by their AAMI classes.

    Labels that are finer, such as L and R of `atd_mitbih_random`, count as the AAMI
    class they belong to, as the codes of the reference do.

    Args:
        record: `ECGRecord` with the reference beats and symbols.
        labels: `BeatLabels` of the same recording.
        name: str. Defaults to the name of the record.

    Returns:
        `Comparison`. Beats are paired by place if `labels` has those of the
        record, else within 150 ms.

    Raises:
        RecordError: A class of `labels` belongs to no AAMI class.

    Example:

    ```python
    from keras_mmfusion.analysis import compare

    comparison = compare(record, model.predict_record(record))
    comparison.metrics().f1
    ```
    """
    record = checked_record(record)
    if record.beats is None or record.symbols is None:
        raise RecordError(
            f"Record {record.name} has no reference beats with symbols. Name their "
            'annotation file: read_wfdb(path, "atr").'
        )
    if len(record.symbols) != len(record.beats):
        raise RecordError(
            f"Expected a symbol for each of the {len(record.beats):,} beats of "
            f"{record.name}. Received: {len(record.symbols):,}."
        )
    if not hasattr(labels, "probabilities"):
        raise ValueError(
            "`labels` must be BeatLabels, as `predict_record` returns them. "
            f"Received: {type(labels).__name__}"
        )
    foreign = [c for c in labels.classes if _aami([c])[0] == _UNKNOWN]
    if foreign:
        raise RecordError(
            "Only labels that belong to an AAMI class can be compared: "
            f"{', '.join(''.join(AAMI_SYMBOLS.values()))}. Received: classes "
            f"{', '.join(foreign)}. Give them such names, or score them by "
            "`model.evaluate` on labels of your own."
        )
    reference, given = _aami(record.symbols), _aami(labels.labels)
    if np.array_equal(labels.samples, record.beats):
        predicted, extra = given, np.empty(0, "<U1")
    else:
        mine, theirs = match_beats(record.beats, labels.samples, record.fs)
        predicted = np.full(len(reference), NO_BEAT, "<U1")
        predicted[mine] = given[theirs]
        extra = np.delete(given, theirs)
    known = reference != _UNKNOWN
    return Comparison(
        name or record.name,
        reference[known],
        predicted[known],
        extra,
        int((~known).sum()),
    )


def _aami(symbols):
    """The AAMI class of each beat code, which may be the class itself."""
    names = np.array((*AAMI_CLASSES, _UNKNOWN), dtype="<U1")
    return names[aami_labels(symbols)]  # -1 is the last one


def pool(comparisons, name="gross"):
    """All beats of several recordings together.

    Args:
        comparisons: Sequence of `Comparison`.
        name: str. Name of the result. Defaults to `"gross"`.

    Returns:
        `Comparison`.

    Example:

    ```python
    from keras_mmfusion.analysis import compare, pool

    pool([compare(r, model.predict_record(r)) for r in records]).metrics()
    ```
    """
    comparisons = [] if isinstance(comparisons, Comparison) else list(comparisons)
    if not comparisons:
        raise ValueError(
            "`comparisons` must be a list of one or more of what `compare` returns. "
            "Received: none."
        )
    return Comparison(
        name,
        np.concatenate([c.reference for c in comparisons]),
        np.concatenate([c.predicted for c in comparisons]),
        np.concatenate([c.extra for c in comparisons]),
        sum(c.left_out for c in comparisons),
    )
