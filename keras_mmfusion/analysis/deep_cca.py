"""How much two modalities correlate, seen through networks that look for it."""

import numbers
from dataclasses import dataclass

import numpy as np

from keras_mmfusion._checks import check_positive_int, positive_ints
from keras_mmfusion.analysis._held_out import chosen, history_of, split
from keras_mmfusion.analysis.estimate_plot import plot_estimates

EVALUATIONS = 20
MOST_COMPONENTS = 10


@dataclass(frozen=True)
class DeepCorrelation:
    """What `deep_correlation` returns.

    Attributes:
        correlations: float64 array `(components,)`, of samples that no network was
            trained or chosen on, the strongest of the training first. Around 0, on
            either side, where there is nothing to find.
        estimate: float, their sum.
        restarts: float64 array `(restarts,)`, the sum of each restart alone.
        history: dict of arrays: `"step"` `(evaluations,)`, batches so far; and
            `(restarts, evaluations)` each, `"train"`, sums of the batches since the
            evaluation before, and `"held_out"`.
    """

    correlations: np.ndarray
    estimate: float
    restarts: np.ndarray
    history: dict

    quantity = "sum of canonical correlations"

    @property
    def figure(self):
        """matplotlib `Figure` of the training, see `plot_estimates`."""
        return plot_estimates({"": self})


def deep_correlation(
    a,
    b,
    components=None,
    hidden=(64, 64),
    steps=400,
    batch_size=1024,
    learning_rate=1e-2,
    regularisation=1e-3,
    restarts=3,
    seed=0,
):
    """Canonical correlations of two sets of features behind two networks: DCCA.

    The networks are trained until their outputs correlate most. Three fifths of the
    samples train them, and give the canonical components of their outputs. Each half
    of the others chooses a restart and a moment of its training, which is scored on
    the other half: correlations of components fitted elsewhere.

    Args:
        a: Array `(samples, features)`, or `(samples, time, features)`, of which the
            mean over time is taken.
        b: Such an array of the same samples, in the same order.
        components: int, outputs of each network. Defaults to `None`: the number of
            features of the narrower one, at most 10.
        hidden: Sequence of int, widths of the hidden layers; none, `()`, is linear
            canonical correlation analysis. Defaults to `(64, 64)`.
        steps: int, batches to train on, at least 20. Defaults to `400`.
        batch_size: int, large beside `components`. Defaults to `1024`, or all samples.
        learning_rate: float, of Adam. Defaults to `1e-2`.
        regularisation: float, added to the variances of the outputs. Defaults to
            `1e-3`.
        restarts: int, pairs of networks to train. Defaults to `3`.
        seed: int, of split, weights and batches. Defaults to `0`.

    Returns:
        `DeepCorrelation`.

    Raises:
        ValueError: `a` and `b` differ in their number of samples, have fewer than 100,
            or hold values that are not finite; or `components` is out of range,
            or `steps`, `batch_size` or `restarts` below 1.

    Example:

    ```python
    import numpy as np
    from keras_mmfusion.analysis import deep_correlation

    rng = np.random.default_rng(0)
    angle = rng.uniform(0, 2 * np.pi, 1000)
    voice = np.stack([np.cos(angle), np.sin(angle)], axis=1)
    face = np.cos(2 * angle)[:, None]  # uncorrelated with both, yet a function of them
    found = deep_correlation(voice, face, steps=100, restarts=1)
    assert found.correlations.shape == (1,) and found.estimate > 0.8
    found.figure.savefig("correlation.png")
    ```

    Reference:
        Andrew et al., ICML 2013, section 3, eq. 10 and 11; MCWSA-CMHA, section V-C and
        Fig. 9. Adam on batches, Cholesky factors and held-out samples are ours.
    """
    check_positive_int(steps=steps, batch_size=batch_size, restarts=restarts)
    hidden = positive_ints("hidden", hidden) if np.size(hidden) else ()
    rng = np.random.default_rng(seed)
    parts = split(a, b, rng)
    narrower = min(table.shape[1] for table in parts.train)
    most = len(parts.train[0]) // 2
    if components is None:
        components = min(narrower, MOST_COMPONENTS)
    whole = isinstance(components, numbers.Integral)
    if not whole or not 1 <= components <= most:
        raise ValueError(
            f"`components` must be from 1 to {most}, half of the samples that train. "
            f"Received: components={components}"
        )
    per_epoch = max(steps // EVALUATIONS, 1)
    settings = (components, hidden, per_epoch, batch_size, learning_rate)
    runs = [
        _train(parts, *settings, regularisation, int(number))
        for number in rng.integers(1 << 30, size=restarts)
    ]
    losses, scores = (np.array(values) for values in zip(*runs, strict=True))
    correlations = chosen(scores)
    return DeepCorrelation(
        correlations=correlations,
        estimate=float(correlations.sum()),
        restarts=np.array([chosen(run[None]).sum() for run in scores]),
        history=history_of(losses, scores, per_epoch),
    )


def _train(
    parts, components, hidden, per_epoch, batch_size, learning_rate, noise, seed
):
    """Losses and correlations `(evaluations, 2, components)` of a pair of networks."""
    import keras

    from keras_mmfusion.analysis import _pair_networks as networks
    from keras_mmfusion.analysis import _total_correlation as total

    views = [
        networks.dense_network(
            table.shape[1], hidden, components, "tanh", seed + 100 * number, name
        )
        for number, (table, name) in enumerate(zip(parts.train, "ab", strict=True))
    ]
    inputs = [
        keras.Input(view.input_shape[1:], name=f"{view.name}_in") for view in views
    ]
    outputs = [view(tensor) for view, tensor in zip(views, inputs, strict=True)]
    loss = total.TotalCorrelation(noise, dtype="float32", name="total")(*outputs)
    model = keras.Model(inputs, loss)
    both = keras.Model(inputs, outputs)

    parts_of_all = (parts.train, *parts.halves)
    rows = [np.concatenate(tables) for tables in zip(*parts_of_all, strict=True)]
    ends = np.cumsum([len(a) for a, _ in parts_of_all])[:-1]

    def score():
        found = both.predict(rows, batch_size=8192, verbose=0)
        train, *halves = zip(*(np.split(x, ends) for x in found), strict=True)
        return total.held_out_correlations(*train, halves, noise)

    def unchanged(*batch):
        return batch

    batches = networks.PairBatches(parts.train, batch_size, per_epoch, unchanged, seed)
    return networks.fit(model, batches, EVALUATIONS, learning_rate, score)
