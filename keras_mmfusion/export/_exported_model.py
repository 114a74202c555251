"""Run an exported model on named numpy arrays, whatever its format."""

import importlib
import os
import re
from pathlib import Path

import numpy as np

from keras_mmfusion._export_formats import ExportError, check_packages, format_of


class ExportedModel:
    """An exported model, ready to run on the CPU.

    Files of one fixed batch size are run once a batch of that size; all others take
    any number of samples at once.

    Args:
        path: `str` or `PathLike`. A file or folder that `export_model` wrote.

    Call arguments:
        inputs: dict of arrays `(samples, ...)` with the names of the model's inputs.
            What is missing is NaN, as for the Keras model.

    Output shape:
        An array, or a list of arrays if the model has several outputs.

    Raises:
        ExportError: The path is no exported model, or the inputs do not fit.
        ImportError: The package that runs this format is not installed.

    Example:

    ```python
    import keras
    import numpy as np
    from keras_mmfusion import export

    model = keras.Sequential([keras.Input((4,), name="load"), keras.layers.Dense(1)])
    export.export_model(model, "load.onnx", overwrite=True)
    exported = export.ExportedModel("load.onnx")
    exported({"load": np.ones((2, 4), "float32")}).shape  # (2, 1)
    ```
    """

    def __init__(self, path):
        if not isinstance(path, (str, os.PathLike)):
            raise ExportError(
                f"An exported model is given by its path. Received: {path!r}."
            )
        self.path = Path(path).expanduser()
        if not self.path.exists():
            raise ExportError(
                f"An exported model must be there. Received: {str(self.path)!r}, which "
                "does not exist. `export_model` writes one."
            )
        self.format = format_of(self.path)
        check_packages([self.format.runtime], f"Running {self.format.name}")
        try:
            self._shapes, self._dtypes, self._run = _OPEN[self.format.name](self.path)
        except Exception as error:
            raise ExportError(
                f"{self.path.name} must be a model that {self.format.runtime} can run. "
                f"Received: {_brief(error)}. {_ADVICE}"
            ) from error

    @property
    def batch_size(self):
        """Samples that the file takes at once; `None` for any number."""
        return next(iter(self._shapes.values()))[0]

    def __call__(self, inputs):
        feeds = {
            name: np.asarray(inputs[key], self._dtypes[name])
            for name, key in self._match(inputs).items()
        }
        for name, x in feeds.items():
            wanted = (x.shape[0] if x.ndim else None, *self._shapes[name][1:])
            # LiteRT would take another shape, and compute something.
            if x.ndim != len(wanted) or any(
                size not in (None, given)
                for size, given in zip(wanted, x.shape, strict=True)
            ):
                shape = ", ".join(str(size) for size in self._shapes[name][1:])
                raise ExportError(
                    f"The input {name!r} must have the shape (samples, {shape}). "
                    f"Received: shape {x.shape}."
                )
        counts = {key: len(x) for key, x in inputs.items()}
        samples = max(counts.values())
        if not samples or set(counts.values()) != {samples}:
            raise ExportError(
                "All inputs must have as many samples, at least one. "
                f"Received: {counts}."
            )
        size = self.batch_size or samples
        parts = []
        for start in range(0, samples, size):
            # A last batch that is not full is filled with its own last sample.
            rows = np.minimum(np.arange(start, start + size), samples - 1)
            batch = {name: np.ascontiguousarray(x[rows]) for name, x in feeds.items()}
            try:
                outputs = [np.asarray(output) for output in self._run(batch)]
            except Exception as error:
                raise ExportError(
                    f"{self.path.name} must run on these inputs, and "
                    f"{self.format.runtime} fails. Received: {_brief(error)}. {_ADVICE}"
                ) from error
            parts.append([output[: samples - start] for output in outputs])
        joined = [np.concatenate(arrays) for arrays in zip(*parts, strict=True)]
        return joined[0] if len(joined) == 1 else joined

    def _match(self, inputs):
        """Names in the file to names in `inputs`; writers add their own prefixes."""
        wanted = list(self._shapes)
        if not isinstance(inputs, dict):
            raise ExportError(
                f"{self.path.name} takes a dict of arrays, one for each of {wanted}. "
                f"Received: {type(inputs).__name__}."
            )
        matched = {
            name: key
            for name in wanted
            for key in sorted(inputs, key=len)
            if name.split(":")[0] == key or name.split(":")[0].endswith(f"_{key}")
        }
        if len(wanted) == len(inputs) == 1:
            matched = {wanted[0]: next(iter(inputs))}
        if len(matched) != len(wanted) or set(matched.values()) != set(inputs):
            raise ExportError(
                f"{self.path.name} has the inputs {wanted}. Received: {list(inputs)}."
            )
        return matched


