"""Errors of reconstruction, of models and of principal components."""

import json
from pathlib import Path

import architecture
import numpy as np

PCA = {"pca": architecture.CODE // len(architecture.CHANNELS), "pca_joint": None}


def errors(outputs, images):
    """Mean squared error of each channel and of all, pixels from 0 to 1."""
    found = {
        f"mse_{name}": float(np.mean(np.square(outputs[name] - images[name])))
        for name in images
    }
    return {"mse": float(np.mean(list(found.values()))), **found}


def principal_components(training, images):
    """Reconstructions by principal components of the training images.

    Args:
        training: dict of arrays `(images, 28, 28, 1)` from 0 to 1, triples.
        images: dict of the same.

    Returns:
        dict, `"pca"` with a third of the numbers of a code for each channel, and
        `"pca_joint"` with one code for all: dicts as `images`.
    """
    sizes = [np.prod(of.shape[1:]) for of in images.values()]
    flat, known = ({n: of.reshape(len(of), -1) for n, of in d.items()}
                   for d in (images, training))  # fmt: skip
    found = {"pca": {n: _project(known[n], flat[n], PCA["pca"]) for n in flat}}
    whole = _project(
        np.concatenate(list(known.values()), axis=1),
        np.concatenate(list(flat.values()), axis=1),
        architecture.CODE,
    )
    parts = np.split(whole, np.cumsum(sizes)[:-1], axis=1)
    found["pca_joint"] = dict(zip(flat, parts, strict=True))
    return {
        name: {n: of[n].reshape(images[n].shape) for n in images}
        for name, of in found.items()
    }


def _project(training, images, count):
    """Images from their first `count` principal components."""
    mean = training.mean(axis=0)
    _, vectors = np.linalg.eigh(np.cov((training - mean).T, bias=True))
    kept = vectors[:, -count:]
    return (images - mean) @ kept @ kept.T + mean


def read(output):
    """`{model: {seed: errors}}` of all that was scored, and of PCA."""
    found = {}
    for name in (*architecture.MODELS, *PCA):
        files = sorted(Path(output, name).glob("seed*/test.json"))
        if files:
            found[name] = {
                int(file.parent.name.removeprefix("seed")): json.loads(file.read_text())
                for file in files
            }
    return found
