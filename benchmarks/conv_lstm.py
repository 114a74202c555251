"""Time and memory of early fusion by a convolutional LSTM, beside Keras' own layer.

    python benchmarks/conv_lstm.py > conv_lstm.csv
    python benchmarks/conv_lstm.py --filters 64 --batch 32 --steps 41 --turns 3 \
        --inputs "image and sound" --backends tensorflow               # the paper's

Images of 28 x 28 with sounds of 201 bins. `ConvLSTM2D` of Keras computes the same where
the image is repeated for every step, and the vector for every pixel, as further
channels. Without a sound, different images at every step are given to both. Outputs are
first seen to be the same. Both go over the steps in a loop, or unrolled: `reference` is
the loop of Keras, or, where only the unrolled one is measured, that; `ratio` the median
over the turns of a time over that of the reference. `forward` is `predict_on_batch`,
`step` is `train_on_batch` with gradient descent. `first_s` is the processor time of the
first call, which compiles. Of each number of `--steps` after the first, only our loop
is measured, to see what grows. `--models` leaves out the others, since at the paper's
sizes a process may hold gigabytes, or take too long; without either of Keras, nothing
is compared. With `"ConvLSTMFusion, winograd"`, `patches` or `direct`, ours computes the
convolution of the state in that way whatever is fast.
"""

import argparse
import contextlib
import json
import os
import sys

import numpy as np
import turns

SIZES = {"batch": 8, "steps": [12, 24], "size": 28, "bins": 201, "filters": 8}
SMOKE = {"batch": 2, "steps": [3, 4], "size": 8, "bins": 5, "filters": 2}
INPUTS = {"image and sound": True, "frames alone": False}
CALLS = ("forward", "step")
# Who, and whether unrolled; what comes first can be the reference.
OURS = ("ours", False)
EVERYONE = {
    "ConvLSTM2D": ("keras", False),
    "ConvLSTM2D, unrolled": ("keras", True),
    "ConvLSTMFusion": OURS,
    "ConvLSTMFusion, unrolled": ("ours", True),
}
# Ours again, with the convolution of the state computed in one way.
WAYS = {
    f"ConvLSTMFusion, {by}": (by, False) for by in ("direct", "patches", "winograd")
}
FIELDS = ["inputs", "backend", "model", "steps", "call", "clock"]
FIELDS += ["ms", "ms_min", "ms_max", "first_s", "memory_mb", "parameters"]
FIELDS += ["reference", "reference_ms", "ratio", "ratio_min", "ratio_max"]
FIELDS += ["reference_first_s", "reference_memory_mb", "reference_parameters"]
FIELDS += ["batch", "filters", "turns", "threads"]


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    turns.add_arguments(parser)
    parser.add_argument("--inputs", nargs="+", choices=INPUTS, default=list(INPUTS))
    for name in ("batch", "filters"):
        parser.add_argument(f"--{name}", type=int, default=SIZES[name])
    parser.add_argument("--steps", type=int, nargs="+", default=SIZES["steps"])
    models = {**EVERYONE, **WAYS}
    parser.add_argument("--models", nargs="+", choices=models, default=list(EVERYONE))
    parser.add_argument("--calls", nargs="+", choices=CALLS, default=CALLS)
    args = parser.parse_args()
    if args.here:
        return serve(**json.loads(args.here))
    sizes = SIZES | {n: getattr(args, n) for n in ("batch", "filters", "steps")}
    sizes, count = (SMOKE, 2) if args.smoke else (sizes, args.turns)
    everyone = [who for name, who in models.items() if name in args.models]
    table = turns.writer(FIELDS)
    for inputs in args.inputs:
        for backend in args.backends:
            for steps in sizes["steps"]:
                who = everyone if steps == sizes["steps"][0] else (OURS,)
                case = {"inputs": inputs, "sizes": {**sizes, "steps": steps}}
                for row in measure(who, case, backend, count, args):
                    table.writerow(row)
                    sys.stdout.flush()
    return 0


