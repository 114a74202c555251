"""The card and the metadata of a forecasting preset, written from numbers."""

import sys
from dataclasses import dataclass
from pathlib import Path

import architecture
import papers

sys.path.append(str(Path(__file__).parents[1]))
import common

TABLE = "ETTh1"
KINDS = {
    "persistence": "the last value",
    "seasonal": "the value a day before",
    "linear": "linear, ridge",
    "dlinear": "DLinear, ridge",
    "nlinear_short": "NLinear, ridge, of the shorter history alone",
    "nlinear": "NLinear, ridge",
    "nlinear_phase": "NLinear with the time of the year, ridge",
    "combined": "{reversion:.0%} linear, the rest NLinear, ridge",
    "combined_phase": "{reversion:.0%} linear, the rest NLinear, both with the time of "
    "the year, ridge",
    "smoothed": "`{base}`, the map of each step a mean over the days around it",
    "nlinear_adam": "NLinear, trained by steps",
    "patches": "transformer over patches, nothing linear",
    "atd": "`smoothed` + ATD fusion of series, picture, calendar",
    "step": "`smoothed` + step fusion of the same",
    "zoom_shift": "`smoothed` + zoom-and-shift fusion of the same",
    "concat": "`smoothed` + concatenation of the same",
    "blank": "`atd` with a picture of zeros (control)",
    "series": "`smoothed` + the series alone",
    "image": "`smoothed` + the picture alone",
    "calendar": "`smoothed` + the calendar alone",
}
FEATURES = {
    "M": "all seven columns, by the same weights",
    "S": "the oil temperature (OT) alone",
}
TITLES = {
    "ltsf_standard": "standard deviations",
    "seed_short": "standard deviations, a few hours",
    "seed_long_minmax": "the range of the training rows",
}


@dataclass(frozen=True)
class Facts:
    """All that a card tells; every number was measured by this recipe."""

    name: str
    model: str
    features: str
    seed: int
    run: dict  # of the released seed
    tables: dict  # protocol to model to {"mse_96": spread}
    released: dict  # protocol to {"mse_96": value}
    validation: dict  # model to {"mse_96": spread}
    without: dict  # modality to {"mse_96": spread}
    gains: dict  # over another model, {"mse_96": spread}, seed by seed
    coverage: dict  # level to horizon to spread
    parameters: int


# Of the presets that are not 1.1.
VERSIONS = {"atd_etth1": "1.4", "stepfusion_etth1": "1.3"}


def key(protocol, features):
    """Name of a protocol with its columns, such as `ltsf_standard_m`."""
    return f"{protocol}_{features.lower()}"


def metadata(facts):
    """The fields of `metadata.json` that `presets.save` cannot know."""
    tables = {key(p, facts.features): models for p, models in facts.tables.items()}
    main, *others = tables
    rest = {p: _others(tables[p], facts.model) for p in others}
    return {
        "name": facts.name,
        "version": VERSIONS.get(facts.name, "1.1"),
        "task": "forecasting",
        "inputs": {
            "series": {"description": f"{facts.run['lookback']} hours that are known"},
            "image": {"description": "the same, folded into days and hours inside"},
            "calendar": {"description": "hour and weekday of these, as sine, cosine"},
            "phase": {"description": "time of the year at the first hour to come"},
        },
        "outputs": {
            "description": "scaled values; model.forecast gives those of the table",
        },
        "dataset": {
            "name": "ETTh1",
            "license": "CC BY-ND 4.0",
            "split": "by time, 12, 4 and 4 months of 30 days to train, validate and "
            "test on; every window counts",
            "url": "https://github.com/zhouhaoyi/ETDataset",
            "citation": "Zhou et al., Informer: Beyond Efficient Transformer for Long "
            "Sequence Time-Series Forecasting, AAAI 2021.",
        },
        "metrics": {p: models[facts.model] for p, models in tables.items()},
        "baselines": {
            "same_run": _others(tables[main], facts.model),
            **rest,
            "validation": facts.validation,
            "without": facts.without,
            "difference_to": facts.gains,
            "coverage": {
                str(level): {f"coverage_{h}": value for h, value in of.items()}
                for level, of in facts.coverage.items()
            },
            "released_weights": {
                key(p, facts.features): values for p, values in facts.released.items()
            },
            "shrinkage": {str(h): f for h, f in facts.run["shrinkage"].items()},
        },
        "paper": papers.PAPERS,
        "recipe": common.trained_by(facts.run, facts.seed, "recipes/ett/train.py"),
        "hardware": "2 CPU cores",
        "intended_use": "Forecasts of tables like ETTh1, research on fusion, and as a "
        "starting point for other series.",
        "limitations": limitations(facts),
    }


