"""Whether an exported model gives the numbers of the Keras model."""

import time

import keras
import numpy as np

from keras_mmfusion._export_formats import ExportError
from keras_mmfusion.presets import _golden


def with_missing(inputs):
    """Samples, and the first of them again with something missing, which is NaN.

    Missing is: each input by itself, every other feature of all inputs (with two
    leads, one of them), the first half of all time steps, and everything. Inputs that
    are no floating-point numbers are left as they are.

    Args:
        inputs: dict of arrays `(samples, ...)`.

    Returns:
        `(inputs, count)`: the dict with the samples added, and how many they are.
    """
    first = {name: np.asarray(x)[:1] for name, x in inputs.items()}
    holed = [
        {name: _fill(x, ...) if name == lost else x for name, x in first.items()}
        for lost in first
    ]
    for hole in ((..., slice(0, None, 2)), (..., slice(1, None, 2))):
        holed.append({name: _fill(x, hole) for name, x in first.items()})
    for share in (2, 1):
        holed.append({name: _fill(x, _steps(x, share)) for name, x in first.items()})
    return {
        name: np.concatenate([np.asarray(x), *(sample[name] for sample in holed)])
        for name, x in inputs.items()
    }, len(holed)


def made_up(model):
    """Four samples of random numbers for a model that came without golden inputs."""
    rng = np.random.default_rng(0)
    inputs = {}
    for name, tensor in _golden.named_inputs(model).items():
        shape = (4, *(8 if size is None else size for size in tensor.shape[1:]))
        if "float" in tensor.dtype:
            inputs[name] = rng.normal(size=shape).astype(tensor.dtype)
        else:
            # Of tokens, 0 may be padding: the first sample is without any.
            inputs[name] = rng.integers(0, 2, shape).astype(tensor.dtype)
            inputs[name][0] = 1
    return inputs


def given(model, inputs):
    """The arrays of a dict, if they are samples of the inputs of the model."""
    tensors = _golden.named_inputs(model)
    wanted = {name: tuple(tensor.shape) for name, tensor in tensors.items()}
    if not isinstance(inputs, dict) or set(inputs) != set(wanted):
        names = list(inputs) if isinstance(inputs, dict) else type(inputs).__name__
        raise ExportError(
            "`inputs` must be a dict of arrays, one for each of "
            f"{list(wanted)}. Received: {names}."
        )
    arrays = {name: np.asarray(inputs[name]) for name in wanted}
    if not _golden.fits(tensors, arrays):
        found = {name: (x.shape, str(x.dtype)) for name, x in arrays.items()}
        raise ExportError(
            "`inputs` must hold a few samples of each input of the model, of shapes "
            f"{wanted}, none of them of objects. Received: {found}."
        )
    return arrays


def expected_outputs(model, inputs):
    """Outputs of the Keras model: a list of float32 arrays."""
    return list(_golden.predict(model, inputs).values())


def largest_difference(exported, inputs, expected):
    """Largest difference, relative to the scale of an output where that is above 1.

    Samples for which the Keras model itself gives NaN are not compared.

    Raises:
        ExportError: The outputs have other shapes, or there is nothing to compare.
    """
    received = exported(inputs)
    received = received if isinstance(received, list) else [received]
    shapes = [[output.shape for output in outputs] for outputs in (expected, received)]
    if shapes[0] != shapes[1]:
        raise ExportError(
            f"{exported.path.name} must give outputs of the shapes {shapes[0]}. "
            f"Received: {shapes[1]}."
        )
    worst = 0.0
    for right, given in zip(expected, received, strict=True):
        known = np.isfinite(right.reshape(len(right), -1)).all(axis=1)
        if not known.any():
            raise ExportError(
                "The Keras model must give numbers, for the export to be compared with "
                "them. Received: NaN or infinity for every sample. Give it some that "
                "it is made for, by `inputs`."
            )
        right, given = right[known], np.asarray(given, "float32")[known]
        scale = max(1.0, float(np.max(np.abs(right), initial=0.0)))
        difference = np.max(np.abs(right - given), initial=0.0)
        # `max` of numpy keeps NaN, which must not compare as fine.
        worst = max(worst, float(np.nan_to_num(difference, nan=np.inf)) / scale)
    return worst


def milliseconds(exported, inputs, expected, seconds=0.3):
    """Shortest of several runs on the inputs, for one prediction.

    A prediction is a step of an output `(samples, steps, ...)`, such as a beat, else
    a sample.
    """
    shape = expected[0].shape
    predictions = shape[0] * (shape[1] if len(shape) == 3 else 1)
    best, end = np.inf, time.perf_counter() + seconds
    for _ in range(100):
        start = time.perf_counter()
        exported(inputs)
        best = min(best, time.perf_counter() - start)
        if time.perf_counter() > end:
            break
    return 1000 * best / predictions


def signature(model, batch_size):
    """What `model.export` takes as `input_signature`."""

    def spec(tensor, name):
        return keras.InputSpec(
            shape=(batch_size, *tensor.shape[1:]), dtype=tensor.dtype, name=name
        )

    # A Sequential that was never called has `inputs` only.
    structure = getattr(model, "input", None)
    if structure is None:
        structure = model.inputs[0] if len(model.inputs) == 1 else model.inputs
    if isinstance(structure, dict):
        # Some writers sort the names and some do not: so that both agree.
        return [{name: spec(structure[name], name) for name in sorted(structure)}]
    return [keras.tree.map_structure(lambda t: spec(t, t.name), structure)]


def _steps(x, share):
    """Index of the first part of the time steps of `(samples, steps, ...)`."""
    return (slice(None), slice(0, x.shape[1] // share)) if x.ndim > 1 else ...


def _fill(x, where):
    """A copy of `x` with NaN in a place; `x` itself where it cannot hold any."""
    if not np.issubdtype(x.dtype, np.floating):
        return x
    x = x.copy()
    x[where] = np.nan
    return x
