"""The fusions that a model knows by name."""

import keras

from keras_mmfusion.layers.atd_fusion import ATDFusion
from keras_mmfusion.layers.cascade_mha import CascadeMHA
from keras_mmfusion.layers.concat_fusion import ConcatFusion
from keras_mmfusion.layers.cross_attention_fusion import CrossAttentionFusion
from keras_mmfusion.layers.low_rank_fusion import LowRankFusion
from keras_mmfusion.layers.mult_fusion import MulTFusion
from keras_mmfusion.layers.step_fusion import StepFusion
from keras_mmfusion.layers.tensor_fusion import TensorFusion
from keras_mmfusion.layers.zoom_shift_fusion import ZoomShiftFusion
from keras_mmfusion.models._network_fusion import NetworkFusion

FUSIONS = {
    "atd": ATDFusion,
    "step": StepFusion,
    "cascade": CascadeMHA,
    "concat": ConcatFusion,
    "cross_attention": CrossAttentionFusion,
    "lmf": LowRankFusion,
    "mult": MulTFusion,
    "tfn": TensorFusion,
    "zoom_shift": ZoomShiftFusion,
}
POOLED = ("lmf", "tfn")


def get_fusion(fusion, dim, options=None, name="fusion", dtype=None, every_step=False):
    """A fusion layer from its name, or the layer itself.

    Args:
        fusion: str, a key of `FUSIONS`, or a layer that obeys the fusion contract
            (list of `(batch, time, features)` to `(batch, time_1, dim)` or
            `(batch, 1, dim)`), or a model that does, for images too.
        dim: int. Width of the fused features; not used for a layer.
        options: dict. Further arguments of the layer. Defaults to `None`.
        name: str. Name of the layer. Defaults to `"fusion"`.
        dtype: Dtype policy of the layer. Defaults to `None`, the global one.
        every_step: bool. Whether the output must have the steps of the first
            modality: `"lmf"` and `"tfn"` then fuse step by step (`pooling=None`)
            unless `options` say otherwise. Defaults to `False`.

    Raises:
        ValueError: The name is unknown, or options are given for a layer.

    Example:

    ```python
    from keras_mmfusion.models import get_fusion

    layer = get_fusion("atd", dim=32, options={"num_heads": 4})
    ```
    """
    if isinstance(fusion, keras.Model) and not options:
        return NetworkFusion(fusion, name=name)
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
    options = dict(options or {})
    if every_step and fusion in POOLED:
        options.setdefault("pooling", None)
    return FUSIONS[fusion](dim=dim, name=name, dtype=dtype, **options)


def check_every_step(fuse, steps, fused_steps):
    """Raise if a fusion layer has pooled where every step is to be classified."""
    if fused_steps == 1 and steps != 1:
        raise ValueError(
            f"`pooling=None` classifies every step, but {type(fuse).__name__} makes "
            f"one step of {steps}. Received: pooling=None. Use a fusion that keeps the "
            'steps, such as one with `pooling=None` itself, or `pooling="mean"`.'
        )
