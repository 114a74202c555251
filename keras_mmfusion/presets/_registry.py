"""From the name of a preset to its folder."""

import difflib
import fnmatch
import os
import warnings
from pathlib import Path

from keras_mmfusion.presets import _arguments, _metadata
from keras_mmfusion.presets._errors import PresetError
from keras_mmfusion.presets._folder import METADATA, PresetFolder
from keras_mmfusion.presets._table import Table

_PACKAGE = Path(__file__).resolve().parent.parent

# In a message. It should be read, not searched.
MOST_NAMES = 6

# Folders registered in this process: {(name, path)}, read again each time, since they
# may be written anew, and may go.
_registered = {}


def shipped_directory():
    """Where the presets of this package lie: in the wheel, or in a checkout."""
    inside = _PACKAGE / "zoo"
    if not inside.is_dir() and (_PACKAGE.parent / "pyproject.toml").is_file():
        return _PACKAGE.parent / "zoo"
    return inside


def register(directory, name=None):
    """Make a preset folder known by name, in this process.

    Args:
        directory: `str` or `PathLike`. A folder as `presets.save` writes it, or
            an address, as of `load`.
        name: str. The name to list and load it by. Defaults to `None`: the
            name in its metadata.

    Returns:
        str. The name.

    Raises:
        PresetError: The folder is no preset, or another folder has this name
            and version already.

    Example:

    ```python
    import keras
    from keras_mmfusion import presets

    model = keras.Sequential([keras.Input((4,), name="load"), keras.layers.Dense(1)])
    folder = presets.save(model, "runs/my_forecaster", overwrite=True)
    presets.register(folder)
    model = presets.load("my_forecaster")
    ```
    """
    if isinstance(directory, str) and "://" in directory:
        folder = find(directory)
    else:
        folder = PresetFolder(_arguments.folder(directory))
    name = folder.metadata["name"] if name is None else name
    _metadata.check_name(name, "presets.register")
    version = folder.metadata["version"]
    for other_name, other in _entries():
        if (
            (other_name, other.metadata["version"]) == (name, version)
        ) and not other.path.samefile(folder.path):
            raise PresetError(
                f"A preset's name and version must be its own. Received: {name}@"
                f"{version} for {folder.path}, which {other.path} has already. Pass "
                "another `name`."
            )
    _registered[name, folder.path] = None
    return name


def info(name):
    """What is known of a preset: its `metadata.json`.

    Args:
        name: `str`, `PathLike` or `dict`. Name, `name@version`, path of a folder,
            address, or entry of `presets.list()`, as of `load`.

    Returns:
        dict with the keys `name`, `version`, `task`, `architecture`,
        `parameters`, `files`, `inputs`, `outputs`, `dataset`, `metrics`,
        `baselines`, `paper`, `recipe`, `hardware`, `versions`, `intended_use` and
        `limitations`, as far as the preset says. It prints as a description.

    Raises:
        PresetError: No such preset.

    Example:

    ```python
    import keras
    from keras_mmfusion import presets

    model = keras.Sequential([keras.Input((4,), name="load"), keras.layers.Dense(1)])
    presets.save(model, "runs/my_forecaster", overwrite=True)
    presets.info("runs/my_forecaster")["parameters"]  # 5
    ```
    """
    return find(name).metadata


