"""Write the tables and the chart of docs/benchmarks.md from docs/benchmarks/*.csv.

    python docs/make_benchmarks.py            # rewrites tables and chart
    python docs/make_benchmarks.py --check    # exit code 1 if anything would change

The CSV files are what the scripts in `benchmarks/` print. The chart names the files it
was drawn from by their hash, so that `--check` knows an old one.
"""

import argparse
import csv
import hashlib
import sys

import speed_tables
from draw_benchmarks import BACKENDS, draw
from make_results import ROOT, replace_block, table

FOLDER = ROOT / "docs" / "benchmarks"
PAGE = ROOT / "docs" / "benchmarks.md"
CHART = FOLDER / "benchmarks.svg"
CALLS = {"forward": "forward", "step": "training step"}
FILES = ("fusions", "cascade", "pictures", "attention_memory", "conv_lstm")
FILES += ("forecasting", "parameters", "search")
# Of these, the chart shows nothing; a file that is not there was not measured yet.
TABLES = ("streaming", "gpu", "conv_lstm_paper", "conv_lstm_long", "label_database")
TABLES += ("import_time", "kept_memory")
ENDS = ("_min", "", "_max")
# Processor time, since wall time tells what else the machine was doing.
CLOCK = "cpu"
# What is aimed at, as the largest ratio of our time to that of the reference.
GOALS = (
    ("attention, beside the same written by hand", "fusions", "attention", 1.2),
    ("MulT, beside the original", "fusions", "mult", 1 / 3),
    ("`GramianAngularField`, beside pyts", "pictures", "GASF", 1 / 5),
    ("`ConvLSTMFusion`, beside `ConvLSTM2D`", "conv_lstm", "image and sound", 1 / 3),
    ("the same, 64 filters", "conv_lstm_paper", "image and sound", 1 / 3),
    ("the same, batches of 32, 41 steps", "conv_lstm_long", "image and sound", 1 / 3),
)
# Twice the steps take twice the memory, or four times; what is below this is linear.
LINEAR = 2.5
# Backends with a kernel on the CPU that does not hold the weights of attention.
FUSED = ("torch",)


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--check", action="store_true", help="change nothing")
    args = parser.parse_args()
    results = read(FOLDER)
    old = PAGE.read_text(encoding="utf-8")
    new = page(old, results)
    drawn = CHART.exists() and digest(FOLDER) in CHART.read_text(encoding="utf-8")
    if args.check:
        stale = [
            path.name for path, ok in ((PAGE, new == old), (CHART, drawn)) if not ok
        ]
        for name in stale:
            print(f"{name}: out of date, run python docs/make_benchmarks.py")
        return 1 if stale else 0
    PAGE.write_text(new, encoding="utf-8")
    draw(results, CHART, digest(FOLDER))
    return 0


def read(folder):
    """`{file: rows}`, numbers as they are written; only rows of the clock shown."""
    results = {}
    for name in (*FILES, *TABLES):
        path, rows = folder / f"{name}.csv", []
        if name in FILES or path.exists():
            with open(path, newline="", encoding="utf-8") as file:
                rows = list(csv.DictReader(file))
        results[name] = [row for row in rows if row.get("clock", CLOCK) == CLOCK]
    return results


def digest(folder):
    """Short hash of the files."""
    data = b"".join((folder / f"{name}.csv").read_bytes() for name in FILES)
    return f"sha256:{hashlib.sha256(data).hexdigest()[:16]}"


