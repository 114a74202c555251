"""Check JSON against a JSON Schema, as far as `metadata.schema.json` needs it.

Reading a preset must not need the package jsonschema. The tests compare the two.
"""

import re

from keras_mmfusion.presets._errors import PresetError

_TYPES = {
    "object": (dict,),
    "array": (list,),
    "string": (str,),
    "integer": (int,),
    "number": (int, float),
    "null": (type(None),),
}


def check(value, schema, what, where=""):
    """Raise `PresetError` unless a parsed JSON file obeys a schema.

    Args:
        value: What was parsed.
        schema: dict. A JSON Schema of the keywords that the shipped one uses.
        what: str. The file, for error messages.
        where: str. The place in the file, for error messages.
            Defaults to `""`, all of it.

    Raises:
        PresetError: The first thing that is wrong, and where it is.
    """
    _Checker(schema, what).check(value, schema, where)


class _Checker:
    def __init__(self, root, what):
        self.root = root
        self.what = what

    def check(self, value, schema, where):
        if "$ref" in schema:
            schema = self._definition(schema["$ref"])
        self._check_type(value, schema, where)
        if isinstance(value, dict):
            self._check_object(value, schema, where)
        elif isinstance(value, list) and "items" in schema:
            for i, item in enumerate(value):
                self.check(item, schema["items"], f"{where}[{i}]")
        elif isinstance(value, str) and "pattern" in schema:
            if not re.fullmatch(schema["pattern"], value):
                self._fail(where, schema.get("description", schema["pattern"]), value)
        elif isinstance(value, (int, float)):
            if value < schema.get("minimum", value):
                self._fail(where, f"at least {schema['minimum']}", value)
            if value > schema.get("maximum", value):
                self._fail(where, f"at most {schema['maximum']}", value)

    def _definition(self, reference):
        node = self.root
        for part in reference.removeprefix("#/").split("/"):
            node = node[part]
        return node

    def _check_type(self, value, schema, where):
        names = schema.get("type", list(_TYPES))
        names = [names] if isinstance(names, str) else names
        known = tuple(t for name in names for t in _TYPES[name])
        if isinstance(value, bool) or not isinstance(value, known):
            articles = [f"an {n}" if n[0] in "aio" else f"a {n}" for n in names]
            self._fail(where, " or ".join(articles).replace("a null", "null"), value)

    def _check_object(self, value, schema, where):
        own = schema.get("properties", {})
        others = schema.get("additionalProperties", {})
        missing = [key for key in schema.get("required", ()) if key not in value]
        unknown = [key for key in value if key not in own] if others is False else []
        if missing or unknown:
            needed = schema.get("required", [])
            optional = [key for key in own if key not in needed]
            raise PresetError(
                f"{self.what}: {where or 'the file'} must have the keys {needed} and "
                f"may have {optional}. Received: missing={missing}, unknown={unknown}"
            )
        for key, item in value.items():
            place = f"{where}.{key}" if where else key
            if "propertyNames" in schema:
                self.check(key, schema["propertyNames"], f"a key of {where}")
            self.check(item, own.get(key, others), place)

    def _fail(self, where, expected, value):
        where = where or "the file"
        raise PresetError(
            f"{self.what}: {where} must be {expected}. Received: {where}={value!r}"
        )
