"""Base of every layer here that owns other layers, and zeroing by masks."""

import keras
from keras import ops


class CompositeLayer(keras.layers.Layer):
    """A layer whose children may be quantised.

    Children are created in `build` with an explicit name and the policy that
    `child_policy` gives, or, if they are composite themselves, with
    `dtype=self.dtype_policy`. `get_config` names the policy of each quantised child,
    so that a model that went through `quantize("int8")` can be saved and loaded.
    """

    def child_policy(self, name):
        """The dtype policy of a child to be made in `build`.

        A layer that is given a whole `DTypePolicyMap` cannot be saved once it is
        quantised (keras 3.15), so each child gets its own entry.
        """
        policy = self.dtype_policy
        if isinstance(policy, keras.dtype_policies.DTypePolicyMap):
            return policy[f"{self.path}/{name}"]
        return policy

    def through(self, layer, *args, **kwargs):
        """`layer(*args, **kwargs)`, for a child that has been built.

        What Keras does around `call` takes longer than a small product of matrices
        where nothing is compiled. Dtypes are set already by the call of this layer, so
        a child of the same dtype needs nothing of it, unless it is quantised.
        """
        same = layer.compute_dtype == self.compute_dtype
        if same and layer.quantization_mode is None:
            return layer.call(*args, **kwargs)
        return layer(*args, **kwargs)

    def get_config(self):
        config = super().get_config()
        if isinstance(self.dtype_policy, keras.dtype_policies.DTypePolicyMap):
            return config
        quantized = {
            layer.path: layer.dtype_policy
            for layer in self._flatten_layers(include_self=False)
            if layer.quantization_mode is not None
        }
        if quantized:
            config["dtype"] = keras.dtype_policies.serialize(
                keras.dtype_policies.DTypePolicyMap(self.dtype_policy.name, quantized)
            )
        return config


def zero_where_masked(x, mask):
    """Zero `x` (B, T, ...) where `mask` (B, T) is False; NaN and inf vanish too."""
    if mask is None:
        return x
    for _ in range(len(x.shape) - len(mask.shape)):
        mask = ops.expand_dims(mask, -1)
    return ops.where(mask, x, ops.zeros_like(x))
