"""`model.weights.h5`: layer weights only, and the same bytes each time."""

import io
import warnings

from keras_mmfusion.presets._errors import PresetError
from keras_mmfusion.presets._layout import check_layout
from keras_mmfusion.presets._metadata import WEIGHTS
from keras_mmfusion.presets._scratch import weights_of


def copy(model, clone):
    """Load the weights of `model` into `clone`, which has the same config."""
    with weights_of(model) as path:
        try:
            _load(clone, path)
        except PresetError as error:
            raise PresetError(
                f"The model rebuilt from its config must take the weights of the "
                f"model. `get_config` of {type(model).__name__} or of one of its "
                f"layers leaves something out. Received: {error.__cause__}"
            ) from error


def save(model, path):
    """Write the weights of an uncompiled model.

    Keras notes the name of each layer in the file, and generated names count the
    layers made so far in the process. Nothing reads them back, so the file is
    written anew without them: in memory first, since HDF5 ends the process where a
    disk gets full.
    """
    import h5py

    data = io.BytesIO()
    with (
        weights_of(model) as named,
        h5py.File(named, "r") as source,
        _compact_file(data) as target,
    ):
        _copy_group(source, target)
    path.write_bytes(data.getbuffer())


def load(model, path):
    """Load weights; the file must have each variable of the model, and no other.

    Raises:
        PresetError: The file is damaged, or is not of this model.
    """
    with weights_of(model) as own:
        try:
            check_layout(own, path)
        except Exception as error:
            raise _error(model, path, error) from error
    _load(model, path)


def _load(model, path):
    try:
        with warnings.catch_warnings():
            # Keras only warns of layers that keep their random weights.
            warnings.filterwarnings("error", message="Skipping nested container")
            model.load_weights(path)
    except Exception as error:
        raise _error(model, path, error) from error


def _error(model, path, error):
    return PresetError(
        f"{path} must hold the weights of {model.name} ({type(model).__name__}), "
        f"and does not. Received: {error}"
    )


def _compact_file(data):
    """A file in `data`, in the format of HDF5 1.10, without times.

    The older format, h5py's default, spends a kilobyte on each small weight.
    """
    import h5py

    access = h5py.h5p.create(h5py.h5p.FILE_ACCESS)
    access.set_fileobj_driver(h5py.h5fd.fileobj_driver, data)
    access.set_libver_bounds(h5py.h5f.LIBVER_V110, h5py.h5f.LIBVER_V110)
    creation = h5py.h5p.create(h5py.h5p.FILE_CREATE)
    creation.set_obj_track_times(False)
    name = WEIGHTS.encode()
    return h5py.File(h5py.h5f.create(name, h5py.h5f.ACC_TRUNC, creation, access))


def _make_group(parent, key):
    import h5py

    creation = h5py.h5p.create(h5py.h5p.GROUP_CREATE)
    creation.set_obj_track_times(False)
    h5py.h5g.create(parent.id, key.encode(), gcpl=creation)
    return parent[key]


def _copy_group(source, target):
    for key in source:
        item = source[key]
        if hasattr(item, "shape"):
            # Without the room that a new dataset keeps for later attributes.
            source.copy(item, target, key)
        else:
            _copy_group(item, _make_group(target, key))
