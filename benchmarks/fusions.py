"""Time and memory of every fusion, forward and for one step of training.

    python benchmarks/fusions.py > fusions.csv
    python benchmarks/fusions.py --peer ../Multimodal-Transformer > fusions.csv

Batches of 32 samples with 3 modalities of 32 steps and 300 features. Beside each
fusion, in turns: the authors' PyTorch code where a checkout is given (see
`originals.py`), and for fusions by attention a hand-written cascade of attention on
the same backend (`minimal.py`). `ratio` is the median over the turns of our time over
that of the reference. `forward` is `predict_on_batch`, `step` is `train_on_batch` with
gradient descent, both as `compile` has them by default. `memory_mb` is the most that
a call takes beyond what the process holds before it.
"""

import argparse
import contextlib
import inspect
import json
import os
import sys

import minimal
import numpy as np
import originals
import turns

SIZES = {"batch": 32, "steps": 32, "features": 300, "modalities": 3}
SMOKE = {"batch": 3, "steps": 4, "features": 12, "modalities": 3}
HEADS = 6
# Where a fusion is not simply as wide as its inputs: MulT and TFN as the authors' code.
OPTIONS = {
    "mult": {"stream_dim": 30, "num_heads": 5, "num_layers": 5},
    "tfn": {"activation": "relu"},
}
SMOKE_OPTIONS = {"mult": {"stream_dim": 30, "num_heads": 2, "num_layers": 1}}
# The attention that fusions are made of, in the cascade of `minimal.py`: one order and
# one direction of `CascadeMHA`, as it can be written by hand.
CASCADE = "attention"
# Fusions that are compared with the cascade written by hand.
ATTENDING = (CASCADE, "cascade", "atd", "step", "zoom_shift", "cross_attention")
CALLS = ("forward", "step")
FIELDS = ["fusion", "backend", "call", "clock", "ms", "ms_min", "ms_max", "memory_mb"]
FIELDS += ["parameters", "reference", "reference_ms", "ratio", "ratio_min", "ratio_max"]
FIELDS += ["reference_memory_mb", "reference_parameters", "turns", "threads"]


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    turns.add_arguments(parser)
    parser.add_argument("--fusions", nargs="+", metavar="NAME", help="not all of them")
    parser.add_argument(
        "--peer",
        nargs="+",
        default=[],
        metavar="PATH",
        help="checkouts of originals, see originals.py",
    )
    args = parser.parse_args()
    if args.here:
        return serve(json.loads(args.here))
    os.environ.setdefault("KERAS_BACKEND", args.backends[0])
    peers = originals.find(args.peer)
    known = names()
    unknown = set(args.fusions or ()) - set(known)
    if unknown:
        parser.error(f"--fusions takes {known}. Received: {sorted(unknown)}")
    sizes, count = (SMOKE, 2) if args.smoke else (SIZES, args.turns)
    table = turns.writer(FIELDS)
    for name in args.fusions or known:
        for row in measure(name, args.backends, sizes, peers, count, args.threads):
            table.writerow(row)
            sys.stdout.flush()
    return 0


def names():
    """Every fusion that models know by name, and the attention they are made of."""
    from keras_mmfusion.models.fusions import FUSIONS

    return [*FUSIONS, CASCADE]


def measure(name, backends, sizes, peers, count, threads):
    """Rows of one fusion: all backends and references take turns."""
    with contextlib.ExitStack() as stack:

        def start(backend, **case):
            case |= {"sizes": sizes}
            worker = turns.Worker(__file__, case, backend, threads)
            return stack.enter_context(worker)

        ours = {
            backend: start(backend, who="ours", fusion=name) for backend in backends
        }
        by_hand = {b: start(b, who="by hand") for b in backends if name in ATTENDING}
        layer = ours[backends[0]].about["layer"]
        originals = [
            start("torch", who=peer, path=path, layer=layer)
            for peer, path in peers.get(name, ())
        ]
        if name == CASCADE:
            for backend in backends:
                turns.check_equal(ours[backend], by_hand[backend])
        everyone = [*ours.values(), *by_hand.values(), *originals]
        memory = turns.memory(everyone, CALLS)
        for call in CALLS:
            runs = turns.race(everyone, call, count)
            used = [sizes[call] for sizes in memory]
            results = dict(zip(everyone, zip(runs, used, strict=True), strict=True))
            for backend in backends:
                references = [by_hand[backend]] if by_hand else originals
                for reference in references or [None]:
                    row = {"fusion": name, "backend": backend, "call": call}
                    row |= {"turns": count, "threads": threads}
                    yield from rows(row, ours[backend], reference, results)


