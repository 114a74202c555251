"""Base of every layer here that owns other layers, and zeroing by masks."""

import keras
from keras import ops


class CompositeLayer(keras.layers.Layer):
    """A layer whose children may be quantised.

    Children are created with an explicit name and the policy that `child_policy`
    gives. `get_config` names the policy of each quantised child, so that a model that
    went through `quantize("int8")` can be saved and loaded.
    """

    def __setattr__(self, name, value):
        super().__setattr__(name, value)
        if name == "built" and value and not self.trainable:
            # Made anew from the config of a frozen layer: its children are not yet.
            set_trainable(self, False)

    def child_policy(self, name):
        """The dtype policy of a child to be made.

        Of a `DTypePolicyMap`, that is an entry or those below the child: a layer that
        is given a whole map cannot be saved once it is quantised (keras 3.15).
        """
        policy = self.dtype_policy
        if not isinstance(policy, keras.dtype_policies.DTypePolicyMap):
            return policy
        own, child = f"{self.name}/", f"{self.name}/{name}"
        if child in policy:
            return policy[child]
        below = {
            key.removeprefix(own): entry
            for key, entry in policy.items()
            if key.startswith(f"{child}/")
        }
        return with_entries(policy.default_policy, below)

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
        policy = with_entries(self.dtype_policy, quantized_policies([self]))
        config["dtype"] = keras.dtype_policies.serialize(policy)
        return config


def set_trainable(layer, value):
    """`layer.trainable = value`, for all that is in it too.

    On TensorFlow, what has the value already is passed over, and its children with it.
    """
    for part in layer._flatten_layers():
        type(part).trainable.fset(part, value)


def quantized_policies(layers):
    """The policy of each quantised layer in or below `layers`.

    Keys are paths that begin with the name of one of `layers`: in front of it, what
    the layers are made in is not the same when they are made anew.
    """
    policies = {}
    for layer in layers:
        above = (layer.path or "").removesuffix(layer.name)
        for child in layer._flatten_layers():
            # Without a path it is not built, and its policy as it was given.
            if child.path and child.quantization_mode is not None:
                policies[child.path.removeprefix(above)] = child.dtype_policy
    return policies


def with_entries(policy, entries):
    """A dtype policy as a map with these entries besides its own, if there are any."""
    if isinstance(policy, keras.dtype_policies.DTypePolicyMap):
        entries = {**dict(policy), **entries}
        policy = policy.default_policy
    if not entries:
        return policy
    return keras.dtype_policies.DTypePolicyMap(policy.name, entries)


def zero_where_masked(x, mask):
    """Zero `x` (B, T, ...) where `mask` (B, T) is False; NaN and inf vanish too."""
    if mask is None:
        return x
    for _ in range(len(x.shape) - len(mask.shape)):
        mask = ops.expand_dims(mask, -1)
    return ops.where(mask, x, ops.zeros_like(x))
