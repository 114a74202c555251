"""What goes into the three channels, and what comes out (the paper's Fig. 6)."""

import numpy as np
from matplotlib.figure import Figure

SHOWN = 5  # triples


def reconstructions(images, outputs):
    """Draw images of each channel and what models make of them.

    Args:
        images: dict, channel to `(triples, 28, 28, 1)`.
        outputs: dict, title of a row to a dict as `images`.

    Returns:
        matplotlib `Figure`: a block of columns a channel, a row for the input and one
        for each of `outputs`.
    """
    rows = {"input": images, **outputs}
    figure = Figure(
        figsize=(1.6 + 0.62 * SHOWN * len(images), 0.35 + 0.66 * len(rows)), dpi=140
    )
    grid = figure.add_gridspec(
        1, len(images), left=0.13, right=0.995, top=0.93, bottom=0.01, wspace=0.04
    )
    for column, name in enumerate(images):
        axes = figure.add_subplot(grid[column])
        axes.imshow(
            np.concatenate([_strip(of[name]) for of in rows.values()]),
            cmap="gray",
            vmin=0,
            vmax=1,
            aspect="auto",
        )
        axes.set_title(name.replace("_", " "), fontsize=10)
        axes.set_xticks([])
        side = images[name].shape[1]
        middles = side * (np.arange(len(rows)) + 0.5)
        axes.set_yticks(middles, list(rows) if column == 0 else [""] * len(rows))
        axes.tick_params(length=0, labelsize=9)
        for edge in range(1, len(rows)):
            axes.axhline(edge * side - 0.5, color="#666666", linewidth=0.6)
    return figure


def _strip(images):
    return np.concatenate(list(images[:SHOWN, :, :, 0]), axis=1)
