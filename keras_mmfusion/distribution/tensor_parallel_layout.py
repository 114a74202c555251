"""Training on several devices: the weights of a model shared out among them."""

import keras

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
        ValueError: It is no mesh, or one without such an axis.

    Example:

    ```python
    import keras
    from keras_mmfusion.distribution import tensor_parallel_layout

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
    if not isinstance(device_mesh, keras.distribution.DeviceMesh):
        raise ValueError(
            "`device_mesh` must be a `keras.distribution.DeviceMesh`. "
            f"Received: {device_mesh!r}"
        )
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
