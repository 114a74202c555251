"""Beats of one recording that look alike are labelled alike."""

import math

import numpy as np

from keras_mmfusion._pieces import pieces
from keras_mmfusion._serialization import register

BLOCK = 256  # Beats at a time, whose distances to their neighbours fit a cache.
FLOOR = 1e-4  # Of a probability, so that no single beat has a veto.


@register()
class BeatConsensus:
    """Let every beat hear what the model says of the beats most similar to it.

    The log probabilities of a beat are averaged with those of its nearest
    neighbours in the same recording. A model that sees beats in short segments
    may judge two equal beats of a patient differently; this makes up for it:

    ```
    log q_i = (1 - share) log p_i + share mean(log p_j, j among the neighbours of i)
    ```

    up to a constant, so that the sum is 1; probabilities are raised by 0.0001 before.

    Args:
        weights: dict, modality name to float. By how much the modality counts in
            the distance between two beats, which is Euclidean over all its values.
        num_neighbors: int. How many beats are heard. Defaults to `10`.
        share: float between 0 and 1. Their part in the mean. Defaults to `0.5`.
        reach: int. Neighbours are at most as many beats away; time and memory
            grow with it. Defaults to `1024`.

    Call arguments:
        probabilities: array `(beats, classes)`, each row with the sum 1.
        modalities: dict of arrays `(beats, ...)`; what is NaN counts as 0. A beat
            that lacks a whole modality is compared with those only that lack it too.
        causal: bool. Whether only earlier beats are heard. Defaults to `False`.

    Returns:
        Array `(beats, classes)`. Beats without finite probabilities stay as they
        are and are not heard.

    Raises:
        ValueError: No weights, or numbers out of range; on a call, modalities that
            are missing or of other beats, or what is no probability.

    Example:

    ```python
    import numpy as np
    from keras_mmfusion.models import BeatConsensus

    consensus = BeatConsensus({"rhythm": 1.0}, num_neighbors=2)
    probabilities = np.array([[0.9, 0.1], [0.8, 0.2], [0.4, 0.6]])
    consensus(probabilities, {"rhythm": np.zeros((3, 1))}).argmax(axis=1)  # all 0
    ```

    Reference:
        Ours; no equation of the papers. The idea is label propagation to nearest
        neighbours (Zhu and Ghahramani, 2002), in one step.
    """

    def __init__(self, weights, num_neighbors=10, share=0.5, reach=1024):
        self.weights = {str(name): float(w) for name, w in dict(weights).items()}
        self.num_neighbors, self.share = int(num_neighbors), float(share)
        self.reach = int(reach)
        if not self.weights or not all(0 < w < np.inf for w in self.weights.values()):
            raise ValueError(
                "`weights` must give a positive number for each modality that counts. "
                f"Received: weights={weights}."
            )
        if self.num_neighbors < 1 or self.reach < 1 or not 0 < self.share <= 1:
            raise ValueError(
                "`num_neighbors` and `reach` must be at least 1, `share` above 0 and "
                f"at most 1. Received: num_neighbors={num_neighbors}, reach={reach}, "
                f"share={share}."
            )

    def __call__(self, probabilities, modalities, causal=False):
        probabilities = np.asarray(probabilities)
        floats = np.result_type(probabilities, "float32")
        probabilities = probabilities.astype(floats)
        finite = np.isfinite(probabilities).all(axis=1)
        _check_probabilities(probabilities[finite])
        places, lacking = self._places(modalities, len(probabilities))
        squares = np.empty(len(places), places.dtype)
        for rows in pieces(len(places), BLOCK):
            with np.errstate(over="ignore"):
                squares[rows] = np.square(places[rows]).sum(axis=1)
        heard = finite & np.isfinite(squares)
        places[~heard] = squares[~heard] = 0.0
        logs = np.log(np.where(heard[:, None], probabilities, 0.0) + FLOOR)
        result = np.array(probabilities)
        for start in range(0, len(result), BLOCK):
            rows = np.arange(start, min(start + BLOCK, len(result)), dtype="int32")
            near = slice(max(start - self.reach, 0), rows[-1] + 1 + self.reach)
            columns = np.arange(len(result), dtype="int32")[near]
            distances = squares[near] - 2 * places[rows] @ places[near].T
            ahead = columns - rows[:, None]
            barred = (ahead < -self.reach) | (ahead > (-1 if causal else self.reach))
            if lacking.any():
                barred |= lacking[near] != lacking[rows, None]
            np.putmask(distances, barred, np.inf)
            distances[:, ~heard[near]] = np.inf
            distances[rows - start, rows - near.start] = np.inf  # itself
            result[rows] = self._mean(logs[rows], logs[near], distances)
        return np.where(heard[:, None], result, probabilities)

    def _places(self, modalities, num_beats):
        """Where each beat lies, `(beats, values)`, and a number for what it lacks."""
        missing = [name for name in self.weights if name not in modalities]
        if missing:
            raise ValueError(
                f"The modalities {list(self.weights)} are compared. Received: "
                f"{list(modalities)}."
            )
        parts, lacking = {}, np.zeros(num_beats, "int64")
        for number, name in enumerate(self.weights):
            values = np.asarray(modalities[name])
            if len(values) != num_beats:
                raise ValueError(
                    f"The modality {name!r} must hold the {num_beats} beats of "
                    f"`probabilities`. Received: {len(values)} beats."
                )
            parts[name] = values.reshape(num_beats, math.prod(values.shape[1:]))
            lacking += np.isnan(parts[name]).all(axis=1) << number
        size = sum(values.shape[1] for values in parts.values())
        places = np.empty((num_beats, size), "float32")
        for rows in pieces(num_beats, BLOCK):
            with np.errstate(over="ignore"):
                np.concatenate(
                    [
                        np.nan_to_num(values[rows]) * self.weights[name]
                        for name, values in parts.items()
                    ],
                    axis=1,
                    out=places[rows],
                    casting="same_kind",
                )
        return places, lacking

    def _mean(self, own, others, distances):
        """Probabilities of some beats, from the logs of their neighbours."""
        number = min(self.num_neighbors, distances.shape[1])
        nearest = np.argpartition(distances, number - 1, axis=1)[:, :number]
        valid = np.isfinite(np.take_along_axis(distances, nearest, axis=1))
        # Fewer than asked for, as where a recording begins, count less.
        weight = self.share * valid[..., None] / self.num_neighbors
        logs = own * (1 - weight.sum(axis=1)) + (others[nearest] * weight).sum(axis=1)
        shares = np.exp(logs - logs.max(axis=1, keepdims=True))
        return shares / shares.sum(axis=1, keepdims=True)

    def get_config(self):
        names = "weights", "num_neighbors", "share", "reach"
        return {name: getattr(self, name) for name in names}

    @classmethod
    def from_config(cls, config):
        return cls(**config)


def _check_probabilities(rows):
    sums = rows.sum(axis=1)
    wrong = (rows < 0).any(axis=1) | (abs(sums - 1) > 0.05)  # 8-bit softmax
    if wrong.any():
        raise ValueError(
            "`probabilities` must be 0 or more and have the sum 1 for each beat, as "
            f"those of a softmax. Received: {rows[wrong][0].tolist()}."
        )
