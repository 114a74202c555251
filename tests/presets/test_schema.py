"""The shipped JSON Schema, and our reading of it against that of jsonschema."""

import copy
import json

import jsonschema
import pytest
from backends import once

from keras_mmfusion import presets
from keras_mmfusion.presets import _metadata, _registry, _schema

pytestmark = once


ROOT = _registry.shipped_directory()
KEYWORDS = {
    *("$schema", "$defs", "$ref", "title", "description", "type", "pattern"),
    *("properties", "required", "additionalProperties", "propertyNames", "items"),
    *("minimum", "maximum"),
}
DELETE = Ellipsis  # Has the same name in every process, as tests in several need.
# A path in the metadata of `saved`, and what is put there.
WRONG = [
    (["surprise"], 1),
    (["name"], DELETE),
    (["name"], ""),
    (["name"], "-x"),
    (["version"], "1."),
    (["parameters"], -1),
    (["parameters"], "7"),
    (["parameters"], True),
    (["parameters"], 1.5),
    (["schema_version"], 0),
    (["files"], []),
    (["files", "metadata.json"], {"sha256": "0" * 64, "bytes": 1}),
    (["files", "a/b"], {"sha256": "0" * 64, "bytes": 1}),
    (["files", ".."], {"sha256": "0" * 64, "bytes": 1}),
    (["files", "x"], {"sha256": "0" * 63, "bytes": 1}),
    (["files", "x"], {"sha256": "A" * 64, "bytes": 1}),
    (["files", "x"], {"sha256": "0" * 64}),
    (["files", "x"], {"sha256": "0" * 64, "bytes": -1}),
    (["inputs", "wave", "shape"], [1.5]),
    (["inputs", "wave", "shape"], [-1]),
    (["inputs", "wave", "shape"], DELETE),
    (["inputs", "wave", "colour"], "red"),
    (["inputs", "wave", "units"], [1]),
    (["inputs", "wave", "sampling_rate"], "360"),
    (["outputs", "classes"], "abc"),
    (["outputs", "probability"], 1),
    (["metrics"], 0.5),
    (["metrics", "accuracy"], "0.5"),
    (["metrics", "accuracy", "sd"], "0.5"),
    (["metrics", "accuracy", "n"], 0),
    (["metrics", "deep"], {"deeper": {"accuracy": [1]}}),
    (["baselines"], {"concat": {"accuracy": {"mean": "x"}}}),
    (["exports"], {"litert": {"scores": {}}}),
    (["exports"], {"litert": {"scores": {}, "weights_sha256": "0" * 63}}),
    (["exports"], {"litert": {"scores": {"S_f1": "x"}, "weights_sha256": "0" * 64}}),
    (["recipe"], {}),
    (["recipe", "seed"], ["one"]),
    (["limitations"], [1]),
    (["paper"], 0.99),
    (["dataset"], {"name": "x", "license": "y"}),
]
RIGHT = [
    (["inputs", "wave", "shape"], [None, 6]),
    (["inputs", "wave", "units"], ["mV", "mV"]),
    (["metrics"], {}),
    (["metrics", "deep"], {"deeper": {"accuracy": {"mean": 1, "sd": None, "n": 1}}}),
    (["outputs", "classes"], [0, 1, "two"]),
    (["exports"], {"litert": {"scores": {"S_f1": 1}, "weights_sha256": "0" * 64}}),
    (["paper"], "A paper, table 1"),
    (["paper"], {"source": "A paper", "accuracy": 0.9}),
    (["recipe", "seed"], [0, 1]),
    (["task"], DELETE),
]


@pytest.fixture(scope="module")
def validator():
    jsonschema.Draft202012Validator.check_schema(_metadata.SCHEMA)
    return jsonschema.Draft202012Validator(_metadata.SCHEMA)


def changed(metadata, path, value):
    metadata = copy.deepcopy(metadata)
    node = metadata
    for key in path[:-1]:
        node = node[key]
    if value is DELETE:
        del node[path[-1]]
    else:
        node[path[-1]] = value
    return metadata


def test_schema_uses_what_we_understand():
    """A keyword that our reader passes over would be checked by no one."""

    def walk(schema):
        assert set(schema) <= KEYWORDS
        for key in ("properties", "$defs"):
            for child in schema.get(key, {}).values():
                walk(child)
        for key in ("items", "propertyNames", "additionalProperties"):
            if isinstance(schema.get(key), dict):
                walk(schema[key])

    walk(_metadata.SCHEMA)


@pytest.mark.parametrize(("path", "value"), WRONG, ids=repr)
def test_both_refuse(saved_once, validator, path, value):
    metadata = changed(dict(presets.info(saved_once)), path, value)
    assert not validator.is_valid(metadata)
    with pytest.raises(ValueError, match=r"must .*Received"):
        _schema.check(metadata, _metadata.SCHEMA, "metadata.json")


@pytest.mark.parametrize(("path", "value"), RIGHT, ids=repr)
def test_both_accept(saved_once, validator, path, value):
    metadata = changed(dict(presets.info(saved_once)), path, value)
    validator.validate(metadata)
    _schema.check(metadata, _metadata.SCHEMA, "metadata.json")


def test_message_says_where(saved_once):
    metadata = changed(
        dict(presets.info(saved_once)), ["inputs", "wave", "shape"], [2.5]
    )
    with pytest.raises(ValueError) as error:
        _schema.check(metadata, _metadata.SCHEMA, "x/metadata.json")
    assert str(error.value) == (
        "x/metadata.json: inputs.wave.shape[0] must be an integer or null. "
        "Received: inputs.wave.shape[0]=2.5"
    )


def test_every_preset_obeys(validator):
    paths = sorted(ROOT.glob("*/metadata.json"))
    assert paths
    for path in paths:
        validator.validate(json.loads(path.read_text(encoding="utf-8")))
