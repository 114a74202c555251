"""What a device can do at most, and what a step asks of it; for `gpu.py`."""

import math
import statistics
import time

import keras
import numpy as np
import turns

LOOPS = ("scan", "while")


# Rows of the matrices, how many products one after another, numbers of the vectors.
SIZES = {
    "gpu": (8192, 8, 1 << 28),
    "cpu": (1024, 2, 1 << 24),
    "smoke": (256, 2, 1 << 18),
}


def ceilings(dtype, sizes, count, clock):
    """What a large product of matrices reaches, and `y + a * x` of large vectors.

    Args:
        dtype: str. What the matrices are of; the vectors are of float32.
        sizes: str. Of `SIZES`.
        count: int. Turns, of which the median counts.
        clock: Function that returns seconds.

    Returns:
        `(flop_per_s, bytes_per_s)`
    """
    side, chain, length = SIZES[sizes]
    rng = np.random.default_rng(0)
    matrix = rng.normal(size=(side, side)) / math.sqrt(side)
    matrix = keras.ops.cast(
        keras.ops.convert_to_tensor(matrix.astype("float32")), dtype
    )
    vector = keras.ops.ones((length,), "float32")

    def products(x):
        y = x
        for _ in range(chain):
            y = keras.ops.matmul(x, y)
        return y

    def add(x, y):
        if keras.backend.backend() == "torch":
            return y.add(x, alpha=0.5)  # Which otherwise were two passes.
        return y + 0.5 * x

    product_s = usual(compiled(products), (matrix,), count, clock)
    add_s = usual(compiled(add), (vector, vector), count, clock)
    return 2 * side**3 * chain / product_s, 3 * 4 * vector.shape[0] / add_s


def compiled(function):
    backend = keras.backend.backend()
    if backend == "jax":
        import jax

        return jax.jit(function)
    if backend == "tensorflow":
        import tensorflow as tf

        return tf.function(function, jit_compile=True)
    import torch

    def without_gradients(*tensors):
        with torch.no_grad():
            return function(*tensors)

    return without_gradients


def usual(function, tensors, count, clock):
    """Seconds of a call, the median of the turns, each waited for."""

    def call():
        # To read one number is to wait for all of them, on every backend.
        output = function(*tensors)
        keras.ops.convert_to_numpy(keras.ops.ravel(output)[:1])

    call()
    return statistics.median(take_turns(call, count, clock))


def take_turns(call, count, clock):
    """Seconds a call, of `count` turns of `turns.TURN_SECONDS` at least."""
    # By the clock on the wall: that of the processor is too coarse for one call.
    start = time.perf_counter()
    call()
    once = time.perf_counter() - start
    number = max(1, round(turns.TURN_SECONDS / max(once, 1e-6)))
    found = []
    for _ in range(count):
        start = clock()
        for _ in range(number):
            call()
        found.append((clock() - start) / number)
    return found


def costs(model, x, y):
    """`{call: cost}` of a training step and of a forward pass, as JAX compiles them.

    A cost is a dict: `flop`, of the compiler for the program as it is written, or
    where a loop holds products, which the compiler counts once, of all products, by
    formula; and `bytes`, of the compiler for the compiled program, in which a loop
    counts once. `flop_by` and `bytes_by` say which.
    """
    import jax

    state = tuple(
        [variable.value for variable in variables]
        for variables in (
            model.trainable_variables,
            model.non_trainable_variables,
            model.optimizer.variables,
            model.metrics_variables,
        )
    )
    x, y = jax.tree.map(jax.numpy.asarray, (x, y))
    data = (x,) if y is None else (x, y)

    def forward(trainable, others, x):
        return model.stateless_call(trainable, others, x, training=False)[0]

    return {
        "forward": cost(forward, *state[:2], x),
        "step": cost(lambda state, data: model.train_step(state, data), state, data),
    }


def cost(function, *arguments):
    import jax

    traced = jax.jit(function).trace(*arguments)
    flop, looped = products(traced.jaxpr.jaxpr)
    lowered = traced.lower()
    found = {"flop": flop, "flop_by": "products, by formula"}
    if not looped:
        said = _analysis(lowered).get("flops")
        if said:
            found = {"flop": said, "flop_by": "XLA"}
    said = _analysis(lowered.compile()).get("bytes accessed")
    if said:
        found |= {"bytes": said, "bytes_by": "XLA, loops once" if looped else "XLA"}
    return found


def _analysis(program):
    said = program.cost_analysis() or {}
    return said[0] if isinstance(said, list) else said


def products(jaxpr):
    """FLOP of all products of matrices and convolutions, and whether loops hold any."""
    flop, looped = 0, False
    for equation in jaxpr.eqns:
        name = equation.primitive.name
        if name == "dot_general":
            (contracted, _), _ = equation.params["dimension_numbers"]
            inner = (equation.invars[0].aval.shape[axis] for axis in contracted)
            flop += 2 * math.prod(equation.outvars[0].aval.shape) * math.prod(inner)
        elif name == "conv_general_dilated":
            # Inputs of one output: channels of its group times places of the kernel.
            _, channels, *places = equation.params["dimension_numbers"].rhs_spec
            kernel = equation.invars[1].aval.shape
            inner = (kernel[axis] for axis in (channels, *places))
            flop += 2 * math.prod(equation.outvars[0].aval.shape) * math.prod(inner)
        else:
            inside = [products(inner) for inner in _inner(equation.params)]
            once = sum(flop for flop, _ in inside)
            if name == "cond":
                once = max((flop for flop, _ in inside), default=0)
            # Without a known length, a loop counts once.
            flop += once * equation.params.get("length", 1) if name == "scan" else once
            looped |= any(deep for _, deep in inside) or (name in LOOPS and once > 0)
    return flop, looped


def _inner(params):
    """The programs that an equation is made of."""
    for value in params.values():
        for part in value if isinstance(value, (list, tuple)) else [value]:
            part = getattr(part, "jaxpr", part)
            if hasattr(part, "eqns"):
                yield part
