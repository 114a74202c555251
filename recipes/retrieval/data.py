"""Images and their captions, as a retriever takes them."""

from dataclasses import dataclass
from functools import partial

import architecture
import numpy as np

from keras_mmfusion.datasets.coco_cn import load_coco_cn
from keras_mmfusion.datasets.karpathy import load_emoji, load_flickr30k
from keras_mmfusion.preprocessing import CaptionTokenizer, RetrievalPreprocessor

CORPORA = {
    "emoji_en": (partial(load_emoji, "en"), architecture.SMALL),
    "emoji_zh": (partial(load_emoji, "zh"), architecture.SMALL),
    "flickr30k": (load_flickr30k, architecture.PAPER),
    "coco_cn": (load_coco_cn, architecture.PAPER),
}


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

    @property
    def first_captions(self):
        """The row of the first caption of each image."""
        return np.searchsorted(self.caption_image, np.arange(len(self.images)))


def sizes(corpus):
    return CORPORA[corpus][1]


def is_small(corpus):
    """Whether its captions fit in memory as bags of words."""
    return sizes(corpus) is architecture.SMALL


def preprocessor(corpus, data_dir=None):
    """Made of the captions to train on, and of no other."""
    read, sizes = CORPORA[corpus]
    captions = read(data_dir).split("train").captions
    tokenizer = CaptionTokenizer.learn(captions, sizes.vocabulary, sizes.length)
    return RetrievalPreprocessor(tokenizer, sizes.image)


def model(name, corpus, prepare, seed=None):
    """One of `architecture.MODELS` for a corpus, with its preprocessor."""
    vocabulary_size = prepare.tokenizer.vocabulary_size
    made = architecture.build(name, sizes(corpus), vocabulary_size, seed)
    made.preprocessor = prepare
    return made


def load(corpus, split, prepare, data_dir=None, limit=None):
    """`Part` of a split; of `limit` images at most."""
    part = CORPORA[corpus][0](data_dir).split(split)
    if limit is not None:
        part = part.take(range(min(limit, len(part))))
    return Part(
        prepare.images(part.paths),
        prepare.texts(part.captions),
        part.captions,
        part.caption_image,
    )
