"""Labelled beats on ECG paper."""

import numbers
from itertools import cycle

import numpy as np

from keras_mmfusion._checks import check_positive_number
from keras_mmfusion.analysis._ecg_paper import (
    GREY,
    INCH,
    INK,
    SPEED,
    add_strip,
    draw_paper,
    draw_scale,
    draw_trace,
    lead_to_draw,
    voltage_range,
)
from keras_mmfusion.analysis._figure_class import figure_class
from keras_mmfusion.datasets._checked_record import checked_record

# Okabe and Ito: told apart with every kind of colour vision, and in print.
COLOURS = {
    "N": "#5d6770",
    "S": "#0072b2",
    "V": "#c1440e",
    "F": "#008c6a",
    "Q": "#9a3f7d",
    "L": "#a6761d",
    "R": "#6a51a3",
    "A": "#0072b2",
}
# For classes of one's own, in their order.
OTHERS = ("#0072b2", "#c1440e", "#008c6a", "#a6761d", "#6a51a3", "#56b4e9", "#e69f00")
NAMES = {
    "N": "normal",
    "S": "supraventricular ectopic",
    "V": "ventricular ectopic",
    "F": "fusion",
    "Q": "unclassifiable",
    "L": "left bundle branch block",
    "R": "right bundle branch block",
    "A": "atrial premature",
}
MARK = "#ffd54a"
CAPTION = "Automatic labels for research and teaching. Not for diagnosis."

# In millimetres of paper.
_ROW_SECONDS = 10.0
_LEFT, _RIGHT, _TOP, _BOTTOM = 21.0, 6.0, 18.0, 13.0
_LANE, _PROBABILITIES, _GAP, _LEGEND = 6.0, 6.0, 8.0, 10.0


def plot_beats(
    record,
    labels,
    start=0.0,
    duration=30.0,
    reference=None,
    reference_name="reference",
    lead=None,
):
    """Draw labelled beats as strips of ECG paper.

    Rows of 10 s at 25 mm/s and 10 mm/mV (5 mm/mV for very tall beats). Above each
    R peak stands the class; below the strip, if given, the reference class,
    and below that the probabilities of all classes as a stack. Beats on which
    the two disagree are shaded.

    Args:
        record: `ECGRecord`.
        labels: `BeatLabels` of the record.
        start: float. First second to draw. Defaults to `0.0`.
        duration: float. Seconds to draw. Defaults to `30.0`.
        reference: Sequence of AAMI classes, one per beat of `labels`.
            Defaults to `None`.
        reference_name: str. Who gave the reference. Defaults to `"reference"`.
        lead: str. Lead to draw. Defaults to `None`: the first with a signal there.

    Returns:
        A matplotlib `Figure` that belongs to no window; call `savefig`.

    Raises:
        ValueError: `reference` has not one label per beat, or nothing of the
            record lies in the window.
        ImportError: matplotlib is not installed.

    Example:

    ```python
    from keras_mmfusion.analysis import plot_beats

    figure = plot_beats(record, labels, start=60, duration=20)
    figure.savefig("beats.png", dpi=160)
    ```
    """
    make_figure = figure_class("ecg")
    record = checked_record(record)
    if not hasattr(labels, "probabilities"):
        raise ValueError(
            "`labels` must be BeatLabels, as `predict_record` returns them. "
            f"Received: {type(labels).__name__}"
        )
    if reference is not None:
        reference = np.array(list(reference) if np.iterable(reference) else ())
        if len(reference) != len(labels):
            raise ValueError(
                "Expected one reference label for each beat. Received: "
                f"{len(reference)} labels for {len(labels)} beats."
            )
    check_positive_number(duration=duration)
    start = start if isinstance(start, numbers.Real) else np.nan
    stop = min(start + duration, record.duration)
    if not 0 <= start < stop:
        raise ValueError(
            f"Expected a window inside the record (0 to {record.duration:.1f} s). "
            f"Received: start={start}, duration={duration}"
        )
    if lead is None:
        lead = lead_to_draw(record, labels.leads or record.leads, start, stop)
    trace = record.signals[:, record.lead_index(lead)]
    low, high, gain = voltage_range(trace, record.fs, start, stop)
    rows = int(np.ceil((stop - start) / _ROW_SECONDS - 1e-9))
    below = _LANE if reference is not None else 0.0
    strip = (high - low) * gain
    row_height = _LANE + strip + below + _PROBABILITIES + _GAP
    seconds = min(_ROW_SECONDS, max(stop - start, 5.0))
    # On narrow paper the legend has no place beside the titles.
    head = _TOP if seconds == _ROW_SECONDS else _TOP + _LEGEND
    width = _LEFT + seconds * SPEED + _RIGHT
    height = head + rows * row_height - _GAP + 7.0 + _BOTTOM
    figure = make_figure(figsize=(width / INCH, height / INCH), facecolor="white")
    for row in range(rows):
        first = start + row * _ROW_SECONDS
        span = (first, first + seconds, min(first + seconds, stop))
        top = height - head - row * row_height - _LANE
        box = (_LEFT, top - strip, seconds * SPEED, strip)
        paper = add_strip(figure, box, width, height, span, (low, high))
        draw_paper(paper, span, low, high, gain)
        draw_trace(paper, trace, record.fs, span)
        _draw_labels(paper, labels, reference, trace, record.fs, span, gain)
        box = (box[0], box[1] - below - _PROBABILITIES - 1.0, box[2], _PROBABILITIES)
        bars = add_strip(figure, box, width, height, span, (0.0, 1.0))
        _draw_probabilities(bars, labels, span, last=row == rows - 1)
        if row == 0:
            draw_scale(paper, lead, span[0], high, gain)
        _name_lanes(figure, (paper, bars), reference_name if below else None, width)
    legend = height - (3.0 if head == _TOP else _TOP - 2.0)
    size = (width, height, legend)
    _draw_titles(figure, record, labels, (start, stop), reference, reference_name, size)
    return figure


