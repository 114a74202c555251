"""Tables of docs/benchmarks.md on streaming, and on what a device is used for."""

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
