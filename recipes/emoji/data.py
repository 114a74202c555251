"""Emoji with their names and keywords, as a retriever takes them."""

from dataclasses import dataclass

import architecture
import numpy as np

from keras_mmfusion.datasets.karpathy import load_emoji
from keras_mmfusion.preprocessing import CaptionTokenizer, RetrievalPreprocessor


@dataclass(frozen=True)
class Part:
    """Images and captions of one split.

    Attributes:
        images: uint8 array `(images, size, size, 3)`.
        texts: int32 array `(captions, length)`.
        captions: tuple of str.
        caption_image: int array `(captions,)`.
    """

    images: np.ndarray
    texts: np.ndarray
    captions: tuple
    caption_image: np.ndarray


def preprocessor(language, data_dir=None):
    """Made of the captions to train on, and of no other."""
    captions = load_emoji(language, data_dir).split("train").captions
    tokenizer = CaptionTokenizer.learn(
        captions, architecture.VOCABULARY, architecture.LENGTH
    )
    return RetrievalPreprocessor(tokenizer, architecture.IMAGE_SIZE)


def load(language, split, prepare, data_dir=None, limit=None):
    """`Part` of a split; of `limit` images at most."""
    corpus = load_emoji(language, data_dir).split(split)
    if limit is not None:
        corpus = corpus.take(range(min(limit, len(corpus))))
    return Part(
        prepare.images(corpus.paths),
        prepare.texts(corpus.captions),
        corpus.captions,
        corpus.caption_image,
    )
