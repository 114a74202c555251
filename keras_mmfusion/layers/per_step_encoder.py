"""Any encoder, applied to each element of a sequence."""

import inspect

import keras
from keras import ops

from keras_mmfusion._checks import check_choice
from keras_mmfusion._serialization import register
from keras_mmfusion.layers._composite_layer import CompositeLayer, zero_where_masked


@register()
class PerStepEncoder(CompositeLayer):
    """Encode each element of a sequence (a beat, a patch, a frame) by itself.

    The time axis is folded into the batch, the encoder runs once over all
    elements, and its tokens are pooled to one vector per element.
    `keras.layers.TimeDistributed` gives the same by a Python loop over steps.

    Masked elements are zeroed before and after the encoder. If the encoder
    supports masking and takes a mask, they are also masked inside it, which keeps them
    out of batch statistics in the encoders of this package.

    Args:
        encoder: Keras layer or model, `(N, ...)` to `(N, tokens, features)` or
            `(N, features)`.
        pooling: `"mean"`, `"max"`, `"meanmax"` (both, concatenated) over the
            tokens, or `None`: all tokens, concatenated. Defaults to `"mean"`.
        **kwargs: `name`, `dtype` and so on, as for any Keras layer.

    Call arguments:
        inputs: Tensor `(batch, steps, ...)`.
        mask: None or boolean `(batch, steps)`, passed on to the output.
        training: bool. Handed to the encoder.

    Input shape:
        `(batch, steps, ...)`.

    Output shape:
        `(batch, steps, features)`; `2 * features` for `"meanmax"`, and
        `tokens * features` for `None`.

    Raises:
        ValueError: for inputs with fewer than three axes, an encoder whose output
            has another rank or an unknown width, or one that is no Keras layer.

    Example:

    ```python
    import numpy as np
    from keras_mmfusion.layers import PerStepEncoder, ResNet1DEncoder

    beats = np.random.rand(2, 5, 180, 2).astype("float32")  # five beats of two leads
    encoder = PerStepEncoder(ResNet1DEncoder(filters=(8, 16)))
    assert encoder(beats).shape == (2, 5, 16)
    ```

    Reference:
        Ours; no equation of the papers.
    """

    def __init__(self, encoder, pooling="mean", **kwargs):
        super().__init__(**kwargs)
        if not isinstance(encoder, keras.layers.Layer):
            raise ValueError(
                f"`encoder` must be a Keras layer or model. Received: {encoder!r}"
            )
        check_choice(("mean", "max", "meanmax", None), pooling=pooling)
        self.encoder = encoder
        self.pooling = pooling
        self.supports_masking = True

    def build(self, input_shape):
        self._check(input_shape)
        if not self.encoder.built:
            self.encoder.build((None, *input_shape[2:]))
        self._token_shape(input_shape)

    def _check(self, shape):
        if len(shape) < 3:
            raise ValueError(
                "PerStepEncoder expects (batch, steps, ...). "
                f"Received: shape {tuple(shape)}"
            )

    def _token_shape(self, input_shape):
        # While PyTorch traces a model, its sizes are tensors.
        element = [None if size is None else int(size) for size in input_shape[2:]]
        shape = tuple(self.encoder.compute_output_shape((None, *element)))
        known = len(shape) in (2, 3) and shape[-1] is not None
        if known and len(shape) == 3 and self.pooling is None:
            known = shape[1] is not None
        if not known:
            raise ValueError(
                "PerStepEncoder expects an encoder that yields (N, tokens, features) "
                "or (N, features), with known sizes where they are not pooled. "
                f"Received: {shape} from {self.encoder.name}, pooling={self.pooling}"
            )
        return shape

    def call(self, inputs, mask=None, training=None):
        tokens = self._token_shape(inputs.shape)
        inputs = zero_where_masked(inputs, mask)
        element = [
            size if size is not None else ops.shape(inputs)[i + 2]
            for i, size in enumerate(inputs.shape[2:])
        ]
        x = ops.reshape(inputs, (-1, *element))
        arguments = {}
        if mask is not None and self._masks_inside() and len(element) > 1:
            inside = ops.ones_like(x[..., 0], dtype="bool")
            element_mask = ops.reshape(mask, (-1,) + (1,) * (len(element) - 1))
            arguments["mask"] = ops.logical_and(inside, element_mask)
        x = self.encoder(x, training=training, **arguments)
        if len(tokens) == 3:
            if self.pooling is None:
                x = ops.reshape(x, (-1, tokens[1] * tokens[2]))
            elif self.pooling == "mean":
                x = ops.mean(x, axis=1)
            elif self.pooling == "max":
                x = ops.amax(x, axis=1)
            else:
                x = ops.concatenate([ops.mean(x, axis=1), ops.amax(x, axis=1)], axis=-1)
        steps = inputs.shape[1]
        steps = ops.shape(inputs)[1] if steps is None else steps
        x = ops.reshape(x, (-1, steps, x.shape[-1]))
        x = ops.cast(x, self.compute_dtype)
        return zero_where_masked(x, mask)

    def _masks_inside(self):
        # `Dense` and others support masks, which they pass on, but take none.
        takes_one = "mask" in inspect.signature(self.encoder.call).parameters
        return takes_one and self.encoder.supports_masking

    def compute_output_shape(self, input_shape):
        self._check(input_shape)
        tokens = self._token_shape(input_shape)
        width = tokens[-1]
        if len(tokens) == 3 and self.pooling == "meanmax":
            width *= 2
        if len(tokens) == 3 and self.pooling is None:
            width *= tokens[1]
        return (*input_shape[:2], width)

    def get_config(self):
        config = super().get_config()
        config.update(
            {
                "encoder": keras.saving.serialize_keras_object(self.encoder),
                "pooling": self.pooling,
            }
        )
        return config

    @classmethod
    def from_config(cls, config):
        config = dict(config)
        config["encoder"] = keras.saving.deserialize_keras_object(config["encoder"])
        return cls(**config)
