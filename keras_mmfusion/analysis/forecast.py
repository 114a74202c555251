"""A forecast of a table: numbers, a file, a picture."""

import csv
from dataclasses import dataclass

import numpy as np

from keras_mmfusion._checks import check_positive_int
from keras_mmfusion.analysis._figure_class import figure_class

LINE, BAND, PAST = "#c1440e", "#f2c3ae", "#5d6770"


@dataclass(frozen=True)
class Forecast:
    """What is expected of each column at each time to come, in its own unit.

    Attributes:
        name: str, of the table.
        times: datetime64[s] array `(horizon,)`.
        columns: tuple of str.
        values: float64 array `(horizon, columns)`.
        lower: the same of the lower ends of the intervals, or None without any.
        upper: the same of the upper ends, or None.
        level: float, share of the windows to calibrate on that were inside; or None.

    Raises:
        ValueError: Values, or intervals where there is a level, are of another shape.

    Example:

    ```python
    import numpy as np
    from keras_mmfusion.analysis import Forecast

    times = np.datetime64("2026-01-01", "s") + np.arange(3) * np.timedelta64(1, "h")
    forecast = Forecast("house", times, ("OT",), np.array([[1.0], [2.0], [3.0]]))
    forecast.to_csv("forecast.csv")
    ```
    """

    name: str
    times: np.ndarray
    columns: tuple
    values: np.ndarray
    lower: np.ndarray | None = None
    upper: np.ndarray | None = None
    level: float | None = None

    def __post_init__(self):
        shape = len(self.times), len(self.columns)
        names = ("values", "lower", "upper") if self.level is not None else ("values",)
        for name in names:
            if np.shape(getattr(self, name)) != shape:
                raise ValueError(
                    f"`{name}` must be (times, columns), {shape}. Received: "
                    f"shape {np.shape(getattr(self, name))}"
                )
            object.__setattr__(self, name, np.asarray(getattr(self, name)))

    def to_csv(self, path):
        """Write a row a time: `date`, then each column, with its interval if any.

        Args:
            path: Path of the file, which is written anew.
        """
        head, parts = ["date"], []
        for i, name in enumerate(self.columns):
            head.append(name)
            parts.append(self.values[:, i])
            if self.level is not None:
                head += [f"{name}_lower", f"{name}_upper"]
                parts += [self.lower[:, i], self.upper[:, i]]
        with open(path, "w", newline="", encoding="utf-8") as file:
            writer = csv.writer(file, lineterminator="\n")
            writer.writerow(head)
            for time, *row in zip(self.times, *parts, strict=True):
                text = str(time).replace("T", " ")
                # Six digits would leave nothing of how a counter goes on.
                writer.writerow([text, *(f"{value:.10g}" for value in row)])


def plot_forecast(forecast, table=None, steps=None, columns=None):
    """Draw a forecast after what was known.

    Args:
        forecast: `Forecast`.
        table: `SeriesTable` that ends where the forecast begins; drawn before it.
            Rows of later times are drawn as well: what came. Defaults to `None`.
        steps: int. Rows of the table to draw before the forecast. Defaults to `None`:
            twice as many as are forecast.
        columns: Sequence of str, those to draw. Defaults to `None`: all.

    Returns:
        matplotlib `Figure`, a row a column.

    Raises:
        ValueError: A column is none of the forecast and the table, or `steps` is no
            positive integer.

    Example:

    ```python
    import numpy as np
    from keras_mmfusion.analysis import Forecast, plot_forecast

    times = np.datetime64("2026-01-01", "s") + np.arange(3) * np.timedelta64(1, "h")
    forecast = Forecast("house", times, ("OT",), np.array([[1.0], [2.0], [3.0]]))
    plot_forecast(forecast).savefig("forecast.png")
    ```
    """
    columns = [columns] if isinstance(columns, str) else columns
    columns = list(forecast.columns if columns is None else columns)
    known = set(forecast.columns)
    if table is not None:
        known &= set(table.columns)
    if not columns or not set(columns) <= known:
        raise ValueError(
            "`columns` must be some of those of the forecast and of the table, "
            f"{sorted(known)}. Received: columns={columns}"
        )
    if steps is not None:
        check_positive_int(steps=steps)
    figure = figure_class()(
        figsize=(10, 0.8 + 2.2 * len(columns)), dpi=110, layout="constrained"
    )
    axes = figure.subplots(len(columns), 1, squeeze=False, sharex=True)[:, 0]
    for axis, name in zip(axes, columns, strict=True):
        column = forecast.columns.index(name)
        if table is not None:
            shown = _rows(table, forecast, steps)
            past = table.values[shown, table.columns.index(name)]
            axis.plot(
                table.times[shown], past, color=PAST, linewidth=1.2, label="known"
            )
        # A line, or a band, of a single point would not be seen.
        single = len(forecast.times) == 1
        if forecast.level is not None:
            draw = axis.vlines if single else axis.fill_between
            draw(
                forecast.times,
                forecast.lower[:, column],
                forecast.upper[:, column],
                color=BAND,
                linewidth=8 if single else 0,
                label=f"{forecast.level:.0%} interval",
            )
        axis.plot(
            forecast.times,
            forecast.values[:, column],
            color=LINE,
            linewidth=1.8,
            marker="o" if single else None,
            label="forecast",
        )
        axis.set_ylabel(name, parse_math=False)  # dollars are dollars
        axis.grid(alpha=0.25)
        for side in ("top", "right"):
            axis.spines[side].set_visible(False)
    axes[0].set_title(f"{forecast.name}: {steps_text(forecast)} ahead")
    axes[0].legend(loc="upper left", ncols=3, frameon=False, fontsize=9)
    figure.autofmt_xdate()
    return figure


def steps_text(forecast):
    """How many steps there are, as text."""
    return f"{len(forecast.times)} step{'s' if len(forecast.times) > 1 else ''}"


def _rows(table, forecast, steps):
    """Rows to draw: some before the forecast, and those of the same time, if any."""
    steps = 2 * len(forecast.times) if steps is None else steps
    first = np.searchsorted(table.times, forecast.times[0])
    last = np.searchsorted(table.times, forecast.times[-1], side="right")
    return slice(max(first - steps, 0), last)
