"""A file of weights as Keras writes it, which it does to a disk only."""

import contextlib
import math
import shutil
import tempfile
from pathlib import Path

from keras_mmfusion.presets._errors import PresetError
from keras_mmfusion.presets._metadata import WEIGHTS

# Of the file beside the weights: names and sizes.
_REST = 2**20


@contextlib.contextmanager
def weights_of(model):
    """Give the path of the weights of a model, in a temporary folder.

    Raises:
        PresetError: There is no room for them. This is found out before, since HDF5
            ends the process where a disk gets full.
    """
    with contextlib.ExitStack() as stack:
        try:
            folder = stack.enter_context(tempfile.TemporaryDirectory())
            free = shutil.disk_usage(folder).free
        except OSError as error:
            raise _error(model, error) from error
        if free < _bytes(model):
            raise _error(model, f"{free:,} bytes free in {folder}")
        path = Path(folder) / WEIGHTS
        try:
            model.save_weights(path)
        except OSError as error:
            raise _error(model, error) from error
        yield path


def _bytes(model):
    """About how many bytes the file has, rather too many than too few."""
    optimizer = getattr(model, "optimizer", None)
    variables = [*model.weights, *(optimizer.variables if optimizer else ())]
    return 4 * sum(math.prod(v.shape) for v in variables) + _REST


def _error(model, received):
    return PresetError(
        f"The weights of {model.name}, about {_bytes(model):,} bytes, must fit into a "
        f"temporary folder. Received: {received}. Free some space, or set TMPDIR to a "
        "folder on another disk."
    )
