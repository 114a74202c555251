"""The forecasting study: every model on the same windows, scores, presets."""

import csv
import json

import backends
import numpy as np
import pytest
from backends import once
from ett_files import write_table
from recipe_modules import assert_command_tells_settings, recipe_modules

from keras_mmfusion import presets
from keras_mmfusion.layers import NLinear
from keras_mmfusion.metrics import forecast_metrics

architecture, data, train, evaluate, scoring, figures, release, rescore, validate = (
    recipe_modules(
        "ett",
        "architecture",
        "data",
        "train",
        "evaluate",
        "scoring",
        "figures",
        "release",
        "rescore",
        "validate",
    )
)
SHORT = ("--lookback", "48")
ENDS = ("linear", "nlinear")


@pytest.fixture(scope="module")
def table(tmp_path_factory):
    return write_table(tmp_path_factory.mktemp("ett") / "ETTh1.csv")


@pytest.fixture(autouse=True)
def small(monkeypatch):
    monkeypatch.setattr(architecture, "WIDTH", 4)
    monkeypatch.setattr(architecture, "HEADS", 2)


def test_horizons_are_those_of_the_protocols():
    assert data.horizons_of("M") == (24, 48, 96, 192, 336, 720)
    assert data.horizons_of("S") == (1, 2, 3, 6, 24, 48, 96, 192, 336, 720)


def test_batches_are_every_window_once(table):
    task = data.load("M", table, lookbacks=[48])
    x, y = task.windows("validation")
    batches = data.Batches(x, y, 100, seed=1, blank=("image",))
    seen, counted = [], 0
    for i in range(len(batches)):
        known, target, counts = batches[i]
        assert np.isfinite(target).all() and not known["image"].any()
        assert known["series"].any()
        seen.append(target[:, 0, 0])
        counted += counts.sum()
    np.testing.assert_array_equal(np.sort(np.concatenate(seen)), np.sort(y[:, 0, 0]))
    assert counted == np.isfinite(y[..., 0]).sum()
    first = batches.order.copy()
    batches.epoch = 1
    assert (first != batches.order).any()
    again = data.Batches(x, y, 100, seed=1)
    np.testing.assert_array_equal(again.order, first)


