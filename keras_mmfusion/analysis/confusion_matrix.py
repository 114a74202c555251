"""Which class is taken for which, as numbers and as a picture."""

import numpy as np

from keras_mmfusion.analysis._figure_class import figure_class
from keras_mmfusion.metrics.emotion_metrics import emotion_metrics


def plot_confusion(labels, predictions, classes, title=None):
    """Draw the confusion matrix of a classifier.

    A row is a true class and sums to 100 %: on the diagonal is the recall. The number
    of samples is below each share. Colours go from 0 to 100 % in every figure, so
    several compare.

    Args:
        labels: int array `(samples,)`, the true classes, from 0.
        predictions: int array `(samples,)`, or `(samples, classes)`, of which the
            largest is taken, as from `model.predict`.
        classes: Sequence of str, names of the classes.
        title: str, above the scores. Defaults to `None`.

    Returns:
        `(metrics, figure)`: `EmotionMetrics` and a matplotlib `Figure`.

    Raises:
        ValueError: The numbers of samples differ, or a class has no name.
        ImportError: matplotlib is not installed.

    Example:

    ```python
    import numpy as np
    from keras_mmfusion.analysis import plot_confusion

    predictions = np.array([[0.9, 0.1], [0.2, 0.8], [0.7, 0.3]])
    metrics, figure = plot_confusion([0, 1, 1], predictions, ("calm", "angry"))
    assert metrics.unweighted_accuracy == 0.75
    figure.savefig("confusion.png")
    ```

    Reference:
        MCWSA-CMHA, Fig. 4.
    """
    make_figure = figure_class()
    metrics = emotion_metrics(labels, predictions, len(classes))
    size = len(classes)
    figure = make_figure(
        figsize=(2.4 + 0.95 * size, 1.9 + 0.8 * size), dpi=110, layout="constrained"
    )
    axes = figure.subplots()
    support = metrics.support[:, None]
    shares = metrics.confusion / np.where(support > 0, support, 1)
    image = axes.imshow(shares, cmap="Blues", vmin=0, vmax=1, aspect="auto")
    for (row, column), share in np.ndenumerate(shares):
        axes.text(
            column,
            row,
            f"{share:.1%}\n{metrics.confusion[row, column]}",
            ha="center",
            va="center",
            fontsize=9,
            color="white" if share > 0.6 else "black",
        )
    axes.set_xticks(range(size), classes, rotation=30 if size > 4 else 0)
    axes.set_yticks(range(size), classes)
    axes.set_xlabel("predicted")
    axes.set_ylabel("true")
    axes.tick_params(length=0, labelsize=9)
    axes.spines[:].set_visible(False)
    scores = (
        f"UA {metrics.unweighted_accuracy:.1%}, macro-F1 {metrics.macro_f1:.3f}, "
        f"{len(np.ravel(labels))} samples"
    )
    figure.suptitle(f"{title}\n{scores}" if title else scores, fontsize=10)
    bar = figure.colorbar(image, ax=axes, shrink=0.85, format="{x:.0%}")
    bar.set_label("share of the true class", fontsize=8)
    bar.ax.tick_params(labelsize=7)
    return metrics, figure
