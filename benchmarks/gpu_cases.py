"""What `gpu.py` measures: presets as their recipes train them, and the large ones."""

import re

import numpy as np

# Batches and optimizers of the recipes.
TRAINED = {
    "mitbih": ("AdamW", 12),
    "digits": ("Adam", 64),
    "ett": ("Adam", 64),
    "emotion": ("Adam", 64),
    "mnist_channels": ("Adam", 64),
    "retrieval": ("AdamW", 66),
}
# The configurations that Table 10 of the paper on zoom and shift names by their size.
LARGE = {"retriever_70m": "cnn_lstm", "retriever_282m": "transformer_vit"}
# On a CPU, a model of more weights than that has to be named.
SMALL = 50_000_000
SMOKE = ("mcwsa_mnist",)


def names(only=None, smoke=False, gpu=True):
    """The cases to measure, in order."""
    from keras_mmfusion import presets

    parameters = {row["name"]: row["parameters"] for row in presets.list()}
    every = [*parameters, *LARGE]
    if only:
        unknown = sorted(set(only) - set(every))
        if unknown:
            raise SystemExit(
                f"--only must be of {', '.join(every)}. Received: {', '.join(unknown)}"
            )
        return [name for name in every if name in only]
    if smoke:
        return list(SMOKE)
    return [name for name in every if gpu or parameters.get(name, SMALL + 1) <= SMALL]


def make(name, precision, steps_per_execution=1, batch=None, xla=None):
    """A case: the compiled model, one batch of made inputs, and their targets.

    Args:
        name: str. Of `names()`.
        precision: str. The dtype policy.
        steps_per_execution: int.
        batch: int. Samples, if not as many as the recipe trains on.
        xla: bool. `jit_compile`; None as in the recipes, on JAX only.
    """
    import keras

    from keras_mmfusion import presets
    from keras_mmfusion.models import paper_retriever

    keras.config.set_dtype_policy(precision)
    if name in LARGE:
        recipe, model = "retrieval", paper_retriever(LARGE[name], "atd")
    else:
        command = presets.info(name)["recipe"]["command"]
        recipe = re.search(r"recipes/(\w+)/train", command)[1]
        dtype = None if precision == "float32" else precision
        model = presets.load(name, load_weights=False, dtype=dtype)
    optimizer, usual = TRAINED[recipe]
    rng = np.random.default_rng(0)
    x = inputs(model, batch or usual, rng)
    y, loss = targets(model, x, rng)
    model.compile(
        getattr(keras.optimizers, optimizer)(1e-4),
        loss,
        steps_per_execution=steps_per_execution,
        jit_compile=keras.backend.backend() == "jax" if xla is None else xla,
    )
    return model, x, y


def inputs(model, batch, rng):
    """Noise; grey values where a retriever sees images, numbers where it reads."""
    made = {}
    for name, tensor in model.input.items():
        shape = (batch, *tensor.shape[1:])
        if tensor.dtype == "int32":
            tokens = vocabulary(model.get_layer(f"{name}_encoder"))
            made[name] = rng.integers(1, tokens, shape).astype("int32")
        elif "text" in model.input:
            made[name] = rng.integers(0, 256, shape).astype("float32")
        else:
            made[name] = rng.normal(size=shape).astype("float32")
    return made


def vocabulary(encoder):
    """Tokens that the embedding of a text encoder knows."""
    return next(
        layer.input_dim for layer in encoder.layers if hasattr(layer, "input_dim")
    )


def targets(model, x, rng):
    """What the model is to say, and the loss; neither for a retriever."""
    from keras_mmfusion.models import (
        FusionAutoencoder,
        FusionForecaster,
        FusionRetriever,
    )

    if isinstance(model, FusionRetriever):
        return None, None
    if isinstance(model, FusionAutoencoder):
        return x, dict.fromkeys(x, "mse")
    shape = (len(next(iter(x.values()))), *model.output_shape[1:])
    if isinstance(model, FusionForecaster):
        return rng.normal(size=shape).astype("float32"), "mse"
    return rng.integers(shape[-1], size=shape[:-1]), "sparse_categorical_crossentropy"
