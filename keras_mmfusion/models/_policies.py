"""Dtype policies and weights of models whose layers were quantised or have LoRA."""

import keras
from keras import ops

from keras_mmfusion.layers._composite_layer import quantized_policies, with_entries


def policy_of(policy, name, default=None):
    """The policy of the layer `name` that is not composite; see `with_quantized`."""
    if not isinstance(policy, keras.dtype_policies.DTypePolicyMap):
        return default or policy
    if name not in policy:
        return default or policy.default_policy
    return policy[name]


def with_quantized(policy, layers, head=True):
    """`policy`, with an entry for each quantised layer in or below `layers`.

    It makes the same layers anew, ready for int8 weights; but for `head=False`, a
    head in floats.
    """
    policy = with_entries(policy, quantized_policies(layers))
    if not head and isinstance(policy, keras.dtype_policies.DTypePolicyMap):
        others = {path: entry for path, entry in policy.items() if path != "head"}
        policy = with_entries(policy.default_policy, others)
    return policy


def copy_weights(source, target):
    """Copy as a file would: what LoRA has learned is merged into its kernel."""
    pairs = zip(source._flatten_layers(), target._flatten_layers(), strict=True)
    for old, new in pairs:
        store = {}
        old.save_own_variables(store)
        # Copies: on JAX two models with one array would both lose it in training.
        store = {key: ops.convert_to_numpy(value) for key, value in store.items()}
        if store:
            new.load_own_variables(store)