@once
def test_from_training_to_presets(table, tmp_path, capsys, monkeypatch):
    """All of the study, small: every kind of model, its scores, the presets."""
    monkeypatch.setattr(
        release, "PRESETS", {"atd_made": ("M", "atd"), "step_made": ("S", "step")}
    )
    runs, zoo = tmp_path / "runs", tmp_path / "zoo"
    zoo.mkdir()
    shared = ["--csv", str(table), "--output", str(runs), "--lookback", "24", "48"]
    fit = [*shared, "--quiet", "--epochs", "1", "--steps-per-epoch", "2"]
    fit += ["--batch-size", "8"]
    train.main([*fit, "--features", "S", "--seeds", "0"])
    few = ["--models", "nlinear", "nlinear_phase", "atd", "--seeds", "0", "1"]
    train.main([*fit, "--features", "M", *few])
    before = {p: p.stat().st_mtime_ns for p in runs.glob("**/*") if p.is_file()}
    capsys.readouterr()
    train.main([*fit, "--features", "S", "--seeds", "0"])
    printed = capsys.readouterr().out.splitlines()
    assert printed and all(line.endswith(": complete") for line in printed)

    evaluate.main(shared)
    printed = capsys.readouterr().out
    assert "seed_short" in printed and "patches" in printed
    scored = {p: p.stat().st_mtime_ns for p in runs.glob("**/test.json")}
    evaluate.main(shared)
    assert scored == {p: p.stat().st_mtime_ns for p in scored}, "scored anew"
    assert before == {p: p.stat().st_mtime_ns for p in before}, "changed a run"
    of_s = runs / "ETTh1" / "S"
    facts, found = scoring.read_facts(of_s), scoring.read_runs(of_s)
    assert set(found) == set(architecture.MODELS)
    # Halfway between two, of which one may be the better.
    errors = [facts[name][0]["validation"]["96"]["mse"] for name in ENDS]
    assert facts["combined"][0]["validation"]["96"]["mse"] < max(errors)
    with pytest.raises(SystemExit, match=r"Received: --lookback 24 36"):
        evaluate.main([*shared[:-1], "36"])
    assert {len(found[m]) for m in architecture.TRAINED} == {1}
    assert len(scoring.read_runs(runs / "ETTh1" / "M")["atd"]) == 2

    # A fusion is never worse than its linear part where it was shrunk.
    for name in architecture.FUSIONS:
        for run in facts[name].values():
            for horizon, of in run["validation"].items():
                linear = facts[architecture.LINEAR_PART][0]
                linear = linear["validation"][horizon]
                assert of["mse"] <= linear["mse"] * (1 + 1e-5)
    # A cell, by hand: the last value, three hours on, of every window.
    task = data.load("S", table, lookbacks=[48])
    values = task.preprocessor.scaler(task.table.values)[:, 0].astype("float64")
    start, stop = task.rows["test"]
    error = [
        values[o + step] - values[o - 1]
        for o in range(start, stop - 2)
        for step in range(3)
    ]
    cell = found["persistence"][0]["seed_short"]["3"]
    assert cell["mse"] == pytest.approx(np.mean(np.square(error)), abs=1e-5)
    ratio = np.std(task.training_values) / np.ptp(task.training_values)
    long = found["persistence"][0]
    assert long["seed_long_minmax"]["96"]["mae"] == pytest.approx(
        long["ltsf_standard"]["96"]["mae"] * ratio, abs=1e-5
    )

    release.main([*shared, "--zoo", str(zoo)])
    for name, (features, model_name) in release.PRESETS.items():
        presets.verify(zoo / name)
        metadata = presets.info(zoo / name)
        folder = runs / "ETTh1" / features
        seeds = scoring.read_facts(folder)[model_name]
        chosen = metadata["recipe"]["seed"]
        errors = {s: scoring.validation_error(of) for s, of in seeds.items()}
        assert errors[chosen] == min(errors.values())
        protocol = f"ltsf_standard_{features.lower()}"
        cells = metadata["metrics"][protocol]["mse_96"]
        values = [
            run["ltsf_standard"]["96"]["mse"]
            for run in scoring.read_runs(folder)[model_name]
        ]
        assert cells["mean"] == pytest.approx(np.mean(values), abs=1e-5)
        card = (zoo / name / "README.md").read_text()
        assert f"{cells['mean']:.4f}" in card and "Share of the test values" in card
        # What is shipped is what was scored.
        shipped = presets.load(zoo / name)
        task = data.load(features, table, lookbacks=[48])
        x, y = task.windows("test")
        again = forecast_metrics(shipped, x, y, horizons=task.horizons)
        released = metadata["baselines"]["released_weights"][protocol]
        assert again[96]["mse"] == pytest.approx(released["mse_96"], abs=2e-5)
        forecast = shipped.forecast(task.table, 24, level=0.9)
        assert (forecast.lower < forecast.upper).all()
    with open(zoo / "results.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    assert {row["preset"] for row in rows} == {"", *release.PRESETS}
    assert {row["protocol"] for row in rows} == {
        *("ltsf_standard_m", "ltsf_standard_s", "seed_short_s"),
        *("seed_long_minmax_m", "seed_long_minmax_s"),
    }


def test_windows_to_draw_are_chosen_by_their_error():
    errors = np.zeros((11, 6, 2))
    errors += np.array([5, 3, 9, 1, 0, 2, 10, 4, 8, 6, 7])[:, None, None]
    errors[10, 4:] = np.nan  # ends within the horizon: not drawn
    assert figures.chosen(errors, 6, (0.0, 0.5, 1.0)) == [4, 7, 6]


@once
def test_a_killed_run_goes_on(table, tmp_path, monkeypatch):
    """Nothing half-made is taken for a run."""
    options = ["--csv", str(table), "--features", "S", "--seeds", "0", *SHORT]
    options += ["--models", "nlinear_adam", "--quiet", "--epochs", "2"]
    options += ["--steps-per-epoch", "2"]
    train.main([*options, "--output", str(tmp_path / "whole")])
    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):

        def stop(*args, **kwargs):
            raise KeyboardInterrupt

        patch.setattr(train, "forecast_metrics", stop)
        train.main([*options, "--output", str(tmp_path / "cut")])
    run = tmp_path / "cut" / "ETTh1" / "S" / "nlinear_adam" / "seed0"
    assert not (run / "run.json").exists()
    train.main([*options, "--output", str(tmp_path / "cut")])
    whole = tmp_path / "whole" / "ETTh1" / "S" / "nlinear_adam" / "seed0"
    ours, theirs = (
        json.loads((r / "run.json").read_text())["validation"] for r in (run, whole)
    )
    assert ours["96"] == pytest.approx(theirs["96"], rel=1e-5)
    assert_command_tells_settings(run, train)
    with open(run / "train_log.csv", newline="") as file:
        assert [row["epoch"] for row in csv.DictReader(file)] == ["0", "1"]
    # Nor is one of other settings taken for it, by any script.
    more = [*options, "--output", str(tmp_path / "cut")]
    with pytest.raises(SystemExit, match=r"with --epochs 2\. Received: --epochs 3"):
        train.main([*more, "--epochs", "3", "--models", "nlinear"])
    shorter = [*options[:4], "--lookback", "24", "--output", str(tmp_path / "cut")]
    for script in (train, evaluate):
        with pytest.raises(SystemExit, match=r"--lookback 48.*Received: --lookback 24"):
            script.main(shorter)
    assert [file.name for file in run.parents[1].iterdir()] == ["nlinear_adam"]


