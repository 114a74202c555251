"""Scores of recognised emotions: every class counts alike, or every sample."""

import numbers
from dataclasses import dataclass

import numpy as np

from keras_mmfusion._checks import check_positive_int
from keras_mmfusion.metrics.beat_metrics import beat_metrics


@dataclass(frozen=True)
class EmotionMetrics:
    """What `emotion_metrics` returns; undefined quantities are NaN.

    Attributes:
        confusion: int64 array `(classes, classes)`, rows are the true classes.
        support: int64 array `(classes,)`, samples of each class.
        recall: float64 array `(classes,)`, NaN for a class without samples.
        f1: float64 array `(classes,)`, NaN for a class neither true nor predicted.
        accuracy: float. Share of the samples that are right; "weighted accuracy" (WA)
            in this field.
        unweighted_accuracy: float. Mean recall of the classes that occur (UA).
        macro_f1: float. Mean F1 of the classes, without those that are NaN.
        weighted_f1: float. Mean F1 of the classes, weighted by their samples.
    """

    confusion: np.ndarray
    support: np.ndarray
    recall: np.ndarray
    f1: np.ndarray
    accuracy: float
    unweighted_accuracy: float
    macro_f1: float
    weighted_f1: float


def emotion_metrics(labels, predictions, num_classes):
    """Accuracies and F1 of predicted classes.

    Args:
        labels: int array `(samples,)`, the true classes, from 0.
        predictions: int array `(samples,)`, or `(samples, num_classes)`, of which the
            largest is taken.
        num_classes: int.

    Returns:
        `EmotionMetrics`.

    Raises:
        ValueError: There is no sample, the numbers of samples differ, a prediction is
            NaN, or a class is none of `num_classes`.

    Example:

    ```python
    from keras_mmfusion.metrics import emotion_metrics

    found = emotion_metrics([0, 0, 0, 0, 1, 1], [0, 0, 0, 0, 0, 1], num_classes=2)
    found.unweighted_accuracy  # 0.75, of recalls 1 and 0.5
    ```

    Reference:
        MCWSA-CMHA, Table II: UA and F1, without saying which F1.
    """
    if isinstance(num_classes, numbers.Integral):
        # What numpy counts, such as `y.max() + 1`, is no int.
        num_classes = int(num_classes)
    check_positive_int(num_classes=num_classes)
    labels, predictions = np.asarray(labels), np.asarray(predictions)
    if "O" in (labels.dtype.kind, predictions.dtype.kind):
        try:
            labels, predictions = (x.astype("float64") for x in (labels, predictions))
        except (TypeError, ValueError) as error:
            raise ValueError(
                "`labels` and `predictions` must be numbers. "
                f"Received: objects ({error})."
            ) from error
    if labels.ndim == 1 and predictions.shape == (len(labels), num_classes):
        if np.isnan(predictions).any():
            raise ValueError(
                "`predictions` must be numbers. Received: NaN for "
                f"{int(np.isnan(predictions).any(axis=1).sum())} samples."
            )
        predictions = predictions.argmax(axis=-1)
    if not labels.size or labels.ndim != 1 or labels.shape != predictions.shape:
        raise ValueError(
            "`labels` must be (samples,), and `predictions` too or (samples, "
            f"{num_classes}). Received: shapes {labels.shape} and {predictions.shape}."
        )
    for name, values in (("labels", labels), ("predictions", predictions)):
        others = np.setdiff1d(values, np.arange(num_classes))
        if len(others):
            raise ValueError(
                f"`{name}` must be whole numbers from 0 to {num_classes - 1}. "
                f"Received: {others[:5].tolist()} among them. Number the classes in "
                "the order of the outputs of the model."
            )
    found = beat_metrics(
        labels.astype("int64"), predictions.astype("int64"), range(num_classes)
    )
    return EmotionMetrics(
        confusion=found.confusion,
        support=found.support,
        recall=found.sensitivity,
        f1=found.f1,
        accuracy=found.accuracy,
        unweighted_accuracy=float(np.nanmean(found.sensitivity)),
        macro_f1=found.macro_f1,
        weighted_f1=float(np.nansum(found.f1 * found.support) / len(labels)),
    )


def unweighted_accuracy(labels, predictions, num_classes):
    """Mean recall of the classes that occur (UA), "balanced accuracy" elsewhere.

    Args:
        labels: int array `(samples,)`, the true classes, from 0.
        predictions: int array `(samples,)`, or `(samples, num_classes)`, of which the
            largest is taken.
        num_classes: int.

    Returns:
        float.

    Raises:
        ValueError: As `emotion_metrics`.

    Example:

    ```python
    from keras_mmfusion.metrics import unweighted_accuracy

    unweighted_accuracy([0, 0, 0, 0, 1, 1], [0, 0, 0, 0, 0, 1], 2)  # 0.75
    ```
    """
    return emotion_metrics(labels, predictions, num_classes).unweighted_accuracy
