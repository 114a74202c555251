"""Small models that are exported, and whether that is possible here."""

import keras
import pytest

from keras_mmfusion import _export_formats
from keras_mmfusion.models import BeatClassifier, FusionClassifier

BACKEND = keras.backend.backend()


def classifier():
    """With all that has been hard to export: a picture, GELU, masks from NaN."""
    from keras_mmfusion.layers import GramianAngularField, PerStepEncoder

    picture = keras.Sequential(
        [GramianAngularField(image_size=4), keras.layers.Flatten()], name="picture"
    )
    return FusionClassifier(
        # Not in the order of the alphabet, which some writers use.
        inputs={"wave": (3, 8, 2), "calendar": (3, 2)},
        encoders={
            "wave": PerStepEncoder(picture, name="wave_encoder"),
            "calendar": keras.layers.Dense(4, name="calendar_encoder"),
        },
        fusion="atd",
        fusion_options={"num_heads": 2},
        num_classes=3,
        dim=4,
        pooling=None,
        name="small",
    )


def small_beats(seed=0, **kwargs):
    keras.utils.set_random_seed(seed)
    wave = keras.Sequential([keras.layers.Reshape((3, 16))], name="wave_encoder")
    return BeatClassifier(
        inputs={"wave": (3, 8, 2), "calendar": (3, 2)},
        encoders={"wave": wave, "calendar": None},
        fusion="atd",
        dim=4,
        fusion_options={"num_heads": 2},
        classes=["N", "S"],
        **kwargs,
    )


def require(name):
    """Skip unless this backend can write the format, with what is installed."""
    format = _export_formats.find_format(name)
    if BACKEND not in format.writers:
        pytest.skip(f"{BACKEND} does not write {name}")
    modules = [*format.writers[BACKEND], format.runtime]
    missing = _export_formats.missing_packages(modules)
    if missing:
        pytest.skip(f"needs {' '.join(dict.fromkeys(missing))}")


def dense():
    keras.utils.set_random_seed(0)
    return keras.Sequential([keras.Input((64,), name="load"), keras.layers.Dense(256)])
