"""Train or run a model on a number of virtual CPU devices, and save what came of it.

KERAS_BACKEND=jax python on_devices.py classifier DEVICES OUTPUT.npz
KERAS_BACKEND=jax python on_devices.py classifier 1 OUTPUT.npz PORT PROCESS
KERAS_BACKEND=jax python on_devices.py retriever 4 OUTPUT.npz

The second is one of two processes, 0 or 1.
"""

import contextlib
import os
import sys

what, count, output, *process = sys.argv[1:]
count = int(count)
flags = f"--xla_force_host_platform_device_count={count}"
os.environ["XLA_FLAGS"] = f"{os.environ.get('XLA_FLAGS', '')} {flags}"

import keras  # noqa: E402
import numpy as np  # noqa: E402

from keras_mmfusion.distribution import (  # noqa: E402
    data_parallel,
    tensor_parallel_layout,
)
from keras_mmfusion.layers import ATDEncoder  # noqa: E402
from keras_mmfusion.models import FusionClassifier, FusionRetriever  # noqa: E402

if process:
    port, process = process
    keras.distribution.initialize(f"127.0.0.1:{port}", 2, int(process))
    assert len(keras.distribution.list_devices()) == 2
if keras.backend.backend() == "tensorflow":
    import tensorflow as tf

    cpu = tf.config.list_physical_devices("CPU")[0]
    parts = [tf.config.LogicalDeviceConfiguration()] * count
    tf.config.set_logical_device_configuration(cpu, parts)


class Half(keras.utils.PyDataset):
    """The part of each batch of 16 that belongs to this process."""

    def __init__(self, x, y):
        super().__init__()
        self.x, self.y = x, y

    def __len__(self):
        return len(self.y) // 16

    def __getitem__(self, index):
        first = 16 * index + 8 * int(process)
        rows = slice(first, first + 8)
        return {name: x[rows] for name, x in self.x.items()}, self.y[rows]


def classifier():
    """Losses of five epochs, of four batches each, and predictions of some samples."""
    rng = np.random.default_rng(0)
    x = {
        "wave": rng.normal(size=(64, 6, 4)).astype("float32"),
        "calendar": rng.normal(size=(64, 6, 2)).astype("float32"),
    }
    y = (x["wave"].mean(axis=(1, 2)) > 0).astype("int64")
    # Devices differ in what is missing.
    x["calendar"][:20] = np.nan
    several = count > 1 or process
    with data_parallel() if several else contextlib.nullcontext():
        keras.utils.set_random_seed(0)
        model = FusionClassifier(
            inputs={"wave": (6, 4), "calendar": (6, 2)},
            encoders={
                "wave": keras.layers.LSTM(5, return_sequences=True, name="lstm"),
                "calendar": keras.layers.Dense(5, name="dense"),
            },
            fusion="zoom_shift",
            dim=8,
            fusion_options={"num_heads": 2},
        )
        model.compile(
            keras.optimizers.SGD(0.5),
            "sparse_categorical_crossentropy",
            metrics=["accuracy"],
        )
        batches = (Half(x, y),) if process else (x, y, 16)
        log = model.fit(*batches, epochs=5, shuffle=False, verbose=0)
        learnt = model.get_weights()
    # On one device, of a number of samples that several would not divide.
    alone = FusionClassifier.from_config(model.get_config())
    alone.set_weights(learnt)
    some = {name: values[:13] for name, values in x.items()}
    return {
        **{name: np.array(values) for name, values in log.history.items()},
        "predictions": alone.predict(some, batch_size=5, verbose=0),
    }


def retriever():
    """What `retrieve` gives, of one device and of two ways to use all."""
    found = {"whole": retrieve()}
    for shape in (1, count), (2, count // 2):
        mesh = keras.distribution.DeviceMesh(shape, ("batch", "model"))
        distribution = keras.distribution.ModelParallel(
            layout_map=tensor_parallel_layout(mesh)
        )
        with distribution.scope():
            found["x".join(map(str, shape))] = retrieve(train=shape[0] > 1)
    return {f"{k}/{name}": v for k, of in found.items() for name, v in of.items()}


def retrieve(train=True):
    """Outputs, losses of three steps, and into how many parts each weight is cut."""
    keras.utils.set_random_seed(0)
    words = keras.layers.Embedding(101, 32, mask_zero=True, name="words")
    transformer = ATDEncoder(32, 1, 4, max_tokens=6, name="transformer")
    vit = ATDEncoder(16, 1, 4, patch=(8, 8), name="vit")
    model = FusionRetriever(
        inputs={"image": (16, 16, 3), "text": (6,)},
        encoders={
            "image": keras.Sequential([vit], name="image_encoder"),
            "text": keras.Sequential([words, transformer], name="text_encoder"),
        },
        fusion="zoom_shift",
        dim=16,
        embedding_dim=8,
        seed=0,
    )
    rng = np.random.default_rng(0)
    x = {
        "image": rng.normal(size=(8, 16, 16, 3)).astype("float32"),
        "text": rng.integers(0, 101, (8, 6)).astype("int32"),
    }
    outputs = model.predict(x, batch_size=8, verbose=0)
    found = {f"output/{name}": values for name, values in outputs.items()}
    weights = model.trainable_variables
    if train:
        model.compile(keras.optimizers.AdamW(1e-3, name="adam"))
        log = model.fit(x, batch_size=8, epochs=3, shuffle=False, verbose=0)
        found["loss"] = np.array(log.history["loss"])
        weights = [*weights, *model.optimizer.variables]
    for weight in weights:
        held = weight.value.addressable_shards[0].data.size
        found[f"parts/{weight.path}"] = np.array(weight.value.size // held)
    return found


np.savez(output, **{"classifier": classifier, "retriever": retriever}[what]())
