"""`mmfusion forecast`: what follows the last row of a table."""

import math
from pathlib import Path

from keras_mmfusion.cli._outputs import staged
from keras_mmfusion.cli.annotate import check_picture
from keras_mmfusion.datasets import RecordError

MAX_ROWS = 12
# Standard deviations of training. In ETTh1 no value is as much as 6 from the mean.
FAR = 10


def add_parser(commands):
    parser = commands.add_parser(
        "forecast",
        help="forecast what follows the last row of a table",
        description="Forecast what follows the last row of a CSV file: a column of "
        "evenly spaced times, then columns of numbers, named in the first line as in "
        "the data that the preset was trained on.",
    )
    parser.add_argument(
        "table", metavar="FILE.csv", type=Path, help="table of what is known"
    )
    parser.add_argument(
        "--preset",
        required=True,
        help="trained model to use, a name or a folder (see: mmfusion presets)",
    )
    parser.add_argument(
        "--horizon",
        type=int,
        metavar="STEPS",
        help="how many rows to forecast (default: as many as the preset can)",
    )
    parser.add_argument(
        "--level",
        type=float,
        default=0.9,
        metavar="SHARE",
        help="share of the values that the prediction intervals are to hold "
        "(default: %(default)s)",
    )
    parser.add_argument(
        "--output", type=Path, metavar="FILE", help="CSV file to write, with every row"
    )
    parser.add_argument("--plot", type=Path, metavar="FILE", help="picture to draw")
    parser.add_argument(
        "--force", action="store_true", help="replace output files that exist"
    )
    parser.set_defaults(run=run)


def run(args):
    """Run the command; `args` are its parsed arguments."""
    check_picture(args.plot)
    from keras_mmfusion.datasets.ett import read_series

    table = read_series(args.table)
    paths = [path for path in (args.output, args.plot) if path is not None]
    with staged(paths, args.force, reads=[args.table]) as parts:
        model = load_model(args.preset)
        try:
            forecast = model.forecast(table, args.horizon, args.level)
        except ValueError as error:
            raise RecordError(str(error)) from error
        parts = dict(zip(paths, parts, strict=True))
        if args.output is not None:
            forecast.to_csv(parts[args.output])
        if args.plot is not None:
            from keras_mmfusion.analysis.forecast import plot_forecast

            plot_forecast(forecast, table).savefig(parts[args.plot])
    print(summary(table, forecast, model.preprocessor, args))
    if paths:
        print("\nWrote   " + "\n        ".join(str(path) for path in paths))
    return 0


def load_model(preset):
    from keras_mmfusion import presets
    from keras_mmfusion.models import FusionForecaster

    model = presets.load(preset)
    if not isinstance(model, FusionForecaster):
        raise RecordError(
            f"Expected a preset that forecasts. Received: {preset}, a "
            f"{type(model).__name__}. See: mmfusion presets"
        )
    return model


def summary(table, forecast, prepare, args):
    """What was read and what comes, as lines of text."""
    from keras_mmfusion.analysis.forecast import steps_text

    lines = [
        f"Table   {args.table}: {len(table.values):,} rows to {_text(table.times[-1])}",
        f"Model   {args.preset}: {steps_text(forecast)} of "
        f"{', '.join(forecast.columns)}",
    ]
    if forecast.level is not None:
        lines.append(f"        with intervals of {forecast.level:.0%}")
    lines += [f"Note    {note}" for note in notes(table, prepare)]
    columns = zip(
        forecast.columns, forecast.values.T, prepare.scaler.scale, strict=True
    )
    cells = [
        [name, *(_number(value, scale) for value in values[:MAX_ROWS])]
        for name, values, scale in columns
    ]
    widths = [max(10, *map(len, column)) for column in cells]
    times = ["Time", *map(_text, forecast.times[:MAX_ROWS])]
    lines.append("")
    for time, *row in zip(times, *cells, strict=True):
        texts = (f"{t:>{width}s}" for t, width in zip(row, widths, strict=True))
        lines.append("  ".join([f"{time:19s}", *texts]))
    left = len(forecast.times) - MAX_ROWS
    if left > 0:
        lines.append(f"and {left} more" + ("" if args.output else "; see --output"))
    return "\n".join(lines)


def notes(table, prepare):
    """What a forecast is made from all the same, but should be looked at."""
    import numpy as np

    known = table.select(prepare.columns).values[-prepare.lookback :]
    stuck = [
        name
        for name, extent in zip(prepare.columns, np.ptp(known, axis=0), strict=True)
        if extent == 0
    ]
    if stuck:
        yield (
            f"{', '.join(stuck)} did not change in the last {prepare.lookback} rows: "
            "what follows a sensor that is stuck says little"
        )
    distance = np.abs(prepare.scaler(known))
    for i in np.flatnonzero(distance.max(axis=0) > FAR):
        row = distance[:, i].argmax()
        time = table.times[-len(known) :][row]
        yield (
            f"{prepare.columns[i]} was {known[row, i]:.4g} at {_text(time)}, "
            f"{distance[row, i]:,.0f} standard deviations from the mean of training: "
            "is it right, and in the unit of the preset?"
        )


def _number(value, scale):
    """A value with the digits that a thousandth of `scale` would change."""
    digits = 3 - math.floor(math.log10(scale))
    return f"{value:.{max(digits, 0)}f}" if abs(digits) < 7 else f"{value:.4g}"


def _text(time):
    return str(time).replace("T", " ")
