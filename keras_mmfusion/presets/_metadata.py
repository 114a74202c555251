"""What `metadata.json` must and may say."""

import re
from dataclasses import dataclass, field

from keras_mmfusion.presets import _json
from keras_mmfusion.presets._errors import PresetError

SCHEMA_VERSION = 1
FILE_NAME = "metadata.json"
WEIGHTS = "model.weights.h5"

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]*")
_VERSION = re.compile(r"\d+(\.\d+)*")
_SHA256 = re.compile(r"[0-9a-f]{64}")

NUMBER = (int, float)


@dataclass(frozen=True)
class Keys:
    """An object with these keys and no others."""

    required: dict
    optional: dict = field(default_factory=dict)


@dataclass(frozen=True)
class Each:
    """An object with any keys, each value of which obeys `spec`."""

    spec: object


SCHEMA = Keys(
    required={
        "schema_version": int,
        "name": str,
        "version": str,
        "architecture": str,
        "parameters": int,
        "files": Each(Keys({"sha256": str, "bytes": int})),
        "inputs": Each(
            Keys(
                {"shape": list, "dtype": str},
                {
                    "units": (str, list),
                    "sampling_rate": NUMBER,
                    "range": list,
                    "channels": list,
                    "description": str,
                },
            )
        ),
        "versions": Each(str),
    },
    optional={
        "task": str,
        "outputs": Keys(
            {},
            {
                "classes": list,
                "shape": list,
                "activation": str,
                "units": (str, list),
                "description": str,
            },
        ),
        "dataset": Keys(
            {"name": str, "license": str, "split": str},
            {"version": str, "url": str, "citation": str, "description": str},
        ),
        "metrics": dict,
        "baselines": dict,
        "paper": (str, dict),
        "recipe": Keys(
            {"command": str},
            {"commit": str, "seed": (int, list), "script": str, "time": str},
        ),
        "hardware": (str, dict),
        "intended_use": str,
        "limitations": (str, list),
    },
)

# What a preset of this package must say before it is shipped.
TO_SHIP = tuple(SCHEMA.optional)


class Metadata(dict):
    """The contents of a `metadata.json`; prints as a short description."""

    def __repr__(self):
        lines = [f"{self['name']} {self['version']}: {self['architecture']}"]
        lines += [f"  {label:<13}{text}" for label, text in self._rows()]
        return "\n".join(lines)

    __str__ = __repr__

    @property
    def size(self):
        """Bytes of all files together."""
        return sum(entry["bytes"] for entry in self["files"].values())

    @property
    def trained(self):
        """Whether the preset has weights."""
        return WEIGHTS in self["files"]

    def metrics(self):
        """List of `(name, value, spread or None)`; the first is the main one."""
        return list(_leaves(self.get("metrics", {})))

    def _rows(self):
        if "task" in self:
            yield "task", self["task"]
        weights = "" if self.trained else ", no trained weights"
        yield "parameters", f"{self['parameters']:,}{weights}"
        yield "size", format_bytes(self.size)
        for name, entry in self["inputs"].items():
            text = f"{name}: {tuple(entry['shape'])} {entry['dtype']}"
            if "units" in entry:
                units = entry["units"]
                text += ", " + (units if isinstance(units, str) else "/".join(units))
            if "sampling_rate" in entry:
                text += f", {entry['sampling_rate']:g} Hz"
            yield "input", text
        if "classes" in self.get("outputs", {}):
            yield "classes", ", ".join(map(str, self["outputs"]["classes"]))
        for name, value, spread in self.metrics():
            yield "metric", f"{name} {format_metric(value, spread)}"
        if "dataset" in self:
            data = self["dataset"]
            yield "dataset", f"{data['name']} ({data['license']}), {data['split']}"
        if "recipe" in self:
            yield "recipe", self["recipe"]["command"]
        for key in ("intended_use", "limitations"):
            value = self.get(key, [])
            for text in [value] if isinstance(value, str) else value:
                yield key.replace("_", " "), text


def parse(data, what):
    """Parse and check the bytes of a `metadata.json`; returns `Metadata`."""
    metadata = Metadata(_json.parse(data, what))
    check(metadata, what)
    return metadata


def check(metadata, what):
    """Raise `PresetError` unless `metadata` obeys the schema."""
    version = metadata.get("schema_version")
    if isinstance(version, int) and version > SCHEMA_VERSION:
        raise PresetError(
            f"{what} must have a schema_version of at most {SCHEMA_VERSION}. "
            f"Received: schema_version={version}. Upgrade keras_mmfusion."
        )
    _check(metadata, SCHEMA, what, "")
    check_name(metadata["name"], what)
    if not _VERSION.fullmatch(metadata["version"]):
        raise PresetError(
            f'{what}: `version` must be numbers with dots, such as "1.0". '
            f"Received: version={metadata['version']!r}"
        )
    for name, entry in metadata["files"].items():
        if not _NAME.fullmatch(name) or name == FILE_NAME:
            raise PresetError(
                f"{what}: `files` must name plain files in the folder other than "
                f"{FILE_NAME}. Received: {name!r}"
            )
        if not _SHA256.fullmatch(entry["sha256"]) or entry["bytes"] < 0:
            raise PresetError(
                f"{what}: `files` must give 64 lower case hexadecimal digits and a "
                f"size in bytes. Received: {name}: {entry}"
            )


def check_name(name, what):
    """Raise unless `name` can name a preset."""
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        raise PresetError(
            f"{what}: the name of a preset must be letters, digits, '_', '-' and "
            f"'.', a letter or digit first. Received: name={name!r}"
        )


def version_key(version):
    """Sort key by which 1.10 follows 1.9."""
    return tuple(int(part) for part in version.split("."))


def _check(value, spec, what, where):
    if isinstance(spec, Keys):
        _check_type(value, dict, what, where)
        known = {**spec.required, **spec.optional}
        missing = [key for key in spec.required if key not in value]
        unknown = [key for key in value if key not in known]
        if missing or unknown:
            raise PresetError(
                f"{what}: {where or 'the file'} must have the keys "
                f"{sorted(spec.required)} and may have {sorted(spec.optional)}. "
                f"Received: missing={missing}, unknown={unknown}"
            )
        for key, item in value.items():
            _check(item, known[key], what, f"{where}.{key}" if where else key)
    elif isinstance(spec, Each):
        _check_type(value, dict, what, where)
        for key, item in value.items():
            _check(item, spec.spec, what, f"{where}.{key}")
    else:
        _check_type(value, spec, what, where)


def _check_type(value, types, what, where):
    types = types if isinstance(types, tuple) else (types,)
    if isinstance(value, bool) or not isinstance(value, types):
        names = " or ".join(t.__name__ for t in types)
        raise PresetError(
            f"{what}: {where or 'the file'} must be {names}. "
            f"Received: {where or 'value'}={value!r}"
        )


def _leaves(metrics, prefix=""):
    for name, value in metrics.items():
        if isinstance(value, dict) and "mean" not in value:
            yield from _leaves(value, f"{prefix}{name}/")
        elif isinstance(value, dict):
            yield prefix + name, value["mean"], value.get("sd")
        else:
            yield prefix + name, value, None


def format_metric(value, spread=None):
    if not isinstance(value, NUMBER):
        return str(value)
    return f"{value:.4g}" + (f" ± {spread:.2g}" if spread is not None else "")


def format_bytes(count):
    for unit in ("B", "kB", "MB"):
        if count < 1000:
            return f"{count:.3g} {unit}"
        count /= 1000
    return f"{count:.3g} GB"
