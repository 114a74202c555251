"""From a picture of a written digit to an image as in MNIST."""

import os
from pathlib import Path

import numpy as np

from keras_mmfusion.datasets.ecg_record import RecordError
from keras_mmfusion.preprocessing.digit_inputs import IMAGE_SIZE
from keras_mmfusion.preprocessing.picture_files import reduced

# MNIST: the digit fits into this box; its centre of mass is in the middle.
BOX = 20
# Of the brightest shade: how much ink must differ from its background.
CONTRAST = 0.05
# Pixels of the longer side that are enough to cut a digit out.
ENOUGH = 2000
# Of the brightest ink: what counts as part of the digit.
INK = 0.3


def read_digit_image(path):
    """Read a picture of one digit, of any size and colours, as MNIST would have it.

    Args:
        path: Path of a picture that Pillow can read.

    Returns:
        float32 array `(28, 28)`, from 0 (background) to 1, see `to_mnist`.

    Raises:
        RecordError: The file is missing, is no picture, or shows nothing.
        ImportError: Pillow is not installed.

    Example:

    ```python
    import numpy as np
    from PIL import Image
    from keras_mmfusion.preprocessing import read_digit_image

    paper = np.full((90, 60), 255, "uint8")
    paper[10:80, 28:32] = 0
    Image.fromarray(paper).save("one.png")
    image = read_digit_image("one.png")
    assert image.shape == (28, 28) and image[14, 14] > 0.5
    ```
    """
    try:
        from PIL import Image, ImageOps
    except ImportError as error:
        raise ImportError(
            "Reading pictures needs the package Pillow: "
            "pip install 'keras_mmfusion[digits]'"
        ) from error
    if not isinstance(path, (str, os.PathLike)):
        raise RecordError(
            "Expected the path of a picture. Received: "
            f"{type(path).__name__}. `to_mnist` takes arrays."
        )
    path = Path(path)
    if not path.is_file():
        raise RecordError(f"No picture at {path}. Check the path and the name.")
    try:
        with Image.open(path) as picture:
            upright = ImageOps.exif_transpose(picture)
            upright = reduced(upright, max(upright.size) // ENOUGH)
            if upright.mode.startswith("I") or upright.mode == "F":
                grey = np.asarray(upright, "float32")
            else:
                grey = np.asarray(_on_paper(upright.convert("RGBA")), "float32")
    except Exception as error:  # of all kinds, from Pillow's readers
        raise RecordError(
            f"{path} is not a picture that Pillow can read ({error}). Convert it, for "
            "example to PNG."
        ) from error
    try:
        return to_mnist(grey)
    except ValueError as error:
        raise RecordError(f"{path}: {error}") from error


def _on_paper(colours):
    """In grey; what is transparent shows white paper, or black below white ink."""
    from PIL import Image

    for paper in ("white", "black"):
        page = Image.new("RGBA", colours.size, paper)
        page.alpha_composite(colours)
        grey = page.convert("L")
        darkest, brightest = grey.getextrema()
        if brightest - darkest > CONTRAST * 255:
            break
    return grey


def to_mnist(grey):
    """A grey picture of one digit as MNIST has it.

    The background is what the edge of the picture shows. Pictures of 28 x 28 pixels
    keep their place; of others, light that falls unevenly is evened out, the digit is
    cut out, scaled into 20 x 20 pixels, and placed with its centre of mass in the
    middle.

    Args:
        grey: Array `(height, width)`, any scale.

    Returns:
        float32 array `(28, 28)`, 0 for background, 1 for ink.

    Raises:
        ValueError: There is nothing but background.

    Example:

    ```python
    import numpy as np
    from keras_mmfusion.preprocessing.digit_image import to_mnist

    paper = np.full((90, 60), 255.0)
    paper[10:80, 28:32] = 0.0  # a black one on white paper
    image = to_mnist(paper)
    assert image[14, 14] > 0.5 and image[14, 2] == 0
    ```

    Reference:
        LeCun et al., "Gradient-based learning applied to document recognition",
        1998, section III.A, for size and centre.
    """
    from PIL import Image

    grey = np.asarray(grey, "float32")
    of_mnist = grey.shape == (IMAGE_SIZE, IMAGE_SIZE)
    ink = np.abs(grey - (np.median(_edge(grey)) if of_mnist else _paper(grey)))
    strongest = ink.max()
    if not strongest > CONTRAST * max(np.abs(grey).max(), 1e-6):
        raise ValueError(
            "Expected a digit that stands out from its background. Received: a picture "
            "of one shade. Give one with more contrast."
        )
    ink = ink / strongest
    if of_mnist:
        return ink
    rows, columns = (np.flatnonzero((ink > INK).any(axis=a)) for a in (1, 0))
    ink = ink[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    ink = np.where(ink > INK / 3, ink, 0.0).astype("float32")
    scale = BOX / max(ink.shape)
    height, width = (max(round(scale * n), 1) for n in ink.shape)
    small = Image.fromarray(ink).resize((width, height), Image.Resampling.BOX)
    small = np.asarray(small)
    small = small / small.max()
    return _centred(small)


def _edge(values):
    return np.concatenate([values[0], values[-1], values[:, 0], values[:, -1]])


def _paper(grey):
    """The background everywhere: a surface of second degree through the edge.

    Of the least sum of distances, not of their squares: ink on the edge does not count.
    """
    y, x = (np.linspace(-1, 1, n, dtype="float32") for n in grey.shape)
    y = y[:, None]
    every = max(sum(grey.shape) // 500, 1)
    shades, at_x, at_y = (
        _edge(np.broadcast_to(values, grey.shape))[::every].astype("float64")
        for values in (grey, x, y)
    )
    terms = [np.ones_like(at_x), at_x, at_x**2, at_y, at_y**2, at_x * at_y]
    on_edge = np.stack(terms, axis=1)
    near = 1e-3 * max(np.ptp(shades), 1e-6)
    surface = np.r_[np.median(shades), np.zeros(len(terms) - 1)]
    for _ in range(30):
        weights = np.maximum(np.abs(shades - on_edge @ surface), near) ** -0.5
        surface = np.linalg.lstsq(on_edge * weights[:, None], shades * weights)[0]
    # Not of all terms at once: a large picture would be in memory six times.
    a, b, c, d, e, f = surface.astype("float32")
    paper = (d + e * y) + f * x
    paper *= y
    paper += a + b * x + c * x * x
    return paper


def _centred(digit):
    """On an empty image, the centre of mass in its middle as far as it fits."""
    image = np.zeros((IMAGE_SIZE, IMAGE_SIZE), "float32")
    corner = []
    for axis, size in enumerate(digit.shape):
        mass = digit.sum(axis=1 - axis)
        centre = (mass @ np.arange(size) + 0.5 * mass.sum()) / mass.sum()
        start = round(IMAGE_SIZE / 2 - centre)
        corner.append(min(max(start, 0), IMAGE_SIZE - size))
    top, left = corner
    image[top : top + digit.shape[0], left : left + digit.shape[1]] = digit
    return image
