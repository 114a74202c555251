"""Which disturbances of which modalities, at which levels."""

import numpy as np

from keras_mmfusion.analysis._disturbances import LEVELS, checked_levels


def checked_inputs(models, x, y):
    """`x` and `y` as arrays, and the names that each model takes.

    Raises:
        ValueError: `x` is no dict, numbers of samples differ, there is no model, or
            one takes a modality that is not there.
    """
    if not isinstance(x, dict) or not x:
        raise ValueError(
            "`x` must be a dict, name of a modality to its array. "
            f"Received: {type(x).__name__}"
        )
    if not models:
        raise ValueError("`model` must be a model or a dict of them. Received: {}")
    for name, model in models.items():
        if not hasattr(model, "predict"):
            raise ValueError(
                "`model` must be a Keras model, or a dict, a name to a model. "
                f"Received: {type(model).__name__} for {name!r}"
            )
    x = {name: np.asarray(values) for name, values in x.items()}
    y = np.asarray(y)
    for name, values in x.items():
        if not (np.issubdtype(values.dtype, np.number) or values.dtype == bool):
            raise ValueError(
                f"Modality {name!r} must be an array of numbers. Received: an array of "
                f"{values.dtype}"
            )
    counts = {**{name: np.shape(v)[:1] for name, v in x.items()}, "y": y.shape[:1]}
    if len(set(counts.values())) > 1 or not all(v and v[0] for v in counts.values()):
        raise ValueError(
            "`x` and `y` must hold the same samples, at least one. Received: "
            + ", ".join(f"{v[0] if v else 'none'} of {k!r}" for k, v in counts.items())
        )
    taken = {}
    for name, model in models.items():
        try:
            inputs = model.input
        except AttributeError:  # not a functional model
            inputs = None
        taken[name] = list(inputs) if isinstance(inputs, dict) else list(x)
        lacking = [key for key in taken[name] if key not in x]
        if lacking:
            raise ValueError(
                f"`x` must hold the inputs of the model {name!r}, {taken[name]}. "
                f"Received: {list(x)}. Fill a modality that is missing with NaN."
            )
    return x, y, taken


def planned(x, disturbances, modalities, along):
    """`(kind, names, level)` of every point, in the order they are scored.

    Raises:
        ValueError: A kind, a name or a level is unknown or does not fit.
    """
    asked = disturbances
    if disturbances is None:
        asked = dict.fromkeys(LEVELS)
    elif isinstance(disturbances, str):
        asked = {disturbances: None}
    elif not isinstance(disturbances, dict):
        asked = dict.fromkeys(disturbances if np.iterable(disturbances) else ())
    unknown = [kind for kind in asked if kind not in LEVELS]
    if unknown or not asked:
        raise ValueError(
            f"`disturbances` must be among {list(LEVELS)}. Received: {disturbances!r}"
        )
    groups = None if modalities is None else _groups(x, modalities)
    plan = []
    for kind, levels in asked.items():
        some = levels is None  # of the default levels, those that fit
        levels = checked_levels(kind, LEVELS[kind] if some else levels)
        points = []
        for names in _default_groups(x, kind) if groups is None else groups:
            found = {level: _obstacle(x, kind, names, level, along) for level in levels}
            fits = [level for level, text in found.items() if text is None]
            if not some and len(fits) < len(levels):
                fits = []
            if not fits and groups is not None:
                raise ValueError(next(text for text in found.values() if text))
            points += [(kind, names, level) for level in fits]
        if not points and disturbances is not None:
            raise ValueError(
                f"`x` must hold a modality to which {kind!r} applies at these levels, "
                f"{levels}. Received: "
                + ", ".join(f"{k!r} {v.shape} of {v.dtype}" for k, v in x.items())
            )
        plan += points
    return plan


def _groups(x, modalities):
    one = isinstance(modalities, str) or not np.iterable(modalities)
    names = [modalities] if one else list(modalities)
    groups = [
        tuple(name) if isinstance(name, (list, tuple)) else (name,) for name in names
    ]
    if not groups or not all(g and set(g) <= set(x) for g in groups):
        raise ValueError(
            f"`modalities` must hold some of {list(x)}, or tuples of them. "
            f"Received: {modalities!r}"
        )
    return list(dict.fromkeys(groups))


def _default_groups(x, kind):
    alone = [(name,) for name in x]
    if kind != "noise":
        return alone
    floats = tuple(name for name in x if _is_float(x[name]))
    return alone + [floats] * (len(floats) > 1)


def _obstacle(x, kind, names, level, along):
    """Why modalities cannot be disturbed so, or None."""
    if kind == "noise":
        for name in names:
            if not _is_float(x[name]):
                return (
                    f"Noise is for modalities of floats. Received: {name!r} of "
                    f"{x[name].dtype}. Leave it out of `modalities`."
                )
    if kind == "misalignment":
        if set(names) == set(x):
            return (
                "'misalignment' must leave a modality to be shifted against. Received: "
                f"modalities {list(names)} of {list(x)}."
            )
        for name in names:
            steps = _length(x[name], along)
            if steps < 2 or abs(level) >= steps:
                return (
                    f"A shift must be less than the {along} of {name!r}, {steps}. "
                    f"Received: level {level}, shape {x[name].shape}. A modality "
                    "without time can be shifted by samples: along='rows'."
                )
    return None


def _length(values, along):
    """How many steps or rows there are to shift along."""
    if along == "rows":
        return len(values)
    # `(samples, features)` has no time, integers `(samples, tokens)` have.
    timed = values.ndim > 2 or (values.ndim == 2 and not _is_float(values))
    return values.shape[1] if timed else 1


def _is_float(values):
    return np.issubdtype(values.dtype, np.floating)
