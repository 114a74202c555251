"""A file of weights is of the model in all, or is refused before it is read."""

import re
import shutil

import h5py
import numpy as np
import pytest
from backends import once

from keras_mmfusion import presets

pytestmark = once


BIAS = "layers/dense/vars/1"
KERNEL = "layers/dense/vars/0"


def replace(file, name, **arguments):
    """Put another dataset in the place of one."""
    shape = file[name].shape
    del file[name]
    return file.create_dataset(name, **{"shape": shape, "dtype": "float32"} | arguments)


def missing_weight(file, outside):
    del file[BIAS]


def missing_layer(file, outside):
    del file["layers/dense"]


def extra_weight(file, outside):
    file["layers/dense/vars/2"] = np.zeros(3, "float32")


def extra_layer(file, outside):
    file["layers/more/vars/0"] = np.zeros(3, "float32")


def wrong_shape(file, outside):
    replace(file, BIAS, shape=(4,))


def right_size_wrong_shape(file, outside):
    replace(file, KERNEL, shape=file[KERNEL].shape[::-1])


def huge_shape(file, outside):
    """Declared in a few bytes, for none of it is written."""
    replace(file, KERNEL, shape=(2**40, 3))


def huge_shape_in_chunks(file, outside):
    replace(file, KERNEL, shape=(2**40, 3), chunks=(2**10, 3), compression="gzip")


def huge_items(file, outside):
    replace(file, BIAS, dtype=np.dtype("V100000000"))


def python_objects(file, outside):
    replace(file, BIAS, dtype=h5py.string_dtype())


def object_reference(file, outside):
    dataset = replace(file, BIAS, dtype=h5py.ref_dtype)
    dataset[...] = file["layers"].ref


def region_reference(file, outside):
    dataset = replace(file, BIAS, dtype=h5py.regionref_dtype)
    dataset[0] = file[KERNEL].regionref[0:1]


def named_type(file, outside):
    """A third kind of thing, neither group nor dataset."""
    del file[BIAS]
    file[BIAS] = np.dtype("float32")


def records(file, outside):
    replace(file, BIAS, dtype=np.dtype([("a", "f4"), ("b", "f4")]))


def arrays_in_arrays(file, outside):
    replace(file, BIAS, dtype=np.dtype(("f4", (10**6,))))


def no_space(file, outside):
    """A dataset of nothing at all."""
    del file[BIAS]
    file[BIAS] = h5py.Empty("f4")


def in_pieces(file, outside):
    replace(file, BIAS, chunks=True)


def filtered(file, outside):
    replace(file, BIAS, chunks=True, shuffle=True, fletcher32=True)


def growing(file, outside):
    replace(file, BIAS, maxshape=(None,))


def soft_link_to_nothing(file, outside):
    del file[BIAS]
    file[BIAS] = h5py.SoftLink("/nowhere")


def soft_link_to_itself(file, outside):
    del file["layers"]
    file["layers"] = h5py.SoftLink("/layers")


def compressed(file, outside):
    replace(file, BIAS, compression="gzip")


def group_for_a_weight(file, outside):
    del file[BIAS]
    file.create_group(BIAS)


def weight_for_a_group(file, outside):
    del file["layers/dense/vars"]
    file["layers/dense/vars"] = np.zeros(2)


def external_link(file, outside):
    del file[BIAS]
    file[BIAS] = h5py.ExternalLink(str(outside), BIAS)


def external_group(file, outside):
    del file["layers"]
    file["layers"] = h5py.ExternalLink(str(outside), "/layers")


def soft_link(file, outside):
    """In the place of a weight, to another of the same shape."""
    del file["layers/batch_normalization/vars/0"]
    file["layers/batch_normalization/vars/0"] = h5py.SoftLink(
        "/layers/batch_normalization/vars/1"
    )


def external_storage(file, outside):
    size = file[BIAS].size * 4
    replace(file, BIAS, external=[(str(outside), 0, size)])


def virtual_dataset(file, outside):
    layout = h5py.VirtualLayout(shape=file[BIAS].shape, dtype="float32")
    layout[:] = h5py.VirtualSource(str(outside), BIAS, shape=file[BIAS].shape)
    del file[BIAS]
    file.create_virtual_dataset(BIAS, layout)


def cycle(file, outside):
    """A group that holds itself, for ever deeper."""
    file["layers/again"] = file["layers"]


SPOILT = {
    missing_weight: "missing=['1']",
    missing_layer: "missing=['dense']",
    extra_weight: "not of the model=['2']",
    extra_layer: "not of the model=['more']",
    wrong_shape: "must have the shape (3,) at /layers/dense/vars/1. Received: (4,)",
    right_size_wrong_shape: "at /layers/dense/vars/0",
    huge_shape: "Received: (1099511627776, 3)",
    huge_shape_in_chunks: "Received: (1099511627776, 3)",
    huge_items: "must have plain numbers",
    python_objects: "must have plain numbers",
    object_reference: "must have plain numbers",
    region_reference: "must have plain numbers",
    named_type: "must have a dataset at",
    records: "must have plain numbers",
    arrays_in_arrays: "must have plain numbers",
    no_space: "must have the shape (3,) at /layers/dense/vars/1. Received: None",
    in_pieces: "uncompressed",
    filtered: "uncompressed",
    growing: "uncompressed",
    soft_link_to_nothing: "a SoftLink, which leads elsewhere",
    soft_link_to_itself: "a SoftLink, which leads elsewhere",
    compressed: "uncompressed",
    group_for_a_weight: "must have a dataset at",
    weight_for_a_group: "must have a group at",
    external_link: "a ExternalLink, which leads elsewhere",
    external_group: "a ExternalLink, which leads elsewhere",
    soft_link: "a SoftLink, which leads elsewhere",
    external_storage: "in another file",
    virtual_dataset: "in another file",
    cycle: "not of the model=['again']",
}


@pytest.mark.parametrize("spoil", SPOILT, ids=lambda function: function.__name__)
def test_refused(spoil, saved, rehash, tmp_path, monkeypatch):
    path = saved / "model.weights.h5"
    outside = shutil.copy(path, tmp_path / "outside.h5")
    with h5py.File(path, "a") as file:
        spoil(file, outside)
    assert path.stat().st_size < 100_000
    rehash(saved)
    opened = []
    original = h5py.Dataset.__getitem__
    monkeypatch.setattr(
        h5py.Dataset,
        "__getitem__",
        lambda self, key: opened.append(self.name) or original(self, key),
    )
    message = rf"model\.weights\.h5 must hold .*{re.escape(SPOILT[spoil])}"
    with pytest.raises(ValueError, match=message):
        presets.load(saved)
    assert not opened, "weights were read before they were checked"
