"""The networks of the digits study: where image and sound meet.

`initial`: in the first layer. `second`: in the second one. `fc`: before the dense
layers. A network that sees or hears only is `initial` with the other input missing.
"""

import keras
from keras import layers

from keras_mmfusion.layers import (
    ConcatFusion,
    ConvLSTMFusion,
    FramePooling,
    PerStepEncoder,
)
from keras_mmfusion.models import FusionClassifier
from keras_mmfusion.preprocessing import DigitPreprocessor

NETWORKS = ("initial", "second", "fc")
# Units of the convolutions and LSTMs, units of the dense layer.
SIZES = {"paper": (64, 128), "small": (16, 64), "tiny": (8, 32)}
# The paper pads to the longest recording. Of 12 in 13 nothing is cut off here, of the
# others mostly silence, and the steps that a network makes are half as many.
SAMPLES = 5000


def build(network, size="small", preprocessor=None):
    """One of `NETWORKS` as a classifier of ten digits."""
    units, hidden = SIZES[size]
    preprocessor = preprocessor or DigitPreprocessor(samples=SAMPLES)
    shapes = preprocessor.shapes
    makers = {"initial": initial, "second": second, "fc": fully_connected}
    model = FusionClassifier(
        inputs=shapes,
        num_classes=10,
        dim=hidden,
        name=f"digits_{network}",
        **makers[network](shapes, units, hidden),
    )
    model.preprocessor = preprocessor
    return model


def initial(shapes, units, hidden):
    """Two convolutional LSTMs, the first over image and sound."""
    inputs = [keras.Input(shape, name=f"{name}_in") for name, shape in shapes.items()]
    x = ConvLSTMFusion(units, return_sequences=True, name="first")(inputs)
    x = FramePooling(name="first_pool")(x)
    x = ConvLSTMFusion(units, name="second")(x)
    return {
        "encoders": {"image": None, "sound": None},
        "fusion": keras.Model(inputs, dense_part(x, hidden), name="fusion"),
    }


def second(shapes, units, hidden):
    """A convolution and an LSTM apart, then a convolutional LSTM over both."""
    _, height, width, _ = shapes["image"]
    steps, _ = shapes["sound"]
    inputs = [
        keras.Input((1, height, width, units), name="image_in"),
        keras.Input((steps, units), name="sound_in"),
    ]
    x = ConvLSTMFusion(units, name="second")(inputs)
    return {
        "encoders": {
            "image": layers.TimeDistributed(
                convolution(units, "conv"), name="image_encoder"
            ),
            "sound": layers.LSTM(units, return_sequences=True, name="sound_encoder"),
        },
        "fusion": keras.Model(inputs, dense_part(x, hidden), name="fusion"),
    }


def fully_connected(shapes, units, hidden):
    """Two convolutions, two LSTMs, and nothing in common before a dense layer."""
    _, height, width, _ = shapes["image"]
    steps, _ = shapes["sound"]
    see = [convolution(units, f"conv_{i}") for i in (1, 2)]
    see = keras.Sequential([*see, layers.Flatten(name="flat")], name="convolutions")
    inputs = [
        keras.Input((1, height * width * units), name="image_in"),
        keras.Input((steps, units), name="sound_in"),
    ]
    heard = layers.LSTM(units, name="second")(inputs[1])
    heard = layers.Reshape((1, units), name="step")(heard)
    x = ConcatFusion(hidden, activation="relu", name="hidden")([inputs[0], heard])
    return {
        "encoders": {
            "image": PerStepEncoder(see, pooling=None, name="image_encoder"),
            "sound": layers.LSTM(units, return_sequences=True, name="sound_encoder"),
        },
        "fusion": keras.Model(inputs, x, name="fusion"),
    }


def convolution(units, name):
    return layers.Conv2D(
        units,
        3,
        padding="same",
        activation="relu",
        data_format="channels_last",
        name=name,
    )


def dense_part(x, hidden):
    """The last image as one step of `hidden` features, which is what a fusion gives."""
    x = layers.MaxPooling2D(2, data_format="channels_last", name="second_pool")(x)
    x = layers.Flatten(data_format="channels_last", name="flat")(x)
    x = layers.Dense(hidden, activation="relu", name="hidden")(x)
    return layers.Reshape((1, hidden), name="step")(x)
