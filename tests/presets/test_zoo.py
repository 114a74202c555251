"""Every shipped preset is complete, and what it says it is."""

import contextlib
import hashlib
import json

import jsonschema
import keras
import pytest
from backends import in_turn, once

from keras_mmfusion import presets
from keras_mmfusion.presets import _golden, _metadata, _registry

ROOT = _registry.shipped_directory()
FOLDERS = sorted(path.parent for path in ROOT.glob("*/metadata.json"))
TRAINED = [folder for folder in FOLDERS if (folder / "golden.npz").is_file()]
CASES = [pytest.param(path, id=path.name) for path in TRAINED]
LARGE = 100_000_000
# What a preset with weights may cost whoever installs the package, in parameters and
# bytes; a forecaster begins with a map of 504 hours to 720.
LIMITS = {"forecasting": (700_000, 3 * 2**20)}
OTHERS = 500_000, 2 * 2**20


def test_the_zoo_is_found():
    assert ROOT.name == "zoo"
    assert (ROOT / "README.md").is_file()


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda path: path.name)
def test_shipped_preset(folder):
    metadata = presets.info(folder)
    with weights_of(metadata):
        report = presets.verify(folder)
    assert metadata["name"] == folder.name
    assert [key for key in _metadata.TO_SHIP if key not in metadata] == []
    assert "README.md" in metadata["files"]
    if metadata.trained:
        assert report["golden_difference"] is not None
        _, value, sd = metadata.metrics()[0]
        assert sd is not None
        if metadata["task"] == "classification":
            assert 0 <= value <= 1, "the main metric comes first, not a count"


@once
@pytest.mark.parametrize("folder", CASES)
def test_int8(folder, tmp_path):
    """The numbers stay near, and what is saved and loaded gives the same.

    On one backend, without compilers: all try each layer and kind of model.
    """
    x, expected = golden_of(folder)
    model = presets.load(folder)
    model.quantize("int8")
    again = presets.save(model, tmp_path / folder.name, golden=x)
    _, outputs = golden_of(again)
    assert 0 < _golden.largest_difference(expected, outputs, "int8") < 0.1
    assert presets.verify(again)["golden_difference"] < 1e-5


@pytest.mark.parametrize("folder", in_turn(CASES))
def test_mixed_precision(folder):
    x, expected = golden_of(folder)
    outputs = _golden.predict(presets.load(folder, dtype="mixed_bfloat16"), x)
    assert 0 < _golden.largest_difference(expected, outputs, "bfloat16") < 0.1


def golden_of(folder):
    """Inputs of a preset, and the outputs that it gave for them."""
    return _golden.parse((folder / "golden.npz").read_bytes(), folder.name)


@once
@pytest.mark.parametrize("folder", FOLDERS, ids=lambda path: path.name)
def test_nothing_is_taken_on_trust(folder):
    """Counted again here, without the code that `verify` is made of."""
    text = (folder / "metadata.json").read_bytes()
    metadata = json.loads(text)
    jsonschema.validate(metadata, _metadata.SCHEMA)
    found = {
        path.name: {
            "sha256": hashlib.sha256(path.read_bytes()).hexdigest(),
            "bytes": path.stat().st_size,
        }
        for path in folder.iterdir()
        if path.name != "metadata.json"
    }
    assert metadata["files"] == found
    if "model.weights.h5" in found:
        parameters, size = LIMITS.get(metadata["task"], OTHERS)
        assert metadata["parameters"] <= parameters
        assert sum(file["bytes"] for file in found.values()) + len(text) <= size
    with weights_of(metadata):
        model = presets.load(folder, load_weights=False)
    counted = sum(size_of(weight) for weight in model.weights)
    assert metadata["parameters"] == counted
    for name, tensor in model.input.items():
        assert metadata["inputs"][name]["shape"] == list(tensor.shape[1:])


def weights_of(metadata):
    """Weights of large models are only counted, which PyTorch can do without memory."""
    if metadata["parameters"] < LARGE:
        return contextlib.nullcontext()
    if keras.backend.backend() != "torch":
        pytest.skip("large, see the same test on PyTorch")
    return keras.device("meta")


def size_of(weight):
    size = 1
    for length in weight.shape:
        size *= length
    return size
