"""Picture files of any kind as arrays of one size."""

import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np

from keras_mmfusion._checks import check_positive_int
from keras_mmfusion.datasets.ecg_record import RecordError

# Beyond this a file is more likely an attack or a mistake than a photograph; Pillow
# opens no larger ones either.
MOST_PIXELS = 178_956_970
# Times the size asked for, to which large pictures are first brought by averaging.
ROOM = 3


def read_picture(path, size):
    """Read a picture as colours on white, whole, in the middle of a square.

    Pictures are turned as their EXIF says, transparent parts show white, greys become
    colours, and what is no square gets white bands. Large JPEG files are reduced while
    they are decoded.

    Args:
        path: Path of a picture that Pillow can read.
        size: int. Height and width of the result.

    Returns:
        uint8 array `(size, size, 3)`.

    Raises:
        RecordError: The file is missing, is no picture, or has more than 178,956,970
            pixels.
        ImportError: Pillow is not installed.

    Example:

    ```python
    from PIL import Image
    from keras_mmfusion.preprocessing import read_picture

    Image.new("L", (40, 20)).save("black.png")
    pixels = read_picture("black.png", 20)
    assert pixels.shape == (20, 20, 3)
    assert pixels[0].min() == 255 and pixels[10].max() == 0
    ```
    """
    Image, ImageOps = with_pillow()
    check_positive_int(size=size)
    path = Path(path)
    if not path.is_file():
        raise RecordError(f"No picture at {path}. Check the path and the name.")
    try:
        with Image.open(path) as picture:
            if picture.width * picture.height > MOST_PIXELS:
                raise Image.DecompressionBombError(
                    f"{picture.width} x {picture.height}"
                )
            picture.draft("RGB", (2 * size, 2 * size))
            upright = ImageOps.exif_transpose(picture)
            return square(upright, size)
    except Image.DecompressionBombError as error:
        raise RecordError(
            f"{path} must have at most {MOST_PIXELS:,} pixels. Received: {error}. Make "
            "it smaller."
        ) from error
    except Exception as error:  # of all kinds, from Pillow's readers
        raise RecordError(
            f"{path} is not a picture that Pillow can read ({error}). Convert it, for "
            "example to PNG."
        ) from error


def square(picture, size):
    """A Pillow image as `read_picture` has it."""
    Image, _ = with_pillow()
    if picture.mode.startswith("I") or picture.mode == "F":
        picture = Image.fromarray(_eight_bits(np.asarray(picture)))
    scale = size / max(picture.size)
    fitted = tuple(max(round(scale * n), 1) for n in picture.size)
    colours = reduced(picture, max(picture.size) // (ROOM * size)).convert("RGBA")
    if fitted != colours.size:
        # Weighted by opacity, or the colour of what is transparent would bleed.
        colours = colours.convert("RGBa").resize(fitted, Image.Resampling.LANCZOS)
        colours = colours.convert("RGBA")
    paper = Image.new("RGBA", (size, size), "white")
    corner = tuple((size - n) // 2 for n in fitted)
    paper.alpha_composite(colours, corner)
    return np.asarray(paper.convert("RGB"))


def read_pictures(paths, size, workers=8):
    """Read many pictures side by side; broken ones are named and left out.

    Args:
        paths: Sequence of paths.
        size: int. Height and width of the results.
        workers: int. Files that are read at a time. Defaults to `8`.

    Returns:
        `(pictures, kept, broken)`: uint8 array `(kept, size, size, 3)`, int64 array of
        the places in `paths` of these, and a dict of the other paths to what is wrong
        with them.

    Example:

    ```python
    from pathlib import Path
    from PIL import Image
    from keras_mmfusion.preprocessing import read_pictures

    Image.new("RGB", (8, 8)).save("good.png")
    Path("bad.png").write_bytes(b"no picture")
    pictures, kept, broken = read_pictures(["bad.png", "good.png"], 8)
    assert pictures.shape == (1, 8, 8, 3) and kept.tolist() == [1]
    assert list(broken) == ["bad.png"]
    ```
    """
    with_pillow()
    check_positive_int(size=size, workers=workers)
    if isinstance(paths, (str, os.PathLike)) or not np.iterable(paths):
        raise ValueError(
            f"Expected a list of paths. Received: {paths!r}. Put it in a list."
        )
    paths = list(paths)
    other = [path for path in paths if not isinstance(path, (str, os.PathLike))]
    if other:
        raise ValueError(
            f"Expected a list of paths. Received: {other[0]!r:.60} and the like in "
            f"{len(other)} of {len(paths)}."
        )
    pictures = np.zeros((len(paths), size, size, 3), "uint8")

    def read(row):
        try:
            pictures[row] = read_picture(paths[row], size)
        except RecordError as error:
            return str(error)

    with ThreadPoolExecutor(workers) as pool:
        wrong = list(pool.map(read, range(len(paths))))
    kept = np.array([row for row, what in enumerate(wrong) if what is None], "int64")
    broken = {path: what for path, what in zip(paths, wrong, strict=True) if what}
    # Without a broken one there is nothing to copy.
    return (pictures[kept] if broken else pictures), kept, broken


def reduced(picture, factor):
    """Opaque pictures averaged over squares: no copy of a huge one in four colours."""
    if picture.mode == "1":
        picture = picture.convert("L")
    if factor < 2 or picture.mode not in ("L", "RGB") or "transparency" in picture.info:
        return picture
    return picture.reduce(factor)


def _eight_bits(grey):
    """Greys of 16 or 32 bits, or floats, from their darkest to their brightest."""
    grey = grey.astype("float64")
    known = grey[np.isfinite(grey)]
    low, high = (known.min(), known.max()) if known.size else (0, 0)
    grey = np.nan_to_num(grey, nan=low, posinf=high, neginf=low)
    if low >= 0 and 255 < high < 2**16:
        low, high = 0, 2**16 - 1
    return ((grey - low) * (255 / max(high - low, 1e-12))).astype("uint8")


def with_pillow():
    """The modules `Image` and `ImageOps`, or how to get them."""
    try:
        from PIL import Image, ImageOps
    except ImportError as error:
        raise ImportError(
            "Reading pictures needs the package Pillow: "
            "pip install 'keras_mmfusion[retrieval]'"
        ) from error
    return Image, ImageOps
