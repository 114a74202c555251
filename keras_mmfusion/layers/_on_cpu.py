"""Whether this process computes on a CPU, where other things are fast."""

import keras


def on_cpu():
    return all(name.startswith("cpu") for name in keras.distribution.list_devices())


def xla_on_cpu():
    return keras.backend.backend() == "jax" and on_cpu()
