"""The encoders and decoders of MCWSA: audio, visual and text, to 32 steps and back."""

import keras
from keras import layers

from keras_mmfusion.layers import ATDEncoder, PerStepEncoder, ResidualAttentionBlock
from keras_mmfusion.models.fusion_autoencoder import FusionAutoencoder

STEPS = 32
# After temporal pyramid pooling: time first.
SHAPES = {"audio": (128, 64, 3), "visual": (STEPS, 2048), "text": (STEPS, 300)}
# Of the five blocks for audio, in time and in bands.
AUDIO_STRIDES = ((2, 2), (2, 2), (1, 2), (1, 2), (1, 2))
TEXT_LAYERS = 5


def mcwsa(
    modalities=tuple(SHAPES), fusion="cascade", width=300, dropout=0.5, **options
):
    """The multi-channel weight-sharing autoencoder, by default at the paper's sizes.

    | modality | one sample | encoder |
    | --- | --- | --- |
    | `audio` | 128 × 64 × 3, log-mel with deltas | 5 `ResidualAttentionBlock` |
    | `visual` | 32 × 2048, features of frames | 2 `ResidualAttentionBlock` |
    | `text` | 32 × 300, word vectors | `ATDEncoder` of 5 layers |

    Each ends in 32 steps of `width` features, which the fusion makes one code of. The
    decoders are the mirror of the encoders, with transposed convolutions.

    Args:
        modalities: Sequence of some of `"audio"`, `"visual"`, `"text"`, in the order
            of fusion. Defaults to all.
        fusion: See `FusionAutoencoder`. Defaults to `"cascade"`.
        width: int. Features of the code, a multiple of 4. Defaults to `300`.
        dropout: float. Of encoders and decoders. Defaults to `0.5`.
        **options: Further arguments of `FusionAutoencoder`.

    Returns:
        `FusionAutoencoder`.

    Raises:
        ValueError: Another modality, or a width that heads cannot share.

    Example:

    ```python
    import numpy as np
    from keras_mmfusion.models import mcwsa

    model = mcwsa(["visual", "text"], width=16)
    x = {"visual": np.ones((2, 32, 2048)), "text": np.ones((2, 32, 300))}
    assert model.code(x).shape == (2, 32, 16)
    ```

    Reference:
        Zheng et al., "Multi-channel weight-sharing autoencoder based on cascade
        multi-head attention", sections III.A and IV.C. It tells sizes of inputs and
        codes and how many blocks there are. Our reading: channels double from block to
        block; audio takes steps of two in both directions twice, which makes 32 steps,
        and then in bands only; the blocks for frames take none, for these are 32
        steps already. The text has steps of two in every block, which would leave 4 of
        128 and 8 of 32. Layers for text have feed-forwards.
    """
    unknown = [name for name in modalities if name not in SHAPES]
    if unknown or not modalities or len(set(modalities)) < len(modalities):
        raise ValueError(
            f"`modalities` must be some of {list(SHAPES)}, each once. "
            f"Received: {modalities}"
        )
    if width % 4:
        raise ValueError(f"`width` must be a multiple of 4. Received: width={width}")
    make = {
        "audio": (_audio_encoder, _audio_decoder),
        "visual": (_visual_encoder, _visual_decoder),
        "text": (_text_encoder, _text_decoder),
    }
    return FusionAutoencoder(
        inputs={name: SHAPES[name] for name in modalities},
        encoders={name: make[name][0](width, dropout) for name in modalities},
        decoders={name: make[name][1](width, dropout) for name in modalities},
        fusion=fusion,
        dim=width,
        **options,
    )


def _audio_encoder(width, dropout):
    count = len(AUDIO_STRIDES)
    blocks = [
        _block(_channels(width, count - 1 - i), i, dropout, strides=strides)
        for i, strides in enumerate(AUDIO_STRIDES)
    ]
    # Not `Reshape`, which loses the mask.
    flat = PerStepEncoder(layers.Flatten(name="bands"), name="steps")
    return keras.Sequential([*blocks, flat], name="audio_encoder")


def _audio_decoder(width, dropout):
    blocks = [
        _block(_channels(width, i + 1), i, dropout, strides=s, transposed=True)
        for i, s in enumerate(reversed(AUDIO_STRIDES))
    ]
    return keras.Sequential(
        [
            layers.Reshape((STEPS, 2, width // 2), name="bands"),
            *blocks,
            layers.Dense(3, name="channels"),
        ],
        name="audio_decoder",
    )


def _visual_encoder(width, dropout):
    blocks = [_block(2 * width, 0, dropout), _block(width, 1, dropout)]
    return keras.Sequential(blocks, name="visual_encoder")


def _visual_decoder(width, dropout):
    return keras.Sequential(
        [
            _block(width, 0, dropout, transposed=True),
            _block(2 * width, 1, dropout, transposed=True),
            layers.Dense(SHAPES["visual"][-1], name="features"),
        ],
        name="visual_decoder",
    )


def _text_encoder(width, dropout):
    return ATDEncoder(width, TEXT_LAYERS, dropout=dropout, name="text_encoder")


def _text_decoder(width, dropout):
    return keras.Sequential(
        [
            ATDEncoder(width, TEXT_LAYERS, dropout=dropout, name="words"),
            layers.Dense(SHAPES["text"][-1], name="features"),
        ],
        name="text_decoder",
    )


def _channels(width, halvings):
    # Two at least: Keras cannot normalise a single one where steps are masked.
    return max(width // 2 >> halvings, 2)


def _block(filters, number, dropout, **options):
    return ResidualAttentionBlock(
        filters, dropout=dropout, name=f"block_{number}", **options
    )
