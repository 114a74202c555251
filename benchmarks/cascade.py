"""What `CascadeMHA` costs: beside MulT, and as modalities become more.

    python benchmarks/cascade.py > cascade.csv
    python benchmarks/cascade.py --peer ../Multimodal-Transformer > cascade.csv

First, 3 modalities of 32 steps and 300 features, beside `MulTFusion` on the same
backend and, with a checkout, beside the authors' MulT (see `originals.py`): both as in
`fusions.py`. Then 2 to 6 modalities of narrower features, in all orders, of which
there are M!/2, and in that of the inputs alone; `growth` is the time over that of 2
modalities. All 360 orders of 6 are tried where nothing has to be compiled, on PyTorch.
"""

import argparse
import contextlib
import json
import sys

import fusions
import numpy as np
import originals
import turns

GROWTH = {"batch": 8, "steps": 32, "features": 64}
SMOKE = {"batch": 2, "steps": 3, "features": 12}
MODALITIES = (2, 3, 4, 5, 6)
MOST_COMPILED = 5  # modalities in all orders, where they have to be compiled
FIELDS = ["case", "backend", "call", "clock", "modalities", "orders", "ms", "ms_min"]
FIELDS += ["ms_max", "memory_mb", "parameters", "reference", "reference_ms", "ratio"]
FIELDS += ["ratio_min", "ratio_max", "reference_memory_mb", "reference_parameters"]
FIELDS += ["growth", "turns", "threads"]


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    turns.add_arguments(parser)
    parser.add_argument(
        "--peer", nargs="+", default=[], metavar="PATH", help="see originals.py"
    )
    args = parser.parse_args()
    if args.here:
        return serve(json.loads(args.here))
    peers = originals.find(args.peer).get("mult", [])
    count = 2 if args.smoke else args.turns
    table = turns.writer(FIELDS)
    for backend in args.backends:
        for row in beside_mult(backend, peers, count, args):
            table.writerow(row)
        for row in growth(backend, count, args):
            table.writerow(row)
        sys.stdout.flush()
    return 0


def beside_mult(backend, peers, count, args):
    """Rows of the paper's size, one a reference, call and clock."""
    sizes = fusions.SMOKE if args.smoke else fusions.SIZES
    with contextlib.ExitStack() as stack:

        def start(backend, **case):
            case |= {"sizes": sizes}
            return stack.enter_context(
                turns.Worker(__file__, case, backend, args.threads)
            )

        ours = start(backend, who="ours", fusion="cascade")
        mult = start(backend, who="MulTFusion", fusion="mult")
        layer = mult.about["layer"]
        others = [start("torch", who=p, path=path, layer=layer) for p, path in peers]
        everyone = [ours, mult, *others]
        memory = turns.memory(everyone, fusions.CALLS)
        for call in fusions.CALLS:
            runs = turns.race(everyone, call, count)
            used = [of[call] for of in memory]
            results = dict(zip(everyone, zip(runs, used, strict=True), strict=True))
            for reference in everyone[1:]:
                row = {"case": "beside MulT", "backend": backend, "call": call}
                row |= {"modalities": sizes["modalities"], "orders": "all"}
                row |= {"turns": count, "threads": args.threads}
                yield from fusions.rows(row, ours, reference, results)


def growth(backend, count, args):
    """Rows of more and more modalities, all of them in turns."""
    sizes = SMOKE if args.smoke else GROWTH
    cases = [
        (modalities, orders)
        for modalities in (MODALITIES[:2] if args.smoke else MODALITIES)
        for orders in ("canonical", "all")
        if orders == "canonical"
        or 2 < modalities <= (MOST_COMPILED if backend != "torch" else MODALITIES[-1])
    ]
    with contextlib.ExitStack() as stack:
        workers = {}
        for modalities, orders in cases:
            case = {"who": "ours", "fusion": "cascade", "orders": orders}
            case["sizes"] = {**sizes, "modalities": modalities}
            worker = turns.Worker(__file__, case, backend, args.threads)
            workers[modalities, orders] = stack.enter_context(worker)
        everyone = list(workers.values())
        memory = turns.memory(everyone, fusions.CALLS)
        for call in fusions.CALLS:
            runs = turns.race(everyone, call, count)
            for clock in turns.CLOCKS:
                found = [turns.compare(run, None, clock) for run in runs]
                for case, worker, size, times in zip(
                    cases, everyone, memory, found, strict=True
                ):
                    yield {
                        "case": "growth",
                        "backend": backend,
                        "call": call,
                        "clock": clock,
                        "modalities": case[0],
                        "orders": case[1],
                        **times,
                        "growth": f"{float(times['ms']) / float(found[0]['ms']):.4g}",
                        "memory_mb": turns.megabytes(size[call]),
                        "parameters": worker.about["parameters"],
                        "turns": count,
                        "threads": args.threads,
                    }


# In the process of a case.


def serve(case):
    streams = fusions.make_streams(**case["sizes"])
    dim = case["sizes"]["features"]
    if "path" in case:
        parameters, calls = originals.calls(
            case["who"], case["path"], streams, dim, case["layer"]
        )
        turns.serve({"parameters": int(parameters)}, calls)
        return
    if "orders" in case:
        parameters, calls, layer = cascade(streams, dim, case["orders"])
    else:
        parameters, calls, layer = fusions.ours(case["fusion"], streams, dim)
    turns.serve({"parameters": int(parameters), "layer": layer}, calls)


def cascade(streams, dim, orders):
    import keras

    from keras_mmfusion.layers import CascadeMHA

    inputs = [keras.Input(x.shape[1:]) for x in streams]
    model = keras.Model(inputs, CascadeMHA(dim, orders=orders)(inputs))
    model.compile(keras.optimizers.SGD(0.01), "mse")
    target = np.zeros((*streams[0].shape[:2], dim), "float32")
    calls = {
        "forward": lambda: model.predict_on_batch(streams),
        "step": lambda: np.asarray(model.train_on_batch(streams, target)),
    }
    return model.count_params(), calls, {}


if __name__ == "__main__":
    sys.exit(main())