def _open_onnx(path):
    runtime = importlib.import_module("onnxruntime")
    options = runtime.SessionOptions()
    options.log_severity_level = 3
    session = runtime.InferenceSession(
        str(path), options, providers=["CPUExecutionProvider"]
    )
    nodes = session.get_inputs()
    shapes = {node.name: _sizes(node.shape) for node in nodes}
    dtypes = {node.name: _ONNX_DTYPES.get(node.type) for node in nodes}
    return shapes, dtypes, lambda batch: session.run(None, batch)


def _open_litert(path):
    # This runtime has no TensorFlow in it: a file with Flex operations does not run.
    interpreter = importlib.import_module("ai_edge_litert.interpreter").Interpreter(
        str(path)
    )
    runner = interpreter.get_signature_runner()
    details = runner.get_input_details()
    shapes = {name: _sizes(entry["shape_signature"]) for name, entry in details.items()}
    dtypes = {name: entry["dtype"] for name, entry in details.items()}

    def run(batch):
        outputs = runner(**batch)
        return [outputs[name] for name in sorted(outputs, key=_number_last)]

    return shapes, dtypes, run


def _open_openvino(path):
    openvino = importlib.import_module("openvino")
    # The default may compute in half precision, where the processor can.
    model = openvino.Core().compile_model(
        str(path), "CPU", {"INFERENCE_PRECISION_HINT": "f32"}
    )
    shapes = {
        node.get_any_name(): _sizes(
            [None if s.is_dynamic else s.get_length() for s in node.partial_shape]
        )
        for node in model.inputs
    }
    dtypes = {
        node.get_any_name(): node.element_type.to_dtype() for node in model.inputs
    }

    def run(batch):
        outputs = model(batch)
        return [outputs[node] for node in model.outputs]

    return shapes, dtypes, run


def _open_saved_model(path):
    # TensorFlow as the runtime of the file; the backend of Keras may be another one.
    loaded = importlib.import_module("tensorflow").saved_model.load(str(path))
    endpoint = loaded.signatures["serving_default"]
    specs = endpoint.structured_input_signature[1]
    shapes = {name: _sizes(spec.shape) for name, spec in specs.items()}
    dtypes = {name: spec.dtype.as_numpy_dtype for name, spec in specs.items()}
    constant = importlib.import_module("tensorflow").constant

    def run(batch):
        outputs = endpoint(**{name: constant(x) for name, x in batch.items()})
        return [outputs[name].numpy() for name in sorted(outputs, key=_number_last)]

    # What the endpoint computes with lives as long as `loaded`.
    run.loaded = loaded
    return shapes, dtypes, run


def _number_last(name):
    """Sort key by which `output_10` follows `output_9`."""
    text, number = re.fullmatch(r"(.*?)(\d*)", name).groups()
    return text, int(number or -1)


def _brief(error):
    return " ".join(str(error).split())[:300].rstrip(".")


def _sizes(shape):
    """A shape with None for every size that is open."""
    return tuple(
        int(size) if isinstance(size, (int, np.integer)) and size >= 0 else None
        for size in shape
    )


_ADVICE = "Export it again, from another backend or to another format."
_ONNX_DTYPES = {
    "tensor(float)": "float32",
    "tensor(float16)": "float16",
    "tensor(double)": "float64",
    "tensor(int32)": "int32",
    "tensor(int64)": "int64",
    "tensor(bool)": "bool",
}
_OPEN = {
    "onnx": _open_onnx,
    "litert": _open_litert,
    "openvino": _open_openvino,
    "tf_saved_model": _open_saved_model,
}
