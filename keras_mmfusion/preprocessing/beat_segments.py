"""Runs of consecutive beats: the context in which a model sees each beat."""

import numbers

import numpy as np


class BeatSegments:
    """Overlapping windows over the beats of one recording, and back again.

    Args:
        num_beats: int. Beats in the recording.
        length: int. Beats in a window.
        causal: bool. Whether a beat may only be judged with the beats before it.
            The last window then goes beyond the last beat. Defaults to `False`.

    Raises:
        ValueError: There is no beat, or none in a window.

    Example:

    ```python
    import numpy as np
    from keras_mmfusion.preprocessing import BeatSegments

    segments = BeatSegments(100, length=32)
    x = segments.cut(np.zeros((100, 128, 4)))  # (windows, 32, 128, 4)
    segments.merge(x[..., 0, 0]).shape  # (100,)
    ```
    """

    def __init__(self, num_beats, length, causal=False):
        for size in (num_beats, length):
            if not isinstance(size, numbers.Integral) or size < 1:
                raise ValueError(
                    "`num_beats` and `length` must be at least 1, whole numbers. "
                    f"Received: num_beats={num_beats!r}, length={length!r}."
                )
        self.num_beats = num_beats
        self.length = length
        steps = np.arange(length)
        if causal:
            # Where windows lie must not tell how many beats are still to come.
            hop = max(length // 2, 1)
            starts = np.arange(0, max(num_beats - length // 2, 1), hop)
            # Later steps have seen more of the past; earlier ones only count where
            # a recording begins.
            weights = (steps >= length // 2) | (starts[:, None] == 0)
        else:
            last = max(num_beats - length, 0)
            # A quarter overlaps the next: enough for the steps at the edges.
            hop = max(3 * length // 4, 1)
            starts = np.unique(np.append(np.arange(0, last + 1, hop), last))
            weights = np.minimum(steps + 1, length - steps)
        self.index = starts[:, None] + steps
        self.valid = self.index < num_beats
        self.weights = weights.astype("float64") * self.valid

    def __len__(self):
        return len(self.index)

    def cut(self, values, rows=slice(None)):
        """`(beats, ...)` to `(windows, length, ...)`; NaN beyond the last beat.

        Args:
            values: Array `(beats, ...)`.
            rows: Numbers of the windows to cut. Defaults to all.

        Raises:
            ValueError: Another number of beats; or values that cannot be NaN, where
                there are too few beats for a window.
        """
        values = np.asarray(values)
        if values.shape[:1] != (self.num_beats,):
            raise ValueError(
                f"Expected values of {self.num_beats} beats. Received: shape "
                f"{values.shape}."
            )
        windows = values[np.minimum(self.index[rows], self.num_beats - 1)]
        valid = self.valid[rows]
        if not valid.all():
            if windows.dtype.kind not in "fc":
                raise ValueError(
                    "Beyond the last beat is NaN, for which values must be floats. "
                    f"Received: an array of {windows.dtype}."
                )
            windows[~valid] = np.nan
        return windows

    def merge(self, windows):
        """`(windows, length, ...)` to `(beats, ...)`, weighted towards the middle.

        Raises:
            ValueError: They are not the windows of these beats.
        """
        windows = np.asarray(windows)
        if windows.shape[:2] != self.index.shape:
            raise ValueError(
                f"Expected windows of shape {self.index.shape} and more. Received: "
                f"shape {windows.shape}."
            )
        shape = (self.num_beats, *windows.shape[2:])
        total, weight = np.zeros(shape, "float64"), np.zeros(self.num_beats)
        for window, index, valid, weights in zip(
            windows, self.index, self.valid, self.weights, strict=True
        ):
            index, weights = index[valid], weights[valid]
            total[index] += window[valid] * weights.reshape(-1, *[1] * (len(shape) - 1))
            weight[index] += weights
        return total / weight.reshape(-1, *[1] * (len(shape) - 1))
