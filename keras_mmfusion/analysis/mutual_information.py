"""How much one modality tells of another, estimated by a network."""

from dataclasses import dataclass

import numpy as np

from keras_mmfusion._checks import check_positive_int, positive_ints
from keras_mmfusion.analysis._held_out import chosen, history_of, split
from keras_mmfusion.analysis.estimate_plot import plot_estimates

EVALUATIONS = 40
SHUFFLES = 8


@dataclass(frozen=True)
class MutualInformation:
    """What `mutual_information` returns.

    Attributes:
        estimate: float, in nats, of samples that no network was trained or chosen on.
            A lower bound but for its noise; slightly negative at times where there is
            nothing to find.
        restarts: float64 array `(restarts,)`, the estimate of each restart alone.
        history: dict of arrays: `"step"` `(evaluations,)`, batches so far; and
            `(restarts, evaluations)` each, `"train"`, of the batches since the
            evaluation before, and `"held_out"`.
    """

    estimate: float
    restarts: np.ndarray
    history: dict

    quantity = "mutual information in nats"

    @property
    def figure(self):
        """matplotlib `Figure` of the training, see `plot_estimates`."""
        return plot_estimates({"": self})


def mutual_information(
    a,
    b,
    hidden=(64, 64),
    steps=2000,
    batch_size=256,
    learning_rate=1e-3,
    restarts=3,
    seed=0,
):
    """Estimate the mutual information of two sets of features: MINE.

    A network learns to give high values to pairs of one sample and low ones to pairs
    of two. How well it does bounds the mutual information from below. Three fifths of
    the samples train it; each half of the others chooses a restart and a moment of its
    training, which is scored on the other half.

    Args:
        a: Array `(samples, features)`, or `(samples, time, features)`, of which the
            mean over time is taken.
        b: Such an array of the same samples, in the same order.
        hidden: Sequence of int, widths of the hidden layers. Defaults to `(64, 64)`.
        steps: int, batches to train on, at least 40. Defaults to `2000`.
        batch_size: int. Defaults to `256`.
        learning_rate: float, of Adam. Defaults to `1e-3`.
        restarts: int, networks to train. Defaults to `3`.
        seed: int, of split, weights and batches. Defaults to `0`.

    Returns:
        `MutualInformation`.

    Raises:
        ValueError: `a` and `b` differ in their number of samples, have fewer than 100,
            or hold values that are not finite; or `steps`, `batch_size` or
            `restarts` is below 1.

    Example:

    ```python
    import numpy as np
    from keras_mmfusion.analysis import mutual_information

    rng = np.random.default_rng(0)
    voice = rng.normal(size=(1000, 2))
    face = voice + 0.5 * rng.normal(size=(1000, 2))
    found = mutual_information(voice, face, steps=400, restarts=1)
    assert 0.8 < found.estimate < 2.0  # the true value is log(5), 1.6
    found.figure.savefig("information.png")
    ```

    Reference:
        Belghazi et al., arXiv:1801.04062, Algorithm 1, eq. 10 and 12; MCWSA-CMHA,
        section V-C and Fig. 8. Held-out samples are ours.
    """
    check_positive_int(steps=steps, batch_size=batch_size, restarts=restarts)
    hidden = positive_ints("hidden", hidden) if np.size(hidden) else ()
    rng = np.random.default_rng(seed)
    parts = split(a, b, rng)
    pairs = [_pairs(*half, SHUFFLES) for half in parts.halves]
    per_epoch = max(steps // EVALUATIONS, 1)
    runs = [
        _train(parts.train, pairs, hidden, per_epoch, batch_size, learning_rate, int(s))
        for s in rng.integers(1 << 30, size=restarts)
    ]
    losses, scores = (np.array(values) for values in zip(*runs, strict=True))
    return MutualInformation(
        estimate=float(chosen(scores)[0]),
        restarts=np.array([chosen(run[None])[0] for run in scores]),
        history=history_of(losses, scores, per_epoch),
    )


def _pairs(a, b, shuffles=1):
    """Rows of `a` beside their own of `b`, then beside those of other samples."""
    others = [np.roll(b, shift, axis=0) for shift in range(1, shuffles + 1)]
    return np.hstack([np.tile(a, (1 + shuffles, 1)), np.concatenate([b, *others])])


def _train(train, pairs, hidden, per_epoch, batch_size, learning_rate, seed):
    """Losses and held-out bounds `(evaluations, 2, 1)` of one network."""
    import keras

    from keras_mmfusion.analysis import _pair_networks as networks
    from keras_mmfusion.analysis._donsker_varadhan import DonskerVaradhan, bound

    features = train[0].shape[1] + train[1].shape[1]
    network = networks.dense_network(features, hidden, 1, "elu", seed, "statistics")
    loss = DonskerVaradhan(dtype="float32", name="bound")

    def score():
        values = network.predict(np.concatenate(pairs), batch_size=8192, verbose=0)
        found = []
        for half in np.split(values, [len(pairs[0])]):
            samples = len(half) // (1 + SHUFFLES)
            found.append([bound(half[:samples], half[samples:])])
        return found

    batches = networks.PairBatches(train, batch_size, per_epoch, _pairs, seed)
    model = keras.Sequential([network, loss])
    return networks.fit(model, batches, EVALUATIONS, learning_rate, score)
