"""A config may name stock Keras classes and ours; nothing may run foreign code."""

import base64
import json
import marshal

import keras
import numpy as np
import pytest
from backends import once

from keras_mmfusion import presets
from keras_mmfusion.presets import _config, _json

pytestmark = once


def stock(name, module="keras.layers", /, **config):
    return {
        "class_name": name,
        "config": config,
        "module": module,
        "registered_name": None,
    }


def function(module, name):
    return {
        "class_name": "function",
        "config": name,
        "module": module,
        "registered_name": name,
    }


@keras.saving.register_keras_serializable("keras_mmfusion_test", "act")
def registered_elsewhere(*args, **kwargs):
    """Keras calls what is registered as an initializer, by its name alone."""
    raise AssertionError("code from elsewhere ran")


REFUSED = {
    "lambda layer": stock("Lambda", function=[]),
    "lambda layer, private path": stock(
        "Lambda", "keras.src.layers.core.lambda_layer", function=[]
    ),
    "lambda value": {"class_name": "__lambda__", "config": {"value": "x"}},
    "python function": function("os", "system"),
    "keras function": function("keras.utils", "get_file"),
    "builtin function": function("builtins", "eval"),
    "saved model": stock("TFSMLayer", filepath="x"),
    "torch module": stock("TorchModuleWrapper", module="x"),
    "callback": stock("CSVLogger", "keras.callbacks", filename="x"),
    "scope": stock("CustomObjectScope", "keras.saving", custom_objects={}),
    "no such class": stock("Nothing"),
    "other library": stock("Popen", "subprocess"),
    "module inside keras": stock("Popen", "keras.subprocess"),
    "no module": {"class_name": "Dense", "config": {"units": 1}},
    "other registered name": {**stock("Dense", units=1), "registered_name": "x>Dense"},
    "name is no string": stock(["Dense"]),
    "foreign class": {
        "class_name": "ForeignLayer",
        "config": {},
        "module": "conftest",
        "registered_name": "keras_mmfusion_test>ForeignLayer",
    },
    "ours by a registered name only": {
        "class_name": "Lambda",
        "config": {"function": []},
        "registered_name": "keras_mmfusion>TinyFusion",
    },
    "ours, but another class": {
        **stock("Lambda", function=[]),
        "registered_name": "keras_mmfusion>TinyFusion",
    },
    "ours, without a module": {
        "class_name": "TinyFusion",
        "config": {},
        "registered_name": "keras_mmfusion>TinyFusion",
    },
    "lambda value as ours": {
        **stock("__lambda__", value="x"),
        "registered_name": "keras_mmfusion>TinyFusion",
    },
    "registered name alone": stock("Dense", activation="keras_mmfusion_test>act"),
    "registered name below": stock("Dense", units=[{"any": "keras_mmfusion_test>act"}]),
    "array of huge strings": {
        "class_name": "__numpy__",
        "config": {"value": ["a"], "dtype": "S4000000000"},
    },
    "in a build_config": {
        **stock("Dense", units=1),
        "build_config": {"input_shape": function("os", "system")},
    },
    "compiled below": {
        **stock("Dense", units=1),
        "compile_config": {"loss": "mse"},
    },
    "unknown class of ours": {
        "class_name": "Nothing",
        "config": {},
        "module": "keras_mmfusion.layers",
        "registered_name": "keras_mmfusion>Nothing",
    },
    "file of words": stock("StringLookup", vocabulary="/etc/passwd"),
    "class without config": {**stock("Dense"), "config": "x"},
}


@pytest.mark.parametrize("node", REFUSED.values(), ids=REFUSED)
@pytest.mark.parametrize("depth", ["top", "nested"])
def test_refused(node, depth, monkeypatch):
    """Keras never sees it."""
    seen = []
    monkeypatch.setattr(
        keras.saving, "deserialize_keras_object", lambda *a, **k: seen.append(a)
    )
    if depth == "nested":
        inner = stock("Dense", units=2, kernel_initializer=[{"any": node}])
        node = stock("TimeDistributed", layer=inner)
    with pytest.raises(ValueError, match=r"config\.json"):
        _config.build(json.dumps(node).encode(), "config.json")
    assert not seen


@pytest.fixture
def unsafe():
    """A user who loads other models with Lambda; presets are refused all the same."""
    keras.config.enable_unsafe_deserialization()
    yield
    keras.utils.clear_session()  # There is no other way back.


RAN = []


def payload(x):
    import test_refused_config

    test_refused_config.RAN.append("payload")
    return x


