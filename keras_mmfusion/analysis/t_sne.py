"""Where samples lie in the space of features, as a picture and as numbers."""

import numbers

import numpy as np

from keras_mmfusion.analysis._feature_table import feature_table
from keras_mmfusion.analysis._figure_class import figure_class

COLUMNS = 3
NEIGHBOURS = 5


def plot_t_sne(features, labels, classes=None, perplexity=30.0, seed=0):
    """Draw features in the plane with t-SNE, and say how far the classes are apart.

    Neighbours in the picture are neighbours among the features; distances between
    groups and sizes of groups mean little. So two numbers of the features themselves
    stand above each panel: the share of the samples whose class is that of most of
    their 5 nearest neighbours, and the silhouette, from -1 to 1.

    Args:
        features: dict, a title to an array `(samples, features)`, or `(samples, time,
            features)`, of which the mean over time is taken.
        labels: int array `(samples,)`, the classes, from 0.
        classes: Sequence of str, names of the classes. Defaults to `None`: numbers.
        perplexity: float, about how many neighbours count; less than the number of
            samples. Defaults to `30.0`.
        seed: int. Defaults to `0`.

    Returns:
        `(embeddings, scores, figure)`: dicts by title, of arrays `(samples, 2)` and of
        dicts `{"neighbour_accuracy": …, "silhouette": …}`, and a matplotlib `Figure`.

    Raises:
        ValueError: There are no features, they are the same for all samples, their
            numbers of samples are not that of `labels`, too few for `perplexity`, or
            there are not two classes.
        ImportError: scikit-learn or matplotlib is not installed.

    Example:

    ```python
    import numpy as np
    from keras_mmfusion.analysis import plot_t_sne
    from keras_mmfusion.models import FusionClassifier

    model = FusionClassifier(
        inputs={"voice": (10, 6), "face": (12, 8)},
        encoders={"voice": None, "face": None},
        fusion="cross_attention",
        num_classes=2,
    )
    x = {"voice": np.random.rand(40, 10, 6), "face": np.random.rand(40, 12, 8)}
    features = {**model.modality_features(x), "fused": model.fused_features(x)}
    emotions = np.arange(40) % 2
    embeddings, scores, figure = plot_t_sne(
        features, emotions, classes=("calm", "angry"), perplexity=10
    )
    assert embeddings["fused"].shape == (40, 2)
    figure.savefig("t_sne.png")
    ```

    Reference:
        Van der Maaten and Hinton, JMLR 9, 2008; MCWSA-CMHA, Fig. 5 and 7, which have no
        numbers beside them.
    """
    make_figure = figure_class("analysis")
    try:
        from sklearn.manifold import TSNE
    except ImportError as error:
        raise ImportError(
            "t-SNE needs the package scikit-learn: "
            "pip install 'keras_mmfusion[analysis]'"
        ) from error
    if not isinstance(features, dict):
        raise ValueError(
            "`features` must be a dict, a title to an array. "
            f"Received: {type(features).__name__}"
        )
    tables = {title: feature_table(x, f"`{title}`") for title, x in features.items()}
    # The picture starts from two principal components, even of one feature.
    tables = {t: x if x.shape[1] > 1 else x * [1.0, 0.0] for t, x in tables.items()}
    labels = np.asarray(labels)
    _check(tables, labels, classes, perplexity)
    labels = labels.astype("int64")
    make = TSNE(perplexity=perplexity, init="pca", random_state=seed)
    embeddings = {title: make.fit_transform(x) for title, x in tables.items()}
    scores = {title: _scores(x, labels) for title, x in tables.items()}
    return embeddings, scores, _draw(make_figure, embeddings, scores, labels, classes)


def _check(tables, labels, classes, perplexity):
    lengths = {title: len(table) for title, table in tables.items()}
    if not tables or labels.ndim != 1 or set(lengths.values()) != {len(labels)}:
        raise ValueError(
            "`features` must be a dict of arrays with a row for each of `labels`, "
            f"which is (samples,). Received: rows {lengths}, labels {labels.shape}."
        )
    number = isinstance(perplexity, numbers.Real)
    if not number or not NEIGHBOURS < perplexity < len(labels):
        raise ValueError(
            f"`perplexity` must be above {NEIGHBOURS} and below the number of samples, "
            f"{len(labels)}. Received: perplexity={perplexity}"
        )
    for title, table in tables.items():
        # t-SNE of scikit-learn would bring the whole process down.
        if (table == table[0]).all():
            raise ValueError(
                f"`{title}` must tell samples apart. Received: the same features for "
                f"all {len(table)} samples. Leave out what is missing in all of them."
            )
    known = labels.dtype.kind in "biuf" and np.isfinite(labels).all()
    found = np.unique(labels)
    whole = known and found[0] >= 0 and (found == found.astype("int64")).all()
    named = len(classes) if classes is not None else np.inf
    if not whole or found[-1] >= named or not 2 <= len(found) < len(labels):
        raise ValueError(
            "`labels` must be whole numbers from 0 of at least two classes, each with "
            f"a name in `classes`, and fewer than samples. "
            f"Received: {found[:9].tolist()}, classes={classes}"
        )


def _scores(table, labels):
    """Of the features, not of their picture."""
    from sklearn.metrics import silhouette_score
    from sklearn.neighbors import NearestNeighbors

    # Without an argument, no sample is a neighbour of itself.
    nearest = NearestNeighbors(n_neighbors=NEIGHBOURS).fit(table).kneighbors()[1]
    votes = np.eye(labels.max() + 1)[labels[nearest]].sum(axis=1)
    return {
        "neighbour_accuracy": float((votes.argmax(axis=1) == labels).mean()),
        "silhouette": float(silhouette_score(table, labels)),
    }


def _draw(make_figure, embeddings, scores, labels, classes):
    columns = 2 if len(embeddings) == 4 else min(COLUMNS, len(embeddings))
    rows = -(-len(embeddings) // columns)
    figure = make_figure(
        figsize=(3.4 * columns + 1.0, 3.5 * rows + 0.4), dpi=110, layout="constrained"
    )
    grid = figure.subplots(rows, columns, squeeze=False)
    for axes in grid.flat[len(embeddings) :]:
        axes.set_axis_off()
    numbers = np.unique(labels)
    colours = _colours(len(numbers))
    size = float(np.clip(4000 / len(labels), 3, 22))
    for axes, (title, points) in zip(grid.flat, embeddings.items(), strict=False):
        for number, colour in zip(numbers, colours, strict=True):
            of_class = points[labels == number]
            name = classes[number] if classes is not None else str(number)
            axes.scatter(*of_class.T, s=size, color=colour, linewidths=0, label=name)
        score = scores[title]
        axes.set_title(
            f"{title}\n{NEIGHBOURS} neighbours {score['neighbour_accuracy']:.0%}, "
            f"silhouette {score['silhouette']:.2f}",
            fontsize=10,
        )
        axes.set_xticks([])
        axes.set_yticks([])
        axes.spines[:].set_color("#c3c8cd")
    handles, names = grid[0, 0].get_legend_handles_labels()
    figure.legend(
        handles, names, loc="outside right upper", frameon=False, markerscale=2
    )
    return figure


def _colours(count):
    from matplotlib import colormaps

    if count <= 10:
        return [colormaps["tab10"](i) for i in range(count)]
    return [colormaps["turbo"](i / (count - 1)) for i in range(count)]
