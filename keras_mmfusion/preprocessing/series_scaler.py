"""Columns brought to one scale by what they were in training."""

import numpy as np

from keras_mmfusion._checks import check_choice
from keras_mmfusion._serialization import register

METHODS = ("standard", "minmax")


@register()
class SeriesScaler:
    """Scale columns by the rows of training, and back.

    Args:
        method: `"standard"`: mean 0, population standard deviation 1; or
            `"minmax"`: from 0 to 1. Defaults to `"standard"`.
        columns: Sequence of str, names of the columns. Defaults to `None`: no names.
        center: Sequence of floats, what becomes zero. Defaults to `None`: see `fit`.
        scale: Sequence of floats, what becomes one. Defaults to `None`: see `fit`.

    Call arguments:
        values: Array `(..., columns)`.
        columns: Sequence of str, where `values` holds some of the columns only.
            Defaults to `None`: all of them.

    Returns:
        float32 array of the same shape.

    Raises:
        ValueError: Another number of columns than in training, or `fit` was not
            called.

    Example:

    ```python
    import numpy as np
    from keras_mmfusion.preprocessing import SeriesScaler

    values = np.array([[1.0, 20.0], [3.0, 20.0]])
    scaler = SeriesScaler().fit(values)
    assert scaler(values).tolist() == [[-1.0, 0.0], [1.0, 0.0]]  # one is constant
    assert np.allclose(scaler.inverse(scaler(values)), values)
    ```
    """

    def __init__(self, method="standard", columns=None, center=None, scale=None):
        check_choice(METHODS, method=method)
        self.method = method
        if isinstance(columns, str):
            raise ValueError(
                f"`columns` must be a list of names. Received: columns={columns!r}"
            )
        self.columns = None if columns is None else tuple(columns)
        self.center = self.scale = None
        if center is not None or scale is not None:
            self.center = np.array(center, "float64")
            self.scale = np.array(scale, "float64")
            shape = self.center.shape
            usable = np.isfinite(self.center).all() and np.isfinite(self.scale).all()
            if len(shape) != 1 or self.scale.shape != shape or not usable:
                raise ValueError(
                    "`center` and `scale` must be finite numbers, one a column. "
                    f"Received: center={center!r}, scale={scale!r}"
                )
            self._check_columns(*shape)

    def fit(self, values):
        """Take center and scale from rows `(rows, columns)`; returns itself.

        A column that is constant, but for rounding, keeps its unit. NaN, which is
        missing, does not count.

        Raises:
            ValueError: Another shape, infinity, or a column without a number.
        """
        values = np.asarray(values, "float64")
        missing = np.isnan(values)
        if values.ndim != 2 or np.isinf(values).any() or missing.all(axis=0).any():
            raise ValueError(
                "Expected rows (rows, columns) of finite numbers, with at least one in "
                f"each column. Received: shape {values.shape}. Of a single column: "
                "values[:, None]."
            )
        self._check_columns(values.shape[1])
        lowest, highest = np.nanmin(values, axis=0), np.nanmax(values, axis=0)
        extent = highest - lowest
        if self.method == "standard":
            # To the last bit, where nothing is missing.
            mean, std = (np.nanmean, np.nanstd) if missing.any() else (np.mean, np.std)
            self.center, scale = mean(values, axis=0), std(values, axis=0)
        else:
            self.center, scale = lowest, extent
        # The deviation of a constant such as 0.1 is not zero: its mean is rounded.
        rounding = 8 * np.spacing(np.maximum(np.abs(lowest), np.abs(highest)))
        self.scale = np.where(extent > rounding, scale, 1.0)
        return self

    def __call__(self, values, columns=None):
        values = np.asarray(values)
        center, scale = self._of(values, columns)
        return ((values - center) / scale).astype("float32")

    def inverse(self, values, columns=None):
        """Scaled values `(..., columns)` in the units they had, as float64."""
        values = np.asarray(values, "float64")
        center, scale = self._of(values, columns)
        return values * scale + center

    def _check_columns(self, count):
        if self.columns is not None and len(self.columns) != count:
            raise ValueError(
                f"Expected {len(self.columns)} columns, {', '.join(self.columns)}. "
                f"Received: {count}"
            )

    def _of(self, values, columns):
        if self.center is None:
            raise ValueError("`fit` comes first: center and scale are not known yet.")
        center, scale = self.center, self.scale
        if columns is not None:
            of_one = isinstance(columns, str)
            if of_one or not self.columns or not set(columns) <= set(self.columns):
                raise ValueError(
                    f"Expected a list of some of the columns {self.columns}. "
                    f"Received: columns={columns!r}"
                )
            chosen = [self.columns.index(name) for name in columns]
            center, scale = center[chosen], scale[chosen]
        if values.shape[-1:] != center.shape:
            raise ValueError(
                f"Expected {len(center)} columns, the last axis. "
                f"Received: shape {values.shape}"
            )
        return center, scale

    def get_config(self):
        return {
            "method": self.method,
            "columns": None if self.columns is None else list(self.columns),
            "center": None if self.center is None else self.center.tolist(),
            "scale": None if self.scale is None else self.scale.tolist(),
        }

    @classmethod
    def from_config(cls, config):
        return cls(**config)
