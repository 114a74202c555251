"""How far off forecasts were on data that nothing was fitted to."""

import numpy as np

from keras_mmfusion._serialization import register

LEVELS = (0.5, 0.8, 0.9, 0.95)


@register()
class ConformalIntervals:
    """Half-widths of prediction intervals by split conformal prediction.

    A forecast of step h of a column was off by no more than the half-width in the
    given share of the windows to calibrate on. Where new windows are like those, it
    will be so again, whatever the model; neighbouring windows overlap, and years
    differ, so the share that is reached has to be measured.

    Args:
        levels: Sequence of floats, shares of the windows.
            Defaults to `(0.5, 0.8, 0.9, 0.95)`.
        halfwidths: nested lists `(levels, horizon, columns)`. Defaults to `None`:
            see `fit`.

    Example:

    ```python
    import numpy as np
    from keras_mmfusion.preprocessing import ConformalIntervals

    errors = np.random.default_rng(0).normal(size=(999, 12, 1))
    intervals = ConformalIntervals(levels=(0.9,)).fit(errors)
    assert abs(intervals(0.9).mean() - 1.645) < 0.1  # of a normal distribution
    ```

    Reference:
        Lei et al., "Distribution-free predictive inference for regression", JASA 2018,
        algorithm 2 (split conformal), at each step and column by itself.
    """

    def __init__(self, levels=LEVELS, halfwidths=None):
        try:
            self.levels = tuple(float(level) for level in levels)
        except (TypeError, ValueError):
            self.levels = ()
        if not self.levels or not all(0 < level < 1 for level in self.levels):
            raise ValueError(
                "`levels` must be shares between 0 and 1, such as (0.9,). "
                f"Received: levels={levels!r}"
            )
        self.halfwidths = halfwidths
        if halfwidths is not None:
            self.halfwidths = np.array(halfwidths, "float64")
            shape = self.halfwidths.shape
            if len(shape) != 3 or shape[0] != len(self.levels):
                raise ValueError(
                    "`halfwidths` must be (levels, horizon, columns), of "
                    f"{len(self.levels)} levels. Received: shape {shape}. `fit` makes "
                    "them of errors."
                )

    def fit(self, errors):
        """Take the half-widths from errors `(windows, horizon, columns)`.

        Of n sizes in order, that of number `ceil((n + 1) * level)`, the largest if
        there are too few. NaN is none, such as of a window that ends before a step.
        Returns itself.
        """
        sizes = np.abs(np.asarray(errors, "float64"))
        if sizes.ndim != 3 or not sizes.size:
            raise ValueError(
                "`errors` must be (windows, horizon, columns), one or more of each. "
                f"Received: shape {sizes.shape}. Of a single column: "
                "errors[..., None]."
            )
        sizes = np.sort(sizes, axis=0)
        counts = np.sum(~np.isnan(sizes), axis=0)  # NaN is sorted to the end
        if not counts.all():
            raise ValueError(
                "Expected an error or more of every step and column. Received: none "
                f"of {np.sum(counts == 0)} of {counts.size} of them."
            )
        self.halfwidths = np.array(
            [self._sizes_at(p, sizes, counts) for p in self.levels]
        )
        return self

    @staticmethod
    def _sizes_at(level, sizes, counts):
        ranks = np.minimum(np.ceil((counts + 1) * level).astype(int), counts) - 1
        # Four digits: what is beyond says nothing, and they are kept as text.
        return _four_digits(np.take_along_axis(sizes, ranks[None], axis=0)[0])

    def __call__(self, level):
        """Half-widths `(horizon, columns)` at one of the levels."""
        if self.halfwidths is None or np.ndim(level) or level not in self.levels:
            raise ValueError(
                f"`level` must be one of {list(self.levels)}, after `fit`. "
                f"Received: level={level}"
            )
        return self.halfwidths[self.levels.index(level)]

    def get_config(self):
        halfwidths = None if self.halfwidths is None else self.halfwidths.tolist()
        return {"levels": list(self.levels), "halfwidths": halfwidths}

    @classmethod
    def from_config(cls, config):
        return cls(**config)


def _four_digits(values):
    return np.array([float(f"{v:.4g}") for v in values.ravel()]).reshape(values.shape)
