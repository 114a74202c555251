"""Trained models by name: list, inspect, load, check, save and register them.

```python
from keras_mmfusion import presets

presets.list()  # what there is
presets.info("atd_mitbih")  # inputs, classes, metrics, licence, limits
model = presets.load("atd_mitbih")
```
"""

from keras_mmfusion.presets._load import load
from keras_mmfusion.presets._registry import info, register
from keras_mmfusion.presets._registry import list_presets as list
from keras_mmfusion.presets._save import save
from keras_mmfusion.presets._verify import verify

__all__ = ["info", "list", "load", "register", "save", "verify"]