def rows(row, ours, reference, results):
    """One row for each clock."""
    runs, memory = results[ours]
    row |= {
        "parameters": ours.about["parameters"],
        "memory_mb": turns.megabytes(memory),
    }
    theirs = None
    if reference is not None:
        theirs, memory = results[reference]
        row |= {
            "reference": reference.case["who"],
            "reference_parameters": reference.about["parameters"],
            "reference_memory_mb": turns.megabytes(memory),
        }
    for clock in turns.CLOCKS:
        yield row | {"clock": clock} | turns.compare(runs, theirs, clock)


# In the process of a case.


def serve(case):
    streams = make_streams(**case["sizes"])
    dim = case["sizes"]["features"]
    if case["who"] == "by hand":
        parameters, calls = minimal.calls(streams, dim, HEADS)
        layer = {}
    elif case["who"] == "ours":
        parameters, calls, layer = ours(case["fusion"], streams, dim)
    else:
        parameters, calls = originals.calls(
            case["who"], case["path"], streams, dim, case["layer"]
        )
        layer = {}
    turns.serve({"parameters": int(parameters), "layer": layer}, calls)


def make_streams(batch, steps, features, modalities):
    rng = np.random.default_rng(0)
    shape = (modalities, batch, steps, features)
    return list(rng.standard_normal(shape).astype("float32"))


def ours(name, streams, dim):
    """Parameters, calls, and what the originals need to know of the layer."""
    import keras

    if keras.backend.backend() == "torch":
        import torch

        torch.set_num_threads(int(os.environ["OMP_NUM_THREADS"]))
    inputs = [keras.Input(x.shape[1:]) for x in streams]
    if name == CASCADE:
        layer, outputs = None, cascade(inputs, dim)
    else:
        layer = make_fusion(name, dim)
        outputs = layer(inputs)
    model = keras.Model(inputs, outputs)
    model.compile(keras.optimizers.SGD(minimal.RATE), "mse")
    target = np.zeros((len(streams[0]), *outputs.shape[1:]), "float32")
    calls = {
        "forward": lambda: model.predict_on_batch(streams),
        "step": lambda: np.asarray(model.train_on_batch(streams, target)),
    }
    config = {} if layer is None else layer.get_config()
    keys = ("num_heads", "num_layers", "stream_dim", "rank", "causal")
    about = {key: config[key] for key in keys if key in config}
    about["widths"] = getattr(layer, "widths", None)
    return model.count_params(), calls, about


def make_fusion(name, dim):
    from keras_mmfusion.models.fusions import FUSIONS, get_fusion

    options = dict(OPTIONS.get(name, {}))
    if dim == SMOKE["features"]:
        options |= SMOKE_OPTIONS.get(name, {})
    if "num_heads" in inspect.signature(FUSIONS[name]).parameters:
        options.setdefault("num_heads", HEADS)
    return get_fusion(name, dim, options)


def cascade(streams, dim):
    from keras_mmfusion.layers._multi_head import MultiHead

    fused = streams[0]
    stages = minimal.weights(dim, len(streams) - 1)
    for i, (stage, query) in enumerate(zip(stages, streams[1:], strict=True)):
        attention = MultiHead(dim, HEADS, name=f"attention_{i}")
        fused = attention(query, fused)
        for part, values in stage.items():
            dense = getattr(attention, f"{part}_projection")
            dense.set_weights([v for v in values if v is not None])
    return fused


if __name__ == "__main__":
    sys.exit(main())
