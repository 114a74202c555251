"""A small fusion classifier of two modalities, and inputs for it."""

import keras
import numpy as np

from keras_mmfusion.layers import ResNet1DEncoder
from keras_mmfusion.models import FusionClassifier

STEPS = 6
HEADS = {"num_heads": 2}
OPTIONS = {
    "atd": HEADS,
    "step": HEADS,
    "cross_attention": HEADS,
    "cascade": HEADS,
    "zoom_shift": HEADS,
    "mult": {**HEADS, "num_layers": 1, "memory_layers": 1, "stream_dim": 4},
}


def classifier(fusion="atd", **kwargs):
    options = OPTIONS.get(fusion, {}) if isinstance(fusion, str) else {}
    kwargs["fusion_options"] = {**options, **kwargs.get("fusion_options", {})}
    # Not in the order of the alphabet: the order of the modalities must survive.
    return FusionClassifier(
        inputs={"wave": (STEPS, 4), "calendar": (STEPS, 2)},
        encoders={
            "wave": keras.layers.Dense(5, activation="relu", name="wave_encoder"),
            "calendar": None,
        },
        fusion=fusion,
        **{"num_classes": 3, "dim": 8, **kwargs},
    )


def inputs(samples=4, steps=STEPS, seed=0):
    rng = np.random.default_rng(seed)
    return {
        "wave": rng.normal(size=(samples, steps, 4)).astype("float32"),
        "calendar": rng.normal(size=(samples, steps, 2)).astype("float32"),
    }


def predict(model, x):
    """One eager call, without compilation."""
    tensors = {name: keras.ops.convert_to_tensor(v) for name, v in x.items()}
    return keras.ops.convert_to_numpy(model(tensors, training=False))


def predict_all(model, x):
    """The same for a model of several outputs."""
    tensors = {name: keras.ops.convert_to_tensor(v) for name, v in x.items()}
    outputs = model(tensors, training=False)
    return {name: keras.ops.convert_to_numpy(v) for name, v in outputs.items()}


def with_nan(x, name, where):
    changed = {key: values.copy() for key, values in x.items()}
    changed[name][where] = np.nan
    return changed


def temporal(causal=False):
    return ResNet1DEncoder(
        (8, 8),
        3,
        dilations=(1, 2),
        causal=causal,
        normalization=None,
        name="decoder",
    )


def per_step_model(fusion, causal):
    return classifier(
        fusion,
        fusion_options={"causal": causal} if fusion in OPTIONS else {},
        decoder=temporal(causal),
        pooling=None,
        modality_dropout=0.2,
    )
