"""The encoders that a search chooses from."""

import keras

from keras_mmfusion.layers.lstm_encoder import LSTMEncoder
from keras_mmfusion.layers.per_step_encoder import PerStepEncoder
from keras_mmfusion.layers.resnet_1d_encoder import ResNet1DEncoder
from keras_mmfusion.layers.resnet_2d_encoder import ResNet2DEncoder
from keras_mmfusion.tuning._search_space import RANGES


def kinds_of(name, shape):
    """The kinds of encoders for samples of a shape, time first."""
    if len(shape) == 2:
        return tuple(RANGES["encoder"])
    if len(shape) in (3, 4):
        return ("conv",)
    raise ValueError(
        f"An encoder is found for samples (time, features), (time, steps, channels) "
        f"and (time, height, width, channels). Received: {name!r} of shape {shape}. "
        f"Pass encoders={{{name!r}: function}}, a function of the hyperparameters "
        "that gives a layer."
    )


def make_encoder(name, shape, kind, width):
    """An encoder that keeps the steps of time.

    Args:
        name: str. The modality.
        shape: tuple. The shape of one of its samples, time first.
        kind: `"dense"`, `"lstm"` or `"conv"`.
        width: int. Features that it gives for each step; of series and pictures
            within a step, twice as many.
    """
    name = f"{name}_encoder"
    if kind == "dense":
        return keras.layers.Dense(width, activation="relu", name=name)
    if kind == "lstm":
        return LSTMEncoder((width,), name=name)
    if len(shape) == 2:
        # Widens its view instead of taking strides, so that masks stay exact.
        return ResNet1DEncoder(
            (width,) * 3,
            kernel_size=3,
            dilations=(1, 2, 4),
            normalization="layer",
            name=name,
        )
    resnet = ResNet1DEncoder if len(shape) == 3 else ResNet2DEncoder
    inner = resnet((-(-width // 2), width), normalization="layer", name=f"{name}_steps")
    return PerStepEncoder(inner, pooling="meanmax", name=name)
