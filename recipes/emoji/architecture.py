"""The retrievers of this recipe: same encoders, another fusion for the second look.

`zoom_shift` is that of the paper, `no_guide` and `standardised` are its ablations;
`concat` and `cross_attention` are to compare with.
"""

import keras
from keras import layers

from keras_mmfusion.layers import ATDEncoder, ResNet2DEncoder
from keras_mmfusion.models import FusionRetriever

IMAGE_SIZE, LENGTH = 72, 32
WIDTH, HEADS, EMBEDDING = 64, 4, 128
VOCABULARY = 3000
MODELS = {
    "zoom_shift": ("zoom_shift", {}),
    "standardised": ("zoom_shift", {"conditional": False}),
    "no_guide": ("zoom_shift", {"guide": False}),
    "cross_attention": ("cross_attention", {}),
    "concat": ("concat", None),
}


def build(name, preprocessor, seed=None):
    """One of `MODELS`, untrained."""
    fusion, options = MODELS[name]
    if options is not None:
        options = {"num_heads": HEADS, "dropout": 0.1, **options}
    model = FusionRetriever(
        inputs=preprocessor.shapes,
        encoders={
            "image": image_encoder(),
            "text": text_encoder(preprocessor.tokenizer.vocabulary_size),
        },
        fusion=fusion,
        fusion_options=options,
        dim=WIDTH,
        embedding_dim=EMBEDDING,
        seed=seed,
        name="emoji_retriever",
    )
    model.preprocessor = preprocessor
    return model


def image_encoder():
    """`(72, 72, 3)` to 81 tokens: convolutions, then a transformer."""
    return keras.Sequential(
        [
            layers.Rescaling(1 / 127.5, -1, name="pixels"),
            ResNet2DEncoder((24, 48, 64), normalization="batch", name="resnet"),
            ATDEncoder(WIDTH, 1, HEADS, dropout=0.1, name="transformer"),
        ],
        name="image_encoder",
    )


def text_encoder(vocabulary_size):
    return keras.Sequential(
        [
            layers.Embedding(vocabulary_size, WIDTH, mask_zero=True, name="words"),
            ATDEncoder(WIDTH, 2, HEADS, dropout=0.1, name="transformer"),
        ],
        name="text_encoder",
    )