def liveliest_window(labels, duration, length=30.0):
    """The stretch of a record with most to see.

    Args:
        labels: `BeatLabels`.
        duration: float. Length of the record in seconds.
        length: float. Length of the stretch in seconds. Defaults to `30.0`.

    Returns:
        `(start, length)` in seconds: the stretch with beats of most classes, and
        among those with the most beats other than N, or than the most common class
        where there is no N.
    """
    length = min(length, duration)
    starts = np.arange(0.0, max(duration - length, 0.0) + 1e-9, 5.0)
    kinds, beats = np.zeros((2, len(starts)))
    counts = {name: np.sum(labels.labels == name) for name in labels.classes}
    usual = "N" if "N" in counts else max(counts, key=counts.get)
    for name in set(counts) - {usual}:
        times = np.sort(labels.times[labels.labels == name])
        inside = np.searchsorted(times, starts + length - 0.5)
        inside = inside - np.searchsorted(times, starts + 0.5)
        kinds += inside > 0
        # A long run of one class shows less than a few of each.
        beats += np.minimum(inside, 8)
    best = int(np.argmax(kinds * 1000 + beats))
    return float(starts[best]), float(length)


def _colours(classes):
    """A colour for each class, those of one's own included."""
    own = [name for name in classes if name not in COLOURS]
    taken = {COLOURS.get(name) for name in classes}
    free = [colour for colour in OTHERS if colour not in taken] or OTHERS
    return {**COLOURS, **dict(zip(own, cycle(free), strict=False))}


def _draw_labels(axes, labels, reference, trace, fs, span, gain):
    low, high = axes.get_ylim()
    lane, under = high + 2.6 / gain, low - 3.4 / gain
    edges, colours = _edges(labels.times, span), _colours(labels.classes)
    size = 10 if max(map(len, labels.classes)) < 3 else 6.5  # words are wide
    for beat in np.flatnonzero((labels.times >= span[0]) & (labels.times < span[2])):
        time, label = labels.times[beat], labels.labels[beat]
        colour = colours.get(label, INK)
        ectopic = label != "N"
        near = trace[max(round((time - 0.1) * fs), 0) : round((time + 0.1) * fs) + 1]
        near = near[np.isfinite(near)]
        peak = min(float(near.max()), high) if len(near) else high
        axes.vlines(
            *(time, peak + 0.6 / gain, high + 0.6 / gain),
            color=colour,
            linewidth=1.1 if ectopic else 0.6,
            alpha=0.9 if ectopic else 0.5,
            zorder=2,
            clip_on=False,
        )
        style = {"ha": "center", "va": "center", "clip_on": False, "zorder": 5}
        weight = "bold" if ectopic else "normal"
        axes.text(time, lane, label, color=colour, size=size, weight=weight, **style)
        if reference is None:
            continue
        true = str(reference[beat])
        weight = "bold" if true != "N" else "normal"
        tint = colours.get(true, INK)
        axes.text(time, under, true, color=tint, fontsize=8.5, weight=weight, **style)
        if true != label:
            reach = min(0.3, *np.abs(edges[beat] - time))
            axes.fill_between(
                [time - reach, time + reach],
                low - 6.0 / gain,
                high + 5.2 / gain,
                color=MARK,
                alpha=0.4,
                linewidth=0,
                zorder=1,
                clip_on=False,
            )


