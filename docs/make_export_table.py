"""Export every preset in every format from every backend; write docs/export.md.

    python docs/make_export_table.py                          # everything, minutes
    python docs/make_export_table.py --presets atd_mitbih --backends jax
    python docs/make_export_table.py --check                  # runs nothing

What is not asked for keeps its row in `docs/export.csv`, from which the table on the
page is made. `--check` ends with exit code 1 if the page is not that table, or if a
preset has other weights than those that were exported.
"""

import argparse
import csv
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

from make_results import ROOT, read_zoo, replace_block, table

CSV = ROOT / "docs" / "export.csv"
PAGE = ROOT / "docs" / "export.md"
BACKENDS = {"tensorflow": "TensorFlow", "jax": "JAX", "torch": "PyTorch"}
FORMATS = ("onnx", "litert", "openvino", "tf_saved_model")
SUFFIXES = {"onnx": ".onnx", "litert": ".tflite", "openvino": ".xml"}
FIELDS = ["preset", "format", "backend", "weights", "difference", "bytes"]
FIELDS += ["milliseconds", "batch_size", "reason"]


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--presets", nargs="+", metavar="NAME")
    parser.add_argument("--formats", nargs="+", choices=FORMATS, default=FORMATS)
    parser.add_argument("--backends", nargs="+", choices=BACKENDS, default=BACKENDS)
    parser.add_argument("--check", action="store_true", help="run and change nothing")
    parser.add_argument("--here", metavar="NAME", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.here:
        return export_here(args.here, args.formats)
    weights = {p["name"]: weights_of(p) for p in read_zoo(ROOT / "zoo")}
    rows = read_rows(CSV)
    if args.check:
        return check(rows, weights)
    for name in args.presets or weights:
        for backend in args.backends:
            for row in export(name, args.formats, backend):
                row |= {"preset": name, "backend": backend, "weights": weights[name]}
                rows[name, row["format"], backend] = row
                print(name, row["format"], backend, cell(row, []), flush=True)
            write_rows(CSV, {key: r for key, r in rows.items() if key[0] in weights})
    text = PAGE.read_text(encoding="utf-8")
    PAGE.write_text(replace_block(text, "export", render(rows)), encoding="utf-8")
    return 0


def check(rows, weights):
    """Say what is out of date; returns the exit code."""
    text = PAGE.read_text(encoding="utf-8")
    stale = [] if replace_block(text, "export", render(rows)) == text else [PAGE.name]
    for name, digest in weights.items():
        found = [row for row in rows.values() if row["preset"] == name]
        if not found or any(row["weights"] != digest for row in found):
            stale.append(name)
    for name in stale:
        print(f"{name}: out of date, run python docs/make_export_table.py")
    return 1 if stale else 0


def export(name, formats, backend):
    """Rows of one preset and backend, from a process of its own."""
    command = [sys.executable, __file__, "--here", name, "--formats", *formats]
    environment = {**os.environ, "KERAS_BACKEND": backend, "CUDA_VISIBLE_DEVICES": ""}
    result = subprocess.run(
        command, env=environment, stdout=subprocess.PIPE, text=True, check=False
    )
    lines = [line for line in result.stdout.splitlines() if line.startswith("{")]
    rows = [json.loads(line) for line in lines]
    done = {row["format"] for row in rows}
    reason = f"the process ends with exit code {result.returncode}"
    lost = [format for format in formats if format not in done]
    return rows + [{"format": format, "reason": reason} for format in lost]


def export_here(name, formats):
    """Print a row for each format, as JSON."""
    from keras_mmfusion.export import ExportError, export_preset

    for format in formats:
        row = {"format": format}
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder, "model" + SUFFIXES.get(format, ""))
            try:
                report = export_preset(name, path, format)
                row |= {key: report[key] for key in FIELDS if key in report}
            except (ExportError, ImportError) as error:
                text = str(error).partition("Received: ")[2] or str(error)
                row["reason"] = " ".join(text.split())[:240]
                if "is written by the backend" in str(error):
                    row["reason"] = "not written by this backend"
        print(json.dumps(row), flush=True)
    return 0


def render(rows):
    """The table, as Markdown."""
    if not rows:
        return "Nothing was exported yet."
    reasons = []
    lines = []
    for name in sorted({key[0] for key in rows}):
        for format in FORMATS:
            cells = [rows.get((name, format, backend)) for backend in BACKENDS]
            lines.append([f"`{name}`", format, *(cell(row, reasons) for row in cells)])
    notes = [f"{i}. {reason}" for i, reason in enumerate(reasons, 1)]
    head = ["preset", "format", *BACKENDS.values()]
    return "\n".join([table(head, lines), "", *notes]).rstrip()


def cell(row, reasons):
    """What one export gave; why it failed goes to `reasons`."""
    if row is None:
        return ""
    if row.get("reason"):
        if row["reason"] not in reasons:
            reasons.append(row["reason"])
        return f"no ({reasons.index(row['reason']) + 1})"
    parts = [
        f"{float(row['difference']):.0e}",
        f"{float(row['bytes']) / 1e6:.2f} MB",
        f"{float(row['milliseconds']):.2g} ms",
    ]
    batch = row.get("batch_size")
    return ", ".join(parts) + (f", batch {batch}" if batch not in (None, "") else "")


def weights_of(preset):
    """Short hash of the weights of a preset, from its metadata."""
    return preset["files"].get("model.weights.h5", {}).get("sha256", "")[:12]


def read_rows(path):
    if not path.exists():
        return {}
    with open(path, newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    return {(row["preset"], row["format"], row["backend"]): row for row in rows}


def write_rows(path, rows):
    with open(path, "w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, FIELDS, lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows[key] for key in sorted(rows))


if __name__ == "__main__":
    sys.exit(main())
