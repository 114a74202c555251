"""Objects to JSON and back, with stock Keras and our own classes only."""

from types import ModuleType

import keras

from keras_mmfusion._serialization import PACKAGE
from keras_mmfusion.presets import _json
from keras_mmfusion.presets._errors import PresetError
from keras_mmfusion.presets._newer_keras import without_unused_options

# Values, not classes, in what Keras serialises.
_VALUES = (
    "__keras_tensor__",
    "__tensor__",
    "__numpy__",
    "__bytes__",
    "__ellipsis__",
    "__slice__",
)
# What says which class a node is of.
_NAMES = ("class_name", "module", "registered_name")
_ALLOWED = tuple(
    [keras.Operation, keras.DTypePolicy, keras.losses.Loss]
    + [keras.initializers.Initializer, keras.regularizers.Regularizer]
    + [keras.constraints.Constraint, keras.quantizers.Quantizer]
    + [keras.random.SeedGenerator]
    + [getattr(keras.quantizers, "QuantizationConfig", keras.quantizers.Quantizer)]
)
# Each of these runs code, or a program, that comes with the model.
_REFUSED = tuple(
    getattr(keras.layers, name)
    for name in ("Lambda", "TFSMLayer", "TorchModuleWrapper", "JaxLayer", "FlaxLayer")
    if hasattr(keras.layers, name)
)


def dump(obj, what):
    """Return the JSON bytes of a model or preprocessor that `build` would accept."""
    if not hasattr(obj, "get_config") or isinstance(obj, type):
        raise PresetError(
            f"{what} must describe an object with `get_config`. Received: {obj!r}"
        )
    config = keras.saving.serialize_keras_object(obj)
    config.pop("compile_config", None)
    data = _json.dump(config, what, indent=None)
    _check(_json.parse(data, what), what)
    return data


def build(data, what, dtype=None):
    """Make the object that JSON bytes describe.

    Args:
        data: bytes.
        what: str. The file, for error messages.
        dtype: Dtype policy or its name, of the object and of every layer in its
            config that has the object's own policy. Defaults to `None`.

    Returns:
        A model or preprocessor, with new weights.

    Raises:
        PresetError: The config is malformed, names anything but stock Keras
            classes and those of this package, or does not build.
    """
    config = _json.parse(data, what)
    _check(config, what)
    if "class_name" not in config or config["class_name"] in _VALUES:
        raise PresetError(
            f"{what} must describe an object of a class. "
            f"Received: class_name={config.get('class_name')!r}"
        )
    if dtype is not None:
        config = _with_dtype(config, dtype)
    config = without_unused_options(config, _keras_class)
    try:
        return keras.saving.deserialize_keras_object(config, safe_mode=True)
    except Exception as error:
        raise PresetError(
            f"{what} does not build a {config['class_name']}: {error}"
        ) from error


def _check(node, what):
    """Walk a parsed config and raise at the first thing that is not allowed."""
    if isinstance(node, list):
        for item in node:
            _check(item, what)
    if isinstance(node, str):
        _check_text(node, what)
    if not isinstance(node, dict):
        return
    if "class_name" in node:
        _check_class(node, what)
        node = {key: item for key, item in node.items() if key not in _NAMES}
    if node.get("compile_config"):
        raise PresetError(
            f"{what} must describe an uncompiled model. Received: "
            f"compile_config={node['compile_config']}. `presets.save` leaves it out."
        )
    for item in node.values():
        _check(item, what)


def _check_text(text, what):
    """Keras looks up plain strings, too, and calls what is registered by them."""
    if keras.saving.get_registered_object(text) is not None:
        raise PresetError(
            f"{what} may name Keras classes and those of {PACKAGE} only, each as an "
            f"object with its config. Received: {text!r}, which is registered in this "
            "process. Do not load this preset."
        )