@pytest.mark.parametrize("form", ["new", "old", "old, as ours"])
def test_code_never_runs(form, unsafe):
    """A Lambda that works, and that older files had without a module."""
    code = base64.b64encode(marshal.dumps(payload.__code__)).decode()
    value = {"code": code, "defaults": None, "closure": None}
    function = {"class_name": "__lambda__", "config": value}
    layer = stock("Lambda", name="run", function=function)
    if form != "new":
        del layer["module"], layer["registered_name"]
    if form == "old, as ours":
        layer["registered_name"] = "keras_mmfusion>TinyFusion"
        function["registered_name"] = "keras_mmfusion>TinyFusion"
    node = stock("Sequential", "keras", name="model", layers=[layer])
    text = json.dumps(node)
    # It would run if Keras were given it.
    keras.saving.deserialize_keras_object(node)(np.ones((1, 2)))
    assert RAN
    RAN.clear()
    with pytest.raises(ValueError, match="must not run code of its own"):
        _config.build(text.encode(), "config.json")
    assert not RAN


def test_refused_from_a_folder(saved, rehash):
    """The same check stands between `load` and the file."""
    config = json.loads((saved / "config.json").read_text())
    config["config"]["encoder"] = REFUSED["python function"]
    (saved / "config.json").write_text(json.dumps(config))
    rehash(saved)
    with pytest.raises(ValueError, match=r"must not run code.*module='os'"):
        presets.load(saved)


def test_preprocessor_is_checked_too(saved, rehash):
    (saved / "preprocessor.json").write_text(json.dumps(REFUSED["lambda layer"]))
    rehash(saved)
    with pytest.raises(ValueError, match=r"preprocessor\.json may name"):
        presets.load(saved)


def test_compiled_config(saved, rehash):
    config = json.loads((saved / "config.json").read_text())
    config["compile_config"] = {"loss": "mse"}
    (saved / "config.json").write_text(json.dumps(config))
    rehash(saved)
    with pytest.raises(ValueError, match="uncompiled"):
        presets.load(saved)


@pytest.mark.parametrize("opening", ["[", '{"a":'])
def test_ten_thousand_deep(saved, rehash, opening):
    closing = "]" if opening == "[" else "}"
    text = '{"a":' + opening * 10_000 + "1" + closing * 10_000 + "}"
    (saved / "config.json").write_text(text)
    rehash(saved)
    with pytest.raises(ValueError, match="nested more than"):
        presets.load(saved)


def test_models_in_models_to_the_limit():
    """As deep as the limit allows, Keras is not driven into a RecursionError."""
    layer = stock("Dense", units=1)
    while True:
        deeper = stock("TimeDistributed", layer=layer)
        try:
            _json.parse(json.dumps(deeper).encode(), "config.json")
        except ValueError:
            break
        layer = deeper
    built = _config.build(json.dumps(layer).encode(), "config.json")
    assert isinstance(built, keras.layers.TimeDistributed)


def test_brackets_in_strings_are_no_nesting():
    text = json.dumps({"a": '"\\' + "[" * 1000}).encode()
    assert _json.parse(text, "x")["a"].endswith("[")


def test_large_file():
    with pytest.raises(ValueError, match="must not be larger"):
        _json.parse(b" " * (_json.MAX_BYTES + 1), "config.json")


def test_config_that_does_not_build():
    node = stock("Dense", units=1, surprise=1)
    with pytest.raises(ValueError, match=r"config\.json does not build a Dense"):
        _config.build(json.dumps(node).encode(), "config.json")


@pytest.mark.parametrize("text", ["{}", '{"class_name": "__bytes__", "config": {}}'])
def test_no_class(text):
    with pytest.raises(ValueError, match="must describe an object"):
        _config.build(text.encode(), "config.json")


def test_save_refuses_what_load_would(tmp_path):
    model = keras.Sequential([keras.Input((2,)), keras.layers.Lambda(lambda x: x)])
    with pytest.raises(ValueError, match="no Lambda"):
        presets.save(model, tmp_path / "x")
    assert not any(tmp_path.iterdir())


def test_model_that_fits_into_no_memory(saved, rehash):
    """Hundreds of terabytes of weights are an error like any other."""
    config = json.loads((saved / "config.json").read_text())
    config["config"]["num_classes"] = 2**44
    (saved / "config.json").write_text(json.dumps(config))
    rehash(saved)
    with pytest.raises(ValueError, match=r"config\.json does not build a TinyFusion"):
        presets.load(saved)
