"""Train models on four virtual CPU devices and on one, and save what came of it.

KERAS_BACKEND=jax python on_devices.py OUTPUT.npz RECIPE [ARGUMENT ...]

On TensorFlow, a classifier. On JAX, a retriever whose weights are cut, and a recipe,
run with these arguments, then with `--devices 4`.
"""

import contextlib
import os
import runpy
import sys

output, recipe, *arguments = sys.argv[1:]
COUNT = 4
flags = f"--xla_force_host_platform_device_count={COUNT}"
os.environ["XLA_FLAGS"] = f"{os.environ.get('XLA_FLAGS', '')} {flags}"

import keras  # noqa: E402
import numpy as np  # noqa: E402

from keras_mmfusion.distribution import (  # noqa: E402
    data_parallel,
    tensor_parallel_layout,
)
from keras_mmfusion.layers import ATDEncoder  # noqa: E402
from keras_mmfusion.models import FusionClassifier, FusionRetriever  # noqa: E402

JAX = keras.backend.backend() == "jax"
if not JAX:
    import tensorflow as tf

    cpu = tf.config.list_physical_devices("CPU")[0]
    parts = [tf.config.LogicalDeviceConfiguration()] * COUNT
    tf.config.set_logical_device_configuration(cpu, parts)


def classifier(several):
    """Losses of three epochs, of four batches each, and predictions of some samples."""
    rng = np.random.default_rng(0)
    x = {
        "wave": rng.normal(size=(64, 6, 4)).astype("float32"),
        "calendar": rng.normal(size=(64, 6, 2)).astype("float32"),
    }
    y = (x["wave"].mean(axis=(1, 2)) > 0).astype("int64")
    # Devices differ in what is missing.
    x["calendar"][:20] = np.nan
    with data_parallel() if several else contextlib.nullcontext():
        keras.utils.set_random_seed(0)
        model = FusionClassifier(
            inputs={"wave": (6, 4), "calendar": (6, 2)},
            encoders={
                "wave": keras.layers.Dense(5, activation="tanh", name="wave_dense"),
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
        log = model.fit(x, y, 16, epochs=3, shuffle=False, verbose=0)
        learnt = model.get_weights()
    # On one device, of a number of samples that several would not divide.
    alone = FusionClassifier.from_config(model.get_config())
    alone.set_weights(learnt)
    some = {name: values[:13] for name, values in x.items()}
    return {
        **{name: np.array(values) for name, values in log.history.items()},
        "predictions": alone.predict(some, batch_size=5, verbose=0),
    }


def retriever(mesh=None):
    """Outputs, losses of three steps, and into how many parts each weight is cut."""
    if mesh is not None:
        mesh = keras.distribution.DeviceMesh(mesh, ("batch", "model"))
        layout = tensor_parallel_layout(mesh)
        distribution = keras.distribution.ModelParallel(layout_map=layout)
        with distribution.scope():
            return retriever()
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
    found = {f"output_{name}": values for name, values in outputs.items()}
    model.compile(keras.optimizers.AdamW(1e-3, name="adam"))
    log = model.fit(x, batch_size=8, epochs=3, shuffle=False, verbose=0)
    found["loss"] = np.array(log.history["loss"])
    for weight in [*model.trainable_variables, *model.optimizer.variables]:
        held = weight.value.addressable_shards[0].data.size
        found[f"parts/{weight.path}"] = np.array(weight.value.size // held)
    return found


def run(*more):
    sys.argv = [recipe, *arguments, *more]
    sys.path.insert(0, os.path.dirname(recipe))
    runpy.run_path(recipe, run_name="__main__")


if JAX:
    found = {"whole": retriever(), "cut": retriever((2, 2))}
    run("--output", "one")
    run("--output", "several", "--devices", str(COUNT))
else:
    found = {"1": classifier(False), str(COUNT): classifier(True)}
np.savez(output, **{f"{k}/{n}": v for k, of in found.items() for n, v in of.items()})
