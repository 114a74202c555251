"""The fusion study: the same for every fusion, from training to the report."""

import csv
import json
from dataclasses import replace
from types import SimpleNamespace

import keras
import numpy as np
import pytest
from backends import once
from digit_files import write_digits
from recipe_modules import recipe_modules
from scipy.stats import t

pytestmark = once
study, data, models, scores, train, evaluate, report, run = recipe_modules(
    "fusion_study",
    *("study", "data", "models", "scores", "train", "evaluate", "report", "run"),
)
BUDGET = study.Budget(2, 2, 4, disturbed=4, samples=6)


@pytest.fixture
def corpus(tmp_path):
    write_digits(tmp_path / "corpus")
    return tmp_path / "corpus"


@pytest.fixture
def recordings(monkeypatch):
    """Every value of a beat tells its record and its place."""

    def load(protocol, data_dir, records):
        made = []
        for name in records:
            rng, count = np.random.default_rng(int(name)), 40 + int(name) % 7
            code = 1000 * int(name) + np.arange(count, dtype="float32")
            labels = rng.choice([-1, 0, 0, 1, 2, 3], count)
            held_out = np.zeros(count, bool)
            if protocol != "interpatient":
                held_out = (labels >= 0) & (rng.random(count) < 0.2)
            shapes = {"ecg": (128, 4), "image": (128, 2), "rhythm": (2,), "shape": (3,)}
            modalities = {
                n: np.tile(code.reshape(-1, *[1] * len(s)), (1, *s))
                for n, s in shapes.items()
            }
            made.append(
                data.beat_data.Recording(
                    name, modalities, labels, held_out, np.arange(count)
                )
            )
        return made

    monkeypatch.setattr(data.beat_data, "load", load)
    return load


def codes(x, y):
    """Beats that are scored."""
    return x["rhythm"][..., 0][y >= 0].tolist()


