"""How much importing this package adds to importing Keras.

    KERAS_BACKEND=jax python benchmarks/import_time.py > import_time.csv

Fresh processes take turns, so that a busy machine slows both alike. `added` is the
median of the differences of neighbours, `ratio` that of their ratios. Processor time
is measured beside wall time, since it hardly depends on what else is running.
"""

import argparse
import csv
import json
import os
import statistics
import subprocess
import sys

STATEMENTS = {
    "keras": "import keras",
    "keras_mmfusion": "import keras, keras_mmfusion, keras_mmfusion.layers, "
    "keras_mmfusion.models, keras_mmfusion.presets",
}
PROBE = """
import json, sys, time
wall, cpu = time.perf_counter(), time.process_time()
{statement}
seconds = {{"wall": time.perf_counter() - wall, "cpu": time.process_time() - cpu}}
top = sorted({{name.partition(".")[0] for name in sys.modules}})
print(json.dumps([seconds, top]))
"""
# What this package must not import, unless Keras does so itself.
HEAVY = {"tensorflow", "jax", "torch", "keras_tuner", "wfdb", "matplotlib", "scipy"}


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--runs", type=int, default=7)
    parser.add_argument(
        "--limit", type=float, help="fail if more processor time is added"
    )
    args = parser.parse_args()
    os.environ.setdefault("KERAS_BACKEND", "jax")
    measure("keras")  # Fills the disk cache.
    modules, runs = {}, {name: [] for name in STATEMENTS}
    for _ in range(args.runs):
        for name in STATEMENTS:
            taken, modules[name] = measure(name)
            runs[name].append(taken)
    writer = csv.writer(sys.stdout, lineterminator="\n")
    writer.writerow(["backend", "import", "clock", "median", "min", "max", "runs"])
    for clock in ("wall", "cpu"):
        seconds = {name: [run[clock] for run in runs[name]] for name in STATEMENTS}
        pairs = list(zip(*seconds.values(), strict=True))
        seconds["added"] = [ours - keras for keras, ours in pairs]
        seconds["ratio"] = [ours / keras for keras, ours in pairs]
        for name, values in seconds.items():
            numbers = (statistics.median(values), min(values), max(values))
            row = [os.environ["KERAS_BACKEND"], name, clock]
            writer.writerow([*row, *(f"{n:.3f}" for n in numbers), args.runs])
    added = statistics.median(seconds["added"])
    heavy = HEAVY & (set(modules["keras_mmfusion"]) - set(modules["keras"]))
    if heavy:
        print(f"imported beyond what Keras imports: {sorted(heavy)}", file=sys.stderr)
    return int(bool(heavy) or (args.limit is not None and added > args.limit))


def measure(name):
    """`(seconds by clock, top-level modules)` of an import in a fresh process."""
    code = PROBE.format(statement=STATEMENTS[name])
    result = subprocess.run(
        [sys.executable, "-c", code], check=True, capture_output=True, text=True
    )
    return json.loads(result.stdout.splitlines()[-1])


if __name__ == "__main__":
    sys.exit(main())