def page(text, results):
    blocks = {
        "goals": goals(results),
        "arithmetic": arithmetic(results["fusions"]),
        "times": times(results["fusions"]),
        "references": references(results["fusions"]),
        "cascade_mult": cascade_beside_mult(results["cascade"]),
        "cascade_growth": cascade_growth(results["cascade"]),
        "pictures": pictures(results["pictures"]),
        "memory": memory(results["attention_memory"]),
        "conv_lstm": conv_lstm(results["conv_lstm"]),
        "forecasting": forecasting(results["forecasting"]),
        "parameters": parameters(results["parameters"]),
        "search": search(results["search"]),
    }
    blocks |= {
        "streaming": speed_tables.streaming(results["streaming"]),
        "gpu": speed_tables.gpu(results["gpu"]),
        "conv_lstm_paper": conv_lstm(results["conv_lstm_paper"]),
        "conv_lstm_long": conv_lstm(results["conv_lstm_long"]),
        "label_database": speed_tables.labelling(results["label_database"]),
        "import_time": speed_tables.importing(results["import_time"]),
        "kept_memory": speed_tables.kept_memory(results["kept_memory"]),
    }
    for name, content in blocks.items():
        text = replace_block(text, name, content)
    return text


def short(value):
    """At most two decimals, as more were noise; a digit of what is smaller."""
    value = float(value)
    if 0 < value < 0.01:
        return f"{value:.1g}"
    return f"{value:.0f}" if value >= 100 else f"{value:.{1 if value >= 10 else 2}f}"


def goals(results):
    lines = []
    for what, file, name, limit in GOALS:
        if not results.get(file):
            continue
        first = next(iter(results[file][0]))
        found = [row for row in results[file] if row[first] == name and row["ratio"]]
        if file.startswith("conv_lstm"):
            found = [row for row in found if _loop_beside_loop(row)]
        if file == "fusions":
            chosen = [row["reference"] for row in found]
            found = [row for row in found if row["reference"] in _main(chosen)]
        for call in CALLS if "call" in results[file][0] else ("forward",):
            cells = {
                row["backend"]: row
                for row in found
                if row.get("call", "forward") == call
            }
            aim = f"≤ {short(limit)}"
            lines.append(
                [f"{what}: {CALLS[call]}", aim]
                + [_verdict(cells.get(b), limit) for b in BACKENDS]
            )
    last = {}
    for row in results["attention_memory"]:
        if row["growth"]:
            last[row["call"], row["backend"]] = row
    for call in CALLS:
        cells = [last.get((call, backend)) for backend in BACKENDS]
        growth = ["" if row is None else _growth(row) for row in cells]
        what = f"memory of attention when steps double: {CALLS[call]}"
        lines.append([what, f"≤ {short(LINEAR)}", *growth])
    return table(["ratio", "goal", *BACKENDS.values()], lines)


def _growth(row):
    if row["backend"] in FUSED:
        return _judged(float(row["growth"]), LINEAR)
    return f"{short(row['growth'])} (no such kernel)"


def _main(references):
    """The first reference to be named: the original, where there are more."""
    ordered = sorted(set(references), key=lambda name: not name.startswith("original"))
    return ordered[:1]


def _loop_beside_loop(row):
    return (row["model"], row["reference"]) == ("ConvLSTMFusion", "ConvLSTM2D")


def _verdict(row, limit):
    return "" if row is None else _judged(float(row["ratio"]), limit)


def _judged(value, limit):
    return f"{short(value)} {'met' if value <= limit else 'missed'}"


def arithmetic(rows):
    """What a step of MulT takes with any code, and how fast the original does it."""
    original = [r for r in rows if r["fusion"] == "mult" and r["call"] == "step"]
    original = [r for r in original if r["reference"].startswith("original")]
    if not original:
        return "not measured beside the original."
    # All steps are read out by ours, the last of each sample by the original.
    ours, theirs = mult_flop(32 * 32) / 1e9, mult_flop(32) / 1e9
    speed = theirs / (float(original[0]["reference_ms"]) / 1e3)
    return (
        f"a step is {short(ours)} GFLOP of matrix products, whoever does it "
        f"({short(theirs)} in the original, which reads\n  the last step only). The "
        f"original ran at {short(speed)} GFLOP a second on one core; "
        f"three times as fast is {short(3 * ours / theirs * speed)}\n  without "
        "counting anything else."
    )


