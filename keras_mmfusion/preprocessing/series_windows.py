"""From a table of series to the inputs of a forecaster."""

import numbers

import numpy as np

from keras_mmfusion._checks import check_positive_int
from keras_mmfusion._serialization import register
from keras_mmfusion.datasets._series import checked_table
from keras_mmfusion.datasets.ecg_record import RecordError
from keras_mmfusion.datasets.ett import windows
from keras_mmfusion.preprocessing.calendar import annual_phase, calendar_features
from keras_mmfusion.preprocessing.conformal_intervals import ConformalIntervals
from keras_mmfusion.preprocessing.series_scaler import SeriesScaler

MODALITIES = ("series", "image", "calendar", "phase")
# Squares of what is larger are no float32.
LARGEST = np.sqrt(np.finfo("float32").max)


@register()
class SeriesPreprocessor:
    """Scale a table and cut it into what a forecaster sees.

    Args:
        scaler: `SeriesScaler` that was fitted on the rows of training.
        lookback: int. Steps that are known. Defaults to `336`.
        modalities: Which inputs to give, of `"series"`; `"image"`, the series once
            more, to be drawn; `"calendar"`, hour and weekday of the steps that are
            known; `"phase"`, that of the year at the first step to come.
            Defaults to `("series",)`.
        intervals: `ConformalIntervals` of the scaled values, or None.
            Defaults to `None`.
        step: int. Seconds from row to row of the table that was trained on, such as
            3600; others are refused. Defaults to `None`: any.

    Call arguments:
        table: `SeriesTable` with the columns of the scaler, in any order.

    Returns:
        dict of arrays, a batch of one: what is known at the end of the table.

    Raises:
        RecordError: The table lacks a column, is shorter than `lookback`, has
            another step from row to row, or times or values that `read_series`
            refuses; or a value is too large.

    Example:

    ```python
    import numpy as np
    from keras_mmfusion.datasets.ett import SeriesTable
    from keras_mmfusion.preprocessing import SeriesPreprocessor, SeriesScaler

    times = np.datetime64("2026-01-01", "s") + np.arange(100) * np.timedelta64(1, "h")
    table = SeriesTable("house", times, np.random.rand(100, 1), ("OT",))
    scaler = SeriesScaler(columns=table.columns).fit(table.values[:60])
    prepare = SeriesPreprocessor(scaler, lookback=24, modalities=("series", "phase"))
    x, y = prepare.windows(table, horizon=12, rows=(60, 100))
    assert x["series"].shape == (29, 24, 1) and y.shape == (29, 12, 1)
    assert prepare(table)["phase"].shape == (1, 2)
    ```
    """

    def __init__(
        self, scaler, lookback=336, modalities=("series",), intervals=None, step=None
    ):
        names = () if isinstance(modalities, str) else modalities
        names = tuple(names) if np.iterable(names) else ()
        if "series" not in names or not set(names) <= set(MODALITIES):
            raise ValueError(
                f"`modalities` must be some of {list(MODALITIES)}, in a list, the "
                f"series among them. Received: modalities={modalities!r}"
            )
        fitted = isinstance(scaler, SeriesScaler) and scaler.center is not None
        if not fitted or scaler.columns is None:
            raise ValueError(
                "`scaler` must know its columns by name, and be fitted: "
                "SeriesScaler(columns=table.columns).fit(values). "
                f"Received: {type(scaler).__name__}"
            )
        if not isinstance(intervals, ConformalIntervals | None):
            raise ValueError(
                "`intervals` must be `ConformalIntervals`, or None. "
                f"Received: intervals={intervals!r}"
            )
        self.scaler = scaler
        self.lookback = _whole(lookback=lookback)
        self.modalities = names
        self.intervals = intervals
        self.step = None if step is None else _whole(step=step)

    @property
    def columns(self):
        """Names of the columns that are forecast, in order."""
        return self.scaler.columns

    @property
    def shapes(self):
        """Shapes of one sample of each modality."""
        of_series = (self.lookback, len(self.columns))
        shapes = {
            "series": of_series,
            "image": of_series,
            "calendar": (self.lookback, 4),
            "phase": (2,),
        }
        return {name: shapes[name] for name in self.modalities}

    def windows(self, table, horizon, rows, whole=True):
        """Every window of a part of a table: views, of scaled values.

        Args:
            table: `SeriesTable`.
            horizon: int. Steps to forecast.
            rows: Pair `(first, last + 1)`, see `keras_mmfusion.datasets.ett.windows`.
            whole: bool. False for windows too that end within the horizon.
                Defaults to `True`.

        Returns:
            `(x, y)`: dict of arrays by modality, and an array `(n, horizon, columns)`.
        """
        table, scaled = self._scaled(table)
        known, y = windows(scaled, self.lookback, horizon, rows, whole)
        first = max(rows[0], self.lookback)
        origins = np.arange(first, first + len(y))
        return self._inputs(table, known, origins), y

    def __call__(self, table):
        table, scaled = self._scaled(table)
        if len(scaled) < self.lookback:
            raise RecordError(
                f"Expected {self.lookback} rows or more of {table.name}, which are "
                f"known. Received: {len(scaled)}. Give it a longer history."
            )
        known = scaled[None, -self.lookback :]
        return self._inputs(table, known, np.array([len(scaled)]))

    def future_times(self, table, horizon):
        """datetime64 array `(horizon,)`: the times that follow the table."""
        check_positive_int(horizon=horizon)
        table = checked_table(table)
        return table.times[-1] + np.arange(1, horizon + 1) * table.step

    def _scaled(self, table):
        """The table with arrays, and its scaled values."""
        table = checked_table(table)
        seconds = table.step / np.timedelta64(1, "s")
        if self.step not in (None, seconds):
            raise RecordError(
                f"Expected rows {self.step} s apart, as in training. Received: "
                f"{seconds:.10g} s in {table.name}. Bring it to the same step first."
            )
        table = table.select(self.columns)
        with np.errstate(over="ignore"):
            scaled = self.scaler(table.values, self.columns)
        large = np.argwhere(~(np.abs(scaled) < LARGEST))
        if len(large):
            row, column = large[0]
            raise RecordError(
                f"{table.name} at {table.times[row]}, column {self.columns[column]}: "
                "expected values like those of training. Received: "
                f"{table.values[row, column]:g}, too large to calculate with. Correct "
                "it first."
            )
        return table, scaled

    def _inputs(self, table, known, origins):
        x = {"series": known, "image": known}
        if "calendar" in self.modalities:
            features = calendar_features(table.times)
            view = np.lib.stride_tricks.sliding_window_view(
                features, self.lookback, axis=0
            )
            start = origins[0] - self.lookback
            x["calendar"] = view[start : start + len(origins)].swapaxes(1, 2)
        if "phase" in self.modalities:
            times = table.times[0] + origins * table.step
            x["phase"] = annual_phase(times)
        return {name: x[name] for name in self.modalities}

    def get_config(self):
        return {
            "scaler": self.scaler.get_config(),
            "lookback": self.lookback,
            "modalities": list(self.modalities),
            "intervals": self.intervals and self.intervals.get_config(),
            "step": self.step,
        }

    @classmethod
    def from_config(cls, config):
        made = {"scaler": SeriesScaler.from_config(config["scaler"])}
        if config.get("intervals"):
            made["intervals"] = ConformalIntervals.from_config(config["intervals"])
        return cls(**{**config, **made})


def _whole(**number):
    """A positive int of any number that is one, such as 3600.0."""
    ((name, value),) = number.items()
    if isinstance(value, numbers.Real) and value % 1 == 0:
        value = int(value)
    check_positive_int(**{name: value})
    return value
