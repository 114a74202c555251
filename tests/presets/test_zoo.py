"""Every shipped preset is complete, and what it says it is."""

import contextlib
import hashlib
import json

import jsonschema
import keras
import pytest
from backends import once

from keras_mmfusion import presets
from keras_mmfusion.presets import _metadata, _registry

ROOT = _registry.shipped_directory()
FOLDERS = sorted(path.parent for path in ROOT.glob("*/metadata.json"))
LARGE = 100_000_000
# What a preset with weights may cost whoever installs the package.
PARAMETERS, BYTES = 500_000, 2 * 2**20


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
        assert metadata["parameters"] <= PARAMETERS
        assert sum(file["bytes"] for file in found.values()) + len(text) <= BYTES
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