def mult_flop(read):
    """Operations of a training step of MulT as benchmarks/fusions.py has it."""
    tokens, steps, features, width, layers, dim = 32 * 32, 32, 300, 30, 5, 300

    def block(width):
        return tokens * (12 * width**2 + 2 * steps * width)

    # 6 pairs, and 3 memories that are twice as wide.
    products = layers * (6 * block(width) + 3 * block(2 * width))
    products += tokens * 3 * features * width
    products += read * (2 * (6 * width) ** 2 + 6 * width * dim)
    # A product is two operations, and gradients take twice what forward takes.
    return 3 * 2 * products


def times(rows):
    """Milliseconds and megabytes of both calls, one row a fusion."""
    found = {(row["fusion"], row["backend"], row["call"]): row for row in rows}
    lines = []
    for fusion in dict.fromkeys(row["fusion"] for row in rows):
        mine = [row for row in rows if row["fusion"] == fusion]
        line = [f"`{fusion}`", f"{int(mine[0]['parameters']):,}"]
        for backend in BACKENDS:
            calls = [found.get((fusion, backend, call)) for call in CALLS]
            if None in calls:
                line.append("")
                continue
            numbers = " / ".join(short(row["ms"]) for row in calls)
            line.append(f"{numbers} ms, {short(calls[1]['memory_mb'])} MB")
        lines.append(line)
    return table(["fusion", "parameters", *BACKENDS.values()], lines)


def references(rows):
    """Ratios of our time to that of each reference."""
    groups = {}
    for row in rows:
        if row["reference"]:
            key = (row["fusion"], row["reference"], row["call"])
            groups.setdefault(key, {})[row["backend"]] = row
    lines = []
    for (fusion, reference, call), cells in groups.items():
        some = next(iter(cells.values()))
        line = [f"`{fusion}`", reference, CALLS[call]]
        line.append(f"{int(some['reference_parameters']):,}")
        for backend in BACKENDS:
            row = cells.get(backend)
            line.append("" if row is None else _ratio(row))
        lines.append(line)
    head = ["fusion", "reference", "call", "its parameters", *BACKENDS.values()]
    return table(head, lines)


def _ratio(row):
    spread = f"{short(row['ratio_min'])}–{short(row['ratio_max'])}"
    return f"{short(row['ratio'])} ({spread}); {short(row['reference_ms'])} ms"


def cascade_beside_mult(rows):
    """Ratios of time and memory, a row a call and a reference."""
    lines = {}
    for row in rows:
        if row["case"] == "beside MulT":
            line = lines.setdefault((CALLS[row["call"]], row["reference"]), {})
            cell = f"{short(row['ms'])} ms, {_ratio(row)}"
            sizes = f"{short(row['memory_mb'])} of {short(row['reference_memory_mb'])}"
            line[row["backend"]] = f"{cell}; {sizes} MB"
    cells = [
        [*key, *(line.get(b, "") for b in BACKENDS)] for key, line in lines.items()
    ]
    return table(["call", "beside", *BACKENDS.values()], cells)


def cascade_growth(rows):
    """Time over that of 2 modalities, and memory of a step, a row a size."""
    lines = {}
    for row in rows:
        if row["case"] == "growth":
            key = (row["modalities"], row["orders"], f"{int(row['parameters']):,}")
            calls = lines.setdefault(key, {}).setdefault(row["backend"], {})
            calls[row["call"]] = row
    cells = [
        [*key, *(_grown(line[b]) if b in line else "" for b in BACKENDS)]
        for key, line in sorted(lines.items())
    ]
    return table(["modalities", "orders", "parameters", *BACKENDS.values()], cells)


def _grown(calls):
    forward, step = calls["forward"], calls["step"]
    times = f"{short(forward['ms'])} / {short(step['ms'])} ms"
    growth = f"× {short(forward['growth'])} / {short(step['growth'])}"
    return f"{times}, {growth}, {short(step['memory_mb'])} MB"


