"""Autoencoders of three channels of digits: one code for all, or one for each.

The names of `FUSIONS` are weight-sharing autoencoders whose channels meet in that
fusion: all decoders see the same code of `CODE` numbers. `separate` is three
autoencoders with a third of these numbers each, `separate_wide` with all of them each.
Encoders, decoders and their sizes are the same throughout.
"""

import keras
from keras import layers

from keras_mmfusion.layers import PerStepEncoder
from keras_mmfusion.models import FUSIONS, FusionAutoencoder

CHANNELS = {"channel_1": (0, 1, 2), "channel_2": (3, 4, 5), "channel_3": (6, 7, 8)}
SHAPE = (28, 28, 1)
CODE = 96
WIDTH = 48
ROWS = 7  # of the encoded image
SEPARATE = {"separate": CODE // len(CHANNELS), "separate_wide": CODE}
MODELS = (*FUSIONS, *SEPARATE)


def build(name):
    """One of `MODELS`, untrained."""
    if name in SEPARATE:
        return _separate(SEPARATE[name])
    return FusionAutoencoder(
        inputs=dict.fromkeys(CHANNELS, SHAPE),
        encoders={channel: encoder(channel) for channel in CHANNELS},
        decoders={channel: decoder(channel) for channel in CHANNELS},
        fusion=name,
        dim=WIDTH,
        bottleneck=bottleneck("code", CODE),
        name="mcwsa_mnist",
    )


def encoder(channel):
    """`(28, 28, 1)` to 7 rows of 7 columns times 32 features."""
    return keras.Sequential(
        [
            layers.Conv2D(16, 3, 2, "same", activation="relu", name="edges"),
            layers.Conv2D(32, 3, 2, "same", activation="relu", name="strokes"),
            PerStepEncoder(layers.Flatten(name="columns"), name="rows"),
        ],
        name=f"{channel}_encoder",
    )


def bottleneck(name, size):
    """`(7, features)` to `(1, size)`."""
    return keras.Sequential(
        [
            layers.Flatten(name="flat"),
            layers.Dense(size, name="numbers"),
            layers.Reshape((1, size), name="as_one_step"),
        ],
        name=name,
    )


def decoder(channel):
    """`(1, size)` to `(28, 28, 1)`."""
    return keras.Sequential(
        [
            layers.Flatten(name="flat"),
            layers.Dense(ROWS * ROWS * 16, activation="relu", name="strokes"),
            layers.Reshape((ROWS, ROWS, 16), name="image"),
            layers.Conv2DTranspose(16, 3, 2, "same", activation="relu", name="edges"),
            layers.Conv2DTranspose(1, 3, 2, "same", activation="sigmoid", name="ink"),
        ],
        name=f"{channel}_decoder",
    )


def _separate(size):
    """Three autoencoders in one model, which share nothing."""
    inputs = {name: keras.Input(SHAPE, name=name) for name in CHANNELS}
    outputs = {
        # A dense layer in place of the fusion.
        name: decoder(name)(
            bottleneck(f"{name}_code", size)(
                layers.Dense(WIDTH, name=f"{name}_width")(encoder(name)(image))
            )
        )
        for name, image in inputs.items()
    }
    return keras.Model(inputs, outputs, name="separate")
