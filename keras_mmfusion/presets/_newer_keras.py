"""Configs that a newer Keras wrote: their new options, where they are not used."""

import inspect

import keras


def without_unused_options(node, class_of):
    """Leave out options that are None and that the class does not know here.

    Each release of Keras writes options that it has added into the config of every
    layer, mostly as None, which is to say: as it was before. What is set to anything
    else stays, and fails when the object is made.

    Args:
        node: parsed JSON.
        class_of: function of a node with `class_name`, the class or None.

    Returns:
        The same, copied.
    """
    if isinstance(node, list):
        return [without_unused_options(item, class_of) for item in node]
    if not isinstance(node, dict):
        return node
    node = {key: without_unused_options(x, class_of) for key, x in node.items()}
    cls = class_of(node) if "class_name" in node else None
    if cls is None or issubclass(cls, keras.Model):
        # What a model is made of is not the arguments of its class.
        return node
    known = _arguments(cls)
    config = node["config"].items()
    return node | {"config": {k: x for k, x in config if x is not None or k in known}}


def _arguments(cls):
    """Names that the class or one that it inherits from takes."""
    names = set()
    for base in cls.__mro__:
        if "__init__" in vars(base):
            names |= set(inspect.signature(base.__init__).parameters)
    return names