def pictures(rows):
    lines = {}
    for row in rows:
        line = lines.setdefault(row["picture"], {})
        line["pyts"] = f"{short(row['reference_ms'])} ms"
        line[row["backend"]] = f"{short(row['ms'])} ms, {short(row['ratio'])}"
    names = ["pyts", *BACKENDS]
    cells = [[name, *(line.get(n, "") for n in names)] for name, line in lines.items()]
    return table(["picture", "pyts", *BACKENDS.values()], cells)


def conv_lstm(rows):
    """Ratios of time and of memory, one row a call and a model."""
    lines = {}
    for row in rows:
        model, reference = row["model"], row["reference"]
        if reference not in ("", "ConvLSTM2D"):
            model = f"{model}; beside {reference}"
        line = lines.setdefault(
            (row["inputs"], CALLS[row["call"]], model, row["steps"]), {}
        )
        cell = f"{short(row['ms'])} ms"
        if row["ratio"]:
            cell += f", {_ratio(row)}"
        if row["memory_mb"] and row["call"] == "step":
            cell += f"; {short(row['memory_mb'])}"
            if row["reference_memory_mb"]:
                cell += f" of {short(row['reference_memory_mb'])}"
            cell += f" MB; first call {short(row['first_s'])}"
            if row["reference_first_s"]:
                cell += f" of {short(row['reference_first_s'])}"
            cell += " s"
        line[row["backend"]] = cell
    cells = [
        [*key, *(line.get(b, "") for b in BACKENDS)] for key, line in lines.items()
    ]
    return table(["inputs", "call", "model", "steps", *BACKENDS.values()], cells)


def forecasting(rows):
    """Windows a second, and the time of a model over that of the transformer."""
    lines = {}
    for row in rows:
        key = (row["columns"], CALLS[row["call"]], f"`{row['model']}`")
        line = lines.setdefault((*key, f"{int(row['parameters']):,}"), {})
        spread = f"{short(row['ratio_min'])}–{short(row['ratio_max'])}"
        speed = f"{float(row['windows_per_second']):,.0f}"
        line[row["backend"]] = f"{speed}, {short(row['ratio'])} ({spread})"
    cells = [
        [*key, *(line.get(b, "") for b in BACKENDS)] for key, line in lines.items()
    ]
    head = ["columns", "call", "model", "parameters", *BACKENDS.values()]
    return table(head, cells)


def parameters(rows):
    """Millions of weights of models, of their fusions, and of those of the paper."""
    names = list(dict.fromkeys(row["encoders"] for row in rows))
    lines = {}
    for row in rows:
        counts = [f"{int(row[key]) / 1e6:.1f}" for key in ("in_all", "of_fusion")]
        cells = [*counts, row["reported"]]
        lines.setdefault(f"`{row['fusion']}`", {})[row["encoders"]] = cells
    cells = [[key, *(c for n in names for c in line[n])] for key, line in lines.items()]
    heads = [f"{name}: {what}" for name in names for what in ("all", "fusion", "paper")]
    return table(["fusion", *heads], cells)


def search(rows):
    """Milliseconds of a search, and the ratio where there is something beside it."""
    cells = []
    for row in rows:
        ratio = ""
        if row["ratio"]:
            least, middle, most = (float(row[f"ratio{end}"]) for end in ENDS)
            ratio = f"{middle:.2f} ({least:.2f}–{most:.2f})"
        backend = BACKENDS.get(row["backend"], "NumPy")
        cells.append([row["call"], backend, short(row["ms"]), ratio])
    return table(["search", "on", "ms", "beside scikit-learn"], cells)


def memory(rows):
    steps = list(dict.fromkeys(row["steps"] for row in rows))
    lines = {}
    for row in rows:
        key = (BACKENDS[row["backend"]], CALLS[row["call"]])
        lines.setdefault(key, {})[row["steps"]] = short(row["memory_mb"])
    cells = [[*key, *(line.get(s, "") for s in steps)] for key, line in lines.items()]
    return table(["backend", "call", *(f"{s} steps" for s in steps)], cells)


if __name__ == "__main__":
    sys.exit(main())
