"""Time and memory of series as pictures, jitted, beside pyts.

    python benchmarks/pictures.py > pictures.csv

Batches of 32 series of 300 steps and one channel, on each backend in turns with pyts.
`ratio` is the median over the turns of our time over that of pyts. Each pair is first
seen to give the same numbers. Every picture has processes of its own: what other
pictures leave in memory would decide how often an image of 11 MB is mapped anew.
PyTorch compiles with `torch.compile`, which needs a C++ compiler; `--smoke` leaves it
eager.
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
    for name in names:
        with contextlib.ExitStack() as stack:

            def start(backend, who, name=name, stack=stack):
                case = {"who": who, "name": name, "sizes": sizes}
                worker = turns.Worker(__file__, case, backend, threads)
                return stack.enter_context(worker)

            peer = start("numpy", "pyts")
            everyone = [peer, *(start(backend, "ours") for backend in backends)]
            memory = turns.memory(everyone, ["forward"])
            for ours in everyone[1:]:
                turns.check_equal(ours, peer)
            used = [turns.megabytes(size["forward"]) for size in memory]
            runs = turns.race(everyone, "forward", count)
        for backend, taken, mine in zip(backends, runs[1:], used[1:], strict=True):
            row = {"picture": name, "backend": backend, "memory_mb": mine}
            row |= {"reference": "pyts", "reference_memory_mb": used[0]}
            row |= {"turns": count, "threads": threads}
            for clock in turns.CLOCKS:
                yield row | {"clock": clock} | turns.compare(taken, runs[0], clock)


# In the process of a case.


def serve(who, name, sizes):
    rng = np.random.default_rng(0)
    series = rng.standard_normal((sizes["batch"], sizes["steps"])).cumsum(axis=1)
    make = pyts_call if who == "pyts" else our_call
    layer, ours, theirs, small = PICTURES[name]
    options = theirs if who == "pyts" else ours
    size = {"image_size": sizes["small"]} if small else {}
    turns.serve({}, {"forward": make(layer, options | size, series)})


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
    function = layer if smoke else torch.compile(lambda x: layer(x))
    x = torch.from_numpy(x)

    def call():
        with torch.no_grad():
            return function(x)

    return call


if __name__ == "__main__":
    sys.exit(main())
