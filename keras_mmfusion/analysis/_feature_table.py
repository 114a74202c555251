"""Features as a table: a row a sample."""

import numpy as np

FEWEST = 100
# Squares of what is larger are infinite.
LARGEST = 1e150


def feature_table(features, name):
    """Array `(samples, features)` in float64.

    Args:
        features: Array `(samples,)`, `(samples, features)` or `(samples, time,
            features)`; the last is averaged over time, as `FusionClassifier` does.
        name: str, for the error.

    Raises:
        ValueError: Another shape, no feature, or a value that is not finite.
    """
    table = np.asarray(features, "float64")
    if table.ndim == 3 and table.shape[1]:
        table = table.mean(axis=1)
    if table.ndim == 1:
        table = table[:, None]
    if table.ndim != 2 or not table.shape[1]:
        raise ValueError(
            f"{name} must be (samples, features) or (samples, time, features). "
            f"Received: shape {np.shape(features)}. Reshape images or heads to one "
            "axis of features."
        )
    known = np.abs(table) < LARGEST
    if not known.all():
        raise ValueError(
            f"{name} must be finite. Received: {int((~known).sum())} values of its "
            "table that are not, or beyond 1e150. Leave samples out that lack a "
            "modality."
        )
    return table


def paired_tables(a, b):
    """Two tables, row by row of the same samples.

    Raises:
        ValueError: Their numbers of samples differ, or are too few to hold some out.
    """
    a, b = feature_table(a, "`a`"), feature_table(b, "`b`")
    if len(a) != len(b):
        raise ValueError(
            "`a` and `b` must have a row for each sample, in the same order. "
            f"Received: {len(a)} and {len(b)} samples."
        )
    if len(a) < FEWEST:
        raise ValueError(
            f"At least {FEWEST} samples are needed, two fifths of which are held out. "
            f"Received: {len(a)}. Take more samples, or a sample a time step."
        )
    return a, b
