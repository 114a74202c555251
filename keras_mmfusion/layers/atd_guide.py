"""Calibration of the features of several modalities."""

import keras
from keras import ops

from keras_mmfusion._checks import check_positive_int, check_positive_number, check_rate
from keras_mmfusion._serialization import register
from keras_mmfusion.layers._composite_layer import CompositeLayer, zero_where_masked
from keras_mmfusion.layers._standardization import Standardization


@register()
class ATDGuide(CompositeLayer):
    """Bring the features of all modalities to one scale, and let each find its own.

    The features `f_i` of modality `i` are standardised, feature by feature, with the
    mean and variance over batch and time of that modality. Then a feed-forward network,
    the same for all modalities, says from the features and an embedding `e_i` of the
    modality how far to zoom and shift:

    ```
    f̂_i     = (f_i - μ_i) / σ_i
    γ_i, β_i = FF([f_i; e_i])
    g_i     = (1 + γ_i) f̂_i + β_i
    ```

    In training, `μ_i` and `σ_i` are those of the valid steps of the batch, and moving
    averages are kept for inference, as by `keras.layers.BatchNormalization`; under
    TensorFlow's distribution strategies they are over all replicas. At first, `γ` and
    `β` are zero.

    Args:
        conditional: bool. Whether to zoom and shift; else features are standardised
            only, as the formula in the paper has it. Defaults to `True`.
        ff_dim: int. Hidden width of `FF`. Defaults to `None`: the number of features.
        embedding_dim: int. Width of `e_i`. Defaults to `8`.
        momentum: float in [0, 1). How much of the moving averages a batch leaves.
            Defaults to `0.99`.
        epsilon: float. Added to the variance. Defaults to `1e-3`.
        **kwargs: `name`, `dtype` and so on, as for any Keras layer.

    Call arguments:
        inputs: List of tensors `(batch, time_m, features)`, one per modality.
        mask: None, or a list of boolean masks `(batch, time_m)` or Nones.
        training: bool. Whether to use the statistics of the batch, and learn them.

    Input shape:
        List of tensors `(batch, time_m, features)` of as many features each.

    Output shape:
        The same; masked steps are zero.

    Raises:
        ValueError: for no list, or modalities with unlike numbers of features.

    Example:

    ```python
    import numpy as np
    from keras_mmfusion.layers import ATDGuide

    loud = 100 * np.random.rand(2, 30, 16).astype("float32")
    quiet = np.random.rand(2, 12, 16).astype("float32")
    loud, quiet = ATDGuide()([loud, quiet], training=True)
    assert abs(float(loud[0, 0, 0])) < 10
    ```

    Reference:
        Qin, "Zoom and Shift is All You Need", section 3.3, which has the network
        "output statistics" but standardises with those of the batch: here it does both.
    """

    def __init__(
        self,
        conditional=True,
        ff_dim=None,
        embedding_dim=8,
        momentum=0.99,
        epsilon=1e-3,
        **kwargs,
    ):
        super().__init__(**kwargs)
        if ff_dim is not None:
            check_positive_int(ff_dim=ff_dim)
        check_positive_int(embedding_dim=embedding_dim)
        check_rate(momentum=momentum)
        check_positive_number(epsilon=epsilon)
        self.conditional = bool(conditional)
        self.ff_dim = ff_dim and int(ff_dim)
        self.embedding_dim = int(embedding_dim)
        self.momentum = momentum
        self.epsilon = epsilon
        self.supports_masking = True

    def build(self, input_shape):
        features = self._features(input_shape)
        self.standardizations = []
        for m, shape in enumerate(input_shape):
            layer = Standardization(
                self.momentum,
                self.epsilon,
                dtype=self.child_policy(f"standardization_{m}"),
                name=f"standardization_{m}",
            )
            layer.build(shape)
            self.standardizations.append(layer)
        if not self.conditional:
            return
        self.embedding = keras.layers.Embedding(
            len(input_shape),
            self.embedding_dim,
            dtype=self.child_policy("embedding"),
            name="embedding",
        )
        self.embedding.build((None,))

        def dense(name, width, units, **options):
            layer = keras.layers.Dense(
                units, dtype=self.child_policy(name), name=name, **options
            )
            layer.build((None, None, width))
            return layer

        hidden = self.ff_dim or features
        width = features + self.embedding_dim
        self.ff_in = dense("ff_in", width, hidden, activation="gelu")
        # Zeros: the features are standardised only, at first.
        self.ff_out = dense("ff_out", hidden, 2 * features, kernel_initializer="zeros")

    def call(self, inputs, mask=None, training=None):
        self._features([tuple(x.shape) for x in inputs])
        masks = [None] * len(inputs) if mask is None else mask
        outputs = []
        for m, (x, valid) in enumerate(zip(inputs, masks, strict=True)):
            if valid is not None:
                valid = ops.cast(valid, "bool")
            x = zero_where_masked(x, valid)
            guided = self.standardizations[m](x, mask=valid, training=training)
            if self.conditional:
                zoom, shift = self._targets(m, x)
                guided = guided * (1 + zoom) + shift
            outputs.append(zero_where_masked(guided, valid))
        return outputs

    def _targets(self, modality, x):
        """What to zoom and to shift by, for every step and feature."""
        embedded = self.embedding(ops.convert_to_tensor([[modality]]))
        here = ops.ones_like(x[:, :, :1]) * ops.cast(embedded, x.dtype)
        hidden = self.ff_in(ops.concatenate([x, here], axis=-1))
        return ops.split(self.ff_out(hidden), 2, axis=-1)

    def _features(self, input_shape):
        """The number of features, if it is the same in all modalities."""
        listed = isinstance(input_shape, (list, tuple)) and all(
            isinstance(shape, (list, tuple)) for shape in input_shape
        )
        features = {shape[-1] for shape in input_shape} if listed else set()
        flat = [shape for shape in input_shape if len(shape) != 3] if listed else []
        if len(features) != 1 or features == {None} or flat:
            raise ValueError(
                "ATDGuide expects a list of (batch, time, features) tensors with as "
                f"many features each. Received: input_shape={input_shape}. Project the "
                "modalities to one width first."
            )
        return features.pop()

    def compute_mask(self, inputs, mask=None):
        return mask

    def compute_output_shape(self, input_shape):
        self._features(input_shape)
        return [tuple(shape) for shape in input_shape]

    def get_config(self):
        config = super().get_config()
        config.update(
            {
                "conditional": self.conditional,
                "ff_dim": self.ff_dim,
                "embedding_dim": self.embedding_dim,
                "momentum": self.momentum,
                "epsilon": self.epsilon,
            }
        )
        return config
