"""Retrievers at the sizes that the papers give."""

import keras
from keras import layers

from keras_mmfusion.layers import ATDEncoder, LSTMEncoder, ResNet2DEncoder
from keras_mmfusion.models.fusion_retriever import FusionRetriever

DIM = 1024
HEADS = 16
# Of the fusions that have heads.
ATTENDING = ("atd", "step", "cascade", "zoom_shift", "mult", "cross_attention")


def paper_retriever(
    encoders="transformer_vit",
    fusion="zoom_shift",
    vocabulary_size=36_000,
    length=64,
    image_size=224,
    **options,
):
    """A `FusionRetriever` as large as in the papers: 282 or 70 million weights.

    | `encoders` | image | text | with `"atd"` |
    | --- | --- | --- | --- |
    | `"transformer_vit"` | ViT-B/16: 12 layers of 768 | 12 layers of 1024 | 282 M |
    | `"cnn_lstm"` | a ResNet of 128 to 1024 channels | two LSTMs of 1600 | 70 M |

    The papers tell the kinds of encoders and how many weights there are in all, with
    each fusion; how these are shared out is ours. They give the same sums for step
    fusion and for zoom and shift, which make more here: 285 and 291 million with
    `"transformer_vit"`, 73 and 79 with `"cnn_lstm"`.

    Args:
        encoders: `"transformer_vit"` or `"cnn_lstm"`. Defaults to `"transformer_vit"`.
        fusion: See `FusionRetriever`. Defaults to `"zoom_shift"`.
        vocabulary_size: int. Tokens, padding included. Defaults to `36_000`.
        length: int. Tokens of a text. Defaults to `64`.
        image_size: int, a multiple of 16. Height and width of an image, of values from
            0 to 255. Defaults to `224`.
        **options: Further arguments of `FusionRetriever`.

    Returns:
        `FusionRetriever`.

    Raises:
        ValueError: Other encoders, or an image that patches do not fill.

    Example:

    ```python
    from keras_mmfusion.models import paper_retriever

    model = paper_retriever("cnn_lstm", vocabulary_size=1000, image_size=32)
    ```

    Reference:
        Qin, "Zoom and Shift is All You Need", sections 3.2 and 4.2, Tables 1, 2 and 10.
    """
    if encoders not in ENCODERS:
        raise ValueError(
            f"`encoders` must be one of {list(ENCODERS)}. Received: {encoders!r}"
        )
    if fusion in ATTENDING:
        heads = {"num_heads": HEADS, **(options.pop("fusion_options", None) or {})}
        options["fusion_options"] = heads
    return FusionRetriever(
        inputs={"image": (image_size, image_size, 3), "text": (length,)},
        encoders=ENCODERS[encoders](vocabulary_size, length),
        fusion=fusion,
        **{"dim": DIM, "embedding_dim": 512, **options},
    )


def _transformer_vit(vocabulary_size, length):
    vit = ATDEncoder(768, 12, 12, patch=(16, 16), name="vit")
    transformer = ATDEncoder(1024, 12, 16, max_tokens=length, name="transformer")
    words = layers.Embedding(vocabulary_size, 1024, mask_zero=True, name="words")
    return {
        "image": keras.Sequential([_pixels(), vit], name="image_encoder"),
        "text": keras.Sequential([words, transformer], name="text_encoder"),
    }


def _cnn_lstm(vocabulary_size, length):
    resnet = ResNet2DEncoder((128, 256, 512, 1024), name="resnet")
    words = layers.Embedding(vocabulary_size, 256, mask_zero=True, name="words")
    lstm = LSTMEncoder((1600, 1600), name="lstm")
    return {
        "image": keras.Sequential([_pixels(), resnet], name="image_encoder"),
        "text": keras.Sequential([words, lstm], name="text_encoder"),
    }


def _pixels():
    """From -1 to 1."""
    return layers.Rescaling(1 / 127.5, -1, name="pixels")


ENCODERS = {"transformer_vit": _transformer_vit, "cnn_lstm": _cnn_lstm}
