"""Write a model to a file that runs without Keras, and compare the two."""

import contextlib
import importlib
import io
import logging
import math
import numbers
import os
import re
from pathlib import Path

import keras

from keras_mmfusion import _export_formats as _formats
from keras_mmfusion._checks import check_tolerance
from keras_mmfusion._export_formats import ExportError
from keras_mmfusion.export import _check, _openvino, _place, _tf2onnx
from keras_mmfusion.export._exported_model import ExportedModel
from keras_mmfusion.presets import _golden, _registry, load
from keras_mmfusion.presets._folder import GOLDEN
from keras_mmfusion.presets._metadata import format_bytes

# Largest differences allowed, by what the weights are stored as.
TOLERANCES = {"float32": 1e-5, "int8": 0.05}


class Report(dict):
    """What an export wrote and how it compares; prints as a few lines."""

    def __repr__(self):
        batch = self["batch_size"] or "any number of"
        bound = self["tolerance"]
        bound = "" if bound == math.inf else f" (at most {bound:.0e})"
        return "\n".join(
            [
                f"{self['path']}: {self['format']} from {self['backend']}, "
                f"{format_bytes(self['bytes'])}, takes {batch} samples at once",
                f"  largest difference from the Keras model "
                f"{self['difference']:.1e}{bound}, over {self['samples']} samples, "
                f"{self['missing']} of them with something missing",
                f"  {self['milliseconds']:.3g} ms a prediction, Keras not needed",
            ]
        )

    __str__ = __repr__


def export_preset(name, path, format="onnx", **kwargs):
    """Export a preset, and compare the file with it on its golden inputs.

    Args:
        name: `str` or `PathLike`. Name, `name@version`, or path of a folder.
        path: `str` or `PathLike`. Where to write, see `export_model`.
        format: str. See `export_model`. Defaults to `"onnx"`.
        **kwargs: Further arguments of `export_model`.

    Returns:
        dict, see `export_model`.

    Raises:
        PresetError: No such preset.
        ExportError: See `export_model`.
        ImportError: See `export_model`.

    Example:

    ```python
    import keras
    from keras_mmfusion import export, presets

    model = keras.Sequential([keras.Input((4,), name="load"), keras.layers.Dense(1)])
    presets.save(model, "runs/my_forecaster", overwrite=True)
    print(export.export_preset("runs/my_forecaster", "load.onnx", overwrite=True))
    ```
    """
    folder = _registry.find(name)
    # What cannot be written is said before the work begins.
    _ready(path, format, kwargs.get("overwrite", False))
    model = load(folder.path)
    if folder.has(GOLDEN) and "inputs" not in kwargs:
        kwargs["inputs"], _ = _golden.parse(
            folder.read(GOLDEN), str(folder.path / GOLDEN)
        )
    return export_model(model, path, format, **kwargs)


def export_model(
    model,
    path,
    format="onnx",
    inputs=None,
    batch_size=None,
    weights="float32",
    tolerance=None,
    overwrite=False,
    **kwargs,
):
    """Export a model with `model.export`, and compare the file with the model.

    The comparison runs the file in the runtime of its format, on samples as they are
    and with parts of them missing. Nothing is left behind unless it passes.

    Args:
        model: A built Keras model with known inputs.
        path: `str` or `PathLike`. Where to write: a file that ends in `.onnx`,
            `.tflite` or, beside a file `.bin`, `.xml`; a folder for a SavedModel.
        format: str. `"onnx"`, `"litert"`, `"openvino"` or `"tf_saved_model"`.
            Defaults to `"onnx"`.
        inputs: dict of arrays, a few samples for each input, the first of them
            without anything missing. Defaults to `None`: random numbers, of whole
            ones 0 and 1.
        batch_size: int. Samples that the file takes at once. Defaults to `None`:
            any number, or `1` where the backend cannot write that.
        weights: str. `"float32"`, or `"int8"` for a smaller LiteRT file,
            written with TensorFlow: kernels are 8-bit integers, activations
            stay floats, so that no data are needed to calibrate them. Defaults to
            `"float32"`.
        tolerance: float. Largest difference allowed from the outputs of the model,
            relative to their largest value where that is above 1; `math.inf`
            compares but allows everything. Defaults to `None`: `1e-5`, or `0.05`
            with weights of 8 bits.
        overwrite: bool. Whether to replace what is at `path`. Defaults to `False`.
        **kwargs: Further arguments of `model.export`, such as `opset_version`.

    Returns:
        dict with the keys `path`, `format`, `backend`, `bytes`, `batch_size`,
        `difference`, `tolerance`, `samples` (count), `missing` (how many of them had
        something missing) and `milliseconds` (for one prediction: a sample, or a step
        of a model that gives a sequence). It prints as a report.

    Raises:
        ExportError: The backend does not write this format, the path may not be
            written, the export fails, or the file gives other numbers.
        ValueError: `tolerance` is not a number of at least 0.
        ImportError: A package is not installed; the message names it.

    Example:

    ```python
    import keras
    from keras_mmfusion import export

    model = keras.Sequential([keras.Input((4,), name="load"), keras.layers.Dense(1)])
    print(export.export_model(model, "load.onnx", overwrite=True))
    ```
    """
    if not isinstance(model, keras.Model) or not _golden.named_inputs(model):
        raise ExportError(
            "`export_model` needs a built Keras model with known inputs. "
            f"Received: model={model!r}. Call it on some data first."
        )
    if batch_size is not None and not (
        isinstance(batch_size, numbers.Integral)
        and not isinstance(batch_size, bool)
        and batch_size > 0
    ):
        raise ExportError(
            "`batch_size` must be None or a positive whole number. "
            f"Received: batch_size={batch_size!r}."
        )
    _check_weights(weights, _formats.find_format(format))
    path, format = _ready(path, format, overwrite)
    backend = keras.backend.backend()
    _formats.check_options(format, backend, kwargs)
    if weights == "int8":
        optimize = importlib.import_module("tensorflow").lite.Optimize
        kwargs = {"optimizations": [optimize.DEFAULT], **kwargs}
    if tolerance is None:
        tolerance = TOLERANCES[weights]
    check_tolerance(tolerance)
    if backend in format.fixed_batch:
        batch_size = batch_size or 1
    given = _check.made_up(model) if inputs is None else _check.given(model, inputs)
    samples, missing = _check.with_missing(given)
    expected = _check.expected_outputs(model, samples)
    with _in_float32(model), _place.placing(format, path) as part:
        _write(model, part, format, batch_size, kwargs)
        exported = ExportedModel(part)
        report = Report(
            path=str(path),
            format=format.name,
            backend=backend,
            bytes=sum(map(_size, format.paths(part))),
            batch_size=exported.batch_size,
            difference=_check.largest_difference(exported, samples, expected),
            tolerance=tolerance,
            samples=len(expected[0]),
            missing=missing,
            milliseconds=_check.milliseconds(exported, samples, expected),
        )
        if report["difference"] > tolerance:
            raise ExportError(
                f"The exported model must give the outputs of {model.name} to "
                f"{tolerance:g}. Received: a difference of "
                f"{report['difference']:.3g} ({format.name} written by {backend}). "
                "Try another backend or format; in Python, `tolerance` allows more."
            )
    return report


