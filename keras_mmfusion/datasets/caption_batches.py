"""Batches of images, each with one of its captions."""

import keras
import numpy as np

from keras_mmfusion._checks import check_positive_int, check_rate, check_seed, is_whole


class CaptionBatches(keras.utils.PyDataset):
    """What `FusionRetriever` learns from: every image once an epoch, with a caption.

    Which caption, the order, and the augmentation depend on the seed and the epoch. No
    two captions of one image are in a batch. Set `epoch` from a callback to go on where
    a training was interrupted.

    Args:
        images: uint8 array `(images, height, width, channels)`.
        texts: int32 array `(captions, length)` of token numbers.
        caption_image: int array `(captions,)`, the row of the image of each.
        batch_size: int. Defaults to `64`. What is left over waits for another epoch.
        shift: int. Pixels that an image is moved at most, white coming in.
            Defaults to `0`.
        colour: float in [0, 1). Brightness and contrast change by that share at most.
            Defaults to `0.0`.
        word_dropout: float in [0, 1). Share of tokens that are taken out, but not all
            of a text. Defaults to `0.0`.
        seed: int. Defaults to `0`.
        **kwargs: `workers` and so on, as for any `keras.utils.PyDataset`.

    Call arguments:
        `batches[i]` is `(x,)`, a dict of `"image"`, as `images` but float32 if `colour`
        is set, and `"text"`.

    Raises:
        ValueError: An image has no caption, a caption no image, or there are fewer
            images than a batch.

    Example:

    ```python
    import numpy as np
    from keras_mmfusion.datasets.caption_batches import CaptionBatches

    images = np.zeros((8, 16, 16, 3), "uint8")
    texts, caption_image = np.ones((16, 4), "int32"), np.arange(16) // 2
    batches = CaptionBatches(images, texts, caption_image, batch_size=4)
    assert len(batches) == 2 and batches[0][0]["text"].shape == (4, 4)
    ```
    """

    def __init__(
        self,
        images,
        texts,
        caption_image,
        batch_size=64,
        shift=0,
        colour=0.0,
        word_dropout=0.0,
        seed=0,
        **kwargs,
    ):
        super().__init__(**kwargs)
        check_positive_int(batch_size=batch_size)
        check_rate(colour=colour, word_dropout=word_dropout)
        check_seed(seed)
        images, texts = np.asarray(images), np.asarray(texts)
        caption_image = np.asarray(caption_image)
        if images.ndim != 4 or images.dtype != "uint8":
            raise ValueError(
                "`images` must be a uint8 array (images, height, width, channels). "
                f"Received: {images.dtype} of shape {images.shape}."
            )
        if texts.ndim != 2 or texts.dtype.kind not in "iu":
            raise ValueError(
                "`texts` must be an array (captions, length) of token numbers, as "
                f"CaptionTokenizer makes it. Received: {texts.dtype} of shape "
                f"{texts.shape}."
            )
        whole = np.issubdtype(caption_image.dtype, np.integer)
        rows = np.isin(caption_image, np.arange(len(images))).all()
        if not whole or not rows or caption_image.shape != (len(texts),):
            raise ValueError(
                f"`caption_image` must hold a row of `images` for each of {len(texts)} "
                f"texts, integers from 0 to {len(images) - 1}. Received: shape "
                f"{caption_image.shape} of {caption_image.dtype}, "
                f"{caption_image.reshape(-1)[:5]} …"
            )
        if not is_whole(shift) or shift < 0:
            raise ValueError(f"`shift` must be pixels, 0 or more. Received: {shift!r}")
        self.images, self.texts = images, texts
        order = np.argsort(caption_image, kind="stable")
        edges = np.searchsorted(caption_image, np.arange(len(images) + 1), sorter=order)
        self._captions = np.split(order, edges[1:-1])
        alone = [i for i, own in enumerate(self._captions) if not len(own)]
        if alone:
            raise ValueError(
                f"Each image needs a caption. Received: none for {len(alone)} images, "
                f"rows {alone[:5]}. Leave them out."
            )
        if len(images) < batch_size:
            raise ValueError(
                "`batch_size` must be at most the number of images. Received: "
                f"batch_size={batch_size}, {len(images)} images."
            )
        self.batch_size = batch_size
        self.shift, self.colour, self.word_dropout = shift, colour, word_dropout
        self.seed, self.epoch = seed, 0

    def __len__(self):
        return len(self.images) // self.batch_size

    def on_epoch_end(self):
        self.epoch += 1

    def __getitem__(self, number):
        if not 0 <= number < len(self):
            raise IndexError(f"Batches are 0 to {len(self) - 1}. Received: {number}")
        order = np.random.default_rng([self.seed, self.epoch]).permutation(
            len(self.images)
        )
        chosen = order[number * self.batch_size : (number + 1) * self.batch_size]
        rng = np.random.default_rng([self.seed, self.epoch, number])
        captions = [rng.choice(self._captions[image]) for image in chosen]
        return (
            {
                "image": self._changed(self.images[chosen], rng),
                "text": self._thinned(self.texts[captions], rng),
            },
        )

    def _changed(self, images, rng):
        if self.shift:
            room = self.shift
            edge = [(0, 0), (room, room), (room, room), (0, 0)]
            wide = np.pad(images, edge, constant_values=255)
            height, width = images.shape[1:3]
            corners = rng.integers(0, 2 * room + 1, (len(images), 2))
            images = np.stack(
                [
                    image[top : top + height, left : left + width]
                    for image, (top, left) in zip(wide, corners, strict=True)
                ]
            )
        if self.colour:
            factors = 1 + self.colour * rng.uniform(-1, 1, (2, len(images), 1, 1, 1))
            contrast, brightness = factors.astype("float32")
            images = (images.astype("float32") - 128) * contrast + 128 * brightness
            images = np.clip(images, 0, 255)
        return images

    def _thinned(self, texts, rng):
        if not self.word_dropout:
            return texts
        there = texts != 0
        draw = np.where(there, rng.random(texts.shape), 2.0)
        kept = there & (draw >= self.word_dropout)
        # One is spared where all would go.
        spared = there & (draw == np.where(there, draw, -1).max(axis=1, keepdims=True))
        kept |= spared & ~kept.any(axis=1, keepdims=True)
        # The others close up.
        first = np.argsort(~kept, axis=1, kind="stable")
        return np.take_along_axis(np.where(kept, texts, 0), first, axis=1)