def _others(models, ours):
    return {name: found for name, found in models.items() if name != ours}


def horizons_of(metrics):
    """Those of `mse_<horizon>`, in order; in the metadata the main one comes first."""
    found = [k.removeprefix("mse_") for k in metrics if k.startswith("mse_")]
    return sorted(found, key=int)


def limitations(facts):
    return [
        "One transformer station, two years, hourly values: columns must have its "
        "names and its units.",
        "One year to train on: the time of the year is known from a single one.",
        "Intervals are as wide as errors were from June to October; for the months "
        "after them see the table.",
        "The fusion adds little or nothing to the linear part, see above.",
        "Some choices were made after a look at the test rows, the penalties that are "
        "tried among them: the README of the recipe tells which.",
    ]


def text(facts):
    """The card, in Markdown."""
    standard = facts.tables["ltsf_standard"]
    parts = [
        f"# {facts.name}\n",
        "Forecasts up to 720 hours of an electricity transformer, "
        f"{FEATURES[facts.features]}: a linear forecast, fitted exactly"
        f"{_fitted_to(facts.run['settings'])}, plus a fusion "
        "of patches of the series, of its picture (days × hours) and of the calendar, "
        "shrunk by what helps on the rows to validate on. "
        f"{facts.parameters:,} parameters.\n",
        "```python\nfrom keras_mmfusion import presets\n"
        "from keras_mmfusion.datasets.ett import read_series\n\n"
        f'model = presets.load("{facts.name}")\n'
        'forecast = model.forecast(read_series("ETTh1.csv"), horizon=96)\n'
        'forecast.to_csv("next.csv")\n```\n',
        f"`mmfusion forecast ETTh1.csv --preset {facts.name} --horizon 96 --plot "
        "next.png` does the same from a shell.\n",
        "## Results\n",
        "Mean squared / absolute error on the test rows, in standard deviations of the "
        "training rows; every window, steps up to the horizon. Mean ± standard "
        "deviation over n seeds where it shows; naive and ridge models have none. "
        f"Released is seed {facts.seed}, the best on the rows to validate on.\n",
        table(standard, facts.model, facts.features),
        _gain_text(facts),
        f"Released weights: {_released(facts, 'ltsf_standard')}.\n",
        _validation_text(facts),
        _choice_text(facts.run),
        "Without one of its inputs:\n",
        table({f"no {name}": found for name, found in facts.without.items()}),
    ]
    for protocol, models in facts.tables.items():
        if protocol != "ltsf_standard":
            rows = ("persistence", "nlinear", architecture.LINEAR_PART, facts.model)
            shown = {name: models[name] for name in rows if name in models}
            parts += [
                f"### `{protocol}`: in {TITLES[protocol]}\n",
                table(shown, facts.model, facts.features),
            ]
    parts += [
        "### The papers\n",
        papers.text() + "\n",
        "## Intervals\n",
        "Share of the test values inside, of intervals from the errors on the rows to "
        "validate on:\n",
        _coverage(facts.coverage),
        "![Forecasts of three test windows](forecasts.png)\n",
        "The windows were not chosen by eye: their squared error over 192 hours is "
        "larger than that of 10, 50 and 90 % of all test windows.\n",
        "## Limits\n",
        "".join(f"- {line}\n" for line in limitations(facts)),
        "\n## Training\n",
        f"`{facts.run['command']}`, seed {facts.seed}, commit {facts.run['commit']}, "
        f"{facts.run['backend']} on a shared CPU core, {facts.run['seconds']} s.\n",
        "Data: ETTh1 (Zhou et al., 2021), CC BY-ND 4.0; none of it is in this folder "
        "but the inputs of `golden.npz`, which are made.\n",
    ]
    return "\n".join(parts)


def _fitted_to(settings):
    """What is told of the linear part."""
    text, lookbacks = "", settings["lookback"]
    if len(lookbacks) > 1:
        hours = " and to ".join(str(known) for known in lookbacks)
        text = f" and by the mean of fits to {hours} hours"
    if "reversion" in settings:
        text += (
            f", {settings['reversion']:.0%} Linear, which reverts to the mean of "
            "training, the rest NLinear, which does not"
        )
    if "smoothing" in settings:
        text += (
            ", the map of each step a mean over the days around it "
            f"({settings['smoothing']:.0%} of those to it, on each side)"
        )
    return text


