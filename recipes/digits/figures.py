"""Heat maps of the digits study, over the noise of both modalities."""

import data
import numpy as np
import scoring
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

DPI = 110


def heat_maps(grids, noise):
    """Accuracy of each network over both noises, and what early fusion gains.

    What a network does not see or hear changes nothing: it has stripes.

    Args:
        grids: dict, as from `scoring.read`.
        noise: `"noisy"` or `"original"`, what the networks were trained with.

    Returns:
        matplotlib `Figure`.
    """
    networks = [n for n in ("initial", "second", "fc", "image", "sound") if n in grids]
    differences = scoring.comparisons(grids)
    figure = Figure(figsize=(4 * len(networks), 7.4), dpi=DPI, layout="constrained")
    axes = figure.subplots(2, len(networks), squeeze=False)
    for (top, bottom), network in zip(axes.T, networks, strict=True):
        accuracy, _ = scoring.summary(grids[network])
        accuracy = np.broadcast_to(accuracy, [len(data.LEVELS)] * 2)
        key = _heat_map(top, accuracy, "viridis", 0.0, 1.0)
        top.set_title(f"{network}: accuracy")
        _mark(top, data.NOISE[noise])
        if network not in differences:
            bottom.axis("off")
            continue
        found = differences[network]
        limit = max(0.02, float(np.abs(found["difference"]).max()))
        shown = _heat_map(bottom, found["difference"], "RdBu", -limit, limit)
        _mark(bottom, data.NOISE[noise])
        sure = np.abs(found["difference"]) > 2 * found["spread"]
        rows, columns = np.nonzero(sure)
        bottom.plot(columns, rows, ".", color="#222222", markersize=4)
        bottom.set_title(f"initial − {network}")
        figure.colorbar(shown, ax=bottom, shrink=0.8, label="difference of accuracy")
    if differences:
        axes[1, 0].text(
            0.0,
            0.95,
            "Blue: the network that fuses\nin its first layer is better.\n"
            "Dots: by more than two standard\ndeviations over seeds.\n"
            "Square: the noise of training.",
            va="top",
            transform=axes[1, 0].transAxes,
        )
    figure.colorbar(key, ax=axes[0, -1], shrink=0.8, label="accuracy")
    return figure


def _heat_map(axes, values, colours, low, high):
    image = axes.imshow(values, cmap=colours, vmin=low, vmax=high)
    ticks = ["orig.", *(f"{level:g}" for level in data.LEVELS[1:])]
    axes.set_xticks(range(values.shape[1]), ticks, rotation=60)
    axes.set_yticks(range(values.shape[0]), ticks)
    axes.set_xlabel("signal-to-noise ratio of the image")
    axes.set_ylabel("signal-to-noise ratio of the sound")
    return image


def _mark(axes, snr):
    """A square around the levels of training, where there is one of each."""
    if any(isinstance(level, tuple) for level in snr.values()):
        return
    row, column = (data.LEVELS.index(snr.get(m)) for m in ("sound", "image"))
    square = Rectangle((column - 0.5, row - 0.5), 1, 1, fill=False, edgecolor="white")
    axes.add_patch(square)
