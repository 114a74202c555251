"""Train an ATDGuide for some steps on one and on two virtual CPU devices.

KERAS_BACKEND=jax python guide_on_devices.py OUTPUT.npz
"""

import contextlib
import os
import sys

output, COUNT = sys.argv[1], 2
flags = f"--xla_force_host_platform_device_count={COUNT}"
os.environ["XLA_FLAGS"] = f"{os.environ.get('XLA_FLAGS', '')} {flags}"

import keras  # noqa: E402
import numpy as np  # noqa: E402

from keras_mmfusion.layers import ATDGuide  # noqa: E402

JAX = keras.backend.backend() == "jax"
if not JAX:
    import tensorflow as tf

    cpu = tf.config.list_physical_devices("CPU")[0]
    parts = [tf.config.LogicalDeviceConfiguration()] * COUNT
    tf.config.set_logical_device_configuration(cpu, parts)


def distribution():
    """Each device takes its part of a batch within this context."""
    if JAX:
        keras.distribution.set_distribution(keras.distribution.DataParallel())
        assert len(keras.distribution.list_devices()) == COUNT
        return contextlib.nullcontext()
    names = [device.name for device in tf.config.list_logical_devices("CPU")]
    assert len(names) == COUNT
    return tf.distribute.MirroredStrategy(names).scope()


rng = np.random.default_rng(0)
x = [rng.normal(50, 5, (16, 5, 4)), rng.normal(0, 2, (16, 7, 4))]
x = [v.astype("float32") for v in x]
# Far from alike in the two halves of a batch: their statistics differ.
x[0][::8] += 40
x[1][4:8] = 0.0


def trained(context):
    """The weights by name."""
    with context:
        keras.utils.set_random_seed(0)
        names = [keras.Input((5, 4)), keras.Input((7, 4))]
        hidden = [keras.layers.Masking(0.0)(v) for v in names]
        layer = ATDGuide(conditional=False, momentum=0.5)
        model = keras.Model(names, layer(hidden))
        model.compile(keras.optimizers.SGD(0.1), "mse")
    model.fit(x, x, batch_size=8, epochs=2, shuffle=False, verbose=0)
    prefix = layer.path + "/"
    return {
        v.path.removeprefix(prefix): keras.ops.convert_to_numpy(v)
        for v in layer.weights
    }


# The one first: on JAX, a distribution is for all that comes after.
found = {"1": trained(contextlib.nullcontext()), str(COUNT): trained(distribution())}
np.savez(output, **{f"{k}/{n}": v for k, of in found.items() for n, v in of.items()})
