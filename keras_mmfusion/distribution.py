"""Training on several devices: a batch shared out, or the weights of a model."""

import contextlib
import importlib

import keras

from keras_mmfusion import _checks

# Dense layers whose outputs are shared out, and those that take what is shared out.
COLUMNS = (
    "query",
    "key",
    "value",
    "ff_in",
    "embedding",
    "(?:guide_|guided_|value_|image_|text_)?projection",
    "projection_[0-9]+",
    "factor_[0-9]+",
    "residual_in",
    "joint",
)
ROWS = ("output", "ff_out", "fusion", "residual_out")


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
    _checks.check_positive_int(devices=devices)
    if devices > len(there):
        raise ValueError(
            f"`devices` must be at most {len(there)}, as many as there are: {there}. "
            f"Received: devices={devices}"
        )
    return there[:devices]


def tensor_parallel_layout(device_mesh, axis="model"):
    """How the weights of transformers and fusions are shared out among devices.

    For `keras.distribution.ModelParallel`, on JAX. It goes by the names of the layers
    of this package: `ATDEncoder` and all fusions of `FusionRetriever`. Queries, keys,
    values, first layers of feed-forward networks and projections are shared out by
    their outputs; what follows them, by its inputs; vectors of tokens by their
    features. Norms, positions, convolutions, LSTMs and heads are whole on every
    device.

    What is shared out must be a multiple of the devices along `axis`: widths, and the
    number of heads of attention that is block-diagonal.

    Args:
        device_mesh: `keras.distribution.DeviceMesh`.
        axis: str, the axis of the mesh. Defaults to `"model"`.

    Returns:
        `keras.distribution.LayoutMap`.

    Raises:
        ValueError: The mesh has no such axis.

    Example:

    ```python
    mesh = keras.distribution.DeviceMesh((1, 1), ("batch", "model"), ["cpu:0"])
    layout = tensor_parallel_layout(mesh)
    kernel = layout["text_encoder/transformer/block_0/attention/query/kernel"]
    assert kernel.axes == (None, "model")
    # keras.distribution.set_distribution(
    #     keras.distribution.ModelParallel(layout_map=layout)
    # )
    # model = paper_retriever("transformer_vit")
    ```

    Reference:
        Shoeybi et al., arXiv:1909.08053, section 3.
    """
    if axis not in device_mesh.axis_names:
        raise ValueError(
            f"`axis` must be an axis of the mesh, {list(device_mesh.axis_names)}. "
            f"Received: axis={axis!r}"
        )
    columns, rows = (f"(?:.*/)?(?:{'|'.join(names)})" for names in (COLUMNS, ROWS))
    layout = keras.distribution.LayoutMap(device_mesh)
    layout[f"{columns}/kernel"] = (None, axis)
    layout[f"{columns}/bias"] = (axis,)
    layout[f"{rows}/kernel"] = (axis, None)
    # A block is a head.
    layout["(?:.*/)?(?:query|key|value)/blocks/kernel"] = (axis, None, None)
    layout["(?:.*/)?(?:query|key|value)/blocks/bias"] = (axis, None)
    # Not the guide's, a short vector for each modality.
    layout["(?!.*guide/).*embeddings"] = (None, axis)
    return layout