def _name_lanes(figure, axes, reference_name, width):
    """Say in the left margin what the letters and the bars are."""
    paper, bars = (part.get_position() for part in axes)
    lanes = [("model", paper.y1 + 2.6 / INCH / figure.get_figheight())]
    if reference_name:
        lanes.append((reference_name, paper.y0 - 3.4 / INCH / figure.get_figheight()))
    lanes.append(("probability", (bars.y0 + bars.y1) / 2))
    for words, y in lanes:
        style = {"ha": "right", "va": "center", "fontsize": 7, "color": GREY}
        figure.text((_LEFT - 3.0) / width, y, words, **style)


def _edges(times, span):
    """Where the probabilities of each beat begin and end: half-way to the next."""
    if not len(times):
        return np.empty((0, 2))
    middle = (times[1:] + times[:-1]) / 2
    left = np.concatenate([[times[0] - 0.5], middle])
    right = np.concatenate([middle, [times[-1] + 0.5]])
    # A beat after a pause does not stand for the whole pause.
    left, right = np.maximum(left, times - 0.8), np.minimum(right, times + 0.8)
    return np.stack([left, right], axis=1)


def _draw_probabilities(axes, labels, span, last):
    edges = np.clip(_edges(labels.times, span), span[0], span[2])
    shown = np.flatnonzero(edges[:, 1] > edges[:, 0])
    left, wide = edges[shown, 0], np.diff(edges[shown], axis=1)[:, 0]
    floor = np.zeros(len(shown))
    # The common class in a pale tone, so that the others stand out.
    colours = {**_colours(labels.classes), "N": "#cfd3d6"}
    axes.axhspan(0, 1, color="#f2f1ef", zorder=0)
    for column, name in enumerate(labels.classes):
        height = labels.probabilities[shown, column]
        axes.bar(
            *(left + 0.008, height, wide - 0.016, floor),
            align="edge",
            color=colours[name],
            linewidth=0,
            zorder=1,
        )
        floor = floor + height
    axes.set_xticks(np.arange(np.ceil(span[0]), np.floor(span[2]) + 0.5))
    axes.set_xticklabels([f"{tick:g}" for tick in axes.get_xticks()], fontsize=6.5)
    axes.tick_params(length=2, width=0.5, color=INK, labelcolor=INK, pad=1.2)
    if last:
        axes.set_xlabel("seconds", fontsize=7.5, color=INK, labelpad=2)


def _draw_titles(figure, record, labels, window, reference, reference_name, size):
    from matplotlib.patches import Patch

    width, height, legend = size

    def text(x, y, words, **style):
        style = {"color": INK, "va": "center", **style}
        figure.text(x / width, y / height, words, **style)

    shown = (labels.times >= window[0]) & (labels.times < window[1])
    words = f"{shown.sum():,} beat{'' if shown.sum() == 1 else 's'}"
    if reference is not None:
        same = labels.labels[shown] == np.asarray(reference)[shown]
        words += f", {same.sum():,} of them labelled like the {reference_name}"
    begin, end = _clock(window[0]), _clock(window[1])
    text(_LEFT, height - 6.0, f"Record {record.name}", fontsize=13, weight="bold")
    text(_LEFT, height - 11.5, f"{begin} to {end}   ·   {words}", fontsize=9)
    colours = _colours(labels.classes)
    handles = [
        Patch(color=colours[name], label=f"{name}  {NAMES.get(name, '')}")
        for name in (*labels.classes, "Q")
    ]
    if reference is not None:
        handles.append(Patch(color=MARK, alpha=0.5, label="labels differ"))
    figure.legend(
        handles=handles,
        loc="upper right",
        bbox_to_anchor=(1 - _RIGHT / width, legend / height),
        ncols=3,
        frameon=False,
        fontsize=7.5,
        labelcolor=INK,
        handlelength=0.9,
        handleheight=0.9,
        borderaxespad=0,
        columnspacing=1.4,
    )
    text(_LEFT, 4.5, CAPTION, fontsize=7.5, style="italic")


def _clock(seconds):
    minutes, rest = divmod(round(seconds, 1), 60)
    hours, minutes = divmod(int(minutes), 60)
    rest = f"{rest:02.0f}" if rest == int(rest) else f"{rest:04.1f}"
    return f"{hours:d}:{minutes:02d}:{rest}"
