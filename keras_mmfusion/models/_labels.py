"""Numbers of classes that there are not, which not every backend tells of."""

import keras
import numpy as np


def check_labels(y, sample_weight, model):
    """Raise for labels that are no classes of a model with a sparse loss.

    JAX counts none of their loss, and so trains on the others alone. Only arrays are
    looked at, not tensors, and of these what the loss and the weights do not leave out.
    """
    loss = getattr(model, "loss", None)
    loss = keras.losses.get(loss) if isinstance(loss, str) else loss
    ignored = None
    if isinstance(loss, keras.losses.SparseCategoricalCrossentropy):
        ignored = loss.ignore_class
    elif loss is not keras.losses.sparse_categorical_crossentropy:
        return
    classes = model.output.shape[-1]
    listed = isinstance(y, (list, tuple)) and len(y) and np.ndim(y[0]) == 0
    kind = getattr(getattr(y, "dtype", None), "kind", "")
    # Pandas has text among objects.
    named = kind in ("S", "U") or (
        kind == "O" and any(isinstance(label, str) for label in np.ravel(y))
    )
    if listed or named:
        raise ValueError(
            "Labels must be an array of the numbers of the classes, from 0 to "
            f"{classes - 1}. Received: {'a list' if listed else 'names'} in `y`. "
            "numpy.asarray(y) makes an array of a list, and numpy.unique(y, "
            "return_inverse=True)[1] numbers of names."
        )
    if not isinstance(y, np.ndarray) or kind not in "biuf":
        return
    wrong = ~((y >= 0) & (y < classes))
    if ignored is not None:
        wrong &= y != ignored
    if isinstance(sample_weight, np.ndarray) and sample_weight.size == y.size:
        wrong &= sample_weight.reshape(y.shape) != 0
    if wrong.any():
        found = np.unique(y[wrong])[:5].tolist()
        raise ValueError(
            f"Labels must be numbers of the classes, from 0 to {classes - 1}. "
            f"Received: {found} in `y`, {wrong.sum()} of {y.size}. Number them by "
            "numpy.unique(y, return_inverse=True)[1], or make a model of more "
            "`num_classes`. To leave some out, mark them by -1 for "
            "keras.losses.SparseCategoricalCrossentropy(ignore_class=-1)."
        )
