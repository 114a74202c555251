"""The beat models of this recipe: same encoders, any fusion, any modalities.

A variant is named by its fusion, or by its only modality, with what makes it differ:
`leads_` in front where the modalities are the two leads and the rhythm instead of
the views of both leads, `_pretrained`, `_causal` and `_specialist` behind.
"""

from dataclasses import dataclass
from functools import partial

import keras

from keras_mmfusion.layers import (
    GramianAngularField,
    PerStepEncoder,
    ResNet1DEncoder,
    ResNet2DEncoder,
)
from keras_mmfusion.models import FUSIONS, BeatClassifier, BeatConsensus

SEGMENT = 32
SHAPES = {
    "ecg": (128, 4),
    "image": (128, 2),
    "rhythm": (2,),
    "shape": (10,),
    "lead_1": (128, 2),
    "lead_2": (128, 2),
}
MODALITIES = ("ecg", "image", "rhythm", "shape")
LEADS = ("lead_1", "lead_2", "rhythm")
# The only class that some members of an ensemble decide about, see `BeatEnsemble`.
SPECIALTY = "V"
HEADS = ("atd", "step", "cascade", "zoom_shift", "cross_attention", "mult")
WIDTH = 48
SPECIALIST_WIDTH = 24  # So that several of them cost what another member would.
# How much each modality counts where beats of a recording are compared; log RR
# intervals vary less than waveforms do.
ALIKE = {"ecg": 1.0, "rhythm": 20.0}


@dataclass(frozen=True)
class Variant:
    """What the name of a variant says."""

    fusion: str
    modalities: tuple
    causal: bool
    pretrained: bool
    specialist: bool


def parse(name):
    """`Variant` of a name such as `"atd_causal"` or `"leads_cascade_pretrained"`."""
    specialist = is_specialist(name)
    name = name.removesuffix("_specialist")
    fusion = name.removesuffix("_causal").removesuffix("_pretrained")
    modalities = LEADS if fusion.startswith("leads_") else MODALITIES
    fusion = fusion.removeprefix("leads_")
    if fusion in modalities:
        modalities = (fusion,)
    elif fusion not in FUSIONS:
        raise ValueError(
            f"A variant is a fusion or one of {modalities}. Received: {name}"
        )
    causal = name.endswith("_causal")
    return Variant(fusion, modalities, causal, "_pretrained" in name, specialist)


def is_specialist(name):
    """Whether a variant decides about `SPECIALTY` only."""
    return name.endswith("_specialist")


def build(classes, fusion="atd", modalities=MODALITIES, causal=False, specialist=False):
    """A beat classifier over `modalities`, fused by `fusion`."""
    encoders, width = dict(ENCODERS), WIDTH
    if specialist:
        width = SPECIALIST_WIDTH
        # For the class that it decides about, shape counts; when a wave comes does not.
        encoders["ecg"] = partial(beat_encoder, pooling="meanmax")
    options = {"num_heads": 4} if fusion in HEADS else {}
    if causal and fusion in HEADS:
        options["causal"] = True
    return BeatClassifier(
        inputs={name: (SEGMENT, *SHAPES[name]) for name in modalities},
        encoders={name: encoders[name](name) for name in modalities},
        fusion=fusion if len(modalities) > 1 else "concat",
        fusion_options=options,
        classes=classes,
        name="beat_classifier",
        dim=width,
        decoder=ResNet1DEncoder(
            filters=(width,) * 4,
            kernel_size=3,
            dilations=(1, 2, 4, 8),
            causal=causal,
            normalization=None,
            name="decoder",
        ),
        modality_dropout=0.2 if len(modalities) > 1 else 0.0,
        causal=causal,
    )


def consensus(variant, protocol="interpatient"):
    """`BeatConsensus` by what a variant sees; `None` where none was validated."""
    modalities = parse(variant).modalities
    if protocol != "interpatient" or set(modalities) & {"lead_1", "lead_2"}:
        return None
    if len(modalities) == 1:
        return BeatConsensus({modalities[0]: 1.0})
    return BeatConsensus({name: ALIKE[name] for name in modalities if name in ALIKE})


def beat_encoder(name, pooling=None):
    """Waveform and template difference of each beat: a small ResNet-1D.

    By default its tokens are kept side by side: when a P wave comes says what a beat
    is.
    """
    resnet = ResNet1DEncoder(
        filters=(16, 24, 32),
        strides=(4, 2, 2),
        kernel_size=7,
        normalization=None,
        name=f"{name}_resnet",
    )
    return PerStepEncoder(resnet, pooling=pooling, name=f"{name}_encoder")


def image_encoder(name):
    """Gramian angular field of each beat, drawn inside the model: a ResNet-2D."""
    picture = keras.Sequential(
        [
            GramianAngularField(image_size=16, name="field"),
            ResNet2DEncoder(filters=(6, 12), normalization=None, name=f"{name}_resnet"),
        ],
        name=f"{name}_pipeline",
    )
    return PerStepEncoder(picture, pooling="meanmax", name=f"{name}_encoder")


def dense_encoder(name):
    return keras.layers.Dense(16, activation="relu", name=f"{name}_encoder")


ENCODERS = {
    "ecg": beat_encoder,
    "lead_1": beat_encoder,
    "lead_2": beat_encoder,
    "image": image_encoder,
    "rhythm": dense_encoder,
    "shape": dense_encoder,
}
