"""Training on several devices: each batch shared out among them."""

import contextlib
import importlib

import keras

from keras_mmfusion._checks import check_positive_int


@contextlib.contextmanager
def data_parallel(devices=None):
    """A context in which each batch is shared out among devices.

    Build, compile and fit a model within it. Every device holds all weights and works
    on its part of each batch, whose size stays that of all parts together. On JAX, the
    numbers are those of one device and every batch must be a multiple of the devices.
    On TensorFlow, a loss or layer that compares samples of a batch sees those of its
    device only, such as the contrastive loss of `FusionRetriever` and
    `BatchNormalization` without `synchronized=True`.

    After `keras.distribution.initialize`, the devices are those of all processes, and
    each process gives its own part of every batch.

    Args:
        devices: int, the first so many; sequence of str, names of devices such as
            `"gpu:0"`; or `None` for all. GPUs and TPUs where there are some, else
            CPUs. Defaults to `None`.

    Yields:
        `keras.distribution.DataParallel` on JAX, `tf.distribute.MirroredStrategy` on
        TensorFlow.

    Raises:
        RuntimeError: The backend is PyTorch, of which Keras uses one device.
        ValueError: There are fewer devices, or none of that name.

    Example:

    ```python
    import keras
    import numpy as np
    from keras_mmfusion.distribution import data_parallel

    if keras.backend.backend() != "torch":
        with data_parallel(1):
            model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(1)])
            model.compile("sgd", "mse")
            model.fit(np.ones((8, 3)), np.ones((8, 1)), batch_size=4, verbose=0)
    ```
    """
    backend = keras.backend.backend()
    if backend == "jax":
        names = _chosen(devices, keras.distribution.list_devices())
        distribution = keras.distribution.DataParallel(
            devices=names, auto_shard_dataset=False
        )
        with distribution.scope():
            yield distribution
    elif backend == "tensorflow":
        tf = importlib.import_module("tensorflow")
        there = tf.config.list_logical_devices("GPU")
        there = there or tf.config.list_logical_devices("CPU")
        # `/device:GPU:0` of TensorFlow is the `gpu:0` of Keras.
        names = {d.name.split("device:")[-1].lower(): d.name for d in there}
        chosen = [names[name] for name in _chosen(devices, list(names))]
        # By default each device waits for the others in a thread of its own, of which
        # a machine of few cores has too few.
        together = None
        if "CPU" in there[0].name:
            together = tf.distribute.ReductionToOneDevice()
        strategy = tf.distribute.MirroredStrategy(chosen, together)
        with strategy.scope():
            yield strategy
    else:
        raise RuntimeError(
            "Keras shares batches out on the backends 'jax' and 'tensorflow'. "
            f"Received: {backend!r}. Set KERAS_BACKEND before Keras is imported."
        )


def _chosen(devices, there):
    if devices is None:
        return there
    if isinstance(devices, (list, tuple)):
        names = [str(name).lower() for name in devices]
        if not names or len(set(names)) < len(names) or not set(names) <= set(there):
            raise ValueError(
                f"`devices` must be some of {there}, each once. Received: {devices}"
            )
        return names
    check_positive_int(devices=devices)
    if devices > len(there):
        raise ValueError(
            f"`devices` must be at most {len(there)}, as many as there are: {there}. "
            f"Received: devices={devices}"
        )
    return there[:devices]
