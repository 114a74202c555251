"""What a fusion attends to, as numbers and as a picture."""

import numbers
import re

import numpy as np

from keras_mmfusion.analysis._figure_class import figure_class

COLUMNS = 3
NOTHING = "#d9dce0"


def attention_map(model, x, sample=0, head=None, only=None):
    """The attention weights of a model's fusion, and their picture.

    One panel for each attention of the fusion: a row is a step that asks, a column
    a step that it attends to, and the numbers of a row sum to 1. All panels have
    one scale of colours. What is masked or missing is grey.

    Args:
        model: `FusionClassifier`, `BeatClassifier` or `BeatEnsemble`, all of whose
            heads count, with a fusion that has attention: `"atd"`, `"step"`,
            `"cascade"`, `"zoom_shift"`, `"mult"`, `"cross_attention"`.
        x: dict of arrays, as for `model.predict`.
        sample: int. The sample to draw. Defaults to `0`.
        head: int. The head to draw. Defaults to `None`, the mean over heads.
        only: Sequence of str, names of the attentions to draw, such as
            `["ecg → rhythm"]`. Defaults to `None`, all.

    Returns:
        `(scores, figure)`: a dict of arrays `(samples, heads, steps, steps)`, see
        `FusionClassifier.attention_scores`, and a matplotlib `Figure` that belongs
        to no window; call `savefig`.

    Raises:
        ValueError: The fusion has no attention, or there is no such sample, head or
            name.
        ImportError: matplotlib is not installed.

    Example:

    ```python
    import numpy as np
    from keras_mmfusion.analysis import attention_map
    from keras_mmfusion.models import FusionClassifier

    model = FusionClassifier(
        inputs={"load": (24, 7), "calendar": (12, 4)},
        encoders={"load": None, "calendar": None},
        fusion="cross_attention",
    )
    x = {"load": np.random.rand(2, 24, 7), "calendar": np.random.rand(2, 12, 4)}
    scores, figure = attention_map(model, x)
    assert scores["load → calendar"].shape == (2, 4, 24, 12)
    figure.savefig("attention.png", dpi=160)
    ```

    Reference:
        Ours; no equation of the papers.
    """
    make_figure = figure_class()
    if not hasattr(model, "attention_scores"):
        raise ValueError(
            "`model` must be a FusionClassifier, BeatClassifier or BeatEnsemble. "
            f"Received: {type(model).__name__}"
        )
    scores = model.attention_scores(x)
    only = [only] if isinstance(only, str) else only
    names = list(scores if only is None else only)
    unknown = [name for name in names if name not in scores]
    if unknown or not names:
        raise ValueError(f"`only` must hold some of {list(scores)}. Received: {only}")
    samples, heads = scores[names[0]].shape[:2]
    for name, number, count in (("sample", sample, samples), ("head", head, heads)):
        if number is None and name == "head":
            continue
        whole = isinstance(number, numbers.Integral) and not isinstance(number, bool)
        if not whole or not 0 <= number < count:
            raise ValueError(
                f"`{name}` must be from 0 to {count - 1}. Received: {name}={number!r}"
            )
    drawn = {}
    for name in names:
        weights = np.asarray(scores[name][sample], "float32")
        weights = weights.mean(0) if head is None else weights[head]
        drawn[name] = _without_nothing(weights)
    of_what = "mean over heads" if head is None else f"head {head}"
    return scores, _draw(make_figure, drawn, f"Attention, {of_what}, sample {sample}")


def _without_nothing(weights):
    """NaN where a step has nothing to attend to, or is itself never attended to."""
    rows = weights.sum(1, keepdims=True) > 0
    columns = weights.sum(0, keepdims=True) > 0
    return np.where(rows & columns, weights, np.nan)


def _draw(make_figure, drawn, title):
    columns = min(COLUMNS, len(drawn))
    rows = -(-len(drawn) // columns)
    figure = make_figure(
        figsize=(3.6 * columns + 0.9, 3.3 * rows + 0.5),
        facecolor="white",
        layout="constrained",
    )
    figure.suptitle(title, fontsize=11)
    grid = figure.subplots(rows, columns, squeeze=False)
    for axes in grid.flat[len(drawn) :]:
        axes.set_axis_off()
    known = [w[np.isfinite(w)] for w in drawn.values()]
    top = max((w.max() for w in known if len(w)), default=1.0)
    panels = []
    for axes, (name, weights) in zip(grid.flat, drawn.items(), strict=False):
        asking, asked = name.split(" → ")
        asked = re.sub(r" \d+$", "", asked)  # the number of the layer
        panels.append(
            axes.imshow(
                weights,
                cmap="magma_r",
                vmin=0,
                vmax=top,
                aspect="auto",
                interpolation="nearest",
            )
        )
        axes.set_facecolor(NOTHING)
        axes.set_title(name, fontsize=10)
        axes.set_ylabel(f"step of {asking}", fontsize=8)
        axes.set_xlabel(f"step of {asked} attended to", fontsize=8)
        axes.tick_params(labelsize=7)
        axes.locator_params(integer=True)
        if not np.isfinite(weights).any():
            axes.text(0.5, 0.5, "missing", transform=axes.transAxes, ha="center")
    bar = figure.colorbar(panels[0], ax=grid, shrink=0.8)
    bar.set_label("weight", fontsize=8)
    bar.ax.tick_params(labelsize=7)
    return figure
