"""Export every preset in every format from every backend; write docs/export.md.

    python docs/make_export_table.py                 # what is not there yet, or stale
    python docs/make_export_table.py atd_mitbih      # one preset
    python docs/make_export_table.py --again         # everything, an hour
    python docs/make_export_table.py --check         # runs nothing

The page is made from `docs/export.csv`, which is written after each backend of each
preset: a run that was interrupted goes on from there. What has a row for the present
weights is left as it is, without `--again`. Every package that writes or runs a format
has to be installed: one that is not says nothing of a preset. `--check` ends with exit
code 1 if the page is not what the file says, or if a preset has no rows for its present
weights.
"""

import argparse
import csv
import hashlib
import json
import os
import re
import subprocess
import sys
import tempfile
from importlib import metadata as packages
from pathlib import Path

from make_results import ROOT, is_trained, read_zoo, replace_block, table

from keras_mmfusion._export_formats import FORMATS

CSV = ROOT / "docs" / "export.csv"
PAGE = ROOT / "docs" / "export.md"
BACKENDS = {"tensorflow": "TensorFlow", "jax": "JAX", "torch": "PyTorch"}
# What can be tried.
PAIRS = [
    (name, backend)
    for name, format in FORMATS.items()
    for backend in BACKENDS
    if backend in format.writers
]
# `model` is a hash of the weights and the config that were exported.
FIELDS = ["preset", "format", "backend", "model", "difference", "bytes"]
FIELDS += ["milliseconds", "batch_size", "reason", "versions"]


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("presets", nargs="*", metavar="PRESET", help="default: all")
    parser.add_argument("--formats", nargs="+", choices=FORMATS, default=list(FORMATS))
    parser.add_argument("--backends", nargs="+", choices=BACKENDS, default=BACKENDS)
    parser.add_argument("--again", action="store_true", help="what has a row, too")
    parser.add_argument("--check", action="store_true", help="run and change nothing")
    parser.add_argument("--here", action="store_true", help=argparse.SUPPRESS)
    args = parser.parse_args()
    models = {
        preset["name"]: digest(preset)
        for preset in read_zoo(ROOT / "zoo")
        if is_trained(preset)
    }
    unknown = sorted(set(args.presets) - set(models))
    if unknown:
        parser.error(f"presets must be of {', '.join(models)}. Received: {unknown}")
    if args.here:
        return export_here(args.presets[0], args.formats)
    rows = read_rows(CSV)
    if args.check:
        stale = outdated(rows, models, PAGE.read_text(encoding="utf-8"))
        print("\n".join(f"{name}: out of date" for name in stale))
        return 1 if stale else 0
    for name in args.presets or models:
        for backend in args.backends:
            wanted = [
                format
                for format in args.formats
                if (format, backend) in PAIRS
                and (args.again or not current(rows, models, (name, format, backend)))
            ]
            made = export(name, wanted, backend) if wanted else []
            # Read again: another run of this script may have written meanwhile.
            rows = read_rows(CSV)
            for row in made:
                row |= {"preset": name, "backend": backend, "model": models[name]}
                rows[name, row["format"], backend] = row
                print(name, row["format"], backend, cell(row, []), flush=True)
            # Presets that are no longer there go.
            write_rows(
                CSV,
                {k: r for k, r in rows.items() if k[0] in models and k[1:] in PAIRS},
            )
    text = PAGE.read_text(encoding="utf-8")
    rows = read_rows(CSV)
    PAGE.write_text(replace_block(text, "export", render(rows)), encoding="utf-8")
    return 0


def outdated(rows, models, page):
    """What has to be made anew: the page, or presets `{name: hash}`."""
    stale = [
        name
        for name in models
        if not all(current(rows, models, (name, *pair)) for pair in PAIRS)
    ]
    same = replace_block(page, "export", render(rows)) == page
    return stale if same else [*stale, str(PAGE.relative_to(ROOT))]


def current(rows, models, key):
    """Whether there is a row of the present weights."""
    return key in rows and rows[key]["model"] == models[key[0]]


def export(name, formats, backend):
    """Rows of one preset and backend, from a process of its own."""
    command = [sys.executable, __file__, "--here", name, "--formats", *formats]
    environment = {**os.environ, "KERAS_BACKEND": backend, "CUDA_VISIBLE_DEVICES": ""}
    result = subprocess.run(
        command, env=environment, stdout=subprocess.PIPE, text=True, check=False
    )
    lines = [line for line in result.stdout.splitlines() if line.startswith("{")]
    rows = [json.loads(line) for line in lines]
    for row in rows:
        if "missing" in row:
            raise SystemExit(f"{name}: {row['missing']}")
    done = {row["format"] for row in rows}
    reason = f"the process ends with exit code {result.returncode}"
    lost = [
        {"format": f, "reason": reason, "versions": ""}
        for f in formats
        if f not in done
    ]
    return rows + lost


def export_here(name, formats):
    """Print a row for each format, as JSON."""
    from keras_mmfusion.export import ExportError, export_preset

    for format in formats:
        row = {"format": format, "versions": versions(format)}
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder, "model" + FORMATS[format].suffix)
            try:
                report = export_preset(name, path, format)
                row |= {key: report[key] for key in FIELDS if key in report}
            except ExportError as error:
                row["reason"] = reason_of(str(error))
            except ImportError as error:
                row["missing"] = str(error)
        print(json.dumps(row), flush=True)
    return 0


def reason_of(error):
    """Why it failed, in a line."""
    text = error.partition("Received: ")[2] or error
    # Where in their own source something failed says nothing to our readers.
    text = " ".join(text.split())
    text = re.sub(r"Check '[^']*' failed at \S+ (.*? failed with \w+: )?", "", text)
    return text if len(text) < 200 else text[:200].rpartition(" ")[0] + " …"


def versions(format):
    """The packages that write and run a format here, as `name version, …`."""
    import keras

    backend = keras.backend.backend()
    modules = ["keras", backend, *FORMATS[format].writers.get(backend, ())]
    found = packages.packages_distributions()
    names = dict.fromkeys(
        name
        for module in [*modules, FORMATS[format].runtime]
        for name in found.get(module, [])
    )
    return ", ".join(f"{name} {packages.version(name)}" for name in names)


def render(rows):
    """The table, as Markdown."""
    if not rows:
        return "Nothing was exported yet."
    reasons = []
    lines = []
    for name in sorted({key[0] for key in rows}):
        for format in FORMATS:
            refused = FORMATS[format].refused
            cells = [
                {"reason": refused[backend]}
                if backend in refused
                else rows.get((name, format, backend))
                for backend in BACKENDS
            ]
            lines.append([f"`{name}`", format, *(cell(row, reasons) for row in cells)])
    notes = [f"{i}. {reason}" for i, reason in enumerate(reasons, 1)]
    head = ["preset", "format", *BACKENDS.values()]
    used = {v for row in rows.values() for v in row["versions"].split(", ") if v}
    notes += ["", f"With {', '.join(sorted(used))}."] if used else []
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


def digest(preset):
    """Short hash of the weights and the config of a preset, from its metadata."""
    files = [preset["files"].get(n, {}) for n in ("config.json", "model.weights.h5")]
    text = " ".join(file.get("sha256", "") for file in files)
    return hashlib.sha256(text.encode()).hexdigest()[:12]


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
