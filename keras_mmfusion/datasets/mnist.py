"""MNIST: 70,000 handwritten digits, from `mnist.npz` or the original IDX files.

LeCun, Cortes and Burges, "The MNIST database of handwritten digits", 1998.
"""

import gzip
import math
import zlib
from pathlib import Path

import numpy as np

from keras_mmfusion.datasets._find import find_folder
from keras_mmfusion.datasets.ecg_record import RecordError

URL = "https://storage.googleapis.com/tensorflow/tf-keras-datasets/mnist.npz"
# Training and test files; the names of copies differ in one character.
_PARTS = (
    ("train-images{}idx3-ubyte", "train-labels{}idx1-ubyte"),
    ("t10k-images{}idx3-ubyte", "t10k-labels{}idx1-ubyte"),
)
_NPZ_KEYS = (("x_train", "y_train"), ("x_test", "y_test"))
_IDX_TYPES = {0x08: ">u1", 0x09: ">i1", 0x0B: ">i2", 0x0C: ">i4", 0x0D: ">f4"} | {
    0x0E: ">f8"
}


def find_mnist(data_dir=None):
    """Folder with MNIST: `data_dir`, `KERAS_MMFUSION_DATA`, or the cache.

    Args:
        data_dir: Folder that holds `mnist.npz` or the IDX files, or holds a folder
            `mnist` that does. Defaults to `None`.

    Raises:
        RecordError: No such folder; the message lists where it looked.
    """
    return find_folder(
        "mnist",
        lambda folder: (folder / "mnist.npz").is_file() or _idx_files(folder),
        data_dir,
        "MNIST",
        f"Download {URL} (11 MB, CC BY-SA 3.0) into a folder mnist",
    )


def load_mnist(data_dir=None):
    """All images of MNIST, the training ones before the test ones.

    Args:
        data_dir: See `find_mnist`. A file `mnist.npz` goes before IDX files.

    Returns:
        `(images, labels)`: uint8 arrays `(70000, 28, 28)` and `(70000,)`.

    Raises:
        RecordError: Nothing is there, or what is there is damaged.

    Example:

    ```python
    from keras_mmfusion.datasets.mnist import load_mnist

    images, labels = load_mnist()
    images.shape  # (70000, 28, 28)
    ```
    """
    folder = find_mnist(data_dir)
    npz = folder / "mnist.npz"
    if npz.is_file():
        parts = _read_npz(npz)
    else:
        parts = [[read_idx(file) for file in part] for part in _idx_files(folder)]
    for images, labels in parts:
        if images.ndim != 3 or labels.shape != images.shape[:1]:
            raise RecordError(
                f"Expected images (n, height, width) and as many labels in {folder}. "
                f"Received: shapes {images.shape} and {labels.shape}. Download MNIST "
                "again."
            )
    images, labels = (np.concatenate(arrays) for arrays in zip(*parts, strict=True))
    return images, labels


def read_idx(path):
    """Read an array from an IDX file, whether it is compressed by gzip or not.

    Args:
        path: Path of the file.

    Raises:
        RecordError: The file is missing, of another format, or cut short.

    Example:

    ```python
    from pathlib import Path
    from keras_mmfusion.datasets.mnist import read_idx

    Path("labels").write_bytes(bytes([0, 0, 8, 1, 0, 0, 0, 2, 7, 3]))
    assert read_idx("labels").tolist() == [7, 3]
    ```
    """
    path = Path(path)
    if not path.is_file():
        raise RecordError(f"No IDX file at {path}. Check the path and the name.")
    content = path.read_bytes()
    try:
        if content[:2] == b"\x1f\x8b":
            content = gzip.decompress(content)
    except (OSError, EOFError, zlib.error) as error:
        raise RecordError(f"{path} is damaged: {error}. Download it again.") from error
    if len(content) < 4 or content[:2] != b"\0\0" or content[2] not in _IDX_TYPES:
        raise RecordError(
            f"{path} is not an IDX file. Received: a file that begins with "
            f"{content[:4].hex(' ')}."
        )
    dtype, start = np.dtype(_IDX_TYPES[content[2]]), 4 + 4 * content[3]
    # Of a header that is cut short, what there is of it.
    sizes = content[4:start][: (len(content) - 4) // 4 * 4]
    shape = tuple(np.frombuffer(sizes, ">u4").tolist())
    expected = start + math.prod(shape) * dtype.itemsize
    if len(shape) != content[3] or len(content) != expected:
        raise RecordError(
            f"{path} is cut short or has something after its end: expected "
            f"{expected:,} bytes for an array {shape}. Received: {len(content):,}. "
            "Download it again."
        )
    array = np.frombuffer(content, dtype, offset=start).reshape(shape)
    return array.astype(dtype.newbyteorder("="))


def _read_npz(path):
    try:
        with np.load(path, allow_pickle=False) as file:
            return [[file[key] for key in part] for part in _NPZ_KEYS]
    except Exception as error:  # of all kinds, from numpy, zipfile and zlib
        raise RecordError(
            f"{path} is not the file of Keras with the arrays x_train, y_train, x_test "
            f"and y_test ({error}). Download it again."
        ) from error


def _idx_files(folder):
    """The IDX files, by part; none unless all four are there."""
    found = []
    for part in _PARTS:
        files = [
            [folder / (name.format(sign) + end) for sign in "-." for end in ("", ".gz")]
            for name in part
        ]
        files = [[file for file in same if file.is_file()] for same in files]
        if not all(files):
            return []
        found.append([same[0] for same in files])
    return found