@once
def test_a_table_of_a_few_months(table, tmp_path, capsys):
    """Parts of one's own, the same in training and in scoring."""
    short = tmp_path / "ETTh3.csv"
    short.write_text("".join(table.open().readlines()[: 6 * 720 + 1]))
    shared = ["--csv", str(short), "--features", "S", "--output", str(tmp_path)]
    shared += ["--months", "2", "2", "1", "--lookback", "48"]
    train.main([*shared, "--models", "persistence", "seasonal"])
    evaluate.main(shared)
    printed = capsys.readouterr().out
    # A row of the papers stands in its table, with what it is worth.
    row = next(line for line in printed.splitlines() if line.startswith("the papers"))
    assert row.split() == ["the", "papers", "0.006/0.058"]
    assert "0.187 / 0.0298, is impossible" in " ".join(printed.split())
    with pytest.raises(SystemExit, match=r"--months 2 2 1\. Received: --months 3 2 1"):
        train.main([*shared, "--models", "linear", "--months", "3", "2", "1"])


@once
def test_another_table_of_the_same_name(table, tmp_path):
    """Its errors are not those of models that were fitted to the first."""
    other = tmp_path / "ETTh1.csv"
    other.write_text(table.read_text().replace("20.", "21.", 1))
    models = ["--models", "persistence", "--features", "S"]
    shared = ["--output", str(tmp_path), *SHORT]
    train.main(["--csv", str(table), *shared, *models])
    told = (
        r"with --csv ETTh1\.csv \(14,400 rows, checksum \w{8}\)\. Received: --csv ETTh1"
    )
    for script, more in ((train, models), (evaluate, models[2:])):
        with pytest.raises(SystemExit, match=told):
            script.main(["--csv", str(other), *shared, *more])


@pytest.mark.parametrize("months", ["1 2 2", "2 1 2", "12 4 0"])
def test_parts_that_are_too_short(table, tmp_path, months):
    options = ["--csv", str(table), "--output", str(tmp_path), *SHORT]
    told = rf"768, 723 and 720 or more\. Received: .* with --months {months}\. Give"
    with pytest.raises(SystemExit, match=told):
        train.main([*options, "--models", "persistence", "--months", *months.split()])
    assert not list(tmp_path.iterdir())


def test_a_look_back_of_less_than_a_day(table, tmp_path):
    options = ["--csv", str(table), "--lookback", "12", "--output", str(tmp_path)]
    for name in ("seasonal", "atd"):
        with pytest.raises(SystemExit, match=f"{name} sees whole days of 24 steps"):
            train.main([*options, "--models", "persistence", name])
    assert not list(tmp_path.iterdir())


def test_no_other_table_is_released_under_the_name_of_this_one(tmp_path, capsys):
    with pytest.raises(SystemExit):
        release.main(["--csv", "load.csv", "--zoo", str(tmp_path)])
    assert "those of ETTh1. Received: --csv load.csv" in capsys.readouterr().err


@once
def test_shipped_weights_score_what_their_card_says(data_dir, capsys, monkeypatch):
    arguments = ["stepfusion_etth1", "--data", str(data_dir)]
    assert rescore.main(arguments) == 0
    assert "ltsf_standard_s mse_96 " in capsys.readouterr().out
    said = {"ltsf_standard_s": {"mse_96": 0.06}}
    false = {"baselines": {"released_weights": said}}
    monkeypatch.setattr(presets, "info", lambda name: false)
    assert rescore.main(arguments) == 1
    assert capsys.readouterr().out.endswith(" differs\n")


@once
def test_a_quarter_is_forecast_by_what_does_not_touch_it(table):
    task = data.load("S", table, lookbacks=[48])
    found = validate.compare(task, "reversion", (0.0, 1.0))
    assert all(of.shape == (4, len(task.horizons)) for of in found.values())
    assert (found[0.0] != found[1.0]).all()
    # A cell by hand: the third quarter, one hour on.
    rows = task.rows["validation"][1]
    values = task.preprocessor.scaler(task.table.values)[:rows].astype("float32")
    begin, end = 2 * rows // 4, 3 * rows // 4
    windows = np.lib.stride_tricks.sliding_window_view(values[:, 0], 49)[..., None]
    target = np.arange(len(windows)) + 48
    apart = windows[(target < begin) | (target - 48 >= end)]
    inside = windows[(target >= begin) & (target < end)]
    layer = NLinear(1)
    layer.fit_closed_form(apart[:, :48], apart[:, 48:], alpha=validate.ALPHA)
    error = np.square(backends.run(layer, inside[:, :48]) - inside[:, 48:]).mean()
    assert found[0.0][2, 0] == pytest.approx(error, rel=1e-3)
    # Maps are smoothed from three days on.
    found = validate.compare(task, "smoothing", (0.0, 0.5))
    near = np.array(task.horizons) <= 48
    np.testing.assert_array_equal(found[0.0][:, near], found[0.5][:, near])
    assert (found[0.0][:, ~near] != found[0.5][:, ~near]).all()
