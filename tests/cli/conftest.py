"""Presets that are not read; what `mmfusion tune` is given, and how it refuses."""

import re

import keras
import pytest
from cli_fakes import RuleModel
from tune_files import write_arrays

from keras_mmfusion import cli, presets
from keras_mmfusion.models import BeatClassifier
from keras_mmfusion.preprocessing import BeatPreprocessor


@pytest.fixture
def loaded(monkeypatch):
    """Names of the presets that were loaded, none of which is really read."""
    names = []

    def load(name):
        names.append(name)
        return RuleModel(causal=name.endswith("_causal"))

    monkeypatch.setattr(presets, "load", load)
    return names


@pytest.fixture
def file(tmp_path):
    return write_arrays(tmp_path / "data.npz")


@pytest.fixture
def output(tmp_path):
    return tmp_path / "found"


@pytest.fixture
def refused(capsys):
    def check(message, *words):
        capsys.readouterr()
        assert cli.main(["tune", *map(str, words)]) == 2
        captured = capsys.readouterr()
        lines = captured.err.strip().split("\n")
        assert lines[-1].startswith("mmfusion: error: ")
        assert captured.out == ""
        assert re.search(message, lines[-1]), lines[-1]

    return check


@pytest.fixture(scope="module")
def labeller(tmp_path_factory):
    """A preset that labels beats by their rhythm and shape."""
    keras.utils.set_random_seed(0)
    model = BeatClassifier(
        inputs={"rhythm": (16, 2), "shape": (16, 10)},
        encoders={
            "rhythm": keras.layers.Dense(4, name="rhythm_encoder"),
            "shape": keras.layers.Dense(4, name="shape_encoder"),
        },
        classes=["N", "S", "V"],
        fusion="concat",
        dim=8,
    )
    model.preprocessor = BeatPreprocessor()
    folder = tmp_path_factory.mktemp("preset") / "labeller"
    presets.save(model, folder)
    return folder