def _ready(path, format, overwrite):
    """`(path, Format)`, if this could be written from here."""
    if not path or not isinstance(path, (str, os.PathLike)):
        raise ExportError(
            f"`path` must be where to write, as str or PathLike. Received: {path!r}."
        )
    path, format = Path(path).expanduser().absolute(), _formats.find_format(format)
    backend = keras.backend.backend()
    _formats.check_backend(format, backend)
    _formats.check_packages(
        dict.fromkeys([*format.writers[backend], format.runtime]),
        f"To write {format.name} with {backend} and to check it",
    )
    _place.check_target(format, path, overwrite)
    return path, format


def _check_weights(weights, format):
    """Raise unless weights can be stored so in this format."""
    if weights not in TOLERANCES:
        raise ExportError(
            f"`weights` must be one of {', '.join(TOLERANCES)}. "
            f"Received: weights={weights!r}."
        )
    backend = keras.backend.backend()
    if weights == "int8" and (format.name, backend) != ("litert", "tensorflow"):
        raise ExportError(
            "Weights of 8 bits are written to LiteRT files by the backend tensorflow. "
            f"Received: {format.name}, and the backend {backend}."
        )


def _write(model, path, format, batch_size, kwargs):
    signature = _check.signature(model, batch_size)
    backend = keras.backend.backend()
    if "tf2onnx" in format.writers[backend]:
        _tf2onnx.teach()
    try:
        with _quiet():
            model.export(
                str(path),
                format=format.name,
                verbose=False,
                input_signature=signature,
                **kwargs,
            )
            if format.name == "openvino":
                _openvino.keep_outputs(path, len(model.outputs))
    except Exception as error:
        # Keras prints errors in bold.
        text = re.sub(r"\x1b\[[0-9;]*m", "", str(error))
        text = " ".join(text.split()) or type(error).__name__
        raise ExportError(
            f"{model.name} cannot be exported to {format.name} by the backend "
            f"{backend}. Try another backend or format. "
            f"Received: {text[:300]}"
        ) from error


@contextlib.contextmanager
def _in_float32(model):
    """Where an export fails, say so if the model computes in what few runtimes can."""
    try:
        yield
    except ExportError as error:
        dtypes = {layer.compute_dtype for layer in model._flatten_layers()}
        half = sorted(dtypes & {"bfloat16", "float16"})
        if not half:
            raise
        raise ExportError(
            f"{error} Layers of it compute in {', '.join(half)}: a model in float32, "
            'such as presets.load(name, dtype="float32"), may be exported.'
        ) from error


@contextlib.contextmanager
def _quiet():
    """Nothing on stdout: some writers print in spite of `verbose`, from C++ too.

    Nor do they log what is of no use to us, such as packages that PyTorch goes without.
    """
    kept = os.dup(1)
    disabled = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        with open(os.devnull, "w") as sink, contextlib.redirect_stdout(io.StringIO()):
            os.dup2(sink.fileno(), 1)
            yield
    finally:
        logging.disable(disabled)
        os.dup2(kept, 1)
        os.close(kept)


def _size(path):
    if path.is_dir():
        return sum(file.stat().st_size for file in path.rglob("*") if file.is_file())
    return path.stat().st_size
