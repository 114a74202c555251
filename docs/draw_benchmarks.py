"""The chart of docs/benchmarks.md: times, pictures, memory."""

BACKENDS = {"tensorflow": "TensorFlow", "jax": "JAX", "torch": "PyTorch"}
COLORS = {"tensorflow": "#e07b00", "jax": "#3366aa", "torch": "#c02942"}


def draw(results, path, mark):
    import matplotlib

    matplotlib.use("agg")
    from matplotlib import pyplot as plt

    # The same numbers give the same file.
    plt.rcParams |= {"svg.hashsalt": "benchmarks", "font.size": 9}
    figure, axes = plt.subplots(1, 3, figsize=(13, 4.6), width_ratios=(5, 4, 4))
    _draw_times(axes[0], results["fusions"])
    _draw_pictures(axes[1], results["pictures"])
    _draw_memory(axes[2], results["attention_memory"])
    figure.tight_layout()
    metadata = {"Date": None, "Description": mark} if path.suffix == ".svg" else None
    figure.savefig(path, metadata=metadata, dpi=110)
    plt.close(figure)


def _bars(axis, rows, name, value):
    """Groups of horizontal bars, one colour a backend; returns the heights."""
    groups = list(dict.fromkeys(row[name] for row in rows))
    for i, (backend, title) in enumerate(BACKENDS.items()):
        mine = {row[name]: value(row) for row in rows if row["backend"] == backend}
        heights = [groups.index(group) + (i - 1) * 0.27 for group in mine]
        axis.barh(
            heights, list(mine.values()), 0.25, color=COLORS[backend], label=title
        )
    axis.set_yticks(range(len(groups)), groups)
    axis.invert_yaxis()
    axis.grid(axis="x", alpha=0.3)
    return {group: height for height, group in enumerate(groups)}


def _legend(axis):
    """Below the axis, where it hides nothing."""
    where = {"loc": "upper center", "bbox_to_anchor": (0.5, -0.15)}
    axis.legend(fontsize=7, ncols=4, frameon=False, columnspacing=1.2, **where)


def _logarithmic(axis, base=10):
    """With ticks that are written out."""
    getattr(axis.axes, f"set_{axis.axis_name}scale")("log", base=base)
    axis.set_major_formatter("{x:g}")


def _draw_times(axis, rows):
    rows = [row for row in rows if row["call"] == "step"]
    heights = _bars(axis, rows, "fusion", lambda row: float(row["ms"]))
    marks = {}
    for row in rows:
        if row["reference"] and row["reference"] != "by hand":
            marks[row["fusion"], row["reference"]] = float(row["reference_ms"])
    shapes = iter("Ds^v")
    for (fusion, reference), value in marks.items():
        axis.plot(
            [value], [heights[fusion]], next(shapes), color="black", label=reference
        )
    _logarithmic(axis.xaxis)
    axis.set_xlabel("ms of processor time")
    axis.set_title("One training step")
    _legend(axis)


def _draw_pictures(axis, rows):
    _bars(axis, rows, "picture", lambda row: 1 / float(row["ratio"]))
    axis.axvline(1, color="black", linewidth=1)
    _logarithmic(axis.xaxis)
    axis.set_xlabel("times as fast as pyts (line: equally fast)")
    axis.set_title("Series as pictures, jitted")
    _legend(axis)


def _draw_memory(axis, rows):
    rows = [row for row in rows if row["call"] == "step"]
    for backend, title in BACKENDS.items():
        mine = [row for row in rows if row["backend"] == backend]
        steps = [int(row["steps"]) for row in mine]
        sizes = [float(row["memory_mb"]) for row in mine]
        if steps:
            axis.plot(steps, sizes, "o-", color=COLORS[backend], label=title)
    steps = sorted({int(row["steps"]) for row in rows})
    most = max(float(row["memory_mb"]) for row in rows)
    for power, style, name in ((1, ":", "linear"), (2, "--", "quadratic")):
        line = [most * (s / steps[-1]) ** power for s in steps]
        axis.plot(steps, line, style, color="gray", label=name)
    _logarithmic(axis.xaxis, base=2)
    _logarithmic(axis.yaxis)
    axis.minorticks_off()
    axis.set_xticks(steps)
    axis.set_xlabel("steps of both modalities")
    axis.set_ylabel("MB")
    axis.set_title("Memory of attention, training step")
    axis.grid(alpha=0.3)
    _legend(axis)
