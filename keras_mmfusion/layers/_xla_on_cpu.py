"""Whether this process computes by XLA on a CPU, where other things are fast."""

import keras


def xla_on_cpu():
    if keras.backend.backend() != "jax":
        return False
    return all(name.startswith("cpu") for name in keras.distribution.list_devices())
