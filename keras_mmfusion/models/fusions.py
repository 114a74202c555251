"""The fusions that a model knows by name."""

import keras

from keras_mmfusion.layers.atd_fusion import ATDFusion
from keras_mmfusion.layers.concat_fusion import ConcatFusion
from keras_mmfusion.layers.step_fusion import StepFusion

FUSIONS = {"atd": ATDFusion, "step": StepFusion, "concat": ConcatFusion}


def get_fusion(fusion, dim, options=None, name="fusion", dtype=None):
    """A fusion layer from its name, or the layer itself.

    Args:
        fusion: str, a key of `FUSIONS`, or a layer that obeys the fusion contract
            (list of `(batch, time, features)` to `(batch, time_1, dim)`).
        dim: int. Width of the fused features; not used for a layer.
        options: dict. Further arguments of the layer. Defaults to `None`.
        name: str. Name of the layer. Defaults to `"fusion"`.
        dtype: Dtype policy of the layer. Defaults to `None`, the global one.

    Raises:
        ValueError: The name is unknown, or options are given for a layer.

    Example:

    ```python
    from keras_mmfusion.models import get_fusion

    layer = get_fusion("atd", dim=32, options={"num_heads": 4})
    ```
    """
    if isinstance(fusion, keras.layers.Layer):
        if options:
            raise ValueError(
                "`options` go with the name of a fusion; a layer has its own. "
                f"Received: fusion={fusion}, options={options}."
            )
        return fusion
    if fusion not in FUSIONS:
        raise ValueError(
            f"`fusion` must be one of {sorted(FUSIONS)} or a layer. "
            f"Received: fusion={fusion!r}."
        )
    return FUSIONS[fusion](dim=dim, name=name, dtype=dtype, **(options or {}))
