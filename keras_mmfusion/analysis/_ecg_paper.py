"""ECG paper: axes at a true scale, grid, trace and calibration pulse."""

import numpy as np

INK, GREY, PAPER = "#1c1f26", "#5d6770", "#fffdfb"
FINE, BOLD = "#f8e3df", "#eebfb7"
# Sizes are in millimetres of paper; an inch has 25.4.
INCH = 25.4
SPEED = 25.0


def lead_to_draw(record, names, start, stop):
    """The first of these leads with a signal in the window, else the first."""
    # Imports Keras, which commands do once they have chosen a backend.
    from keras_mmfusion.preprocessing._interruptions import silent

    part = slice(round(start * record.fs), max(round(stop * record.fs), 1))
    columns = [record.lead_index(name) for name in names]
    none = silent(record.signals[part][:, columns], record.fs)
    return names[int(np.argmin(none))]


def voltage_range(trace, fs, start, stop):
    """Lowest and highest millivolt of the strips, and millimetres per millivolt."""
    part = trace[round(start * fs) : max(round(stop * fs), round(start * fs) + 2)]
    part = part[np.isfinite(part)]
    if not len(part):
        return -1.5, 1.5, 10.0
    low = np.floor((np.quantile(part, 0.0005) - 0.1) * 2) / 2
    high = np.ceil((np.quantile(part, 0.9995) + 0.1) * 2) / 2
    gain = 10.0 if high - low <= 5.0 else 5.0
    middle = (low + high) / 2
    reach = np.clip((high - low) / 2, 1.25, 5.0)
    return float(middle - reach), float(middle + reach), gain


def add_strip(figure, box, width, height, span, limits):
    """Axes in `box` (left, bottom, width, height in mm) of a page, without frame."""
    left, bottom, wide, tall = box
    axes = figure.add_axes((left / width, bottom / height, wide / width, tall / height))
    axes.set_xlim(span[0], span[1])
    axes.set_ylim(*limits)
    axes.set_xticks([])
    axes.set_yticks([])
    for side in axes.spines.values():
        side.set_visible(False)
    return axes


def draw_paper(axes, span, low, high, gain):
    """Lines every millimetre, stronger ones every five."""
    axes.set_facecolor(PAPER)
    for step, colour, size in ((1, FINE, 0.35), (5, BOLD, 0.6)):
        times = np.arange(round((span[1] - span[0]) * SPEED) + 1)[::step] / SPEED
        volts = low + np.arange(round((high - low) * gain) + 1)[::step] / gain
        style = {"colors": colour, "linewidth": size, "zorder": 0, "clip_on": False}
        axes.vlines(span[0] + times, low, high, **style)
        axes.hlines(volts, span[0], span[1], **style)


def draw_trace(axes, trace, fs, span):
    """The lead in ink; missing samples are gaps."""
    first, last = round(span[0] * fs), round(span[2] * fs) + 1
    values = trace[first:last]
    times = (first + np.arange(len(values))) / fs
    axes.plot(times, values, color=INK, linewidth=0.85, zorder=3)
    if not np.isfinite(values).any():
        axes.text(*(span[0] + 0.5, 0.5 * sum(axes.get_ylim())), "no signal", color=INK)


def draw_scale(axes, name, start, high, gain):
    """In the left margin: lead, calibration pulse of 1 mV and 0.2 s, scales."""
    foot = high - 1 - 5.0 / gain
    times = start - np.array([0.40, 0.36, 0.36, 0.16, 0.16, 0.12])
    volts = foot + np.array([0, 0, 1, 1, 0, 0])
    axes.plot(times, volts, color=INK, linewidth=0.85, clip_on=False)
    style = {"color": INK, "ha": "center", "fontsize": 6.5}
    top, bottom = foot + 1 + 1.5 / gain, foot - 1.2 / gain
    bold = {**style, "fontsize": 8.5, "weight": "bold"}
    axes.text(start - 0.26, top, name, va="bottom", **bold)
    scales = f"{gain:g} mm/mV\n{SPEED:g} mm/s"
    axes.text(start - 0.4, bottom, scales, va="top", linespacing=1.35, **style)
