"""Inputs with the outputs that a preset gave for them when it was saved."""

import io
import zipfile

import numpy as np

from keras_mmfusion.presets._errors import PresetError

MAX_BYTES = 64 * 2**20  # Of a few samples; larger than any that is of use.
INPUT = "input/"
OUTPUT = "output"


def predict(model, inputs):
    """Outputs of `model` as a flat dict of float32 arrays."""
    size = max(1, max((len(value) for value in inputs.values()), default=1))
    data = inputs
    if not isinstance(getattr(model, "input", None), dict):
        # Not a model of named inputs: it takes the arrays in its own order.
        names = [name for name in named_inputs(model) if name in inputs]
        if len(names) == len(inputs):
            data = [inputs[name] for name in names]
            data = data[0] if len(data) == 1 else data
    outputs = model.predict(data, batch_size=size, verbose=0)
    return {
        name: np.asarray(value).astype("float32")
        for name, value in _flatten(outputs, OUTPUT)
    }


def named_inputs(model):
    """Dict of the input tensors of a model; empty if it does not know them."""
    tensors = getattr(model, "input", None)  # A built Sequential may have none.
    if isinstance(tensors, dict):
        return tensors
    return {tensor.name: tensor for tensor in getattr(model, "inputs", None) or []}


def fits(tensors, arrays):
    """Whether arrays are the same samples, at least one, of all inputs of a model.

    Args:
        tensors: dict, what `named_inputs` returns; empty for any inputs.
        arrays: dict of arrays.
    """
    samples = {value.shape[:1] for value in arrays.values()}
    if len(samples) != 1 or not samples.isdisjoint({(), (0,)}):
        return False
    if any(value.dtype.kind == "O" for value in arrays.values()):
        return False
    if not tensors:
        return True
    return set(tensors) == set(arrays) and all(
        len(tensor.shape) == arrays[name].ndim
        and all(
            a in (None, b)
            for a, b in zip(tensor.shape[1:], arrays[name].shape[1:], strict=True)
        )
        for name, tensor in tensors.items()
    )


def dump(inputs, outputs):
    """Bytes of a `golden.npz`."""
    file = io.BytesIO()
    named = {INPUT + name: value for name, value in inputs.items()}
    np.savez_compressed(file, **named, **outputs)
    return file.getvalue()


def parse(data, what):
    """Return `(inputs, outputs)` from the bytes of a `golden.npz`."""
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            # No more than this is ever unpacked, however well it is compressed.
            size = sum(member.file_size for member in archive.infolist())
        if size > MAX_BYTES:
            raise ValueError(f"arrays of {size:,} bytes, more than {MAX_BYTES:,}")
        with np.load(io.BytesIO(data), allow_pickle=False) as arrays:
            arrays = {name: arrays[name] for name in arrays.files}
        for name, array in arrays.items():
            large = max(array.size, array.nbytes) > size
            if array.dtype.kind not in "biufSU" or large:
                raise ValueError(f"{name} is {array.dtype} of shape {array.shape}")
    except Exception as error:
        raise PresetError(
            f"{what} must be an .npz of plain arrays. "
            f"Received: {error or type(error).__name__}. Get the preset again; "
            "`presets.save(..., golden=…)` writes one."
        ) from error
    inputs = {
        k.removeprefix(INPUT): v for k, v in arrays.items() if k.startswith(INPUT)
    }
    outputs = {k: v for k, v in arrays.items() if k.startswith(OUTPUT)}
    if not inputs or not outputs:
        raise PresetError(
            f"{what} must have arrays `{INPUT}<name>` and `{OUTPUT}`. "
            f"Received: {sorted(arrays)}"
        )
    return inputs, outputs


def largest_difference(expected, received, what):
    """Largest difference, relative to the scale of the outputs where above 1."""
    if {k: v.shape for k, v in expected.items()} != {
        k: v.shape for k, v in received.items()
    }:
        raise PresetError(
            f"{what} must have the outputs "
            f"{ {k: v.shape for k, v in expected.items()} }. "
            f"Received: { {k: v.shape for k, v in received.items()} }"
        )
    worst = 0.0
    for name, value in expected.items():
        scale = max(1.0, float(np.max(np.abs(value), initial=0.0)))
        difference = np.max(np.abs(value - received[name]), initial=0.0)
        # NaN must not compare as fine.
        worst = max(worst, float(np.nan_to_num(difference, nan=np.inf)) / scale)
    return worst


def _flatten(outputs, name):
    if isinstance(outputs, dict):
        for key in sorted(outputs):
            yield from _flatten(outputs[key], f"{name}/{key}")
    elif isinstance(outputs, (list, tuple)):
        for i, value in enumerate(outputs):
            yield from _flatten(value, f"{name}/{i}")
    else:
        yield name, outputs
