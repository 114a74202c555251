"""What `metadata.json` must and may say."""

import json
import re
from pathlib import Path

from keras_mmfusion.presets import _json, _schema
from keras_mmfusion.presets._errors import PresetError

FILE_NAME = "metadata.json"
WEIGHTS = "model.weights.h5"

# The JSON Schema of the file; other programs may check it by this, too.
SCHEMA = json.loads(
    Path(__file__).with_name("metadata.schema.json").read_text(encoding="utf-8")
)
KEYS = tuple(SCHEMA["properties"])
SCHEMA_VERSION = SCHEMA["properties"]["schema_version"]["maximum"]

# What a preset of this package must say before it is shipped.
TO_SHIP = tuple(key for key in KEYS if key not in (*SCHEMA["required"], "exports"))


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


# What a terminal obeys, and what turns the direction of writing; not tab and newline.
_CONTROL = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")


def parse(data, what):
    """Parse and check the bytes of a `metadata.json`; returns `Metadata`."""
    metadata = Metadata(_json.parse(data, what))
    _check_printable(metadata, what)
    check(metadata, what)
    return metadata


def printable(text):
    """`text` without what a terminal would obey."""
    return _CONTROL.sub("\ufffd", text)


def _check_printable(node, what):
    for item in [*node, *node.values()] if isinstance(node, dict) else node:
        if isinstance(item, (dict, list)):
            _check_printable(item, what)
        elif isinstance(item, str) and _CONTROL.search(item):
            raise PresetError(
                f"{what} must hold no control characters, since it is printed. "
                f"Received: {item!r}"
            )


def check(metadata, what):
    """Raise `PresetError` unless `metadata` obeys the schema."""
    version = metadata.get("schema_version")
    if isinstance(version, int) and version > SCHEMA_VERSION:
        raise PresetError(
            f"{what} must have a schema_version of at most {SCHEMA_VERSION}. "
            f"Received: schema_version={version}. Upgrade keras_mmfusion."
        )
    _schema.check(metadata, SCHEMA, what)
    seen = {FILE_NAME: FILE_NAME}
    for name in metadata["files"]:
        other = seen.setdefault(name.lower(), name)
        if other != name:
            raise PresetError(
                f"{what}: names of files must differ by more than capital letters, "
                f"which some disks do not tell apart. Received: {other!r} and {name!r}"
            )


def check_name(name, what):
    """Raise unless `name` can name a preset."""
    _schema.check(name, SCHEMA["$defs"]["name"], what, "name")


def version_key(version):
    """Sort key by which 1.10 follows 1.9."""
    return tuple(int(part) for part in version.split("."))


def _leaves(metrics, prefix=""):
    for name, value in metrics.items():
        if isinstance(value, dict) and "mean" not in value:
            yield from _leaves(value, f"{prefix}{name}/")
        elif isinstance(value, dict):
            yield prefix + name, value["mean"], value.get("sd")
        else:
            yield prefix + name, value, None


def format_metric(value, spread=None):
    if not isinstance(value, (int, float)):
        return str(value)
    if value >= 1000 and float(value).is_integer():  # A count.
        return f"{value:,.0f}" + (f" ± {spread:,.3g}" if spread else "")
    return f"{value:.4g}" + (f" ± {spread:.2g}" if spread is not None else "")


def format_bytes(count):
    for unit in ("B", "kB", "MB"):
        if count < 1000:
            return f"{count:.3g} {unit}"
        count /= 1000
    return f"{count:.3g} GB"
