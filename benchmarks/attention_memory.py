"""How the memory of attention grows with the number of steps.

    python benchmarks/attention_memory.py > attention_memory.csv

A fusion by attention of two modalities of equal length, without the weights of the
attention being asked for. `growth` is the memory over that of half as many steps:
2 where memory is linear in the steps, 4 where it is quadratic.
"""

import argparse
import contextlib
import json
import sys

import fusions
import minimal
import numpy as np
import turns

SIZES = {"batch": 1, "features": 64, "modalities": 2}
STEPS = (128, 256, 512, 1024, 2048, 4096)
SMOKE = (16, 32)
FIELDS = ["fusion", "backend", "call", "steps", "memory_mb", "growth", "threads"]


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    turns.add_arguments(parser)
    parser.add_argument("--fusion", default="cross_attention")
    args = parser.parse_args()
    if args.here:
        return serve(**json.loads(args.here))
    steps = SMOKE if args.smoke else STEPS
    table = turns.writer(FIELDS)
    case = {"fusion": args.fusion, "steps": steps}
    with contextlib.ExitStack() as stack:
        workers = [
            stack.enter_context(turns.Worker(__file__, case, backend, args.threads))
            for backend in args.backends
        ]
        names = [f"{call} {count}" for call in fusions.CALLS for count in steps]
        for backend, used in zip(
            args.backends, turns.memory(workers, names), strict=True
        ):
            for row in rows(used, steps):
                row |= {"fusion": args.fusion, "backend": backend}
                table.writerow(row | {"threads": args.threads})
    return 0


def rows(used, steps):
    for call in fusions.CALLS:
        for count in steps:
            row = {"call": call, "steps": count}
            here, half = used[f"{call} {count}"], used.get(f"{call} {count // 2}")
            row["memory_mb"] = turns.megabytes(here)
            if here and half:
                row["growth"] = f"{here / half:.2f}"
            yield row


# In the process of a case.


def serve(fusion, steps):
    import keras

    from keras_mmfusion.models import get_fusion

    dim = SIZES["features"]
    inputs = [keras.Input((None, dim)) for _ in range(SIZES["modalities"])]
    layer = get_fusion(fusion, dim, {"aligned": True})
    model = keras.Model(inputs, layer(inputs))
    model.compile(keras.optimizers.SGD(minimal.RATE), "mse")
    calls = {}
    for count in steps:
        streams = fusions.make_streams(steps=count, **SIZES)
        target = np.zeros_like(streams[0])
        calls[f"forward {count}"] = lambda x=streams: model.predict_on_batch(x)
        calls[f"step {count}"] = lambda x=streams, y=target: np.asarray(
            model.train_on_batch(x, y)
        )
    turns.serve({"parameters": model.count_params()}, calls)


if __name__ == "__main__":
    sys.exit(main())
