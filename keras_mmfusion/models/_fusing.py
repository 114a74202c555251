"""From encoded modalities to one sequence."""

import keras
import numpy as np

from keras_mmfusion.models._encoding import drop_modalities
from keras_mmfusion.models._policies import policy_of
from keras_mmfusion.models.fusions import get_fusion


def fuse_modalities(
    features, fusion, dim, options, modality_dropout, policy, every_step=False
):
    """One sequence of all modalities, what it is made of, and by which layer.

    Of a single modality, that is a dense layer: there is nothing to fuse or to drop.

    Args:
        features: dict, name of a modality to what `encode` gives, in order of fusion.
        fusion: str or layer, see `get_fusion`.
        dim: int. Width of the sequence.
        options: dict or None. Further arguments of the fusion.
        modality_dropout: float or list of floats, see `ModalityDropout`.
        policy: Dtype policy of the model, or the map of one that was quantised.
        every_step: bool, see `get_fusion`. Defaults to `False`.

    Returns:
        Tensor `(batch, time, dim)`, the input of the layer, and the layer.
    """
    names, features = list(features), list(features.values())
    if len(features) == 1:
        dense = keras.layers.Dense(
            int(dim), name="fusion", dtype=policy_of(policy, "fusion")
        )
        return dense(features[0]), features[0], dense
    if np.any(modality_dropout):
        features = drop_modalities(
            names, features, modality_dropout, policy_of(policy, "")
        )
    fuse = get_fusion(fusion, dim, options, dtype=policy, every_step=every_step)
    fused = fuse(features)
    if len(getattr(fused, "shape", ())) != 3:
        raise ValueError(
            f"A fusion must give (batch, time, features). Received: {fused} of the "
            f"layer {fuse.name!r}. A vector is one step: x[:, None] makes it one."
        )
    return fused, features, fuse
