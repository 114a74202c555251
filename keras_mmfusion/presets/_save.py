"""From a model to a preset folder."""

import os
import platform
import re
import shutil
from importlib import metadata as packages
from pathlib import Path

import keras
import numpy as np

from keras_mmfusion._version import __version__
from keras_mmfusion.presets import (
    _arguments,
    _config,
    _golden,
    _json,
    _metadata,
    _weights,
)
from keras_mmfusion.presets._atomic import check_target, replacing
from keras_mmfusion.presets._errors import PresetError
from keras_mmfusion.presets._folder import (
    CONFIG,
    GOLDEN,
    METADATA,
    PREPROCESSOR,
    WEIGHTS,
    describe,
)
from keras_mmfusion.presets._load import name_classes

_OWN_FILES = (CONFIG, PREPROCESSOR, WEIGHTS, GOLDEN, METADATA)


def save(
    model,
    directory,
    preprocessor=None,
    metadata=None,
    golden=None,
    files=None,
    overwrite=False,
    weights=True,
):
    """Write a model as a preset folder, whole or not at all.

    The model is rebuilt from its config, and the rebuilt one is written, so that
    what is saved is what `load` gives. Optimizer and losses are left out. The same
    model gives the same bytes each time.

    Args:
        model: A built Keras model of this package or of stock Keras classes.
        directory: `str` or `PathLike`. The folder to write; it must not exist
            unless `overwrite`.
        preprocessor: Object with `get_config`, registered in this package.
            Defaults to `None`: `model.preprocessor` if there is one.
        metadata: dict. Fields of `metadata.json` that only you know, such as
            `task`, `outputs`, `dataset`, `metrics` (main one first) and `recipe`;
            `name` and `version`, which default to the name of the folder and
            `"1.0"`. A model whose classes have no names is loaded with those in
            `outputs["classes"]`. Counts, hashes, versions and shapes are filled
            in. `inputs` may give units and rates only; shapes are without the
            batch.
        golden: dict of arrays, a few samples for each input. They are written
            with the outputs of the model, for `presets.verify`.
            Defaults to `None`.
        files: dict of further files, such as `README.md` and `train_log.csv`: name
            to the contents (`str` or `bytes`) or the file to copy (`PathLike`).
            Defaults to `None`.
        overwrite: bool. Whether to replace a preset in `directory`. Until the new
            one is complete the old one stays. Defaults to `False`.
        weights: bool. Whether to write the weights. `False` is for models whose
            training data do not allow it. Defaults to `True`.

    Returns:
        `pathlib.Path` of the folder.

    Raises:
        PresetError: The directory exists or cannot be written, the model does not
            come back from its config, or something given does not fit.

    Example:

    ```python
    import keras
    import numpy as np
    from keras_mmfusion import presets

    model = keras.Sequential([keras.Input((4,), name="load"), keras.layers.Dense(1)])
    presets.save(
        model,
        "runs/my_forecaster",
        metadata={"task": "forecasting", "inputs": {"load": {"units": "MW"}}},
        golden={"load": np.ones((2, 4), "float32")},
        files={"README.md": "# My forecaster"},
        overwrite=True,
    )
    ```
    """
    target = _arguments.folder(directory)
    _check_dicts(metadata, golden, files)
    check_target(target, overwrite)
    if not isinstance(model, keras.Model) or not model.built:
        raise PresetError(
            "`presets.save` needs a built Keras model. "
            f"Received: model={model!r}. Call it on some data first."
        )
    if golden is not None and not weights:
        raise PresetError(
            "Golden outputs need weights. Received: golden and weights=False."
        )
    contents = {name: _check_file(name, f) for name, f in (files or {}).items()}
    contents[CONFIG] = _config.dump(model, CONFIG)
    clone = _config.build(contents[CONFIG], CONFIG)
    _check_layers(clone)
    _check_adapted("model", model, clone)
    if preprocessor is None:
        preprocessor = getattr(model, "preprocessor", None)
    if preprocessor is not None:
        contents[PREPROCESSOR] = _config.dump(preprocessor, PREPROCESSOR)
        again = _config.build(contents[PREPROCESSOR], PREPROCESSOR)
        _check_adapted("preprocessor", preprocessor, again, weights=True)
    if weights:
        _weights.copy(model, clone)
    if golden is not None:
        contents[GOLDEN] = _golden_bytes(model, clone, golden)
    try:
        with replacing(target, overwrite) as folder:
            for name in sorted(contents):
                _write(folder / name, contents[name])
            if weights:
                _weights.save(clone, folder / WEIGHTS)
            entries = {p.name: describe(p) for p in sorted(folder.iterdir())}
            described = _complete(metadata or {}, target, clone, entries)
            name_classes(clone, described, METADATA)
            _write(folder / METADATA, _json.dump(described, METADATA))
    except OSError as error:
        raise PresetError(
            f"{target} must be a folder that this process can write, on a disk with "
            f"room for it. Received: {error}. Nothing of it was written, and what was "
            "there stays. Free some space, or save to another directory."
        ) from error
    return target


def _check_dicts(metadata, golden, files):
    check_dict = _arguments.check_dict
    check_dict("`metadata`", metadata, "fields of metadata.json")
    check_dict("`golden`", golden, "arrays, one for each input of the model")
    check_dict("`files`", files, "names of files and their contents")
    metadata = metadata or {}
    check_dict("metadata['versions']", metadata.get("versions", {}), "versions")
    inputs = metadata.get("inputs", {})
    check_dict("metadata['inputs']", inputs, "inputs of the model")
    for name, value in (inputs or {}).items():
        check_dict(f"metadata['inputs'][{name!r}]", value, "units and rates")


