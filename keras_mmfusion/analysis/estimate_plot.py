"""What networks estimated, over their training."""

import numpy as np

from keras_mmfusion.analysis._figure_class import figure_class

SMOOTHED = 5
GREY = "#5d6770"


def plot_estimates(results):
    """Draw estimates over the training, one colour a result.

    Thin lines are the restarts on held-out samples, the thick one is the moving average
    of their mean. Dots are the training batches: far above the thick line, the networks
    learn their samples by heart. The number is the estimate.

    Args:
        results: dict, a title to what `mutual_information` or `deep_correlation`
            returned, all by one of them.

    Returns:
        matplotlib `Figure`.

    Raises:
        ValueError: There is no result, or they are of two kinds.

    Example:

    ```python
    import numpy as np
    from keras_mmfusion.analysis import mutual_information, plot_estimates

    rng = np.random.default_rng(0)
    voice = rng.normal(size=(500, 2))
    results = {
        title: mutual_information(
            voice, voice + noise * rng.normal(size=(500, 2)), steps=200, restarts=1
        )
        for title, noise in {"quiet": 0.5, "loud": 2.0}.items()
    }
    plot_estimates(results).savefig("estimates.png")
    ```

    Reference:
        MCWSA-CMHA, Fig. 8 and 9.
    """
    values = results.values() if isinstance(results, dict) else ()
    quantities = {getattr(result, "quantity", "another") for result in values}
    if len(quantities) != 1 or "another" in quantities:
        raise ValueError(
            "`results` must be a dict of results of one function, at least one. "
            f"Received: {sorted(quantities)}. Draw a figure for each."
        )
    figure = figure_class()(figsize=(6.4, 4.0), dpi=110, layout="constrained")
    axes = figure.subplots()
    for number, (title, result) in enumerate(results.items()):
        _draw(axes, title, result, f"C{number}")
    axes.plot([], [], ":", color=GREY, linewidth=1.2, label="training batches")
    axes.axhline(0, color=GREY, linewidth=0.8)
    axes.set_xlabel("training steps")
    axes.set_ylabel(quantities.pop())
    axes.grid(alpha=0.25)
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
    figure.legend(loc="outside upper left", ncols=3, frameon=False, fontsize=9)
    return figure


def _draw(axes, title, result, colour):
    steps, held_out = result.history["step"], result.history["held_out"]
    axes.plot(steps, held_out.T, color=colour, linewidth=0.6, alpha=0.4)
    train = result.history["train"].mean(axis=0)
    axes.plot(steps, train, ":", color=colour, linewidth=1.2)
    label = f"{title}: {result.estimate:.2f}" if title else f"{result.estimate:.2f}"
    smooth = _moving_average(held_out.mean(axis=0))
    axes.plot(steps, smooth, color=colour, linewidth=2.2, label=label)


def _moving_average(values):
    """Over `SMOOTHED` values around each; towards the ends over fewer."""
    last = len(values) - 1
    reaches = [min(SMOOTHED // 2, i, last - i) for i in range(last + 1)]
    return np.array([values[i - r : i + r + 1].mean() for i, r in enumerate(reaches)])
