"""New figures on a card leave the weights as they are."""

import sys
from pathlib import Path
from types import SimpleNamespace

import keras
import pytest
from backends import once

from keras_mmfusion import presets

sys.path.append(str(Path(__file__).parents[2] / "recipes" / "mitbih"))

import release
from revise import add_baselines, listed, revise

pytestmark = once


FIGURES = {"metrics": {"random": {"accuracy": 0.5}}, "baselines": {"concat": 0.4}}


def make(seed):
    keras.utils.set_random_seed(seed)
    return keras.Sequential([keras.Input((4,), name="load"), keras.layers.Dense(1)])


@pytest.fixture
def folder(tmp_path):
    files = {"README.md": "# small\n"}
    metadata = {"task": "regression", "metrics": {"random": {"accuracy": 0.1}}}
    return presets.save(make(0), tmp_path / "small", metadata=metadata, files=files)


def contents(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_new_figures_and_the_same_model(folder, monkeypatch):
    recipe = SimpleNamespace(
        metadata=lambda facts: {**FIGURES, "task": "left as it is"},
        text=lambda facts: "# small, again\n",
    )
    monkeypatch.setattr(release, "card", recipe)
    monkeypatch.setattr(release, "metadata", recipe.metadata)
    before = contents(folder)
    release.revise_card(folder, make(0), SimpleNamespace(which="seed 0"))
    after, info = contents(folder), presets.info(folder)
    changed = {name for name in before if before[name] != after[name]}
    assert changed == {"README.md", "metadata.json"}
    assert (info["metrics"], info["baselines"]) == tuple(FIGURES.values())
    assert info["task"] == "regression"
    assert after["README.md"] == b"# small, again\n"
    presets.verify(folder)


def test_other_weights_need_a_release(folder):
    before = contents(folder)
    with pytest.raises(SystemExit, match=r"must be those of seed 1\."):
        release.revise_card(folder, make(1), SimpleNamespace(which="seed 1"))
    assert contents(folder) == before


def test_nothing_is_written_if_the_figures_are_wrong(folder):
    before = contents(folder)
    with pytest.raises(ValueError, match="metrics"):
        revise(folder, {"metrics": "good"}, {"README.md": b"# good\n"})
    assert contents(folder) == before


def table(metadata):
    rows = metadata["baselines"]["same_run"].items()
    return "\n".join(f"| {name} | {value['mean']} |" for name, value in rows) + "\n"


def test_later_baselines(tmp_path):
    """A row more in the metadata and on the card, and the same model."""
    baselines = {"same_run": {"concat": {"mean": 0.4}}}
    card = f"# small\n\n{table({'baselines': baselines})}\nNo limits.\n"
    folder = presets.save(
        make(0),
        tmp_path / "small",
        metadata={"task": "regression", "baselines": baselines},
        files={"README.md": card},
    )
    before = contents(folder)
    groups = {"same_run": {"lmf": {"mean": 0.5}}}
    add_baselines(folder, groups, [table], "`lmf` came later.")
    after = contents(folder)
    changed = {name for name in before if before[name] != after[name]}
    assert changed == {"README.md", "metadata.json"}
    expected = "# small\n\n| concat | 0.4 |\n| lmf | 0.5 |\n\n`lmf` came later.\n"
    assert after["README.md"].decode() == f"{expected}\nNo limits.\n"
    assert presets.info(folder)["baselines"]["same_run"]["lmf"] == {"mean": 0.5}
    presets.verify(folder)
    # Once more, with another figure: the sentence is not said twice.
    add_baselines(
        folder, {"same_run": {"lmf": {"mean": 0.6}}}, [table], "`lmf` came later."
    )
    card = (folder / "README.md").read_text()
    assert card == f"{expected}\nNo limits.\n".replace("0.5", "0.6")


def test_a_card_without_the_table_stays(folder):
    before = contents(folder)
    groups = {"same_run": {"lmf": {"mean": 0.5}}}
    with pytest.raises(SystemExit, match="0 times"):
        add_baselines(folder, groups, [lambda m: str(m.get("baselines"))], "Later.")
    assert contents(folder) == before


def test_names_in_a_sentence():
    assert listed(["a"]) == "a"
    assert listed(name for name in "ab") == "a and b"
    assert listed("abc") == "a, b and c"
