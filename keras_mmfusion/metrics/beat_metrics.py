"""Beat-by-beat comparison of two labellings, in the manner of ANSI/AAMI EC57."""

from dataclasses import dataclass

import numpy as np

from keras_mmfusion._checks import check_positive_number, check_tolerance

NO_BEAT = "-"


@dataclass(frozen=True)
class BeatMetrics:
    """What `beat_metrics` returns; undefined quantities are NaN.

    Attributes:
        classes: tuple of str.
        support: int64 array `(classes,)`, reference beats of each class.
        confusion: int64 array `(classes, classes)`, rows are the reference.
        sensitivity: float64 array `(classes,)`, share of the reference beats of
            a class that got its label (Se, recall).
        precision: float64 array `(classes,)`, share of the beats with a label
            that deserve it (+P, positive predictivity).
        f1: float64 array `(classes,)`.
        accuracy: float. Share of all reference beats with the right label.
        macro_f1: float. Mean F1 of all classes.
        macro_f1_nsv: float. Mean F1 of N, S and V, as most papers report it.
        kappa: float. Cohen's kappa.
        j: float. Se and +P of S and V added up, 0 to 4.
        j_kappa: float. `kappa / 2 + j / 8`, 0 to 1.
    """

    classes: tuple
    support: np.ndarray
    confusion: np.ndarray
    sensitivity: np.ndarray
    precision: np.ndarray
    f1: np.ndarray
    accuracy: float
    macro_f1: float
    macro_f1_nsv: float
    kappa: float
    j: float
    j_kappa: float


def confusion_matrix(reference, predicted, classes):
    """Count the pairs of labels.

    Args:
        reference: Sequence of labels, one per beat.
        predicted: Sequence of labels, as long.
        classes: Sequence of the labels to count, in the order of the result.
            Beats with another label on either side are left out.

    Returns:
        int64 array `(classes, classes)`; rows are the reference.

    Raises:
        ValueError: The two sequences differ in length.

    Example:

    ```python
    from keras_mmfusion.metrics import confusion_matrix

    confusion_matrix(list("NNVS"), list("NVVN"), ("N", "S", "V"))
    # [[1, 0, 1], [1, 0, 0], [0, 0, 1]]
    ```
    """
    return _counts(reference, predicted, classes)[:-1, :-1]


def beat_metrics(reference, predicted, classes=("N", "S", "V", "F"), extra=()):
    """Measure predicted beat labels against reference labels.

    Reference beats outside `classes` (AAMI class Q, as a rule) are left out.
    A predicted label outside `classes` (an unclassifiable or a missed beat)
    is an error of the beat's class and belongs to none of the others.

    Args:
        reference: Sequence of labels, one per beat.
        predicted: Sequence of labels, as long. `NO_BEAT` for beats that the
            detector missed.
        classes: Sequence of the labels that count. Defaults to the AAMI
            classes N, S, V and F.
        extra: Sequence of the labels given to detections that are no reference
            beat. They count against +P (hence F1), as EC57 asks, and nowhere
            else. Defaults to `()`.

    Returns:
        `BeatMetrics`. Se is NaN for a class without reference beats, +P for a
        class never predicted, F1 for a class that is neither; the macro means
        leave NaN out. `j` is NaN unless S and V are among the reference beats.

    Raises:
        ValueError: `reference` and `predicted` differ in length.

    Example:

    ```python
    from keras_mmfusion.metrics import beat_metrics

    beat_metrics(list("NNNNSSVV"), list("NNNSSNVV")).accuracy  # 0.75
    ```

    Reference:

    - ANSI/AAMI EC57:2012.
    - Mar et al., 2011, IEEE Trans. Biomed. Eng. 58(8), and
      Mondéjar-Guerra et al., 2019, Biomed. Signal Process. Control 47: `j_kappa`.
    """
    classes = tuple(_text(tuple(classes)).tolist())
    counts = _counts(reference, predicted, classes)[:-1]
    matrix = counts[:, :-1]
    correct = np.diag(matrix)
    support = counts.sum(axis=1)
    labelled = matrix.sum(axis=0) + _histogram(extra, classes)[:-1]
    sensitivity = _ratio(correct, support)
    precision = _ratio(correct, labelled)
    f1 = _ratio(2 * correct, support + labelled)
    total = support.sum()
    accuracy = _ratio(correct.sum(), total)
    chance = _ratio((support * matrix.sum(axis=0)).sum(), total * total)
    kappa = _ratio(accuracy - chance, 1 - chance)
    ectopic = [classes.index(name) for name in "SV" if name in classes]
    # A class that occurs but is never predicted has +P 0 here, not "undefined".
    parts = np.where(support > 0, np.nan_to_num(precision), np.nan) + sensitivity
    j = parts[ectopic].sum() if len(ectopic) == 2 else np.nan
    nsv = [classes.index(name) for name in "NSV" if name in classes]
    return BeatMetrics(
        classes=classes,
        support=support,
        confusion=matrix,
        sensitivity=sensitivity,
        precision=precision,
        f1=f1,
        accuracy=float(accuracy),
        macro_f1=_mean(f1),
        macro_f1_nsv=_mean(f1[nsv]),
        kappa=float(kappa),
        j=float(j),
        j_kappa=float(kappa / 2 + j / 8),
    )


