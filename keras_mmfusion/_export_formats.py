"""The formats of exported models, and the packages each of them needs.

Not a part of `keras_mmfusion.export`, so that the command line can choose a backend by
the format before Keras is imported.
"""

import importlib.util
from dataclasses import dataclass, field


class ExportError(ValueError):
    """A model cannot be exported as asked, or the file gives other numbers."""


@dataclass(frozen=True)
class Format:
    """One format.

    Attributes:
        name: str. What `model.export` calls it.
        suffix: str. How the path ends; empty for a folder.
        writers: dict, backend that can write it to the modules it needs for that.
            The lightest backend is first.
        runtime: str. The module that runs it.
        refused: dict, every other backend to why it cannot write it.
        beside: tuple of str. Suffixes of further files beside the first.
        fixed_batch: tuple of str. Backends that write it for one batch size only.
        options: dict, backend to the further arguments that `model.export` makes use
            of; it takes all others without a word. `None` if it refuses them itself.
    """

    name: str
    suffix: str
    writers: dict
    runtime: str
    refused: dict = field(default_factory=dict)
    beside: tuple = ()
    fixed_batch: tuple = ()
    options: dict | None = field(default_factory=dict)

    def paths(self, path):
        """All paths that an export to `path` makes."""
        return [path, *(path.with_suffix(suffix) for suffix in self.beside)]


FORMATS = {
    format.name: format
    for format in (
        Format(
            "onnx",
            ".onnx",
            {
                "jax": ("jax2onnx",),
                "tensorflow": ("tf2onnx",),
                "torch": ("onnx", "onnxscript"),
            },
            runtime="onnxruntime",
            fixed_batch=("torch",),
            options=dict.fromkeys(("jax", "tensorflow", "torch"), ("opset_version",)),
        ),
        Format(
            "litert",
            ".tflite",
            {"tensorflow": (), "torch": ("litert_torch",)},
            runtime="ai_edge_litert",
            refused={"jax": "Keras has no LiteRT writer for JAX"},
            fixed_batch=("torch",),
            options=None,
        ),
        Format(
            "tf_saved_model",
            "",
            {"tensorflow": (), "jax": ("tensorflow",)},
            runtime="tensorflow",
            refused={"torch": "Keras cannot write models of named inputs from PyTorch"},
            options={"jax": ("is_static", "jax2tf_kwargs")},
        ),
        Format(
            "openvino",
            ".xml",
            {"tensorflow": ("openvino",)},
            runtime="openvino",
            refused={
                "jax": "JAX gives an XlaCallModule, which OpenVINO cannot read",
                "torch": "OpenVINO cannot read layer normalisation as PyTorch traces "
                "it, and mixes up named inputs",
            },
            beside=(".bin",),
        ),
    )
}


def find_format(name):
    """The `Format` of this name.

    Raises:
        ExportError: There is none.
    """
    if not isinstance(name, str) or name not in FORMATS:
        raise ExportError(
            f"`format` must be one of {', '.join(FORMATS)}. Received: format={name!r}."
        )
    return FORMATS[name]


def format_of(path):
    """The `Format` of a file or folder, from how its path ends.

    Raises:
        ExportError: It ends like none of them.
    """
    for format in FORMATS.values():
        if format.suffix and path.suffix == format.suffix:
            return format
    if path.is_dir():
        return FORMATS["tf_saved_model"]
    ends = ", ".join(f"{f.suffix} ({f.name})" for f in FORMATS.values() if f.suffix)
    raise ExportError(
        f"An exported model ends in {ends}, or is the folder of a SavedModel. "
        f"Received: {str(path)!r}."
    )


def check_backend(format, backend):
    """Raise unless `backend` can write `format`."""
    if backend not in format.writers:
        able = list(format.writers)
        why = format.refused.get(backend)
        raise ExportError(
            f"The format {format.name} is written by the backend {' or '.join(able)}. "
            f"Received: the backend {backend}{f' ({why})' if why else ''}. Set "
            f"KERAS_BACKEND={able[0]}, or choose another format."
        )


def check_options(format, backend, names):
    """Raise unless `model.export` makes use of further arguments of these names."""
    # What is given it here.
    names, taken = set(names), ("filepath", "input_signature", "verbose")
    known = names if format.options is None else format.options.get(backend, ())
    unknown = sorted(names.difference(known).union(names.intersection(taken)))
    if unknown:
        some = f"takes {', '.join(known)}" if format.options and known else "takes none"
        some = "takes those of its converter" if format.options is None else some
        raise ExportError(
            f"Of further arguments, the format {format.name} {some} with the backend "
            f"{backend}. Received: {', '.join(unknown)}. Check how they are spelt, or "
            "leave them out."
        )


def check_packages(modules, purpose):
    """Raise `ImportError` unless all these modules are installed."""
    missing = missing_packages(modules)
    if missing:
        raise ImportError(
            f"{purpose} needs {' and '.join(missing)}: pip install {' '.join(missing)}"
        )


def missing_packages(modules):
    """Names, for pip, of the modules that are not installed."""
    return [
        module.replace("_", "-")
        for module in modules
        if importlib.util.find_spec(module) is None
    ]