def list_presets(pattern="*", task=None, modality=None):
    """The presets that `load` knows by name: shipped and registered ones.

    Args:
        pattern: str. Shell pattern of the names. Defaults to `"*"`.
        task: str. Keep presets of this task only. Defaults to `None`.
        modality: str or list of str. Keep presets that take all of these inputs.
            Defaults to `None`.

    Returns:
        list of dict, which prints as a table, with the keys `name`, `version`,
        `task`, `modalities`, `parameters`, `bytes`, `metric` (name of the main
        metric, the first in its metadata), `value` and `sd` (its mean and standard
        deviation over seeds, or the number and None), and `trained`: whether there
        are weights.

    Example:

    ```python
    from keras_mmfusion import presets

    print(presets.list("atd_*", modality="ecg"))
    ```
    """
    modalities = _arguments.names(modality)
    for name, value in (("pattern", pattern), ("task", task)):
        if not isinstance(value, str) and (name, value) != ("task", None):
            raise PresetError(f"`{name}` must be a str. Received: {name}={value!r}")
    rows = []
    for name, folder in _entries():
        metadata = folder.metadata
        inputs = tuple(metadata["inputs"])
        if (
            fnmatch.fnmatchcase(name, pattern)
            and (task is None or metadata.get("task") == task)
            and set(modalities) <= set(inputs)
        ):
            metric, value, sd = next(iter(metadata.metrics()), (None, None, None))
            rows.append(
                {
                    "name": name,
                    "version": metadata["version"],
                    "task": metadata.get("task"),
                    "modalities": inputs,
                    "parameters": metadata["parameters"],
                    "bytes": metadata.size,
                    "metric": metric,
                    "value": value,
                    "sd": sd,
                    "trained": metadata.trained,
                }
            )
    rows.sort(key=lambda row: (row["name"], _metadata.version_key(row["version"])))
    return Table(rows)


def find(name):
    """The folder of a preset, by name, `name@version`, path, address or entry.

    Returns:
        `PresetFolder`.

    Raises:
        PresetError: No such preset.
    """
    if isinstance(name, dict) and {"name", "version"} <= name.keys():
        name = f"{name['name']}@{name['version']}"
    if isinstance(name, os.PathLike):
        return PresetFolder(name)
    if not isinstance(name, str) or not name:
        raise PresetError(
            "A preset is given by its name, `name@version`, the path of its folder, "
            f"an address, or an entry of `presets.list()`. Received: {name!r}"
        )
    if "://" in name:
        return PresetFolder(_fetch(name))
    if os.sep in name or "/" in name or name.startswith(("~", ".")):
        return PresetFolder(name)
    base, _, version = name.partition("@")
    entries = _entries()
    named = [folder for entry, folder in entries if entry == base]
    wanted = [f for f in named if version in ("", f.metadata["version"])]
    if wanted:
        return max(wanted, key=lambda f: _metadata.version_key(f.metadata["version"]))
    if named:
        versions = sorted(folder.metadata["version"] for folder in named)
        raise PresetError(
            f"{base} must be one of the versions {versions}. Received: {name!r}"
        )
    # A shipped preset whose metadata is broken, or a folder right here.
    for folder in (shipped_directory() / name, Path(name)):
        if (folder / METADATA).is_file():
            return PresetFolder(folder)
    names = sorted({entry for entry, _ in entries})
    close = difflib.get_close_matches(base.lower(), names)
    hint = f"Did you mean {' or '.join(close)}? " if close else ""
    shown = ", ".join(names[:MOST_NAMES]) or "none"
    if len(names) > MOST_NAMES:
        shown += f" and {len(names) - MOST_NAMES} more (mmfusion presets list)"
    raise PresetError(
        f"There must be a preset or a folder of this name. Received: {name!r}. {hint}"
        f"Known presets: {shown}. A preset elsewhere is given by the path of its "
        f"folder, such as './{base}'."
    )


def _fetch(address):
    """The folder of a preset elsewhere; the network is used in here only."""
    scheme = address.partition("://")[0]
    if scheme == "hf":
        from keras_mmfusion.presets import _hub as source
    elif scheme in ("https", "http"):
        from keras_mmfusion.presets import _web as source
    else:
        raise PresetError(
            "A preset elsewhere is given as hf://ORGANISATION/REPOSITORY@REVISION or "
            f"https://…/NAME.zip#sha256=…. Received: {address!r}"
        )
    return source.fetch(address)


def _entries():
    """`(name, folder)` of every preset that has a name."""
    entries = []
    root = shipped_directory()
    shipped = sorted(root.iterdir()) if root.is_dir() else []
    known = [(None, path) for path in shipped if (path / METADATA).is_file()]
    for name, path in [*known, *_registered]:
        try:
            folder = PresetFolder(path)
        except PresetError as error:
            warnings.warn(f"Preset left out: {error}", stacklevel=3)
            continue
        name = name or folder.metadata["name"]
        if not any(name == n and path == f.path for n, f in entries):
            entries.append((name, folder))
    return entries
