"""From picture files and texts to the inputs of a retriever."""

import os

import keras
import numpy as np

from keras_mmfusion._checks import check_positive_int
from keras_mmfusion._serialization import register
from keras_mmfusion.datasets.ecg_record import RecordError
from keras_mmfusion.preprocessing.picture_files import (
    read_picture,
    read_pictures,
    square,
    with_pillow,
)


@register()
class RetrievalPreprocessor:
    """Prepare pictures and texts for `FusionRetriever`.

    Args:
        tokenizer: `CaptionTokenizer`.
        image_size: int. Height and width of a picture. Defaults to `72`.
        captions: Sequence of str, what to choose from where a picture is given and no
            captions are, as by `mmfusion caption-search`. Defaults to `None`.

    Raises:
        RecordError: a file that is no picture, or a text without a word; the message
            says which.

    Example:

    ```python
    from PIL import Image
    from keras_mmfusion.preprocessing import CaptionTokenizer, RetrievalPreprocessor

    Image.new("RGB", (64, 48), "red").save("red.png")
    tokenizer = CaptionTokenizer.learn(["red", "green"], max_length=4)
    prepare = RetrievalPreprocessor(tokenizer, image_size=32)
    assert prepare.images(["red.png"]).shape == (1, 32, 32, 3)
    assert prepare.texts(["red", "green"]).shape == (2, 4)
    ```
    """

    def __init__(self, tokenizer, image_size=72, captions=None):
        check_positive_int(image_size=image_size)
        self.tokenizer = tokenizer
        self.image_size = image_size
        captions = [] if captions is None else captions
        if isinstance(captions, str) or not all(isinstance(c, str) for c in captions):
            raise ValueError(
                f"`captions` must be a list of str. Received: {captions!r:.60}"
            )
        self.captions = [str(caption) for caption in captions]

    def images(self, pictures, workers=8):
        """Pictures as uint8 `(pictures, image_size, image_size, 3)`.

        Args:
            pictures: Sequence of paths, of Pillow images, or of uint8 arrays
                `(height, width, channels)`.
            workers: int. Files that are read at a time. Defaults to `8`.
        """
        # A single array would be taken for a list of its rows.
        shape = np.shape(pictures) if hasattr(pictures, "shape") else ()
        single = len(shape) == 3 and shape[-1] in (1, 3, 4)
        listed = np.iterable(pictures) and not isinstance(pictures, str)
        if single or not listed:
            raise RecordError(
                "Expected a list of pictures. Received: "
                f"{f'shape {shape}' if single else repr(pictures)}. Put it in one."
            )
        pictures = list(pictures)
        of_files = [isinstance(p, (str, os.PathLike)) for p in pictures]
        if pictures and all(of_files):
            found, _, broken = read_pictures(pictures, self.image_size, workers)
            if broken:
                raise RecordError(
                    f"{len(broken)} of {len(pictures)} pictures cannot be read: "
                    + "; ".join(list(broken.values())[:3])
                )
            return found
        size = self.image_size
        images = np.zeros((len(pictures), size, size, 3), "uint8")
        for row, (picture, of_file) in enumerate(zip(pictures, of_files, strict=True)):
            images[row] = (
                read_picture(picture, size)
                if of_file
                else square(_opened(picture), size)
            )
        return images

    def texts(self, texts):
        """Texts as int32 `(texts, max_length)` of token numbers."""
        return self.tokenizer(texts)

    @property
    def shapes(self):
        """Shapes of one sample of each modality."""
        return {
            "image": (self.image_size, self.image_size, 3),
            "text": (self.tokenizer.max_length,),
        }

    def get_config(self):
        return {
            "tokenizer": keras.saving.serialize_keras_object(self.tokenizer),
            "image_size": self.image_size,
            "captions": self.captions,
        }

    @classmethod
    def from_config(cls, config):
        config = dict(config)
        tokenizer = keras.saving.deserialize_keras_object(config.pop("tokenizer"))
        return cls(tokenizer, **config)


def _opened(picture):
    """A Pillow image, upright, of one or of an array."""
    Image, ImageOps = with_pillow()
    if isinstance(picture, Image.Image):
        return ImageOps.exif_transpose(picture)
    array = np.asarray(picture)
    if array.ndim == 3 and array.shape[2] == 1:
        array = array[:, :, 0]
    shaped = array.ndim == 2 or (array.ndim == 3 and array.shape[2] in (3, 4))
    if array.dtype != "uint8" or not shaped or not array.size:
        raise RecordError(
            "Expected paths, Pillow images, or uint8 arrays (height, width, channels) "
            f"with 1, 3 or 4 channels. Received: {array.dtype} of shape {array.shape}. "
            "Bring values to 0 to 255 and to uint8."
        )
    return Image.fromarray(array)