def table(models, ours=None, features=None):
    """Rows of models of the study, by their columns; without, of anything else."""
    horizons = horizons_of(next(iter(models.values())))
    head = ["model", "n", *horizons]
    rows = [head, ["---", *["--:"] * (len(head) - 1)]]
    for name, found in models.items():
        shown = f"`{name}`: {kind(name, features)}" if features else name
        shown = f"**{shown}**" if name == ours else shown
        cells = [
            f"{_spread(found[f'mse_{h}'])} / {_spread(found[f'mae_{h}'])}"
            for h in horizons
        ]
        rows.append([shown, str(found[f"mse_{horizons[0]}"]["n"]), *cells])
    return "\n".join(f"| {' | '.join(row)} |" for row in rows) + "\n"


def kind(name, features):
    """A model of the study, in words."""
    return KINDS[name].format(
        base=architecture.SMOOTHED[features],
        reversion=architecture.REVERSION[features],
    )


def _gain_text(facts):
    """Whether the fusion, and the picture, did anything on the test rows."""
    sentences = []
    for other, found in facts.gains.items():
        differences = ", ".join(
            f"{_difference(value)} ({k.removeprefix('mse_')})"
            for k, value in found.items()
        )
        told = (
            f"Squared error of `{facts.model}` minus that of `{other}`: {differences}"
        )
        if any(value["sd"] is None for value in found.values()):
            sentences.append(f"{told}; of one seed, so it may be chance.\n")
            continue
        sure = [
            k for k, v in found.items() if v["mean"] < 0 and -v["mean"] > 2 * v["sd"]
        ]
        worse = [k for k, v in found.items() if v["mean"] > 2 * v["sd"]]
        sentences.append(
            f"{told}; lower by more than two standard deviations at {len(sure)} of "
            f"{len(found)} horizons, higher by as much at {len(worse)}.\n"
        )
    return "\n".join(sentences)


def _difference(value):
    sd = "" if value["sd"] is None else f" ± {value['sd']:.5f}"
    return f"{value['mean']:+.5f}{sd}"


def _validation_text(facts):
    ours, linear = facts.validation[facts.model], facts.validation["nlinear"]
    cells = ", ".join(
        f"{_spread(ours[k])} against {_spread(linear[k])} ({k.removeprefix('mse_')})"
        for k in ours
    )
    return (
        "On the rows to validate on, squared errors against those of ridge NLinear: "
        f"{cells}.\n"
    )


def _choice_text(run):
    """What the rows to validate on left of the fusion and of the time of the year."""
    kept = [f"{f:.2f} up to step {h}" for h, f in run["shrinkage"].items() if f > 5e-3]
    fusion = "the factor of the fusion is 0 at every step: it adds nothing"
    if kept:
        fusion = f"the factor of the fusion is {', '.join(kept)}"
        fusion += "" if len(kept) == len(run["shrinkage"]) else ", and 0 elsewhere"
    seen = any(alpha is not None for alpha in run["phase_alpha"].values())
    phase = "is left out: its gain is less than its standard error over four months"
    if seen:
        phase = "is part of the linear forecast"
    return f"Chosen there, for the release: {fusion}; the time of the year {phase}.\n"


def _released(facts, protocol):
    found = facts.released[protocol]
    horizons = horizons_of(found)
    return ", ".join(
        f"{found[f'mse_{h}']:.4f} / {found[f'mae_{h}']:.4f} ({h})" for h in horizons
    )


def _coverage(coverage):
    horizons = list(next(iter(coverage.values())))
    rows = [["level", *map(str, horizons)], ["--:"] * (len(horizons) + 1)]
    for level, found in coverage.items():
        cells = [_spread(found[h], 3) for h in horizons]
        rows.append([f"{float(level):.0%}", *cells])
    return "\n".join(f"| {' | '.join(row)} |" for row in rows) + "\n"


def _spread(value, decimals=4):
    text = f"{value['mean']:.{decimals}f}"
    if value["sd"] and round(value["sd"], decimals):
        text += f" ± {value['sd']:.{decimals}f}"
    return text
