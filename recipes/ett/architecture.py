"""The models of the forecasting study.

Naive and linear ones have no seed: `persistence`, `seasonal`, and `linear`, `dlinear`,
`nlinear` by ridge regression; `nlinear_phase` is `nlinear` with the time of the year,
`nlinear_short` is `nlinear` of the shortest of several look-backs only, `combined` a
mean of `linear` and `nlinear`, `combined_phase` that with the time of the year, and
`smoothed` one of these with the time of the year, `SMOOTHED`, whose maps are means over
the days around each step.
On top of `smoothed`, fusions of patches of the series, of its picture (days x hours)
and of the calendar: `atd`, `step`, `zoom_shift`, `concat`; or one of these three by
itself. `blank` is `atd` with a picture of zeros, as a control. `patches` is a
transformer over patches without any linear part; `nlinear_adam` is `nlinear` trained by
steps.
"""

import keras
from keras import layers

from keras_mmfusion.layers import ATDEncoder, NLinear, PeriodFold, SeasonalNaive
from keras_mmfusion.models import FusionForecaster

NAIVE = ("persistence", "seasonal")
SHORT = "nlinear_short"
RIDGE = {
    "linear": (),
    "dlinear": (),
    SHORT: (),
    "nlinear": (),
    "nlinear_phase": ("phase",),
    "combined": (),
    "combined_phase": ("phase",),
    "smoothed": ("phase",),
}
# Of `combined`, by the columns: how far it is from `nlinear`, whose forecasts stay at
# the last level, to `linear`, whose go back to the mean of training. Up to horizons of
# less than a day it is `nlinear`.
REVERSION = {"M": 0.5, "S": 0.25}
# What fusions are on top of, see the README: another model, by the columns, whose maps
# are then means over the days around each step, on each side half of those to it.
LINEAR_PART = "smoothed"
SMOOTHED = {"M": "nlinear_phase", "S": "combined_phase"}
SMOOTHING = 0.5
FUSIONS = {
    "atd": ("series", "image", "calendar"),
    "step": ("series", "image", "calendar"),
    "zoom_shift": ("series", "image", "calendar"),
    "concat": ("series", "image", "calendar"),
    "blank": ("series", "image", "calendar"),
    "series": ("series",),
    "image": ("image",),
    "calendar": ("calendar",),
}
ATTENDING = ("atd", "step", "zoom_shift")
TRAINED = (*FUSIONS, "patches", "nlinear_adam")
MODELS = (*NAIVE, *RIDGE, *TRAINED)
# Those that look back by whole days.
OF_DAYS = ("seasonal", *(name for name, seen in FUSIONS.items() if "image" in seen))
DAY = 24
WIDTH, HEADS, DROPOUT = 16, 4, 0.3


def build(name, task):
    """One of `MODELS`, and the names of its inputs."""
    shapes, horizon = task.preprocessor.shapes, task.horizons[-1]
    if name in (*NAIVE, "nlinear_adam"):
        layer = {
            "persistence": lambda: SeasonalNaive(horizon),
            "seasonal": lambda: SeasonalNaive(horizon, round(task.table.steps_per_day)),
            "nlinear_adam": lambda: NLinear(horizon),
        }[name]()
        series = keras.Input(shapes["series"], name="series")
        return keras.Model({"series": series}, layer(series)), ("series",)
    if name in RIDGE:
        names = ("series", *RIDGE[name])
        model = FusionForecaster(
            {n: shapes[n] for n in names},
            {},
            horizon,
            skip=skip_of(name, task.features),
            name=name,
        )
        return model, names
    if name == "patches":
        encoder = ATDEncoder(
            WIDTH, 3, HEADS, patch=DAY // 2, dropout=DROPOUT, name="patches"
        )
        inputs = {"series": shapes["series"]}
        model = FusionForecaster(
            inputs, {"series": encoder}, horizon, dim=WIDTH, skip=None, dropout=DROPOUT
        )
        return model, ("series",)
    seen = FUSIONS[name]
    names = [n for n in shapes if n in seen or n in ("series", "phase")]
    fusion = "atd" if name == "blank" else name
    heads = {"num_heads": HEADS} if fusion in ATTENDING else None
    model = FusionForecaster(
        {n: shapes[n] for n in names},
        {n: encoder_of(n, shapes[n][0], task.table.steps_per_day) for n in seen},
        horizon,
        fusion=fusion if len(seen) > 1 else "concat",
        fusion_options=heads,
        skip=skip_of(name, task.features),
        dim=WIDTH,
        dropout=DROPOUT,
        name=name,
    )
    return model, tuple(names)


def linear_part(name, features):
    """The one of `RIDGE` that the linear part of a model is, but for its smoothing."""
    name = LINEAR_PART if name in FUSIONS else name
    return SMOOTHED[features] if name == LINEAR_PART else name


def skip_of(name, features):
    """The linear layer of a model."""
    return linear_part(name, features).split("_")[0].replace("combined", "linear")


def fitted_to(name, task):
    """How the linear part is fitted: options of `fit_closed_form`."""
    if name == SHORT:
        return {"lookbacks": (min(task.lookbacks),)}
    day = task.table.steps_per_day
    options = {"lookbacks": task.lookbacks, **choices(name, task.features)}
    if "reversion" in options:
        options["reversion"] = [
            options["reversion"] if h >= day else 0.0 for h in task.horizons
        ]
    if "smoothing" in options:
        options["period"] = max(round(day), 1)
    return options


def choices(name, features):
    """What was chosen for the linear part of a model, see the README."""
    chosen = {}
    if linear_part(name, features).startswith("combined"):
        chosen["reversion"] = REVERSION[features]
    if name == LINEAR_PART or name in FUSIONS:
        chosen["smoothing"] = SMOOTHING
    return chosen


def check(name, task):
    """Refuse a model that sees whole days where less than one is known."""
    day, lookback = task.table.steps_per_day, task.preprocessor.lookback
    if name in OF_DAYS and lookback < day:
        raise SystemExit(
            f"error: {name} sees whole days of {day:g} steps. Received: --lookback "
            f"{lookback}. Give a longer one, or name --models without "
            f"{', '.join(OF_DAYS)}."
        )


def encoder_of(name, steps, steps_per_day):
    """Tokens: days of the series and of the calendar, parts of the image."""
    if name != "image":
        return transformer(f"{name}_days", DAY)
    day = round(steps_per_day)
    rows = max(steps // day, 1)
    # Weeks by quarters of a day where there are whole weeks.
    patch = (7 if rows % 7 == 0 else rows, day // 4 if day % 4 == 0 else day)
    return keras.Sequential(
        [
            layers.Input((steps, 1)),
            PeriodFold(day, name="days_and_hours"),
            transformer("image_parts", patch),
        ],
        name="picture",
    )


def transformer(name, patch):
    return ATDEncoder(WIDTH, 1, HEADS, patch=patch, dropout=DROPOUT, name=name)
