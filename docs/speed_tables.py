"""Tables of docs/benchmarks.md that are not of one layer or model."""

from draw_benchmarks import BACKENDS
from make_results import table

NOT_YET = "Not measured yet."
NO_GPU = "Not measured yet: no GPU was at hand."


def streaming(rows):
    """Megabytes by the length of the archive, and the speed at its first length."""
    if not rows:
        return NOT_YET
    cells = []
    for row in rows:
        speed = ratio = ""
        if row["ratio"]:
            speed = f"{float(row['beats_per_s']):,.0f}"
            ends = (_two(row["ratio_min"]), _two(row["ratio_max"]))
            ratio = f"{_two(row['ratio'])} ({'–'.join(ends)})"
        beats = f"{row['times']} × {int(row['beats']) // int(row['times']):,}"
        sizes = [
            f"{float(row[key]):,.0f}" for key in ("open_mb", "peak_mb", "quarter_4_mb")
        ]
        cells.append([row["path"], beats, *sizes, speed, ratio])
    head = ["path", "beats", "first batch, MB", "at most, MB", "at the end, MB"]
    return table([*head, "beats/s", "beside in memory"], cells)


def labelling(rows):
    """Seconds of each stage, and how many times as long the plain loop takes."""
    if not rows:
        return NOT_YET
    cells = []
    for row in rows:
        median, *ends = (_two(row[key]) for key in ("median", "min", "max"))
        unit = "×" if row["unit"] == "x" else "s"
        spread = f" ({'–'.join(ends)})" if int(row["runs"]) > 1 else ""
        cells.append([row["stage"], f"{median} {unit}{spread}"])
    return table(["stage", f"{int(rows[0]['beats']):,} beats"], cells)


def importing(rows):
    """Milliseconds of imports, and what this package adds to Keras."""
    if not rows:
        return NOT_YET
    cells = [
        [
            BACKENDS[row["backend"]],
            row["import"],
            *(f"{1e3 * float(row[key]):.0f} ms" for key in ("median", "min", "max")),
        ]
        for row in rows
        if row["import"] != "ratio"
    ]
    return table(["backend", "import", "median", "least", "most"], cells)


def kept_memory(rows):
    """A step that keeps memory beside one that does not, and the pages they map."""
    if not rows:
        return NOT_YET
    cells = []
    for row in rows:
        ends = (_two(row["ratio_min"]), _two(row["ratio_max"]))
        times = (f"{_two(row[key])} ms" for key in ("reference_ms", "ms"))
        pages = (f"{int(row[key]):,}" for key in ("reference_faults", "faults"))
        ratio = f"{_two(row['ratio'])} ({'–'.join(ends)})"
        cells.append([f"`{row['model']}`", *times, ratio, *pages])
    head = ["layer", "given back", "kept", "ratio", "pages, given back", "pages, kept"]
    return table(head, cells)


def gpu(rows):
    """Milliseconds of a case and call, and its shares of the ceilings."""
    if not rows:
        return NO_GPU
    lines, measured = {}, {}
    for row in rows:
        call = "training step" if row["call"] == "step" else "forward"
        key = (f"`{row['case']}`", f"{int(row['parameters']):,}", row["batch"], call)
        cell = f"{_two(row['ms'])} ms"
        if row["flop_share"]:
            cell += f", {_two(row['gflop_per_s'])} GFLOP/s ({_share(row, 'flop')})"
        if row["byte_share"]:
            cell += f", {_two(row['gb_per_s'])} GB/s ({_share(row, 'byte')})"
        lines.setdefault(key, {})[row["backend"]] = cell
        measured[row["backend"]] = (
            f"{BACKENDS[row['backend']]}: {row['device']}, {row['precision']}, at most "
            f"{_two(row['ceiling_gflop_per_s'])} GFLOP/s and "
            f"{_two(row['ceiling_gb_per_s'])} GB/s, {row['timed']} time"
        )
    cells = [
        [*key, *(line.get(backend, "") for backend in BACKENDS)]
        for key, line in lines.items()
    ]
    head = ["case", "parameters", "batch", "call", *BACKENDS.values()]
    return f"{'; '.join(measured.values())}.\n\n{table(head, cells)}"


def _two(value):
    """At most two decimals."""
    value = float(value)
    if value >= 100:
        return f"{value:,.0f}"
    return f"{value:.{1 if value >= 10 else 2}f}"


def _share(row, of):
    return f"{100 * float(row[f'{of}_share']):.0f} %"
