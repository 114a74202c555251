"""The beat models of this recipe: same encoders, any fusion, any modalities."""

import keras

from keras_mmfusion.layers import (
    GramianAngularField,
    PerStepEncoder,
    ResNet1DEncoder,
    ResNet2DEncoder,
)
from keras_mmfusion.models import BeatClassifier

SEGMENT = 32
MODALITIES = ("ecg", "image", "rhythm", "shape")


def build(classes, fusion="atd", modalities=MODALITIES, causal=False):
    """A beat classifier over `modalities`, fused by `fusion`."""
    shapes = {"ecg": (128, 4), "image": (128, 2), "rhythm": (2,), "shape": (10,)}
    makers = {
        "ecg": beat_encoder,
        "image": image_encoder,
        "rhythm": rhythm_encoder,
        "shape": shape_encoder,
    }
    options = {"atd": {"num_heads": 4}, "step": {"num_heads": 4}}.get(fusion, {})
    if causal and fusion in ("atd", "step", "cross_attention", "mult"):
        options["causal"] = True
    return BeatClassifier(
        inputs={name: (SEGMENT, *shapes[name]) for name in modalities},
        encoders={name: makers[name]() for name in modalities},
        fusion=fusion,
        fusion_options=options,
        classes=classes,
        name="beat_classifier",
        dim=48,
        decoder=ResNet1DEncoder(
            filters=(48, 48, 48, 48),
            kernel_size=3,
            dilations=(1, 2, 4, 8),
            causal=causal,
            normalization=None,
            name="decoder",
        ),
        modality_dropout=0.2 if len(modalities) > 1 else 0.0,
        causal=causal,
    )


def beat_encoder():
    """Waveform and template difference of each beat: a small ResNet-1D.

    Its tokens are kept side by side: when a P wave comes says what a beat is.
    """
    resnet = ResNet1DEncoder(
        filters=(16, 24, 32),
        strides=(4, 2, 2),
        kernel_size=7,
        normalization=None,
        name="ecg_resnet",
    )
    return PerStepEncoder(resnet, pooling=None, name="ecg_encoder")


def image_encoder():
    """Gramian angular field of each beat, drawn inside the model: a ResNet-2D."""
    picture = keras.Sequential(
        [
            GramianAngularField(image_size=16, name="field"),
            ResNet2DEncoder(filters=(6, 12), normalization=None, name="image_resnet"),
        ],
        name="image_pipeline",
    )
    return PerStepEncoder(picture, pooling="meanmax", name="image_encoder")


def rhythm_encoder():
    return keras.layers.Dense(16, activation="relu", name="rhythm_encoder")


def shape_encoder():
    return keras.layers.Dense(16, activation="relu", name="shape_encoder")
