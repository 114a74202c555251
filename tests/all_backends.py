"""`python -m pytest` without KERAS_BACKEND: the suite once for each backend."""

import importlib.util
import os
import subprocess
import sys
import time

import pytest

BACKENDS = ("tensorflow", "jax", "torch")


def pytest_cmdline_main(config):
    """Run the same command for one backend after another, and sum up."""
    chosen = os.environ.get("KERAS_BACKEND")
    if chosen and chosen not in BACKENDS:
        raise pytest.UsageError(
            f"KERAS_BACKEND must be one of {', '.join(BACKENDS)}, or not be set to run "
            f"the suite on each that is installed. Received: KERAS_BACKEND={chosen!r}"
        )
    if chosen or config.option.help or config.option.version:
        return None
    results = [_run(backend, config) for backend in BACKENDS]
    print("\n" + "=" * 30 + " all backends " + "=" * 30)
    for backend, (_, line) in zip(BACKENDS, results, strict=True):
        print(f"{backend:<11} {line}")
    codes = [code for code, _ in results if code is not None]
    if not codes:
        raise pytest.UsageError(
            "No Keras backend is installed: pip install -e '.[test]' brings all three."
        )
    return max(codes)


def _workers():
    """Arguments for a process a core; those of the caller come after, and win."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else 1
    if cores == 1 or importlib.util.find_spec("xdist") is None:
        return []
    # Each holds a backend in memory. Idle ones take tests from those that lag behind.
    return ["-n", str(min(cores, 4)), "--dist", "worksteal"]


def pin_worker():
    """Keep a worker on a core of its own.

    Backends take as many threads as there are cores. Those of one worker would wait
    for those of another, which doubles the time on torch.
    """
    worker = os.environ.get("PYTEST_XDIST_WORKER")
    if worker and hasattr(os, "sched_setaffinity"):
        cores = sorted(os.sched_getaffinity(0))
        os.sched_setaffinity(0, {cores[int(worker.removeprefix("gw")) % len(cores)]})


def _run(backend, config):
    """`(exit code, last line)` of pytest on a backend; the code may be None."""
    if importlib.util.find_spec(backend) is None:
        # All three are there when it matters, in CI.
        return 1 if os.environ.get("CI") else None, "not installed"
    print(f"\n{'=' * 30} KERAS_BACKEND={backend} {'=' * 30}", flush=True)
    arguments = config.invocation_params.args
    command = [sys.executable, "-m", "pytest", *_workers(), *arguments]
    if sys.stdout.isatty():
        command.insert(3, "--color=yes")
    start = time.monotonic()
    process = subprocess.Popen(
        command,
        cwd=config.invocation_params.dir,
        env={**os.environ, "KERAS_BACKEND": backend, "PYTHONUNBUFFERED": "1"},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
    )
    last, part = b"", b""
    try:
        # By pieces, not lines: the dots of a line come one by one.
        while piece := process.stdout.read1(4096):
            sys.stdout.buffer.write(piece)
            sys.stdout.buffer.flush()
            *lines, part = (part + piece).split(b"\n")
            last = next((line for line in reversed(lines) if line.strip()), last)
        code = process.wait()
    except KeyboardInterrupt:
        process.wait()
        raise
    if code < 0:
        code, last = 1, f"ended by signal {-code}".encode()
    line = (part.strip() or last).decode(errors="replace").strip()
    return code, line or f"exit code {code} after {time.monotonic() - start:.0f} s"
