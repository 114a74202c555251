"""Scores of models on inputs that are disturbed more and more."""

import math

import numpy as np

from keras_mmfusion.analysis._figure_class import figure_class

GREY = "#5d6770"


def plot_robustness(curves, title=None):
    """Draw the curves of `robustness_curves`, with bands of a standard deviation.

    Of one model, a panel is a disturbance and a colour a modality. Of several, a panel
    is a disturbance of a modality and a colour a model. Noise grows to the right. A
    dotted line is the score on the inputs as they are.

    Args:
        curves: `RobustnessCurves`.
        title: str, above all. Defaults to `None`.

    Returns:
        matplotlib `Figure` that belongs to no window; call `savefig`.

    Raises:
        ImportError: matplotlib is not installed.

    Example:

    ```python
    import keras
    import numpy as np
    from keras_mmfusion.analysis import plot_robustness, robustness_curves

    a, b = keras.Input((8, 2), name="a"), keras.Input((8, 2), name="b")
    means = [keras.ops.mean(values, axis=1) for values in (a, b)]
    model = keras.Model({"a": a, "b": b}, keras.ops.softmax(means[0] + means[1]))
    x = {name: np.random.rand(50, 8, 2) for name in ("a", "b")}
    y = (x["a"] + x["b"]).mean(axis=1).argmax(axis=1)
    curves = robustness_curves(model, x, y, ["noise", "misalignment"])
    plot_robustness(curves, "a sum").savefig("robustness.png")
    ```
    """
    make_figure = figure_class()
    models = list(curves.clean)
    kinds = list(curves.units)
    of_kind = {
        kind: list(
            dict.fromkeys(
                row["modality"] for row in curves.rows if row["disturbance"] == kind
            )
        )
        for kind in kinds
    }
    modalities = list(dict.fromkeys(name for kind in kinds for name in of_kind[kind]))
    alone = len(models) == 1
    most = max(map(len, of_kind.values()))
    shape = (1, len(kinds)) if alone else (len(kinds), most)
    figure = make_figure(
        figsize=(0.7 + 3.1 * shape[1], 0.9 + 2.5 * shape[0]),
        dpi=110,
        layout="constrained",
    )
    grid = figure.subplots(*shape, squeeze=False, sharey=True)
    for axes in grid.flat:
        axes.set_axis_off()
    for row, kind in enumerate(kinds):
        for column, modality in enumerate(of_kind[kind]):
            axes = grid[0, row] if alone else grid[row, column]
            axes.set_axis_on()
            axes.set_title(kind if alone else f"{kind}: {modality}", fontsize=10)
            _dress(axes, kind, curves)
            for number, model in enumerate(models):
                chosen = modalities.index(modality) if alone else number
                clean = GREY if alone else f"C{chosen}"
                axes.axhline(curves.clean[model], ls=":", lw=1.0, color=clean)
                label = modality if alone else model
                _draw(axes, curves.curve(model, kind, modality), f"C{chosen}", label)
    for axes in grid[:, 0]:
        axes.set_ylabel(curves.metric, fontsize=9)
    handles = {}
    for axes in grid.flat:
        lines, labels = axes.get_legend_handles_labels()
        handles |= dict(zip(labels, lines, strict=True))
    names = modalities if alone else models
    rows = math.ceil(len(names) / (2 * shape[1]))
    figure.legend(
        [handles[name] for name in names],
        names,
        loc="outside lower center",
        ncols=math.ceil(len(names) / rows),
        frameon=False,
        fontsize=9,
    )
    if title:
        figure.suptitle(title, fontsize=11)
    return figure


def _draw(axes, curve, colour, label):
    levels, means, deviations = curve
    axes.plot(levels, means, "o-", color=colour, label=label, lw=1.6, ms=3.5)
    if np.any(deviations > 0):
        low, high = means - deviations, means + deviations
        axes.fill_between(levels, low, high, color=colour, alpha=0.18, lw=0)


def _dress(axes, kind, curves):
    axes.set_xlabel(curves.units[kind], fontsize=9)
    axes.tick_params(labelsize=8)
    axes.grid(alpha=0.25)
    if kind == "noise" and not axes.xaxis_inverted():
        axes.invert_xaxis()
    if kind == "misalignment":
        axes.locator_params(axis="x", integer=True)
    if kind == "missing":
        axes.xaxis.set_major_formatter(lambda value, _: f"{value:.0%}")
    if curves.metric == "accuracy":
        axes.set_ylim(-0.03, 1.03)
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
