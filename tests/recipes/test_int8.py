"""What a preset says of its int8 file is of its model, or is not said."""

import sys
from pathlib import Path

import keras
import pytest

from keras_mmfusion import presets

sys.path.append(str(Path(__file__).parents[2] / "recipes" / "mitbih"))

import int8
import release


def save(folder, seed, activation=None):
    keras.utils.set_random_seed(seed)
    dense = keras.layers.Dense(1, activation, name="dense")
    layers = [keras.Input((4,), name="load"), dense]
    model = keras.Sequential(layers, name="small")
    files = {"README.md": "# small\n\nA card.\n"}
    return presets.save(model, folder, files=files, overwrite=True)


def facts_of(folder):
    scores = {key: 0.5 for key in int8.KEYS}
    change = {"same_label": 0.9, "mean_change": 1e-4, "largest_change": 2e-3}
    return {
        "scheme": "dynamic_range",
        "command": int8.command("dynamic_range", "small"),
        **int8.model_of(presets.info(folder)),
        "scores": {
            "float32": {"bytes": 2000, **scores},
            "int8": {"bytes": 1000, **scores, "V_f1": 0.4321},
        },
        "same_label": 0.98765,
        "golden_difference": 0.0123,
        "training_beats": {"dynamic_range": {"bytes": 1000, **change}},
    }


@pytest.fixture
def folder(tmp_path):
    folder = save(tmp_path / "small", seed=0)
    int8.write(folder, facts_of(folder))
    return folder


def card(folder):
    return (folder / "README.md").read_text(encoding="utf-8")


def test_metadata_and_card(folder):
    presets.verify(folder)
    assert int8.read(folder) == facts_of(folder)
    assert card(folder).startswith("# small\n\nA card.\n")
    assert "| int8 | 1 kB | 0.5000 | 0.5000 | 0.5000 | 0.4321 |" in card(folder)
    assert "the same label in both files is 0.98765." in card(folder)
    assert "calibrated on DS1: does not run with these weights." in card(folder)
    once = card(folder)
    int8.write(folder, facts_of(folder))
    assert card(folder) == once
    presets.verify(folder)


def test_a_release_of_the_same_weights_keeps_it(folder):
    once, facts = card(folder), int8.read(folder)
    save(folder, seed=0)
    assert int8.read(folder) is None
    release.keep_int8(folder, facts)
    assert card(folder) == once and int8.read(folder) == facts
    presets.verify(folder)


@pytest.mark.parametrize("other", [{"seed": 1}, {"seed": 0, "activation": "relu"}])
def test_another_model_leaves_it_out(folder, other, capsys):
    facts = int8.read(folder)
    save(folder, **other)
    release.keep_int8(folder, facts)
    assert "export_int8.py small --release" in capsys.readouterr().out
    assert int8.read(folder) is None and card(folder) == "# small\n\nA card.\n"
    with pytest.raises(int8.OtherModel, match="must be of the model in"):
        int8.write(folder, facts)
    presets.verify(folder)


def test_nothing_measured_is_nothing_kept(tmp_path):
    assert int8.read(tmp_path / "none") is None
    folder = save(tmp_path / "small", seed=0)
    release.keep_int8(folder, int8.read(folder))
    assert card(folder) == "# small\n\nA card.\n"