def match_beats(reference, detected, fs, tolerance=0.15):
    """Pair detected beats with reference beats, each at most once.

    A pair are two beats each of which is the other's nearest, at most
    `tolerance` apart (EC57: 150 ms).

    Args:
        reference: int array of sample numbers, ascending.
        detected: int array of sample numbers, ascending.
        fs: float. Sampling rate in hertz.
        tolerance: float. Seconds. Defaults to `0.15`.

    Returns:
        `(i, k)`, int64 arrays: `reference[i]` is the beat `detected[k]`.

    Raises:
        ValueError: Beats are no ascending sample numbers, or `fs` or `tolerance` is
            not above 0.

    Example:

    ```python
    from keras_mmfusion.metrics import match_beats

    match_beats([100, 460], [102, 300, 459], fs=360.0)  # [0, 1], [0, 2]
    ```
    """
    check_positive_number(fs=fs)
    check_tolerance(tolerance)
    reference = sample_numbers("reference", reference)
    detected = sample_numbers("detected", detected)
    if not len(reference) or not len(detected):
        return np.empty(0, "int64"), np.empty(0, "int64")
    forward = _nearest(reference, detected)
    backward = _nearest(detected, reference)
    each = np.arange(len(reference))
    near = np.abs(detected[forward] - reference) <= tolerance * fs
    paired = np.flatnonzero(near & (backward[forward] == each))
    return paired, forward[paired]


def sample_numbers(name, beats):
    """Ascending sample numbers as int64; raise for others, as for seconds."""
    beats = np.asarray(beats)
    numbers = beats.ndim == 1 and (beats.dtype.kind in "iuf" or not beats.size)
    if (
        not numbers
        or (beats % 1 != 0).any()
        or (np.diff(beats.astype("int64")) < 0).any()
    ):
        raise ValueError(
            f"`{name}` must be the sample numbers of beats, ascending: whole numbers "
            f"(beats,). Received: {beats.dtype} of shape {beats.shape}, "
            f"{beats.reshape(-1)[:5].tolist()} … Seconds become sample numbers by "
            "numpy.rint(seconds * fs)."
        )
    return beats.astype("int64")


def _nearest(values, others):
    """Index into sorted `others` of the one closest to each of `values`."""
    right = np.clip(np.searchsorted(others, values), 0, len(others) - 1)
    left = np.maximum(right - 1, 0)
    closer = np.abs(others[left] - values) <= np.abs(others[right] - values)
    return np.where(closer, left, right)


def _text(labels):
    """Labels as text, numbers alike whether they are whole numbers, floats or bools."""
    labels = np.asarray(labels)
    if labels.dtype.kind == "b" or (
        labels.dtype.kind == "f" and (labels % 1 == 0).all()
    ):
        labels = labels.astype("int64")
    return labels.astype(str)


def _codes(labels, classes):
    """Index of each label in `classes`; `len(classes)` for all others."""
    if isinstance(labels, (str, bytes)) or not hasattr(labels, "__len__"):
        raise ValueError(
            "Labels must be a sequence, one per beat, such as list('NNVS'). "
            f"Received: {labels!r}"
        )
    labels = _text(labels).reshape(-1)
    codes = np.full(len(labels), len(classes), "int64")
    for index, name in enumerate(classes):
        codes[labels == name] = index
    return codes


def _histogram(labels, classes):
    return np.bincount(_codes(labels, classes), minlength=len(classes) + 1)


def _counts(reference, predicted, classes):
    classes = _text(tuple(classes))
    if len(set(classes.tolist())) != len(classes):
        raise ValueError(
            f"`classes` must differ from each other. Received: {classes.tolist()}"
        )
    size = len(classes) + 1
    rows, columns = _codes(reference, classes), _codes(predicted, classes)
    if len(rows) != len(columns):
        raise ValueError(
            "Expected one predicted label for each reference label. "
            f"Received: {len(rows)} reference and {len(columns)} predicted labels."
        )
    flat = np.bincount(rows * size + columns, minlength=size * size)
    return flat.reshape(size, size).astype("int64")


def _ratio(numerator, denominator):
    """Quotient, NaN where the denominator is zero."""
    numerator = np.asarray(numerator, "float64")
    denominator = np.asarray(denominator, "float64")
    out = np.full(denominator.shape, np.nan)
    return np.divide(numerator, denominator, out=out, where=denominator != 0)[()]


def _mean(values):
    defined = values[~np.isnan(values)]
    return float(defined.mean()) if len(defined) else float("nan")
