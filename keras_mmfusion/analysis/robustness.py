"""How much a model loses when its inputs are disturbed."""

from dataclasses import dataclass

import numpy as np

from keras_mmfusion._checks import check_choice, check_positive_int, check_seed
from keras_mmfusion.analysis import _disturbances as disturb
from keras_mmfusion.analysis._robustness_plan import checked_inputs, planned
from keras_mmfusion.analysis.robustness_plot import plot_robustness


@dataclass(frozen=True)
class RobustnessCurves:
    """What `robustness_curves` returns. Printed, it is a table.

    Attributes:
        rows: list of dict, one for each point of a curve, with the keys `"model"`,
            `"disturbance"`, `"modality"`, `"level"`, `"mean"` and `"sd"`, the sample
            standard deviation over the draws, and `"scores"`, one a draw. What is not
            random has one score and an `"sd"` of 0. Names of modalities that are
            disturbed together are joined by `" + "`.
        clean: dict, name of a model to its score on the inputs as they are.
        metric: str, name of the metric.
        samples: int, number of samples.
        units: dict, a disturbance to what its levels are.
    """

    rows: list
    clean: dict
    metric: str
    samples: int
    units: dict

    def plot(self, title=None):
        """matplotlib `Figure`, see `plot_robustness`."""
        return plot_robustness(self, title)

    def curve(self, model, disturbance, modality):
        """`(levels, means, sds)`, three arrays, empty if there is no such curve."""
        points = [
            (row["level"], row["mean"], row["sd"])
            for row in self.rows
            if (row["model"], row["disturbance"], row["modality"])
            == (model, disturbance, modality)
        ]
        return tuple(np.array(points, "float64").reshape(-1, 3).T)

    def __str__(self):
        models = list(self.clean)
        table = [["disturbance", "modality", "level", *models]]
        table.append(["none", "", "", *(f"{self.clean[m]:.4g}" for m in models)])
        places = {}
        for row in self.rows:
            place = (row["disturbance"], row["modality"], f"{row['level']:g}")
            score = f"{row['mean']:.4g}" + f" ± {row['sd']:.2g}" * (row["sd"] > 0)
            places.setdefault(place, {})[row["model"]] = score
        table += [[*place, *(s[m] for m in models)] for place, s in places.items()]
        widths = [max(map(len, column)) for column in zip(*table, strict=True)]
        lines = [
            "  ".join(cell.ljust(w) for cell, w in zip(line, widths, strict=True))
            for line in table
        ]
        head = f"{self.metric}, {self.samples} samples; levels: " + ", ".join(
            f"{kind} {unit}" for kind, unit in self.units.items()
        )
        return "\n".join([head, *(line.rstrip() for line in lines)])


