"""A training step on JAX without an accelerator, with and without kept memory.

    python benchmarks/kept_memory.py > kept_memory.csv

XLA allocates what a step needs anew each time, and without more ado the C library
gives it back to the system afterwards. The recipes and `mmfusion tune` keep it, as do
the variables of the environment in docs/backends.md. `reference` is the same step of a
process that does not keep it, `ratio` the median over the turns. `faults` are the pages
that the system maps in a step, most of them freshly zeroed.
"""

import argparse
import contextlib
import json
import resource
import sys

import numpy as np
import turns

SIZES = {"batch": 32, "steps": 32, "features": 300, "layers": 5, "size": 28}
SMOKE = {"batch": 2, "steps": 3, "features": 50, "layers": 1, "size": 8}
FIELDS = ["model", "backend", "clock", "ms", "ms_min", "ms_max", "faults"]
FIELDS += ["reference_ms", "ratio", "ratio_min", "ratio_max", "reference_faults"]
FIELDS += ["turns", "threads"]


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    turns.add_arguments(parser)
    args = parser.parse_args()
    if args.here:
        return serve(**json.loads(args.here))
    sizes, count = (SMOKE, 2) if args.smoke else (SIZES, args.turns)
    table = turns.writer(FIELDS)
    for model in MODELS:
        for row in measure(model, sizes, count, args.threads):
            table.writerow(row)
            sys.stdout.flush()
    return 0


def measure(model, sizes, count, threads):
    with contextlib.ExitStack() as stack:
        workers = [
            stack.enter_context(
                turns.Worker(
                    __file__,
                    {"model": model, "keep": keep, "sizes": sizes},
                    "jax",
                    threads,
                )
            )
            for keep in (False, True)
        ]
        given_back, kept = turns.race(workers, "step", count)
        faults = [worker.ask("output", "faults")[0] for worker in workers]
        row = {"model": model, "backend": "jax", "turns": count, "threads": threads}
        row |= {"reference_faults": int(faults[0]), "faults": int(faults[1])}
        for clock in turns.CLOCKS:
            yield row | {"clock": clock} | turns.compare(kept, given_back, clock)


# In the process of a case.


def serve(model, keep, sizes):
    if keep:
        from keras_mmfusion._kept_memory import keep_freed_memory

        keep_freed_memory()
    import keras

    fusion, shapes, output = MODELS[model](**sizes)
    rng = np.random.default_rng(0)
    x = [rng.standard_normal(shape).astype("float32") for shape in shapes]
    inputs = [keras.Input(shape[1:]) for shape in shapes]
    trained = keras.Model(inputs, fusion(inputs))
    trained.compile(keras.optimizers.SGD(0.01), "mse")
    target = np.zeros(output, "float32")

    def step():
        return np.asarray(trained.train_on_batch(x, target))

    def faults():
        before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
        step()
        return [resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before]

    turns.serve({}, {"step": step, "faults": faults})


def mult(batch, steps, features, layers, **_):
    """The fusion of `fusions.py`, of three modalities."""
    from keras_mmfusion.layers import MulTFusion

    shape = (batch, steps, features)
    width = features // 10
    fusion = MulTFusion(features, num_heads=5, num_layers=layers, stream_dim=width)
    return fusion, [shape] * 3, shape


def conv_lstm(batch, steps, features, size, **_):
    """Of an image and the bins of a sound, with the filters of the presets."""
    from keras_mmfusion.layers import ConvLSTMFusion

    shapes = [(batch, size, size, 1), (batch, steps, features)]
    return ConvLSTMFusion(8), shapes, (batch, size, size, 8)


MODELS = {"MulTFusion": mult, "ConvLSTMFusion": conv_lstm}


if __name__ == "__main__":
    sys.exit(main())
