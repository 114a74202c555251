"""From the trainings of the MIT-BIH recipe to a preset, on a few beats of DS1."""

import os
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
from backends import only_on
from recipe_modules import recipe_modules

from keras_mmfusion import presets
from keras_mmfusion.datasets import mitbih
from keras_mmfusion.metrics import beat_metrics
from keras_mmfusion.models import BeatEnsemble
from keras_mmfusion.preprocessing import BeatPreprocessor

pytestmark = only_on("torch")
NAMES = "architecture", "card", "detected", "evaluate", "release", "scoring", "train"
architecture, card, detected, evaluate, release, scoring, train, validate = (
    recipe_modules("mitbih", *NAMES, "validate")
)
DS1, LOAD = mitbih.DS1, mitbih.load_mitbih
LEARNED, HELD_OUT, BEATS = ("223", "118"), ("208", "209"), 400
V = 2  # Of N, S, V, F: the only class that two of each three decide about.
KEYS = ("accuracy", "macro_f1", "macro_f1_nsv", "kappa", "j_kappa")


def few_beats(names, data_dir=None):
    assert set(names) <= set(DS1), "no model is scored on records of DS2 here"
    return [
        replace(r, beats=r.beats[:BEATS], symbols=r.symbols[:BEATS])
        for r in LOAD(names, data_dir)
    ]


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """Where runs are, as an option and as a folder, and the folder to release to."""
    if not os.environ.get("KERAS_MMFUSION_DATA"):
        pytest.skip("needs real data: set KERAS_MMFUSION_DATA")
    runs, zoo = tmp_path_factory.mktemp("runs"), tmp_path_factory.mktemp("zoo")
    output = ["--output", str(runs)]
    fit = [*output, "--quiet", "--steps", "12", "--batch-size", "6"]
    fit += ["--learning-rate", "0.01", "--fusion"]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(mitbih, "load_mitbih", few_beats)
        patch.setattr(mitbih, "DS1", LEARNED)
        patch.setattr(mitbih, "DS2", HELD_OUT)
        patch.setattr(mitbih, "FOLDS", tuple((name,) for name in LEARNED))
        patch.setattr(scoring, "COMMON", 1)
        patch.setattr(scoring, "SPECIALISTS", 2)
        # So few F beats that none is predicted.
        patch.setitem(train.ANCHOR_SHARES, "interpatient", (0.4, 0.3, 0.3, 0.0))
        patch.setattr(architecture, "MODALITIES", ("rhythm", "shape"))
        patch.setattr(evaluate, "_loaded", {})
        # The annotated beats: to detect them takes seconds a record.
        found = [(r, replace(r, symbols=None)) for r in few_beats(HELD_OUT)]
        patch.setattr(detected, "_detected", lambda *_: found)
        for part in ([], ["--folds"]):
            train.main([*fit, "atd", "--seeds", "0", "1", *part])
            four = ["--seeds", "0", "1", "2", "3"]
            train.main([*fit, "atd", "--specialist", *four, *part])
        train.main([*fit, "rhythm", "--seeds", "0"])
        train.main([*fit, "rhythm", "--seeds", "0", "1", "--specialist"])
        yield output, runs / "interpatient", zoo / "atd_mitbih"


def measured(probabilities, names):
    """Metrics of `{record: probabilities}`, by what the recipe does not share."""
    consensus = architecture.consensus("atd")
    prepare = BeatPreprocessor(separate_leads=True)
    classes = np.array(["N", "S", "V", "F"])
    true, said = [], []
    for record in few_beats(names):
        found = consensus(probabilities[record.name], prepare(record).modalities, False)
        labels = mitbih.aami_labels(record.symbols)
        known = (labels >= 0) & (labels < len(classes))
        true += classes[labels[known]].tolist()
        said += classes[found[known].argmax(axis=1)].tolist()
    metrics = beat_metrics(true, said, tuple(classes))
    return {key: getattr(metrics, key) for key in KEYS}


def predictions(runs, seed, part, variant="atd"):
    """`{record: probabilities}` that a run has left, or all of its folds."""
    found = {}
    for file in sorted((runs / variant).glob(f"seed{seed}_{part}.npz")):
        found |= np.load(file)
    return found


def of_model(runs, number, part, names):
    """Metrics of an ensemble, by hand: one seed, and two that decide about V only."""
    common = predictions(runs, number, part)
    one, two = (
        predictions(runs, 2 * number + i, part, "atd_specialist") for i in range(2)
    )
    said = {}
    for name in names:
        ventricular = sum(of[name][:, V] for of in (common, one, two)) / 3
        left = (1 - ventricular) / (1 - common[name][:, V])
        said[name] = common[name] * left[:, None]
        said[name][:, V] = ventricular
    return measured(said, names)


