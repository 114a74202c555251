"""A cascade of multi-head attention, written by hand for each backend.

Stage s lets modality s + 1 attend to what the stages before it have made:
`fused = attend(query=x_{s+1}, key=value=fused)`. Nothing is checked, masked or kept:
no implementation of the same arithmetic in the same framework should be much
faster. What it computes is what the attention of this package computes from the
same weights.
"""

import math
import os
from types import SimpleNamespace

import numpy as np

MATRICES = ("query", "key", "value", "output")
RATE = 0.01  # Of gradient descent.


def weights(dim, stages, seed=0):
    """`[{name: (kernel, bias)}]`; the key has no bias, which has no effect."""
    rng = np.random.default_rng(seed)

    def pair(name):
        kernel = rng.standard_normal((dim, dim)) / math.sqrt(dim)
        bias = None if name == "key" else rng.standard_normal(dim).astype("float32")
        return kernel.astype("float32"), bias

    return [{name: pair(name) for name in MATRICES} for _ in range(stages)]


def calls(streams, dim, heads):
    """`(number of parameters, {"forward": …, "step": …})` on the backend chosen."""
    stages = weights(dim, len(streams) - 1)
    flat = [v for stage in stages for pair in stage.values() for v in pair]
    count = sum(v.size for v in flat if v is not None)
    make = {"torch": on_torch, "jax": on_jax, "tensorflow": on_tensorflow}
    forward, step = make[os.environ["KERAS_BACKEND"]](stages, streams, heads)
    return count, {"forward": forward, "step": step}


def cascade(ops, stages, streams, heads):
    def project(x, weights):
        kernel, bias = weights
        x = ops.matmul(x, kernel)
        return x if bias is None else x + bias

    def split(x, *axes):
        batch, time, dim = x.shape
        return ops.transpose(ops.reshape(x, (batch, time, heads, dim // heads)), axes)

    fused = streams[0]
    for stage, query in zip(stages, streams[1:], strict=True):
        q = split(project(query, stage["query"]), 0, 2, 1, 3)
        k = split(project(fused, stage["key"]), 0, 2, 3, 1)
        v = split(project(fused, stage["value"]), 0, 2, 1, 3)
        guide = ops.softmax(ops.matmul(q * (1 / math.sqrt(q.shape[-1])), k))
        attended = ops.transpose(ops.matmul(guide, v), (0, 2, 1, 3))
        fused = project(ops.reshape(attended, query.shape), stage["output"])
    return fused


def on_jax(stages, streams, heads):
    import jax
    import jax.numpy as jnp

    ops = SimpleNamespace(
        matmul=jnp.matmul,
        reshape=jnp.reshape,
        transpose=jnp.transpose,
        softmax=jax.nn.softmax,
    )
    held = [jax.tree.map(jnp.asarray, stages)]

    def loss(stages, streams):
        return jnp.mean(jnp.square(cascade(ops, stages, streams, heads)))

    def update(stages, streams):
        value, gradients = jax.value_and_grad(loss)(stages, streams)
        return value, jax.tree.map(lambda v, g: v - RATE * g, stages, gradients)

    forward = jax.jit(lambda stages, streams: cascade(ops, stages, streams, heads))
    update = jax.jit(update, donate_argnums=0)

    def step():
        value, held[0] = update(held[0], streams)
        return np.asarray(value)

    return lambda: np.asarray(forward(held[0], streams)), step


def on_torch(stages, streams, heads):
    import torch

    torch.set_num_threads(int(os.environ.get("OMP_NUM_THREADS", 1)))
    ops = SimpleNamespace(
        matmul=torch.matmul,
        reshape=torch.reshape,
        transpose=torch.permute,
        softmax=lambda x: torch.softmax(x, -1),
    )
    streams = [torch.from_numpy(x) for x in streams]
    variables = []

    def variable(value):
        if value is not None:
            value = torch.from_numpy(value).requires_grad_()
            variables.append(value)
        return value

    stages = [
        {name: tuple(map(variable, pair)) for name, pair in stage.items()}
        for stage in stages
    ]
    descent = torch.optim.SGD(variables, RATE)

    def forward():
        with torch.no_grad():
            return cascade(ops, stages, streams, heads).numpy()

    def step():
        descent.zero_grad()
        value = cascade(ops, stages, streams, heads).square().mean()
        value.backward()
        descent.step()
        return value.detach().numpy()

    return forward, step


def on_tensorflow(stages, streams, heads):
    import tensorflow as tf

    ops = SimpleNamespace(
        matmul=tf.matmul,
        reshape=tf.reshape,
        transpose=tf.transpose,
        softmax=tf.nn.softmax,
    )
    streams = [tf.constant(x) for x in streams]
    stages = tf.nest.map_structure(
        lambda v: None if v is None else tf.Variable(v), stages
    )
    variables = [v for v in tf.nest.flatten(stages) if v is not None]

    # Compiled by XLA, as Keras does it.
    @tf.function(jit_compile=True)
    def forward():
        return cascade(ops, stages, streams, heads)

    @tf.function(jit_compile=True)
    def step():
        with tf.GradientTape() as tape:
            value = tf.reduce_mean(tf.square(cascade(ops, stages, streams, heads)))
        gradients = tape.gradient(value, variables)
        for v, gradient in zip(variables, gradients, strict=True):
            v.assign_sub(RATE * gradient)
        return value

    return lambda: forward().numpy(), lambda: step().numpy()
