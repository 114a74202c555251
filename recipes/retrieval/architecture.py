"""The retrievers of this recipe: same encoders, another fusion for the second look.

`zoom_shift` is that of the paper, `no_guide` and `standardised` are its ablations;
`concat` and `cross_attention` are to compare with. They are small for emoji, and as
large as in the paper for photographs.
"""

from dataclasses import dataclass

import keras
from keras import layers

from keras_mmfusion.layers import ATDEncoder, ResNet2DEncoder
from keras_mmfusion.models import FusionRetriever, paper_retriever


@dataclass(frozen=True)
class Sizes:
    """Pixels of an image's side, tokens of a text, tokens in all."""

    image: int
    length: int
    vocabulary: int


SMALL, PAPER = Sizes(48, 32, 3000), Sizes(224, 64, 36_000)
WIDTH, HEADS, EMBEDDING = 64, 4, 128
DROPOUT = 0.2
MODELS = {
    "zoom_shift": ("zoom_shift", {}),
    "standardised": ("zoom_shift", {"conditional": False}),
    "no_guide": ("zoom_shift", {"guide": False}),
    "cross_attention": ("cross_attention", {}),
    "concat": ("concat", None),
}


def build(name, sizes, vocabulary_size, seed=None):
    """One of `MODELS`, untrained."""
    fusion, options = MODELS[name]
    if sizes is PAPER:
        return paper_retriever(
            "transformer_vit",
            fusion,
            vocabulary_size,
            sizes.length,
            sizes.image,
            fusion_options=options,
            seed=seed,
        )
    if options is not None:
        options = {"num_heads": HEADS, "dropout": DROPOUT, **options}
    return FusionRetriever(
        inputs={"image": (sizes.image, sizes.image, 3), "text": (sizes.length,)},
        encoders={"image": image_encoder(), "text": text_encoder(vocabulary_size)},
        fusion=fusion,
        fusion_options=options,
        dim=WIDTH,
        embedding_dim=EMBEDDING,
        seed=seed,
        name="retriever",
    )


def image_encoder():
    """`(48, 48, 3)` to 36 tokens: convolutions, then a transformer."""
    return keras.Sequential(
        [
            layers.Rescaling(1 / 127.5, -1, name="pixels"),
            ResNet2DEncoder((24, 48, 64), normalization="batch", name="resnet"),
            ATDEncoder(WIDTH, 1, HEADS, dropout=DROPOUT, name="transformer"),
        ],
        name="image_encoder",
    )


def text_encoder(vocabulary_size):
    """Vectors of words: the captions are keywords, whose order says nothing."""
    return keras.Sequential(
        [
            layers.Embedding(vocabulary_size, WIDTH, mask_zero=True, name="words"),
            layers.Dropout(DROPOUT, name="dropout"),
        ],
        name="text_encoder",
    )
