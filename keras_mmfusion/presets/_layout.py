"""What an HDF5 file of weights holds, found out without reading any weight."""

from keras_mmfusion.presets._errors import PresetError


def check_layout(own, path):
    """Raise unless a file has the datasets of a model, and nothing else.

    Keras itself passes over weights that a model does not have. Nothing outside the
    file is opened and nothing is read before its size is known: groups and datasets
    must be hard links, and datasets plain numbers of the model's shape, stored as
    they are.

    Args:
        own: `Path` of the weights that the model has by now, as Keras writes them.
        path: `Path` of the file.

    Raises:
        PresetError: Something is missing, too much, or of another shape or kind.
    """
    import h5py

    with h5py.File(own, "r") as expected, _open(path) as received:
        _compare(expected, received, path, "")


def _open(path):
    import h5py

    try:
        return h5py.File(path, "r")
    except OSError as error:
        raise PresetError(f"{path} must be an HDF5 file: {error}") from error


def _compare(expected, received, path, where):
    """Walk both files in step, so that no cycle of links can lead far."""
    import h5py

    if (missing := set(expected) - set(received)) or (set(received) - set(expected)):
        extra = set(received) - set(expected)
        raise PresetError(
            f"{path} must have in {where or '/'} what the model has. "
            f"Received: missing={sorted(missing)[:5]}, not of the model="
            f"{sorted(extra)[:5]}. Get the preset again."
        )
    for name in expected:
        place = f"{where}/{name}"
        kind = received.get(name, getlink=True, getclass=True)
        if kind is not h5py.HardLink:
            raise PresetError(
                f"{path} must hold its weights itself. Received: {place}, a "
                f"{kind.__name__}, which leads elsewhere. Do not load this preset."
            )
        item = received[name]
        if type(item) is not type(expected[name]):
            raise PresetError(
                f"{path} must have a {type(expected[name]).__name__.lower()} at "
                f"{place}. Received: a {type(item).__name__.lower()}."
            )
        if isinstance(item, h5py.Group):
            _compare(expected[name], item, path, place)
        else:
            _check_dataset(item, expected[name].shape, path, place)


def _check_dataset(dataset, shape, path, place):
    if dataset.shape != shape:
        raise PresetError(
            f"{path} must have the shape {shape} at {place}. "
            f"Received: {dataset.shape}. The weights are of another model."
        )
    # "V" of two bytes is bfloat16.
    dtype = dataset.dtype
    plain = dtype.kind in "biuf" or (dtype.kind == "V" and dtype.itemsize == 2)
    if not plain or dtype.subdtype is not None:
        raise PresetError(
            f"{path} must have plain numbers at {place}. Received: dtype={dtype}."
        )
    if dataset.external or dataset.is_virtual or dataset.chunks is not None:
        raise PresetError(
            f"{path} must hold its weights itself, uncompressed. Received: {place}, "
            "which is compressed, in pieces or in another file. Do not load this "
            "preset; `presets.save` writes no such file."
        )
