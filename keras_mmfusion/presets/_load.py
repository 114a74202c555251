"""From a preset folder to a model."""

import numbers

from keras_mmfusion.presets import _config, _registry, _weights
from keras_mmfusion.presets._errors import PresetError
from keras_mmfusion.presets._folder import CONFIG, METADATA, PREPROCESSOR, WEIGHTS


def load(name, load_weights=True, dtype=None, num_classes=None):
    """Make the model of a preset, with its trained weights and preprocessor.

    Sizes and SHA-256 hashes of all files are checked before any is read, and the
    config may name only Keras classes and those of this package. A hash says that
    a folder is as its author left it; it does not say who the author is.

    Shipped presets need no network. Others are downloaded once, to
    `keras_mmfusion/presets` in `KERAS_HOME` (by default `~/.keras`), whole or not at
    all; this needs the extra `hub`: `pip install "keras_mmfusion[hub]"`.

    Args:
        name: `str`, `PathLike` or `dict`. One of

            - a name or `name@version`, as in `presets.list()`, or an entry of that
            - the path of a folder
            - `https://…/name.zip#sha256=…`: a .zip file of a folder, with its hash
            - `hf://org/repo@revision`: a folder on the Hugging Face hub. Give a
              commit, and it stays the same.
        load_weights: bool. Whether to load the trained weights, or leave the
            model with new ones. Defaults to `True`.
        dtype: str or `keras.DTypePolicy`, such as `"mixed_bfloat16"`. Policy of
            the model and of every encoder that has the policy of the model.
            Defaults to `None`: the policy it was saved with.
        num_classes: int. Classes of a new head on the trained model; `0` removes
            the head. Defaults to `None`: the head it was saved with. Name the
            classes of a new one in `model.classes`, or in the metadata when you
            save it.

    Returns:
        A Keras model. `model.preprocessor` is set if the preset has one.

    Raises:
        PresetError: No such preset, a damaged or refused one, one without trained
            weights, or one that cannot be downloaded.
        ImportError: A download needs a package that is not installed.

    Example:

    ```python
    import keras
    from keras_mmfusion import presets

    model = keras.Sequential([keras.Input((4,), name="load"), keras.layers.Dense(1)])
    presets.save(model, "runs/my_forecaster", overwrite=True)
    model = presets.load("runs/my_forecaster", dtype="bfloat16")
    ```
    """
    if num_classes is not None and (
        isinstance(num_classes, bool)
        or not isinstance(num_classes, numbers.Integral)
        or num_classes < 0
    ):
        raise PresetError(
            "`num_classes` must be a number of classes, or 0 for no head. "
            f"Received: num_classes={num_classes!r}"
        )
    folder = _registry.find(name)
    folder.check_files()
    if load_weights and not folder.has(WEIGHTS):
        recipe = folder.metadata.get("recipe", {}).get("command")
        raise PresetError(
            f"{folder.metadata['name']} has no trained weights; its data may not be "
            "redistributed. Load it untrained in Python (load_weights=False)"
            + (f", or train it: {recipe}" if recipe else ".")
        )
    path = folder.path / CONFIG
    model = _config.build(folder.read(CONFIG), str(path), dtype)
    check_parameters(model, folder)
    if load_weights:
        _weights.load(model, folder.path / WEIGHTS)
    if num_classes is not None:
        model = _with_num_classes(model, int(num_classes))
    else:
        name_classes(model, folder.metadata, folder.path / METADATA)
    if folder.has(PREPROCESSOR):
        path = folder.path / PREPROCESSOR
        model.preprocessor = _config.build(folder.read(PREPROCESSOR), str(path))
    return model


def check_parameters(model, folder):
    """Raise unless the model has as many parameters as the metadata says."""
    count = getattr(model, "count_params", lambda: None)()
    if count != folder.metadata["parameters"]:
        raise PresetError(
            f"{folder.path / CONFIG} must describe a model of "
            f"{folder.metadata['parameters']:,} parameters, as its metadata.json "
            f"says. Received: a {type(model).__name__} of {count}."
        )


def name_classes(model, metadata, what):
    """Give a model of classes without names those that its metadata name."""
    names = metadata.get("outputs", {}).get("classes")
    if names is None or not hasattr(model, "classes"):
        return
    names = tuple(str(name) for name in names)
    if model.classes not in (None, names):
        raise PresetError(
            f"{what} must name the classes of the model, {list(model.classes)}, in "
            f"outputs.classes. Received: {list(names)}"
        )
    try:
        model.classes = names
    except ValueError as error:
        raise PresetError(f"{what}, outputs.classes: {error}") from error


def _with_num_classes(model, num_classes):
    if not hasattr(model, "with_num_classes"):
        raise PresetError(
            f"`num_classes` needs a model with `with_num_classes`, as the classifiers "
            f"of this package are. Received: num_classes={num_classes} for a "
            f"{type(model).__name__}. Load it without, and replace its head yourself."
        )
    return model.with_num_classes(num_classes)