def measure(everyone, case, backend, count, args):
    with contextlib.ExitStack() as stack:
        workers = [
            stack.enter_context(
                turns.Worker(
                    __file__,
                    {"who": who, "unroll": unroll, **case},
                    backend,
                    args.threads,
                )
            )
            for who, unroll in everyone
        ]
        for worker in workers[1:]:
            turns.check_equal(worker, workers[0])
        first = [w.ask("time", args.calls[-1], 1)["cpu"] for w in workers]
        memory = turns.memory(workers, args.calls)
        compared = everyone[0][0] == "keras"
        for call in args.calls:
            runs = turns.race(workers, call, count)
            for i, (who, unroll) in enumerate(everyone):
                if compared and i == 0:
                    continue
                sizes = case["sizes"]
                row = {"inputs": case["inputs"], "backend": backend, "call": call}
                row |= {n: sizes[n] for n in ("steps", "batch", "filters")}
                row |= {"model": name_of(who, unroll)}
                row |= {"turns": count, "threads": args.threads}
                row |= about(workers[i], memory[i][call], first[i])
                reference = None
                if compared:
                    reference = runs[0]
                    row["reference"] = name_of(*everyone[0])
                    row |= about(workers[0], memory[0][call], first[0], "reference_")
                for clock in turns.CLOCKS:
                    found = turns.compare(runs[i], reference, clock)
                    yield row | {"clock": clock} | found


def name_of(*who):
    return next(name for name, known in {**EVERYONE, **WAYS}.items() if known == who)


def about(worker, memory, first, prefix=""):
    found = {"memory_mb": turns.megabytes(memory), "first_s": f"{first:.2f}"}
    found["parameters"] = worker.about["parameters"]
    return {f"{prefix}{key}": value for key, value in found.items()}


# In the process of a case.


def serve(who, unroll, inputs, sizes):
    import keras

    if keras.backend.backend() == "torch":
        import torch

        torch.set_num_threads(int(os.environ["OMP_NUM_THREADS"]))
    if who == "keras":
        model, x = keras_model(INPUTS[inputs], unroll, **sizes)
    else:
        by = "auto" if who == "ours" else who
        model, x = our_model(INPUTS[inputs], unroll, by, **sizes)
    model.compile(keras.optimizers.SGD(0.01), "mse")
    target = np.zeros((sizes["batch"], *model.output_shape[1:]), "float32")
    calls = {
        "forward": lambda: model.predict_on_batch(x),
        "step": lambda: np.asarray(model.train_on_batch(x, target)),
    }
    turns.serve({"parameters": model.count_params()}, calls)


def data(hears, batch, steps, size, bins, filters):
    """Images and sounds, and the weights of the convolutional LSTM for them."""
    rng = np.random.default_rng(0)

    def draw(*shape):
        return rng.standard_normal(shape).astype("float32")

    image, frames = draw(batch, size, size, 1), draw(batch, steps, size, size, 1)
    sound = draw(batch, steps, bins)
    gates = 4 * filters
    weights = {
        "frame": draw(3, 3, 1, gates) / 3,
        "bias": draw(gates),
        "vector": draw(bins, gates) / bins**0.5,
        "state": draw(3, 3, filters, gates) / (9 * filters) ** 0.5,
    }
    return (image if hears else frames), sound, weights


def our_model(hears, unroll, by, filters, **sizes):
    import keras

    from keras_mmfusion.layers import ConvLSTMFusion

    image, sound, weights = data(hears, filters=filters, **sizes)
    x = [image, sound] if hears else image
    inputs = keras.tree.map_structure(lambda array: keras.Input(array.shape[1:]), x)
    layer = ConvLSTMFusion(filters, unroll=unroll, state_convolution=by)
    model = keras.Model(inputs, layer(inputs if hears else [inputs, None]))
    cell = layer.cell
    cell.frame_projection.set_weights([weights["frame"], weights["bias"]])
    cell.state_projection.set_weights([weights["state"]])
    if hears:
        cell.vector_projection.set_weights([weights["vector"]])
    return model, x


def keras_model(hears, unroll, filters, **sizes):
    """Everything as channels of every pixel at every step."""
    import keras
    from keras import ops

    image, sound, weights = data(hears, filters=filters, **sizes)
    kernel, x = weights["frame"], image
    if hears:
        x = [image, sound]
        # Only the pixel itself hears, or the kernel would count a vector nine times.
        ear = np.zeros((3, 3, *weights["vector"].shape), "float32")
        ear[1, 1] = weights["vector"]
        kernel = np.concatenate([kernel, ear], axis=2)
    inputs = keras.tree.map_structure(lambda array: keras.Input(array.shape[1:]), x)
    frames = inputs
    if hears:
        seen, heard = inputs
        pixels = (1, 1, *image.shape[1:3], 1)
        frames = ops.concatenate(
            [
                ops.repeat(seen[:, None], sound.shape[1], axis=1),
                ops.tile(heard[:, :, None, None], pixels),
            ],
            axis=-1,
        )
    layer = keras.layers.ConvLSTM2D(
        filters, 3, padding="same", data_format="channels_last", unroll=unroll
    )
    model = keras.Model(inputs, layer(frames))
    layer.set_weights([kernel, weights["state"], weights["bias"]])
    return model, x


if __name__ == "__main__":
    sys.exit(main())
