"""Time and memory of early fusion by a convolutional LSTM, beside Keras' own layer.

    python benchmarks/conv_lstm.py > conv_lstm.csv

Batches of 8 images of 28 x 28 with sounds of 12 steps of 40 bins, 8 filters.
`ConvLSTM2D` of Keras computes the same where the image is repeated for every step, and
the vector for every pixel, as further channels. Without a sound, the image is repeated
for both. The outputs are first seen to be the same. `ratio` is the median over the
turns of our time over that of Keras. `forward` is `predict_on_batch`, `step` is
`train_on_batch` with gradient descent.
"""

import argparse
import contextlib
import json
import os
import sys

import numpy as np
import turns

SIZES = {"batch": 8, "steps": 12, "size": 28, "bins": 40, "filters": 8}
SMOKE = {"batch": 2, "steps": 3, "size": 8, "bins": 5, "filters": 2}
INPUTS = {"image and sound": True, "frames alone": False}
CALLS = ("forward", "step")
FIELDS = ["inputs", "backend", "call", "clock", "ms", "ms_min", "ms_max", "memory_mb"]
FIELDS += ["parameters", "reference", "reference_ms", "ratio", "ratio_min", "ratio_max"]
FIELDS += ["reference_memory_mb", "reference_parameters", "turns", "threads"]


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    turns.add_arguments(parser)
    args = parser.parse_args()
    if args.here:
        return serve(**json.loads(args.here))
    sizes, count = (SMOKE, 2) if args.smoke else (SIZES, args.turns)
    table = turns.writer(FIELDS)
    for inputs in INPUTS:
        for backend in args.backends:
            for row in measure(inputs, backend, sizes, count, args.threads):
                table.writerow(row)
                sys.stdout.flush()
    return 0


def measure(inputs, backend, sizes, count, threads):
    with contextlib.ExitStack() as stack:
        pair = [
            stack.enter_context(
                turns.Worker(
                    __file__,
                    {"who": who, "inputs": inputs, "sizes": sizes},
                    backend,
                    threads,
                )
            )
            for who in ("ours", "keras")
        ]
        turns.check_equal(*pair)
        memory = turns.memory(pair, CALLS)
        for call in CALLS:
            ours, theirs = turns.race(pair, call, count)
            row = {"inputs": inputs, "backend": backend, "call": call}
            row |= {"turns": count, "threads": threads, "reference": "ConvLSTM2D"}
            row["memory_mb"], row["reference_memory_mb"] = (
                turns.megabytes(used[call]) for used in memory
            )
            row["parameters"], row["reference_parameters"] = (
                worker.about["parameters"] for worker in pair
            )
            for clock in turns.CLOCKS:
                yield row | {"clock": clock} | turns.compare(ours, theirs, clock)


# In the process of a case.


def serve(who, inputs, sizes):
    import keras

    if keras.backend.backend() == "torch":
        import torch

        torch.set_num_threads(int(os.environ["OMP_NUM_THREADS"]))
    make = our_model if who == "ours" else keras_model
    model, x = make(INPUTS[inputs], **sizes)
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


def our_model(hears, filters, **sizes):
    import keras

    from keras_mmfusion.layers import ConvLSTMFusion

    image, sound, weights = data(hears, filters=filters, **sizes)
    x = [image, sound] if hears else image
    inputs = keras.tree.map_structure(lambda array: keras.Input(array.shape[1:]), x)
    layer = ConvLSTMFusion(filters)
    model = keras.Model(inputs, layer(inputs if hears else [inputs, None]))
    cell = layer.cell
    cell.frame_projection.set_weights([weights["frame"], weights["bias"]])
    cell.state_projection.set_weights([weights["state"]])
    if hears:
        cell.vector_projection.set_weights([weights["vector"]])
    return model, x


def keras_model(hears, filters, **sizes):
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
        filters, 3, padding="same", data_format="channels_last"
    )
    model = keras.Model(inputs, layer(frames))
    layer.set_weights([kernel, weights["state"], weights["bias"]])
    return model, x


if __name__ == "__main__":
    sys.exit(main())
