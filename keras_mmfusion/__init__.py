"""Multimodal fusion for Keras 3 on TensorFlow, JAX and PyTorch.

```python
import keras_mmfusion

print(keras_mmfusion.presets.list())
fusion = keras_mmfusion.layers.ATDFusion(dim=32)
```

Subpackages are imported when they are first used. So `import keras_mmfusion` is
light, and `KERAS_BACKEND` may still be set after it. After `import keras`, it makes
our classes known to `keras.saving.load_model`; else, `keras_mmfusion.models` does so.
"""

import importlib
import sys
from typing import TYPE_CHECKING

from keras_mmfusion._version import __version__ as __version__

if TYPE_CHECKING:
    from keras_mmfusion import analysis as analysis
    from keras_mmfusion import cli as cli
    from keras_mmfusion import datasets as datasets
    from keras_mmfusion import distribution as distribution
    from keras_mmfusion import export as export
    from keras_mmfusion import layers as layers
    from keras_mmfusion import metrics as metrics
    from keras_mmfusion import models as models
    from keras_mmfusion import preprocessing as preprocessing
    from keras_mmfusion import presets as presets
    from keras_mmfusion import tuning as tuning

__all__ = [
    "__version__",
    "analysis",
    "cli",
    "datasets",
    "distribution",
    "export",
    "layers",
    "metrics",
    "models",
    "preprocessing",
    "presets",
    "tuning",
]


def __getattr__(name):
    if name in __all__:
        return importlib.import_module(f"{__name__}.{name}")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__():
    return sorted({*globals(), *__all__})


if "keras" in sys.modules:
    # The backend is chosen, and whoever imports us may want to load a model next.
    from keras_mmfusion import layers, models, preprocessing
