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
from revise import revise

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
    release.revise_card(folder, make(0), SimpleNamespace(seeds=[0]))
    after, info = contents(folder), presets.info(folder)
    changed = {name for name in before if before[name] != after[name]}
    assert changed == {"README.md", "metadata.json"}
    assert (info["metrics"], info["baselines"]) == tuple(FIGURES.values())
    assert info["task"] == "regression"
    assert after["README.md"] == b"# small, again\n"
    presets.verify(folder)


def test_other_weights_need_a_release(folder):
    before = contents(folder)
    with pytest.raises(SystemExit, match=r"must be those of seeds \[1\]"):
        release.revise_card(folder, make(1), SimpleNamespace(seeds=[1]))
    assert contents(folder) == before


def test_nothing_is_written_if_the_figures_are_wrong(folder):
    before = contents(folder)
    with pytest.raises(ValueError, match="metrics"):
        revise(folder, {"metrics": "good"}, {"README.md": b"# good\n"})
    assert contents(folder) == before
