"""Search for a fusion with Keras Tuner: hypermodels, and folds that keep groups whole.

hypermodel = tuning.ClassifierHyperModel(inputs, num_classes=3)
tuner = keras_tuner.RandomSearch(hypermodel, "val_loss", max_trials=20)

The hypermodels need the extra `tuner`; they are imported when they are first used.
"""

import importlib
from typing import TYPE_CHECKING

from keras_mmfusion.tuning.group_folds import group_folds

if TYPE_CHECKING:
    from keras_mmfusion.tuning.classifier_hyper_model import ClassifierHyperModel
    from keras_mmfusion.tuning.forecaster_hyper_model import ForecasterHyperModel

_MODULES = {
    "ClassifierHyperModel": "classifier_hyper_model",
    "ForecasterHyperModel": "forecaster_hyper_model",
}

__all__ = ["ClassifierHyperModel", "ForecasterHyperModel", "group_folds"]


def __getattr__(name):
    if name in _MODULES:
        return getattr(importlib.import_module(f"{__name__}.{_MODULES[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__():
    return sorted({*globals(), *__all__})
