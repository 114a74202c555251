"""Fusion by concatenation, the baseline of every comparison."""

import keras
from keras import ops

from keras_mmfusion._checks import check_rate
from keras_mmfusion._serialization import register
from keras_mmfusion.layers import _alignment
from keras_mmfusion.layers._composite_layer import zero_where_masked
from keras_mmfusion.layers._fusion_layer import FusionLayer


@register()
class ConcatFusion(FusionLayer):
    """Concatenate the features of all modalities and project them to `dim`.

    Each modality is resampled to the steps of the first one by linear
    interpolation where lengths differ. Besides its features, each brings a flag
    that is 1 where it has data and 0 where it is masked, so that the projection
    can tell a missing modality from one that is zero:

    ```
    out = activation(W [x_1; flag_1; …; x_M; flag_M] + b)
    ```

    Masked and missing steps enter as zeros; steps without any data are zero and
    masked.

    Args:
        dim: int. Width of the output.
        activation: Activation of the projection. Defaults to `None`.
        dropout: float. Rate on the concatenated features. Defaults to `0.0`.
        aligned: bool or None. Whether step t of every modality is the same moment.
            Defaults to `None`: true where lengths, padding included, are equal.
        **kwargs: `name`, `dtype` and so on, as for any Keras layer.

    Call arguments:
        inputs: List of M ≥ 2 tensors `(batch, time_m, features_m)`.
        mask: None, or a list of M boolean masks `(batch, time_m)` or Nones.
        training: bool. Whether dropout is active.
        return_attention_scores: bool. There are none: returns `(out, [])`, so that
            this layer can stand in for any other fusion.

    Input shape:
        List of tensors `(batch, time_m, features_m)`.

    Output shape:
        `(batch, time_1, dim)`.

    Raises:
        ValueError: for fewer than two modalities, unknown feature counts, masks
            that do not match, or unlike lengths where `aligned` forbids them.

    Example:

    ```python
    import numpy as np
    from keras_mmfusion.layers import ConcatFusion

    voice, text = np.random.rand(2, 30, 16), np.random.rand(2, 12, 8)
    fused = ConcatFusion(dim=24)([voice.astype("float32"), text.astype("float32")])
    assert fused.shape == (2, 30, 24)
    ```

    Reference:
        "Concat" in Table II of Zheng et al. (MCWSA-CMHA), and what precedes the dense
        layer of the late fusion of Barnum et al., arXiv:2011.07191, A.2. The flags are
        ours.
    """

    def __init__(self, dim, activation=None, dropout=0.0, aligned=None, **kwargs):
        super().__init__(dim, aligned=aligned, **kwargs)
        check_rate(dropout=dropout)
        self.activation = keras.activations.get(activation)
        self.dropout = dropout

    def build(self, input_shape):
        super().build(input_shape)
        self.projection = keras.layers.Dense(
            self.dim,
            activation=self.activation,
            dtype=self.child_policy("projection"),
            name="projection",
        )
        width = sum(shape[2] + 1 for shape in input_shape)
        self.projection.build((*input_shape[0][:2], width))
        self.features_dropout = None
        if self.dropout > 0:
            self.features_dropout = keras.layers.Dropout(
                self.dropout,
                dtype=self.child_policy("features_dropout"),
                name="features_dropout",
            )

    def fuse(self, streams, masks, training, with_scores):
        masks = masks or [None] * len(streams)
        first, merged = streams[0], masks[0]
        features = [first, self._flag(first, masks[0])]
        for other, mask in zip(streams[1:], masks[1:], strict=True):
            resampling, covered, merged = self.align(first, merged, other, mask)
            other = _alignment.resample(other, resampling)
            features += [zero_where_masked(other, covered), self._flag(first, covered)]
        features = ops.concatenate(features, axis=-1)
        if self.features_dropout is not None:
            features = self.features_dropout(features, training=training)
        return self.projection(features), []

    @staticmethod
    def _flag(first, mask):
        flag = ops.ones_like(first[:, :, :1])
        return zero_where_masked(flag, mask)

    def get_config(self):
        config = super().get_config()
        config.update(
            {
                "activation": keras.activations.serialize(self.activation),
                "dropout": self.dropout,
            }
        )
        return config