def _check_class(node, what):
    name, module = node["class_name"], node.get("module")
    registered = node.get("registered_name")
    if name in _VALUES:
        return _check_value(node, what)
    cls = None
    # Without a module, an older reader of Keras goes by the name of the class alone.
    if registered == f"{PACKAGE}>{name}" and isinstance(module, str):
        cls = _own_class(registered)
    elif registered in (None, name) and isinstance(module, str):
        cls = _stock_class(module, name)
    if cls is None:
        raise PresetError(
            f"{what} may name Keras layers, initializers and the like, and classes "
            f"of {PACKAGE}; no Lambda, no functions, nothing else, since a preset "
            f"must not run code of its own. Received: class_name={name!r}, "
            f"module={module!r}, registered_name={registered!r}. Use a built-in "
            f"activation by its name, and a class of this package for a custom layer."
        )
    if not isinstance(node.get("config"), dict):
        raise PresetError(
            f"{what}: {name} must have a `config` object. "
            f"Received: config={node.get('config')!r}"
        )
    if isinstance(node["config"].get("vocabulary"), str):
        raise PresetError(
            f"{what}: {name} must hold its vocabulary, not the path of a file. "
            f"Received: vocabulary={node['config']['vocabulary']!r}"
        )


def _check_value(node, what):
    """An array of strings of a gigabyte each takes a line of JSON."""
    dtype = (
        node["config"].get("dtype") if isinstance(node.get("config"), dict) else None
    )
    try:
        keras.backend.standardize_dtype(dtype)
    except (TypeError, ValueError) as error:
        raise PresetError(
            f"{what}: {node['class_name']} must be of numbers. Received: {error}"
        ) from error


def _own_class(registered):
    cls = keras.saving.get_registered_object(registered)
    if cls is None:
        # Classes register themselves when their modules are imported.
        from keras_mmfusion import layers, models, preprocessing  # noqa: F401

        cls = keras.saving.get_registered_object(registered)
    return cls if isinstance(cls, type) else None


def _keras_class(node):
    """The class of a checked node if it is one of Keras, else None."""
    if node["class_name"] in _VALUES or not isinstance(node.get("module"), str):
        return None
    return _stock_class(node["module"], node["class_name"])


def _stock_class(module, name):
    """The class `module.name` inside keras if it is harmless to make, else None."""
    first, *parts = module.split(".")
    found = keras if first == "keras" else None
    for part in parts:
        found = getattr(found, part, None)
        if not isinstance(found, ModuleType):
            return None
    cls = getattr(found, name, None) if isinstance(name, str) else None
    if not isinstance(cls, type) or not issubclass(cls, _ALLOWED):
        return None
    return None if issubclass(cls, _REFUSED) else cls


def _with_dtype(config, dtype):
    try:
        policy = keras.dtype_policies.get(dtype)
    except (TypeError, ValueError):
        policy = None
    if policy is None or policy.quantization_mode is not None:
        raise PresetError(
            "`dtype` must be a float policy, such as 'bfloat16' or "
            f"'mixed_bfloat16'. Received: dtype={dtype!r}. To quantise, load the "
            "preset and call `model.quantize`."
        )
    old = _policy_name(config["config"].get("dtype", keras.config.floatx()))
    config = _replace_dtype(config, old, policy.name)
    if "dtype" in config["config"]:
        # Ensembles have none of their own.
        config["config"]["dtype"] = policy.name
    return config


def _replace_dtype(node, old, new):
    if isinstance(node, list):
        return [_replace_dtype(item, old, new) for item in node]
    if not isinstance(node, dict):
        return node
    node = {key: _replace_dtype(item, old, new) for key, item in node.items()}
    inner = node.get("config")
    if (
        isinstance(inner, dict)
        and node.get("class_name") not in ("InputLayer", *_VALUES)
        and old is not None
        and _policy_name(inner.get("dtype")) == old
    ):
        inner["dtype"] = new
    return node


def _policy_name(dtype):
    """Name of a plain policy; None for a map of policies."""
    if isinstance(dtype, dict) and dtype.get("class_name") == "DTypePolicy":
        dtype = dtype["config"].get("name")
    return dtype if isinstance(dtype, str) else None