def test_validation_and_evaluation(made, monkeypatch, capsys):
    output, runs, _ = made
    validate.main(output)
    rows = [line.split() for line in capsys.readouterr().out.splitlines()]
    seeds = [
        measured(predictions(runs, seed, "fold*/validation"), LEARNED)
        for seed in range(2)
    ]
    models = [of_model(runs, n, "fold*/validation", LEARNED) for n in range(2)]
    assert [row[:2] for row in rows[2:5:2]] == [["atd", "2"], ["atd_specialist", "4"]]
    assert rows[3][:4] == ["atd", "x", "3", "2"]
    for cell, of in ((rows[2][2], seeds), (rows[3][4], models)):
        mean = np.mean([one["accuracy"] for one in of])
        assert float(cell) == pytest.approx(mean, abs=1e-4)
    validate.main([*output, "--ensembles", "atd"])
    lines = capsys.readouterr().out.splitlines()
    (with_v,) = (line.split() for line in lines[:6] if line.startswith("1, V 2  "))
    mean = np.mean([of["accuracy"] for of in models])
    assert with_v[3] == "2" and float(with_v[4]) == pytest.approx(mean, abs=1e-4)
    assert not list(runs.glob("*/*/test.npz")), "it has looked at the held-out beats"

    evaluate.main(output)
    table = capsys.readouterr().out
    files = sorted(runs.glob("*/*/test.npz"))
    variants = [f.parent.parent.name for f in files]
    assert variants[:6] == ["atd"] * 2 + ["atd_specialist"] * 4
    assert variants[6:] == ["rhythm"] + ["rhythm_specialist"] * 2
    assert [row.split()[0] for row in table.splitlines()[1:]] == ["atd", "rhythm"]
    assert set(np.load(files[0])) == set(HELD_OUT)
    before = [f.stat().st_mtime_ns for f in files]
    # Nothing is predicted anew.
    monkeypatch.delattr(evaluate, "build")
    evaluate.main(output)
    assert capsys.readouterr().out == table
    assert [f.stat().st_mtime_ns for f in files] == before


@pytest.mark.parametrize("missing", [np.nan, None])
def test_what_has_no_metric_is_a_dash_on_the_card(missing):
    found = {
        "accuracy": {"mean": 0.5, "sd": 0.1, "n": 2},
        "macro_f1": {"mean": 0.5, "sd": missing, "n": 2},
        "S_f1": {"mean": missing, "sd": missing, "n": 2},
    }
    labels = {
        "rhythm": "rhythm alone",
        "atd_causal": "atd, all modalities, the past only",
    }
    rows = card.baseline_table(dict.fromkeys(labels, found)).splitlines()[-2:]
    for row, label in zip(rows, labels.values(), strict=True):
        assert row == f"| {label} | 2 | 0.5000 ± 0.1000 | 0.5000 | – |"


def test_release(made):
    output, runs, folder = made
    release.main(["atd_mitbih", *output, "--zoo", str(folder.parent)])
    presets.verify(folder)
    about, model = presets.info(folder), presets.load(folder)

    # The better of the two models that were validated.
    folds = [of_model(runs, n, "fold*/validation", LEARNED) for n in range(2)]
    best = max(range(2), key=lambda number: folds[number]["macro_f1_nsv"])
    assert folds[0]["macro_f1_nsv"] != folds[1]["macro_f1_nsv"]
    seeds = [best, 2 * best, 2 * best + 1]
    assert about["recipe"]["seed"] == seeds
    assert isinstance(model, BeatEnsemble)
    assert model.specialists == {"V": [1, 2]} and not model.alone
    assert model.consensus.weights == architecture.consensus("atd").weights
    variants = ["atd", "atd_specialist", "atd_specialist"]
    for variant, seed, member in zip(variants, seeds, model.members, strict=True):
        trained = evaluate.build("interpatient", variant)
        trained.load_weights(runs / variant / f"seed{seed}_all" / "model.weights.h5")
        pairs = zip(member.get_weights(), trained.get_weights(), strict=True)
        assert all(np.array_equal(mine, theirs) for mine, theirs in pairs)

    # Means over two models of three members each, and what the released one says.
    first, second = (of_model(runs, n, "all/test", HELD_OUT) for n in range(2))
    ours = (first, second)[best]
    beside, text = about["baselines"], (folder / "README.md").read_text()
    for key in KEYS:
        found = about["metrics"]["interpatient"][key]
        both = [first[key], second[key]]
        expected = {"mean": np.mean(both), "sd": np.std(both, ddof=1), "n": 2}
        assert found == pytest.approx(expected, abs=1e-5)
        assert beside["released_weights"][key] == pytest.approx(ours[key], abs=1e-5)
        assert f"| {found['mean']:.4f} ± {found['sd']:.4f} | {ours[key]:.4f} |" in text
    assert first["accuracy"] != second["accuracy"]
    # What is never predicted has no precision; that is no number of JSON.
    assert beside["released_weights"]["F_ppv"] is None
    assert '"F_f1"' in text and '"F_ppv"' not in text
    assert "| F | 0.0000 ± 0.0000 | – | 0.0000 ± 0.0000 | 0.0000 |" in text
    # The preset itself says the same, of all modalities and of "detected" beats.
    whole, heard = beside["subsets_of_modalities"], beside["detected_beats"]
    for found in whole["rhythm + shape"], heard:
        assert found["accuracy"] == pytest.approx(ours["accuracy"], abs=1e-4)
    assert heard["detector_se"] == heard["detector_ppv"] == 1.0
    assert list(beside["same_run"]) == ["rhythm"]
    mean = about["metrics"]["interpatient"]["accuracy"]["mean"]
    rows = (folder.parent / "results.csv").read_text()
    assert f"interpatient,atd,atd_mitbih,accuracy,{mean}," in rows


@pytest.mark.parametrize(("variant", "causal"), [("atd", False), ("atd_causal", True)])
def test_a_choice_is_made_by_what_the_model_sees(variant, causal, monkeypatch):
    """Its consensus compares beats, which without the future are other numbers."""
    seen = []
    monkeypatch.setattr(
        release.data, "load", lambda _, made, *args: seen.append(made) or []
    )
    monkeypatch.setattr(release.scoring, "read_models", lambda *args, **kwargs: {})
    args = SimpleNamespace(data=None, output="none")
    assert release.choose(args, "interpatient", variant) == (0, None)
    assert [made.causal for made in seen] == [causal]