def robustness_curves(
    model,
    x,
    y,
    disturbances=None,
    modalities=None,
    metric=None,
    repeats=3,
    seed=0,
    along="steps",
    edges="repeat",
    batch_size=64,
):
    """Score one model or several on inputs that are disturbed more and more.

    - `"noise"`: white noise. A level is the signal-to-noise ratio in decibels, with
      the mean square of each sample as its power, as in the layer `AddNoise`.
    - `"missing"`: a level is the share of the samples that lose the modality: NaN,
      or 0 where a modality holds integers, such as tokens. Those that lack it at one
      level lack it at every higher one.
    - `"misalignment"`: a level is the number of steps by which the modality comes too
      late against the others; negative, too early.

    All models are given the same disturbed inputs. Another level has the same draws.

    Args:
        model: Keras model of named inputs, such as `FusionClassifier`, or dict, a
            name to a model. A model that takes some of the modalities is given those.
        x: dict of arrays `(samples, ...)`, as for `model.predict`.
        y: Array `(samples, ...)`, the targets.
        disturbances: str or sequence of str of the above, or dict of them to their
            levels. Defaults to `None`: all three, as far as they apply.
        modalities: Sequence of str, each disturbed by itself, or of tuples of str,
            disturbed together. Defaults to `None`: each by itself, and for noise all
            of them together too. Integers are then left out of the noise, and shifts
            are made where a modality has more steps than the shift.
        metric: Callable `(y, predictions) -> float`. Defaults to `None`: accuracy,
            for integer targets.
        repeats: int. Draws of what is random. Defaults to `3`.
        seed: int. Defaults to `0`.
        along: `"steps"`, axis 1, or `"rows"`, the samples, if they are in the order
            of time: what misalignment shifts along. Defaults to `"steps"`.
        edges: What stands where a shift leaves nothing: `"repeat"`, the first or last
            value again, or `"missing"`, as above. Defaults to `"repeat"`.
        batch_size: int, of `model.predict`. Defaults to `64`.

    Returns:
        `RobustnessCurves`.

    Raises:
        ValueError: A name is unknown, a level is none, a modality cannot be disturbed
            so, or a model gives NaN on disturbed inputs.

    Example:

    ```python
    import keras
    import numpy as np
    from keras_mmfusion.analysis import robustness_curves

    audio, image = keras.Input((6, 4), name="audio"), keras.Input((6, 4), name="image")
    heard = keras.layers.GlobalAveragePooling1D()(audio)
    model = keras.Model({"audio": audio, "image": image}, keras.ops.softmax(heard))
    x = {name: np.random.rand(50, 6, 4) for name in ("audio", "image")}
    curves = robustness_curves(
        model, x, x["audio"].mean(axis=1).argmax(axis=1), {"noise": [40, 0, -20]}
    )
    print(curves)
    assert set(curves.curve("model", "noise", "image")[1]) == {1.0}  # it is not read
    curves.plot().savefig("robustness.png")
    ```

    Reference:
        Barnum et al., arXiv:2011.07191, section 4.1 and Fig. 2, for the noise.
        Gaps and shifts are ours.
    """
    check_positive_int(repeats=repeats, batch_size=batch_size)
    check_choice(("steps", "rows"), along=along)
    check_choice(("repeat", "missing"), edges=edges)
    check_seed(seed)
    if metric is not None and not callable(metric):
        raise ValueError(
            "`metric` must be a function (y, predictions) -> float, or None for the "
            f"accuracy. Received: metric={metric!r}"
        )
    models = dict(model) if isinstance(model, dict) else {"model": model}
    x, y, taken = checked_inputs(models, x, y)
    plan = planned(x, disturbances, modalities, along)
    metric = metric or _accuracy_of(y)
    title = getattr(metric, "__name__", "metric").replace("<lambda>", "metric")

    def scores(inputs, changed, where):
        """Of every model that takes what has changed; of others, as before."""
        found = {}
        for name, one in models.items():
            if changed is not None and not set(changed) & set(taken[name]):
                found[name] = clean[name]
                continue
            own = {key: inputs[key] for key in taken[name]}
            predictions = one.predict(own, batch_size=batch_size, verbose=0)
            _check_finite(predictions, name, where)
            found[name] = float(metric(y, predictions))
        return found

    clean = scores(x, None, "undisturbed inputs")
    rows = []
    for kind, names, level in plan:
        where = f"{kind!r} of {' + '.join(names)}, level {level:g}"
        draws = []
        for repeat in range(repeats if disturb.random(kind, level) else 1):
            if not disturb.changes(kind, level):
                draws.append(clean)
                continue
            disturbed = _disturbed(x, kind, names, level, (seed, repeat), along, edges)
            draws.append(scores({**x, **disturbed}, names, where))
        for name in models:
            values = np.array([draw[name] for draw in draws])
            rows.append(
                {
                    "model": name,
                    "disturbance": kind,
                    "modality": " + ".join(names),
                    "level": level,
                    "mean": float(values.mean()),
                    "sd": float(values.std(ddof=1)) if len(values) > 1 else 0.0,
                    "scores": values.tolist(),
                }
            )
    kinds = dict.fromkeys(kind for kind, _, _ in plan)
    units = {kind: disturb.UNITS[kind].format(along) for kind in kinds}
    return RobustnessCurves(rows, clean, title, len(y), units)


def _disturbed(x, kind, names, level, seed, along, edges):
    """The modalities of these names, disturbed."""
    if kind == "misalignment":
        return {name: disturb.shift(x[name], level, along, edges) for name in names}
    if kind == "missing":
        # Together: of the same samples.
        return {
            name: disturb.remove(x[name], level, np.random.default_rng(seed))
            for name in names
        }
    # The noise of a modality is its own, whichever others are disturbed with it.
    return {
        name: disturb.add_noise(
            x[name], level, np.random.default_rng([*seed, list(x).index(name)])
        )
        for name in names
    }


def _accuracy_of(y):
    if not (np.issubdtype(y.dtype, np.integer) or y.dtype == bool):
        raise ValueError(
            "`metric` must be given where targets are not integers. Received: targets "
            f"of {y.dtype}. Pass a function (y, predictions) -> float."
        )
    return accuracy


def accuracy(y, predictions):
    """Share of the targets that are met: the largest of the classes, or above 0.5."""
    predictions = np.asarray(predictions)
    y = y[..., 0] if y.ndim == predictions.ndim and y.shape[-1] == 1 else y
    if predictions.shape[:-1] != y.shape:
        raise ValueError(
            "`y` must hold a class for every prediction, of shape "
            f"{predictions.shape[:-1]}. Received: shape {y.shape}. Or pass a `metric`."
        )
    classes = max(predictions.shape[-1], 2)
    if not np.isin(y, np.arange(classes)).all():
        raise ValueError(
            f"`y` must hold classes from 0 to {classes - 1}, as the model gives "
            f"{predictions.shape[-1]} values. Received: {np.unique(y)[:9].tolist()}. "
            "Or pass a `metric`."
        )
    if predictions.shape[-1] == 1:
        return np.mean((predictions[..., 0] > 0.5) == y)
    return np.mean(predictions.argmax(axis=-1) == y)


def _check_finite(predictions, name, where):
    import keras

    arrays = [np.asarray(part) for part in keras.tree.flatten(predictions)]
    if not all(np.isfinite(part).all() for part in arrays):
        raise ValueError(
            f"The model {name!r} must give finite predictions. Received: NaN or "
            f"infinity on {where}. A model that does not take NaN for what is missing "
            "can be disturbed by 'noise' and, with edges='repeat', by 'misalignment'."
        )
