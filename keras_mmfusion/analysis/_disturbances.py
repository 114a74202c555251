"""What may happen to the inputs of a model: noise, gaps, delays."""

import numbers

import numpy as np

# Kinds, their levels where none are given, and what a level is called.
LEVELS = {
    "noise": (20, 10, 5, 0, -5, -10, -20),
    "missing": (0.0, 0.25, 0.5, 0.75, 1.0),
    "misalignment": (0, 1, 2, 4, 8),
}
UNITS = {
    "noise": "signal-to-noise ratio in dB",
    "missing": "share of the samples",
    "misalignment": "shift in {}",
}


def checked_levels(kind, levels):
    """Levels as sorted numbers, each once; of noise, from weak to strong."""
    levels = [levels] if isinstance(levels, numbers.Number) else list(levels)
    expected, fits = {
        "noise": (
            "finite numbers, decibels, from -300 to 300",
            lambda v: abs(v) <= 300,
        ),
        "missing": ("shares from 0 to 1", lambda v: 0 <= v <= 1),
        "misalignment": (
            "whole numbers of steps or rows",
            lambda v: isinstance(v, numbers.Integral),
        ),
    }[kind]
    for level in levels or [None]:
        number = isinstance(level, numbers.Real) and not isinstance(level, bool)
        if not (number and fits(level)):
            raise ValueError(
                f"Levels of {kind!r} must be {expected}, at least one. "
                f"Received: {levels}"
            )
    whole = int if kind == "misalignment" else float
    return sorted({whole(level) for level in levels}, reverse=kind == "noise")


def changes(kind, level):
    """Whether a level changes anything at all."""
    return kind == "noise" or level != 0


def random(kind, level):
    """Whether other draws give other inputs."""
    return kind == "noise" or (kind == "missing" and 0 < level < 1)


def add_noise(x, decibels, rng):
    """White noise for each sample by its own power; NaN stays NaN."""
    # Here, since the command line imports `analysis`, and may not import keras.
    from keras_mmfusion.preprocessing.white_noise import add_white_noise

    ratio = 10 ** (decibels / 10)
    noisy = np.array(x, "float32", order="C")
    for sample in noisy.reshape(len(noisy), -1):
        known = np.isfinite(sample)
        if known.any():
            sample[known] = add_white_noise(sample[known], ratio, rng)
    return noisy


def remove(x, share, rng):
    """No input for a share of the samples; for more of them, the same and others."""
    gone = rng.permutation(len(x))[: round(share * len(x))]
    x = np.array(x)
    x[gone] = _nothing(x)
    return x


def shift(x, delta, along, edges):
    """Values that come `delta` steps, or samples, later."""
    axis = ("rows", "steps").index(along)
    wanted = np.arange(x.shape[axis]) - delta
    there = np.clip(wanted, 0, x.shape[axis] - 1)
    shifted = np.take(x, there, axis=axis)
    if edges == "missing":
        outside = wanted != there
        shifted[outside if axis == 0 else np.s_[:, outside]] = _nothing(x)
    return shifted


def _nothing(x):
    """What a model takes for missing: NaN, of integers the padding 0."""
    return np.nan if np.issubdtype(x.dtype, np.inexact) else 0