@pytest.mark.parametrize("dataset", ["mitbih_interpatient", "mitbih_random"])
def test_no_beat_is_in_two_parts(recordings, dataset):
    whole = replace(BUDGET, samples=None, steps=40, batch_size=16)
    task = data.load(dataset, whole)
    tested, checked = codes(*task.test()), codes(*task.validation)
    assert len(set(tested)) == len(tested) and len(set(checked)) == len(checked)
    learnt = []
    batches = task.training(0)
    for i in range(len(batches)):
        x, _, weights = batches[i]
        learnt += x["rhythm"][..., 0][weights > 0].tolist()
    assert learnt and tested and checked
    assert not set(tested) & set(checked)
    assert not set(learnt) & (set(tested) | set(checked))
    if dataset == "mitbih_interpatient":
        records = {int(code) // 1000 for code in tested}
        assert records == {int(name) for name in data.mitbih.DS2}
        labelled = sum(
            (r.labels >= 0).sum() for r in recordings("", None, data.mitbih.DS2)
        )
        assert len(tested) == labelled


def test_batches_are_passes_in_another_order_for_another_seed():
    x = {"a": np.arange(8.0)[:, None]}
    batches = data.Arrays(x, np.arange(8), BUDGET, seed=3)
    seen = []
    for epoch in range(2):
        batches.epoch = epoch
        seen.append([batches[i] for i in range(len(batches))])
        labels = np.concatenate([y for _, y in seen[-1]])
        assert sorted(labels) == list(range(8))
        for given, y in seen[-1]:
            np.testing.assert_array_equal(given["a"][:, 0], y)
    assert (seen[0][0][1] != seen[1][0][1]).any()
    other = data.Arrays(x, np.arange(8), BUDGET, seed=4)
    assert (other[0][1] != seen[0][0][1]).any()


def test_every_fusion_of_the_package_is_studied():
    assert set(study.FUSIONS) == set(models.FUSIONS)
    assert study.FUSIONS[0] == study.REFERENCE
    assert set(data.LOADERS) == set(study.BUDGETS) == set(study.DATASETS)


SHAPES = {
    "beats": {"ecg": (16, 128, 4), "image": (16, 128, 2), "rhythm": (16, 2)},
    "classes": {"image": (1, 28, 28, 1), "sound": (24, 32)},
    "forecast": {"series": (336, 2), "image": (336, 2), "calendar": (336, 4)},
    "retrieval": {"image": (32, 32, 3), "text": (6,)},
}


@pytest.mark.parametrize("kind", SHAPES)
def test_fusions_differ_in_nothing_but_the_fusion(kind):
    task = SimpleNamespace(name="made", kind=kind, shapes=SHAPES[kind], outputs=5)
    sizes = {}
    for name in study.FUSIONS:
        model = models.build(task, name, 0)
        assert isinstance(model.get_layer("fusion"), models.FUSIONS[name])
        sizes[name] = sorted(
            (layer.name, layer.count_params())
            for layer in model.layers
            # A forecaster has a head for each fused step.
            if layer.name not in ("fusion", "head")
        )
    assert len({str(of) for of in sizes.values()}) == 1, sizes


def test_from_training_to_the_report(corpus, tmp_path, monkeypatch, capsys):
    monkeypatch.setitem(study.BUDGETS, "digits", BUDGET)
    monkeypatch.setattr(evaluate, "DRAWS", 1)
    places = ["--data", str(corpus), "--output", str(tmp_path / "runs")]
    places += ["--records", str(tmp_path / "records"), "--quiet"]
    chosen = ["--datasets", "digits", "--fusions", "concat", "lmf", "--seeds", "1"]
    run.main([*places, *chosen])
    folder = study.folder_of(tmp_path / "runs", "digits", "lmf", 1)
    facts = json.loads((folder / "run.json").read_text())
    assert facts["validation"][facts["epoch"]] == max(facts["validation"])

    # What was tested is the best epoch.
    task = data.load("digits", BUDGET, corpus)
    model = models.build(task, "lmf", 1)
    model.load_weights(folder / "best.weights.h5")
    x, y = task.test()
    accuracy = np.mean(model.predict(x, verbose=0).argmax(-1) == y)
    tested = json.loads((folder / "test.json").read_text())
    assert tested["test"]["accuracy"] == pytest.approx(accuracy)
    kinds = {kind for kind, *_ in tested["disturbed"]}
    assert kinds == {"noise", "missing", "misalignment"}

    # What is complete is neither trained nor tested again, nor is it read.
    monkeypatch.setattr(data, "load", None)
    run.main([*places, *chosen])
    made = tmp_path / "runs" / "report"
    with open(made / "table.csv", newline="") as file:
        rows = {row["model"]: row for row in csv.DictReader(file)}
    assert list(rows) == ["concat", "lmf", "image", "sound"]
    assert float(rows["lmf"]["time_ratio"]) > 0
    text = (made / "results.md").read_text()
    assert "## digits" in text and "| misalignment | sound | 8 |" in text
    assert (made / "scores.png").stat().st_size > 0
    assert (made / "robustness_digits.png").stat().st_size > 0


def test_a_killed_run_ends_as_if_it_had_not_been(corpus, tmp_path, monkeypatch):
    task = data.load("digits", BUDGET, corpus)
    train.run(task, "concat", 0, BUDGET, tmp_path / "whole", 0)

    class Stopped(Exception):
        pass

    begin = train.Best.on_epoch_begin

    def stop(self, epoch, logs=None):
        if epoch == 1:
            raise Stopped
        begin(self, epoch, logs)

    with monkeypatch.context() as patch, pytest.raises(Stopped):
        patch.setattr(train.Best, "on_epoch_begin", stop)
        train.run(task, "concat", 0, BUDGET, tmp_path / "cut", 0)
    cut = study.folder_of(tmp_path / "cut", "digits", "concat", 0)
    whole = study.folder_of(tmp_path / "whole", "digits", "concat", 0)
    assert not (cut / "run.json").exists()
    train.run(task, "concat", 0, BUDGET, tmp_path / "cut", 0)
    found = []
    for folder in (cut, whole):
        model = models.build(task, "concat", 7)
        model.load_weights(folder / "best.weights.h5")
        found.append(model.get_weights())
        log = json.loads((folder / "epochs.json").read_text())
        assert len(log) == BUDGET.epochs
    for ours, theirs in zip(*found, strict=True):
        np.testing.assert_allclose(ours, theirs, atol=1e-6)
    with pytest.raises(SystemExit, match="another budget"):
        train.run(task, "concat", 0, replace(BUDGET, steps=3), tmp_path / "cut", 0)
    train.run(task, "concat", 0, BUDGET, tmp_path / "cut", 0)
    keras.config.set_dtype_policy("mixed_bfloat16")
    try:
        with pytest.raises(SystemExit, match="another budget or --precision"):
            train.run(task, "concat", 0, BUDGET, tmp_path / "cut", 0)
    finally:
        keras.config.set_dtype_policy("float32")


def record(score, disturbed, seconds):
    return {
        "test": {"mse": score},
        "clean": score,
        "disturbed": [["noise", "a", 0, disturbed]],
        "samples": 4,
        "parameters": 1000,
        "flops": None,
        "seconds": seconds,
    }


def test_numbers_and_words_of_the_report(tmp_path):
    """`atd` has the lower error, but for noise; the seeds differ more than models."""
    levels = [1.0, 2.0, 3.0]
    for seed, level in enumerate(levels):
        found = {
            "concat": record(level, level + 1.0, 2.0),
            "atd": record(level - 0.1 - 0.01 * seed, level + 2.0 + 0.01 * seed, 5.0),
            "series": record(level + 0.5 * (-1) ** seed, level + 1.0, 1.0),
        }
        (tmp_path / f"etth1_seed{seed}.json").write_text(json.dumps(found))
    report.write(tmp_path, tmp_path / "report")
    seeds = report.read(tmp_path)["etth1"]
    rows = {row["model"]: row for row in report.rows("etth1", seeds)}
    half = t.ppf(0.975, 2) / np.sqrt(3)
    assert rows["concat"]["mean"] == 2.0
    assert rows["concat"]["interval"] == pytest.approx(half)
    assert rows["atd"]["difference"] == pytest.approx(0.11)
    assert rows["atd"]["difference_interval"] == pytest.approx(0.01 * half)
    assert rows["atd"]["time_ratio"] == 2.5
    assert "over_alone" not in rows["series"]
    text = (tmp_path / "report" / "results.md").read_text()
    # Neither is surely better than `series`, which is the best alone by default.
    assert "| etth1 | `series` | none | none | all | none |" in text
    assert "Against `concat`: better `atd`; worse none; not told apart none." in text
    assert "not told apart `concat`, `atd`." in text
    assert "Undisturbed, `atd` is first." in text
    assert "| noise | a | 0 | `concat` |  | `atd` worse |" in text


@pytest.mark.parametrize("alone", [{}, {"series": record(1.5, 2.5, 1.0)}])
def test_a_report_of_no_fusion_but_the_reference(tmp_path, alone):
    found = {"concat": record(1.0, 2.0, 2.0), **alone}
    (tmp_path / "etth1_seed0.json").write_text(json.dumps(found))
    report.write(tmp_path, tmp_path / "report")
    assert report.outdated(tmp_path, tmp_path / "report") == []


def test_an_old_page_is_known(tmp_path):
    """By its words, its tables, a figure that lacks, or records that are new."""
    records, page = tmp_path / "records", tmp_path / "page"
    records.mkdir()
    found = {"concat": record(1.0, 2.0, 2.0), "atd": record(1.1, 2.1, 2.0)}
    (records / "etth1_seed0.json").write_text(json.dumps(found))
    report.write(records, page)
    check = ["--check", "--records", str(records), "--output", str(page)]
    assert report.main(check) == 0
    (page / "scores.png").unlink()
    assert report.outdated(records, page) == ["scores.png"]
    assert report.main(check) == 1
    found["atd"]["test"]["mse"] = 1.2
    (records / "etth1_seed0.json").write_text(json.dumps(found))
    assert report.outdated(records, page) == ["results.md", "table.csv", "scores.png"]


def test_the_page_is_that_of_the_records():
    assert report.main(["--check"]) == 0


def test_towers_are_what_is_alone_in_retrieval():
    right = np.eye(12)
    found = scores.of_retrieval(
        np.arange(12), {"looked": (right, right), "towers": (-right, -right)}
    )
    assert found["mean_recall"] == 1.0 and found["towers_mean_recall"] == 0.0
    added = report.with_towers({"concat": {"test": found}})
    assert added["towers"]["test"] == {"mean_recall": 0.0}
    keras.backend.clear_session()
