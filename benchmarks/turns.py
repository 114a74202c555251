"""Processes that take turns at being timed: what the benchmarks here share.

A backend of Keras is fixed when it is imported, so each contestant has a process of
its own. They take turns, so that a busy machine slows all alike, and ratios are those
of neighbours. Processor time is measured beside wall time, since it hardly depends
on what else is running. Memory is measured before time, in the same fresh processes.
"""

import contextlib
import csv
import ctypes
import gc
import importlib.util
import json
import os
import statistics
import subprocess
import sys
import time
from pathlib import Path

import numpy as np

BACKENDS = ("tensorflow", "jax", "torch")
CLOCKS = ("wall", "cpu")
# Shorter calls are repeated within a turn until they take that long.
TURN_SECONDS = 0.05
KIB = 1024


def add_arguments(parser):
    """The options that the benchmarks here have in common."""
    installed = [name for name in BACKENDS if importlib.util.find_spec(name)]
    parser.add_argument("--backends", nargs="+", choices=BACKENDS, default=installed)
    parser.add_argument("--turns", type=int, default=15)
    parser.add_argument(
        "--threads",
        type=int,
        default=1,
        help="cores to use; with one, a shared machine tells most (default: 1)",
    )
    parser.add_argument("--smoke", action="store_true", help="tiny sizes, two turns")
    parser.add_argument("--here", metavar="CASE", help="for the processes it starts")