def _check_layers(model):
    """The name of a fusion may stand for a layer that only this process knows."""
    for layer in model._flatten_layers():
        cls = type(layer)
        homes = (cls.__module__, keras.saving.get_registered_name(cls))
        if not any(re.match(r"keras(_mmfusion)?[.>]", home) for home in homes):
            raise PresetError(
                "A preset may hold layers of Keras and keras_mmfusion only, since it "
                f"must load where no other code is. Received: {cls.__name__} of "
                f"{cls.__module__}, the layer {layer.name!r}. Use `model.save`."
            )


def _check_adapted(what, given, again, weights=False):
    """A layer of Keras keeps what it adapted to beside its config."""
    if _adapted(given, weights) != _adapted(again, weights):
        raise PresetError(
            f"The config of the {what} must hold all that its layers know. Received: a "
            f"{type(given).__name__} that has learned more, as by `adapt`. Make those "
            "layers with the values, such as StringLookup(vocabulary=layer."
            "get_vocabulary()) or Normalization(mean=…, variance=…)."
        )


def _adapted(obj, weights):
    """Vocabularies of a layer and of those inside it, and weights if asked for."""
    layers = obj._flatten_layers() if isinstance(obj, keras.Layer) else []
    return [
        (
            getattr(layer, "get_vocabulary", list)(),
            [w.tolist() for w in layer.get_weights()] if weights else [],
        )
        for layer in layers
    ]


def _complete(given, target, model, entries):
    """The metadata in the order of the schema, with everything that is computed."""
    config = keras.saving.serialize_keras_object(model)
    metadata = {
        "name": target.name,
        "version": "1.0",
        **given,
        "schema_version": _metadata.SCHEMA_VERSION,
        "architecture": config["registered_name"] or config["class_name"],
        "parameters": model.count_params(),
        "files": entries,
        "inputs": _inputs(model, given.get("inputs") or {}),
        "versions": {**(given.get("versions") or {}), **_versions()},
    }
    order = [key for key in _metadata.KEYS if key in metadata]
    metadata = {key: metadata[key] for key in [*order, *metadata]}
    # As it will be read: numpy numbers are numbers by then.
    return _metadata.parse(_json.dump(metadata, METADATA), METADATA)


def _inputs(model, given):
    """Shape and dtype of each input, with what is given."""
    inputs = _golden.named_inputs(model)
    unknown = sorted(set(given) - set(inputs)) if inputs else []
    if unknown:
        raise PresetError(
            f"metadata['inputs'] must name inputs of the model: {list(inputs)}. "
            f"Received: {unknown}"
        )
    found = {
        name: {"shape": list(tensor.shape[1:]), "dtype": tensor.dtype}
        for name, tensor in inputs.items()
    }
    return {
        name: {**found.get(name, {}), **(given.get(name) or {})}
        for name in (found or given)
    }


def _versions():
    backend = keras.backend.backend()
    versions = {
        "keras_mmfusion": __version__,
        "keras": keras.__version__,
        "backend": backend,
        "numpy": np.__version__,
        "python": platform.python_version(),
    }
    for name in (backend, f"{backend}-cpu"):
        try:
            versions[backend] = packages.version(name)
        except packages.PackageNotFoundError:
            continue
        break
    return versions


def _golden_bytes(model, clone, inputs):
    try:
        inputs = {name: np.asarray(value) for name, value in inputs.items()}
    except ValueError as error:
        raise PresetError(f"`golden` must hold arrays. Received: {error}") from error
    _check_golden_inputs(_golden.named_inputs(model), inputs)
    outputs = _golden.predict(model, inputs)
    if not all(np.isfinite(value).all() for value in outputs.values()):
        raise PresetError(
            "Golden outputs must be finite. Received: NaN or infinity from the model."
        )
    again = _golden.predict(clone, inputs)
    difference = _golden.largest_difference(outputs, again, GOLDEN)
    if difference > 1e-5:
        raise PresetError(
            f"The model rebuilt from its config must give the outputs of the model. "
            f"Received: a difference of {difference:.3g}. `get_config` of "
            f"{type(model).__name__} or of one of its layers leaves something out, "
            "or LoRA was trained on int8 weights, which are rounded anew with it: load "
            "what is saved without `golden`, and save that with it."
        )
    data = _golden.dump(inputs, outputs)
    if len(data) > _json.MAX_BYTES:
        raise PresetError(
            f"Golden inputs and outputs must fit in {_json.MAX_BYTES:,} bytes. "
            f"Received: {len(data):,} bytes. A few samples are enough."
        )
    return data


def _check_golden_inputs(expected, inputs):
    """Raise before the model does, which an error costs its weights on JAX."""
    if not _golden.fits(expected, inputs):
        shapes = {name: tuple(tensor.shape) for name, tensor in expected.items()}
        given = {name: value.shape for name, value in inputs.items()}
        raise PresetError(
            "`golden` must hold a few samples of each input of the model, of shapes "
            f"{shapes}, none of them of objects. Received: {given}."
        )


def _check_file(name, content):
    path = Path(str(name))
    if path.name != name or not name or name in _OWN_FILES or name.startswith("."):
        raise PresetError(
            f"`files` must have plain names other than {list(_OWN_FILES)}. "
            f"Received: {name!r}"
        )
    if isinstance(content, os.PathLike) and not Path(content).is_file():
        raise PresetError(f"`files` must name files. Received: {name}={content!r}")
    if not isinstance(content, (str, bytes, os.PathLike)):
        raise PresetError(
            "`files` must have contents as str or bytes, or a path. "
            f"Received: {name}={content!r}"
        )
    return content


def _write(path, content):
    if isinstance(content, os.PathLike):
        shutil.copyfile(content, path)
    else:
        data = content.encode("utf-8") if isinstance(content, str) else content
        path.write_bytes(data)
