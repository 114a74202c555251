"""Time and memory of series as pictures, jitted, beside pyts.

    python benchmarks/pictures.py > pictures.csv

Batches of 32 series of 300 steps and one channel, on each backend in turns with pyts.
`ratio` is the median over the turns of our time over that of pyts. Each pair is first
seen to give the same numbers. PyTorch compiles with `torch.compile`, which needs a C++
compiler; `--smoke` leaves it eager.
"""

import argparse
import contextlib
import importlib
import json
import os
import sys

import numpy as np
import turns

SIZES = {"batch": 32, "steps": 300, "small": 64}
SMOKE = {"batch": 2, "steps": 24, "small": 8}
# Name: layer and pyts class, our arguments, those of pyts, smaller than the series.
PICTURES = {
    "GASF": ("GramianAngularField", {}, {}, False),
    "GASF, small": ("GramianAngularField", {}, {}, True),
    "GADF": (
        "GramianAngularField",
        {"method": "difference"},
        {"method": "difference"},
        False,
    ),
    "MTF": ("MarkovTransitionField", {"num_bins": 8}, {"n_bins": 8}, False),
    "MTF, small": ("MarkovTransitionField", {"num_bins": 8}, {"n_bins": 8}, True),
    "RP": ("RecurrencePlot", {}, {}, False),
    "RP of 3": ("RecurrencePlot", {"dimension": 3}, {"dimension": 3}, False),
}
FIELDS = ["picture", "backend", "clock", "ms", "ms_min", "ms_max", "memory_mb"]
FIELDS += ["reference", "reference_ms", "ratio", "ratio_min", "ratio_max"]
FIELDS += ["reference_memory_mb", "turns", "threads"]


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    turns.add_arguments(parser)
    parser.add_argument(
        "--pictures", nargs="+", choices=PICTURES, default=list(PICTURES)
    )
    args = parser.parse_args()
    if args.here:
        return serve(**json.loads(args.here))
    sizes, count = (SMOKE, 2) if args.smoke else (SIZES, args.turns)
    table = turns.writer(FIELDS)
    for row in measure(args.pictures, args.backends, sizes, count, args.threads):
        table.writerow(row)
        sys.stdout.flush()
    return 0


def measure(names, backends, sizes, count, threads):
    with contextlib.ExitStack() as stack:

        def start(backend, who):
            case = {"who": who, "pictures": list(names), "sizes": sizes}
            worker = turns.Worker(__file__, case, backend, threads)
            return stack.enter_context(worker)

        peer = start("numpy", "pyts")
        everyone = [peer, *(start(backend, "ours") for backend in backends)]
        memory = turns.memory(everyone, names)
        for name in names:
            for ours in everyone[1:]:
                turns.check_equal(ours, peer, name)
            used = [turns.megabytes(sizes[name]) for sizes in memory]
            runs = turns.race(everyone, name, count)
            for backend, taken, mine in zip(backends, runs[1:], used[1:], strict=True):
                row = {"picture": name, "backend": backend, "memory_mb": mine}
                row |= {"reference": "pyts", "reference_memory_mb": used[0]}
                row |= {"turns": count, "threads": threads}
                for clock in turns.CLOCKS:
                    yield row | {"clock": clock} | turns.compare(taken, runs[0], clock)


# In the process of a case.


def serve(who, pictures, sizes):
    rng = np.random.default_rng(0)
    series = rng.standard_normal((sizes["batch"], sizes["steps"])).cumsum(axis=1)
    make = pyts_call if who == "pyts" else our_call
    calls = {}
    for name in pictures:
        layer, ours, theirs, small = PICTURES[name]
        size = {"image_size": sizes["small"]} if small else {}
        options = theirs if who == "pyts" else ours
        calls[name] = make(layer, options | size, series)
    turns.serve({}, calls)


def pyts_call(name, options, series):
    transformer = getattr(importlib.import_module("pyts.image"), name)(**options)
    return lambda: transformer.fit_transform(series)


def our_call(name, options, series):
    layer = getattr(importlib.import_module("keras_mmfusion.layers"), name)(**options)
    return compiled(layer, series[..., None].astype("float32"))


def compiled(layer, x):
    """A function without arguments that computes `layer(x)` as one program."""
    backend = os.environ["KERAS_BACKEND"]
    smoke = x.shape[0] == SMOKE["batch"]
    if backend == "jax":
        import jax

        function, x = jax.jit(lambda x: layer(x)), jax.numpy.asarray(x)
        return lambda: function(x).block_until_ready()
    if backend == "tensorflow":
        import tensorflow as tf

        function, x = tf.function(layer, jit_compile=True), tf.constant(x)
        return lambda: function(x)
    import torch

    torch.set_num_threads(int(os.environ["OMP_NUM_THREADS"]))
    # One lambda for all pictures, which would count as compiled too often.
    torch._dynamo.config.recompile_limit = 64
    function = layer if smoke else torch.compile(lambda x: layer(x))
    x = torch.from_numpy(x)

    def call():
        with torch.no_grad():
            return function(x)

    return call


if __name__ == "__main__":
    sys.exit(main())
