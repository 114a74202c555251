"""Windows a second of the forecasting presets, beside a transformer and NLinear.

    python benchmarks/forecasting.py > forecasting.csv

Batches of 64 windows, 720 hours to come: 504 hours of seven columns for `atd_etth1`,
336 of one for `stepfusion_etth1`. The transformer over patches (after PatchTST) and
NLinear are those of the recipe, on the same windows. `ratio` is the median over the
turns of the time of a model over that of the transformer. `forward` is
`predict_on_batch`, `step` is `train_on_batch` with Adam; the linear part of the presets
is not trained.
"""

import argparse
import contextlib
import json
import os
import sys

import numpy as np
import turns

PRESETS = {7: "atd_etth1", 1: "stepfusion_etth1"}
PEER = "patches"
CALLS = ("forward", "step")
FIELDS = ["columns", "model", "backend", "call", "clock", "windows_per_second"]
FIELDS += ["ms", "ms_min", "ms_max", "parameters", "reference", "reference_ms"]
FIELDS += ["ratio", "ratio_min", "ratio_max", "turns", "threads"]


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    turns.add_arguments(parser)
    parser.add_argument("--batch", type=int, default=64, help="windows")
    parser.add_argument(
        "--columns", type=int, nargs="+", choices=PRESETS, default=list(PRESETS)
    )
    args = parser.parse_args()
    if args.here:
        return serve(**json.loads(args.here))
    batch, count = (4, 2) if args.smoke else (args.batch, args.turns)
    table = turns.writer(FIELDS)
    for columns in args.columns:
        for backend in args.backends:
            for row in measure(columns, backend, batch, count, args.threads):
                table.writerow(row)
                sys.stdout.flush()
    return 0


def measure(columns, backend, batch, count, threads):
    names = (PRESETS[columns], "nlinear", PEER)
    with contextlib.ExitStack() as stack:
        workers = [
            stack.enter_context(
                turns.Worker(
                    __file__,
                    {"model": name, "columns": columns, "batch": batch},
                    backend,
                    threads,
                )
            )
            for name in names
        ]
        for call in CALLS:
            runs = turns.race(workers, call, count)
            for name, worker, run in zip(names, workers, runs, strict=True):
                row = {"columns": columns, "model": name, "backend": backend}
                row |= {"call": call, "parameters": worker.about["parameters"]}
                row |= {"reference": PEER, "turns": count, "threads": threads}
                for clock in turns.CLOCKS:
                    found = turns.compare(run, runs[-1], clock)
                    speed = batch / (float(found["ms"]) / 1e3)
                    row |= {"clock": clock, "windows_per_second": f"{speed:.4g}"}
                    yield row | found


# In the process of a case.


def serve(model, columns, batch):
    import keras

    if keras.backend.backend() == "torch":
        import torch

        torch.set_num_threads(int(os.environ["OMP_NUM_THREADS"]))
    preset, x, y = data(columns, batch)
    found = preset if model in PRESETS.values() else peer(model, preset)
    x = {name: x[name] for name in found.input}
    found.compile(keras.optimizers.Adam(1e-4), "mse")
    calls = {
        "forward": lambda: found.predict_on_batch(x),
        "step": lambda: np.asarray(found.train_on_batch(x, y)),
    }
    turns.serve({"parameters": found.count_params()}, calls)


def data(columns, batch):
    """The preset, and as many windows of a made table of its columns."""
    from keras_mmfusion import presets
    from keras_mmfusion.datasets.ett import SeriesTable

    preset = presets.load(PRESETS[columns])
    prepare, horizon = preset.preprocessor, preset.horizon
    rows = np.arange(prepare.lookback + horizon + batch - 1)
    times = np.datetime64("2018-01-01", "s") + rows * np.timedelta64(1, "h")
    noise = np.random.default_rng(0).normal(size=(len(rows), columns))
    table = SeriesTable("made", times, noise.cumsum(axis=0) * 0.1, prepare.columns)
    x, y = prepare.windows(table, horizon, (prepare.lookback, len(rows)))
    return preset, {name: np.array(views) for name, views in x.items()}, np.array(y)


def peer(name, preset):
    """What the presets are compared with, as `recipes/ett/architecture.py` has it."""
    import keras

    from keras_mmfusion.layers import ATDEncoder, NLinear
    from keras_mmfusion.models import FusionForecaster

    series, horizon = preset.shapes["series"], preset.horizon
    if name == "nlinear":
        known = keras.Input(series, name="series")
        return keras.Model({"series": known}, NLinear(horizon)(known))
    return FusionForecaster(
        {"series": series},
        {"series": ATDEncoder(16, 3, 4, patch=12, dropout=0.3, name="patches")},
        horizon,
        dim=16,
        skip=None,
        dropout=0.3,
    )


if __name__ == "__main__":
    sys.exit(main())
