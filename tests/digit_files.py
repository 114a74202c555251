"""Small MNIST and FSDD folders in the layouts of the original releases."""

import gzip
import struct
import wave

import numpy as np

SPEAKERS = ("george", "jackson", "lucas", "nicolas", "theo", "yweweler")


def small_mnist(count=40, seed=0):
    """Images that tell their number by their first pixels, and labels."""
    rng = np.random.default_rng(seed)
    images = rng.integers(1, 256, (count, 28, 28)).astype("uint8")
    images[:, 0, 0] = np.arange(count)
    return images, (np.arange(count) % 10).astype("uint8")


def write_idx(path, array, compress=False):
    content = struct.pack(f">HBB{array.ndim}I", 0, 8, array.ndim, *array.shape)
    content += array.tobytes()
    path.write_bytes(gzip.compress(content) if compress else content)


def write_mnist(folder, layout="npz", test=10):
    """`layout`: "npz", "idx", "idx.gz", or "idx." with a dot before idx."""
    folder.mkdir(parents=True, exist_ok=True)
    images, labels = small_mnist()
    parts = {"train": slice(0, -test), "t10k": slice(-test, None)}
    if layout == "npz":
        arrays = {}
        for name, part in (("train", parts["train"]), ("test", parts["t10k"])):
            arrays |= {f"x_{name}": images[part], f"y_{name}": labels[part]}
        np.savez(folder / "mnist.npz", **arrays)
        return
    sign = "." if layout == "idx." else "-"
    end = ".gz" if layout == "idx.gz" else ""
    for name, part in parts.items():
        for kind, array in (("images", images), ("labels", labels)):
            file = folder / f"{name}-{kind}{sign}idx{array.ndim}-ubyte{end}"
            write_idx(file, array[part], bool(end))


def write_wav(path, samples, width=2, channels=1, rate=8000):
    """Whole numbers of `width` bytes, from samples of -1 to 1, or `(n, channels)`."""
    scaled = np.round(np.asarray(samples) * 2 ** (8 * width - 1)).astype("int64")
    if width == 1:
        scaled += 128
    content = scaled.reshape(-1).astype("<i8").view("u1").reshape(-1, 8)[:, :width]
    with wave.open(str(path), "wb") as file:
        file.setparams((channels, width, rate, 0, "NONE", ""))
        file.writeframes(content.tobytes())


def write_fsdd(folder, per_speaker=2, speakers=SPEAKERS):
    """Every digit by every speaker; lengths differ."""
    folder.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(0)
    for digit in range(10):
        for speaker in speakers:
            for index in range(per_speaker):
                samples = 0.1 * rng.standard_normal(1200 + 100 * digit + index)
                name = f"{digit}_{speaker}_{index}.wav"
                write_wav(folder / name, np.clip(samples, -1, 1))


def write_digits(folder):
    write_mnist(folder / "mnist")
    write_fsdd(folder / "fsdd" / "recordings")
