"""Memory and speed of `StreamedBeats`, beside the same beats in memory.

    python benchmarks/streaming.py --data DATA > docs/benchmarks/streaming.csv

Records of the MIT-BIH Arrhythmia Database in `DATA/mitdb`, listed 1, 4 and 16 times:
an archive that is so many times as long. Each is one epoch in a process of its own, in
batches of segments, and no model. In memory, all segments are arrays, and a batch takes
its rows from them. Recordings are on disk preprocessed before anything is measured.

`open_mb` is what the process grew by until the first batch; `quarter_1_mb` to
`quarter_4_mb` at each quarter of the epoch; `peak_mb` at most. `ratio` is the median
over the turns of the time of an epoch over that of one in memory.
"""

import argparse
import contextlib
import gc
import json
import os
import sys
import tempfile
from pathlib import Path

import numpy as np
import turns

TIMES = (1, 4, 16)
# Threads that make batches ahead; None where all is in memory.
PATHS = {"in memory": None, "streamed": 0, "streamed, 4 threads": 4}
SMOKE = ("in memory", "streamed, 4 threads")
QUARTERS = [f"quarter_{n}_mb" for n in (1, 2, 3, 4)]
FIELDS = ["path", "times", "records", "beats", "clock", "beats_per_s", "ms", "ms_min"]
FIELDS += ["ms_max", "reference_ms", "ratio", "ratio_min", "ratio_max", "open_mb"]
FIELDS += [*QUARTERS, "peak_mb", "turns", "threads"]


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    turns.add_arguments(parser)
    parser.add_argument("--records", type=int, default=12, help="of DS1, at most 22")
    data = os.environ.get("KERAS_MMFUSION_DATA")
    parser.add_argument("--data", default=data, help="folder with mitdb/")
    args = parser.parse_args()
    if args.here:
        return serve(**json.loads(args.here))
    os.environ["KERAS_BACKEND"] = args.backends[0]  # The same on each of them.
    times, count = (TIMES[:1], 2) if args.smoke else (TIMES, args.turns)
    with tempfile.TemporaryDirectory() as cache:
        case = {"cache": cache, "records": [str(path) for path in records(args)]}
        case |= {"length": 8, "batch_size": 4} if args.smoke else {}
        make(case | {"workers": 0, "times": 1}).prepare()
        table = turns.writer(FIELDS)
        for row in measure(case, times, count, args):
            table.writerow(row)
            sys.stdout.flush()
    return 0


def records(args):
    from keras_mmfusion.cli.demo import EXCERPT
    from keras_mmfusion.datasets.mitbih import DS1, find_mitbih

    if args.smoke:
        return [EXCERPT]
    return [find_mitbih(args.data) / name for name in DS1[: args.records]]


def measure(case, times, count, args):
    """Rows: memory at every length, time at the first one."""
    paths = {name: PATHS[name] for name in (SMOKE if args.smoke else PATHS)}
    for many in times:
        with contextlib.ExitStack() as stack:
            workers = []
            for threads in paths.values():
                one = case | {"workers": threads, "times": many}
                worker = turns.Worker(__file__, one, args.backends[0], args.threads)
                workers.append(stack.enter_context(worker))
                _ = worker.about  # One after another: each fills memory.
            runs = [None] * len(workers)
            if many == times[0]:
                runs = turns.race(workers, "epoch", count)
            for path, worker, run in zip(paths, workers, runs, strict=True):
                row = {"path": path, "times": many, "records": len(case["records"])}
                row |= worker.about | {"threads": args.threads}
                if run is None:
                    yield row | {"clock": "cpu"}
                    continue
                for clock in turns.CLOCKS:
                    found = turns.compare(run, runs[0], clock)
                    speed = row["beats"] / (float(found["ms"]) / 1e3)
                    found |= {"clock": clock, "beats_per_s": f"{speed:.4g}"}
                    yield row | found | {"turns": count}


# In the process of a case.


def serve(**case):
    from keras_mmfusion.datasets.streamed_beats import StreamedBeats  # noqa: F401

    start = resident()  # With all that is imported.
    batches = in_memory(case) if case["workers"] is None else make(case)
    batches[0]
    opened = resident() - start
    Path("/proc/self/clear_refs").write_text("5")  # The peak is the present now.
    quarters, beats = [], 0
    for i in range(len(batches)):
        beats += int(batches[i][1].size)
        if (i + 1) * 4 // len(batches) > i * 4 // len(batches):
            quarters.append(turns.megabytes(resident() - start))
    about = {"beats": beats, "open_mb": turns.megabytes(opened)}
    about |= dict(zip(QUARTERS, quarters, strict=True))
    about["peak_mb"] = turns.megabytes(resident("VmHWM") - start)

    def epoch():
        size = sum(int(batches[i][1].size) for i in range(len(batches)))
        batches.on_epoch_end()
        return np.array([size])

    turns.serve(about, {"epoch": epoch})


def resident(key="VmRSS"):
    """Bytes of the process, without what is only kept for later."""
    gc.collect()
    return turns._resident(key)


def make(case):
    from keras_mmfusion.datasets.streamed_beats import StreamedBeats

    return StreamedBeats(
        case["records"] * case["times"],
        length=case.get("length", 32),
        batch_size=case.get("batch_size", 32),
        cache_dir=case["cache"],
        workers=case["workers"] or 0,
    )


def in_memory(case):
    """The same segments as arrays, and batches of them in a new order each epoch."""
    streamed = make(case)
    arrays = []
    for i in range(len(streamed)):
        x, y, weight = streamed[i]
        for number, part in enumerate((*x.values(), y, weight)):
            if i == 0:
                shape = (streamed.num_segments, *part.shape[1:])
                arrays.append(np.empty(shape, part.dtype))
            begin = i * streamed.batch_size
            arrays[number][begin : begin + len(part)] = part
    return InMemory(list(x), arrays, streamed.batch_size)


class InMemory:
    """What Keras does with arrays."""

    def __init__(self, names, arrays, batch_size):
        self.names, self.arrays, self.batch_size = names, arrays, batch_size
        self.rng = np.random.default_rng(0)
        self.on_epoch_end()

    def on_epoch_end(self):
        self.order = self.rng.permutation(len(self.arrays[0]))

    def __len__(self):
        return -(-len(self.order) // self.batch_size)

    def __getitem__(self, number):
        rows = self.order[number * self.batch_size :][: self.batch_size]
        *x, y, weight = (array[rows] for array in self.arrays)
        return dict(zip(self.names, x, strict=True)), y, weight


if __name__ == "__main__":
    sys.exit(main())