class Worker:
    """A process of `script` that runs one case."""

    def __init__(self, script, case, backend, threads, memory=False):
        command = [sys.executable, script, "--here", json.dumps(case)]
        self.case = case
        self._arguments = (script, case, backend, threads)
        self.process = subprocess.Popen(
            command,
            env=environment(backend, threads, memory),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self._about = None

    @property
    def about(self):
        """What the process says of its case once it is ready."""
        if self._about is None:
            self._about = self._read()
        return self._about

    def for_memory(self):
        """The process to measure memory in.

        On TensorFlow that is another one: with oneDNN what is freed stays in a pool,
        from which the next call takes what it needs without any trace.
        """
        if self._arguments[2] != "tensorflow":
            return self
        return Worker(*self._arguments, memory=True)

    def send(self, do, name, number=1):
        """`time`: seconds a call, by clock. `memory`: bytes. `output`: numbers."""
        self.process.stdin.write(json.dumps([do, name, number]) + "\n")
        self.process.stdin.flush()

    def answer(self):
        _ = self.about  # Which comes first.
        return self._read()

    def ask(self, do, name, number=1):
        self.send(do, name, number)
        return self.answer()

    def _read(self):
        line = self.process.stdout.readline()
        if not line:
            code = self.process.wait()
            raise RuntimeError(f"{self.case} ended with exit code {code}")
        return json.loads(line)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        self.process.stdin.close()
        self.process.stdout.close()
        self.process.wait()


def environment(backend, threads, memory):
    """What a process of `threads` threads on the CPU is started with."""
    threads = str(threads)
    names = ("OMP", "OPENBLAS", "MKL", "NUMBA")
    variables = {f"{name}_NUM_THREADS": threads for name in names}
    variables |= {f"TF_NUM_{name}OP_THREADS": threads for name in ("INTRA", "INTER")}
    if threads == "1":
        variables["XLA_FLAGS"] = "--xla_cpu_multi_thread_eigen=false"
    if memory:
        variables["TF_ENABLE_ONEDNN_OPTS"] = "0"
    variables |= {"CUDA_VISIBLE_DEVICES": "", "TF_CPP_MIN_LOG_LEVEL": "3"}
    root = str(Path(__file__).resolve().parents[1])
    path = os.pathsep.join(filter(None, [os.environ.get("PYTHONPATH"), root]))
    return {**os.environ, **variables, "KERAS_BACKEND": backend, "PYTHONPATH": path}


# In the process of a case.


def serve(about, calls):
    """Answer what `Worker.ask` asks, until nothing more comes.

    Args:
        about: dict. What to say of the case first.
        calls: `{name: function}`. Each returns an array, computed to the end.
    """
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # What libraries print is no answer.
    print(json.dumps(about), file=answers, flush=True)
    for line in sys.stdin:
        found = answer(calls, *json.loads(line))
        print(json.dumps(found), file=answers, flush=True)


def answer(calls, do, name, number):
    if do == "time":
        return clock(calls[name], number)
    if do == "memory":
        return peak_memory(calls[name])
    numbers = np.asarray(calls[name]()).reshape(-1)[:number]
    return [float(value) for value in numbers]


def clock(call, number):
    pin()
    wall, cpu = time.perf_counter(), time.process_time()
    for _ in range(number):
        call()
    wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    return {"wall": wall / number, "cpu": cpu / number}


def pin():
    """Keep every thread on as many cores as it has leave for, where that is known."""
    threads = int(os.environ["OMP_NUM_THREADS"])
    cores = sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else []
    if threads < len(cores):
        for thread in Path("/proc/self/task").iterdir():
            os.sched_setaffinity(int(thread.name), cores[:threads])


def peak_memory(call):
    """Bytes a call takes at most beyond what the process has before it; Linux only.

    The first call compiles and is not counted.
    """
    call()
    gc.collect()
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL(None).malloc_trim(0)
    try:
        Path("/proc/self/clear_refs").write_text("5")  # The peak is the present now.
    except OSError:
        return None
    before = _resident("VmRSS")
    call()
    return max(_resident("VmHWM") - before, 0)


def _resident(key):
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(key):
            return int(line.split()[1]) * KIB
    raise OSError(f"{key} is not in /proc/self/status")


# In the process that asks.


def memory(workers, names):
    """`{name: bytes}` of the calls of each worker. They compile side by side."""
    measured = [worker.for_memory() for worker in workers]
    sizes = [{} for _ in workers]
    for name in names:
        for worker in measured:
            worker.send("memory", name)
        for worker, size in zip(measured, sizes, strict=True):
            size[name] = worker.answer()
    for worker in set(measured) - set(workers):
        worker.close()
    return sizes


def race(workers, name, turns):
    """Seconds of each worker, turn by turn: a list of `{clock: seconds}` for each."""
    once = [worker.ask("time", name, 2)["wall"] for worker in workers]
    numbers = [max(1, round(TURN_SECONDS / max(seconds, 1e-9))) for seconds in once]
    runs = [[] for _ in workers]
    for _ in range(turns):
        for worker, number, run in zip(workers, numbers, runs, strict=True):
            run.append(worker.ask("time", name, number))
    return runs


def check_equal(ours, reference, call="forward", tolerance=1e-4):
    """Both compute the same, or times say nothing."""
    a, b = (np.array(w.ask("output", call, 1000)) for w in (ours, reference))
    if not np.allclose(a, b, atol=tolerance) or a.std() < 0.01:
        raise ValueError(
            f"Outputs of {ours.case} and {reference.case} differ: {a[:3]}, {b[:3]}"
        )


def spread(values):
    """Median, smallest and largest."""
    return statistics.median(values), min(values), max(values)


def compare(ours, reference, clock):
    """Columns of the milliseconds of both and of their ratio; no reference if None."""
    median, least, most = spread([run[clock] for run in ours])
    row = {"ms": median * 1e3, "ms_min": least * 1e3, "ms_max": most * 1e3}
    if reference is not None:
        row["reference_ms"] = 1e3 * statistics.median(run[clock] for run in reference)
        pairs = zip(ours, reference, strict=True)
        ratios = [a[clock] / b[clock] for a, b in pairs]
        row |= dict(
            zip(("ratio", "ratio_min", "ratio_max"), spread(ratios), strict=True)
        )
    return {key: f"{value:.4g}" for key, value in row.items()}


def megabytes(size):
    return "" if size is None else f"{size / 1e6:.1f}"


def writer(fields, file=None):
    """A `csv.DictWriter` that has written its header, by itself to where is printed."""
    result = csv.DictWriter(file or sys.stdout, fields, restval="", lineterminator="\n")
    result.writeheader()
    return result
