"""Running and differentiating a layer on the backend of this process."""

import importlib.util

import keras
import numpy as np
import pytest
from all_backends import BACKENDS

INSTALLED = [name for name in BACKENDS if importlib.util.find_spec(name)]


def only_on(backend):
    """For what is the same on every backend, or takes long: once is enough."""
    chosen = backend if backend in INSTALLED else keras.backend.backend()
    return pytest.mark.skipif(
        keras.backend.backend() != chosen, reason=f"once is enough, on {chosen}"
    )


def in_turn(cases):
    """The parameters of a test, each on one backend: all of them on all backends."""
    return [
        pytest.param(
            *case.values,
            id=case.id,
            marks=only_on(INSTALLED[number % len(INSTALLED)]),
        )
        for number, case in enumerate(cases)
    ]


# Files, processes and numpy: nothing in them knows of a backend.
once = only_on("torch")
_jitted = {}


def _call(layer, inputs, masks, **kwargs):
    if masks is not None:
        kwargs["mask"] = masks
    return layer(inputs, **kwargs)


def _tree(function, values):
    if isinstance(values, (list, tuple)):
        return [_tree(function, v) for v in values]
    if isinstance(values, dict):
        return {key: _tree(function, v) for key, v in values.items()}
    return None if values is None else function(values)


def _tensor(x):
    return keras.ops.convert_to_tensor(x)


def run(layer, inputs, masks=None, raw=False, **kwargs):
    """The output of a layer; as a numpy array unless `raw`."""
    inputs, masks = _tree(_tensor, inputs), _tree(_tensor, masks)
    if not layer.built:
        layer.build(_tree(lambda x: tuple(x.shape), inputs))
    if keras.backend.backend() == "jax":
        output = _jax_jitted(layer, kwargs)(
            [v.value for v in layer.variables], inputs, masks
        )
    elif keras.backend.backend() == "torch":
        import torch

        with torch.no_grad():
            output = _call(layer, inputs, masks, **kwargs)
    else:
        output = _call(layer, inputs, masks, **kwargs)
    return output if raw else _tree(keras.ops.convert_to_numpy, output)


def _jax_jitted(layer, kwargs):
    def function(values, inputs, masks):
        mapping = zip(layer.variables, values, strict=True)
        with keras.StatelessScope(state_mapping=list(mapping)):
            return _call(layer, inputs, masks, **kwargs)

    return _once("run", layer, kwargs, function)


def _once(use, layer, kwargs, function):
    """`function`, jitted once for all calls of a layer in one state.

    Whatever differs from call to call has to be among its arguments.
    """
    import jax

    state = tuple(child.quantization_mode for child in layer._flatten_layers())
    trainable = tuple(v.path for v in layer.trainable_variables)
    key = (use, id(layer), state, trainable, tuple(sorted(kwargs.items())))
    if key not in _jitted:
        # With the layer, so that no other one gets its id.
        _jitted[key] = (layer, jax.jit(function))
    return _jitted[key][1]


def gradients(layer, inputs, masks=None, **kwargs):
    """Gradients of a fixed nonlinear function of the output.

    Returns:
        `(by_input, by_weight)`: a list of arrays, and a dict of arrays by path.
    """
    single = not isinstance(inputs, (list, tuple))
    xs = [inputs] if single else list(inputs)
    masks = _tree(_tensor, masks)
    weights = layer.trainable_variables

    def loss(xs, masks=masks):
        output = _call(layer, xs[0] if single else list(xs), masks, **kwargs)
        output = keras.ops.cast(output, "float32")
        shape = tuple(output.shape)
        direction = np.random.default_rng(7).standard_normal(shape)
        direction = _tensor(direction.astype("float32"))
        return keras.ops.sum(keras.ops.sin(output) * direction)

    backend = keras.backend.backend()
    saved = [keras.ops.convert_to_numpy(v) for v in layer.non_trainable_variables]
    if backend == "tensorflow":
        import tensorflow as tf

        xs = [tf.convert_to_tensor(x) for x in xs]
        with tf.GradientTape() as tape:
            tape.watch(xs)
            value = loss(xs)
        values = [v.value for v in weights]
        by_input, by_weight = tape.gradient(value, [xs, values])
    elif backend == "jax":
        import jax

        others = layer.non_trainable_variables

        def function(xs, values, other_values, masks):
            mapping = [
                *zip(weights, values, strict=True),
                *zip(others, other_values, strict=True),
            ]
            with keras.StatelessScope(state_mapping=mapping):
                return loss(xs, masks)

        by_input, by_weight = _once(
            "gradients", layer, kwargs, jax.grad(function, (0, 1))
        )(
            [jax.numpy.asarray(x) for x in xs],
            [v.value for v in weights],
            [v.value for v in others],
            masks,
        )
    else:
        import torch

        xs = [torch.tensor(x, requires_grad=True) for x in xs]
        values = [v.value for v in weights]
        result = torch.autograd.grad(loss(xs), xs + values, allow_unused=True)
        by_input, by_weight = result[: len(xs)], result[len(xs) :]
    for variable, value in zip(layer.non_trainable_variables, saved, strict=True):
        variable.assign(value)

    def numpy(gradient, like):
        if gradient is None:
            return np.zeros(tuple(like.shape), "float32")
        return np.array(keras.ops.convert_to_numpy(gradient))

    by_input = [numpy(g, x) for g, x in zip(by_input, xs, strict=True)]
    by_weight = [numpy(g, v) for g, v in zip(by_weight, weights, strict=True)]
    paths = [v.path for v in weights]
    return by_input, dict(zip(paths, by_weight, strict=True))
