"""One chief and several workers on this machine, by Keras Tuner's own protocol."""

import contextlib
import os
import socket
import subprocess
import sys
import threading
import time

from keras_mmfusion.datasets import RecordError

RESTARTS = 3
PIPED = "--end-with-parent"


def run_workers(arguments, workers, folder):
    """Search in several processes, and return when all trials are done.

    A worker that was killed starts again and repeats its trial. If one fails, or the
    chief ends, all are ended.

    Args:
        arguments: List of str. What comes after `mmfusion` for each process.
        workers: int.
        folder: `Path` for the logs of the processes.

    Raises:
        RecordError: A process failed; the message is the last line of its log.
    """
    names = ["chief", *(f"worker{n}" for n in range(1, workers + 1))]
    port = str(_free_port())
    running, starts = {}, dict.fromkeys(names, 0)
    try:
        for name in names:
            running[name] = _start(name, arguments, port, folder)
        while set(running) - {"chief"}:
            time.sleep(0.1)
            for name, process in list(running.items()):
                code = process.poll()
                if code is None:
                    continue
                # The chief ends when no worker has anything left to do.
                if code == 0 or "chief" not in running:
                    del running[name]
                    if code != 0:
                        print(
                            f"mmfusion: {_failure(name, code, folder)}", file=sys.stderr
                        )
                elif code < 0 and name != "chief" and starts[name] < RESTARTS:
                    starts[name] += 1
                    note = f"{name} was ended by signal {-code}; it starts again"
                    print(f"mmfusion: {note}", file=sys.stderr)
                    running[name] = _start(name, arguments, port, folder)
                else:
                    raise RecordError(_failure(name, code, folder))
    finally:
        # The chief by now waits for requests only: what it knows is on the disk.
        for process in running.values():
            process.terminate()
        for process in running.values():
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def arguments_of(args):
    """The words after `mmfusion` that make the same search."""
    words = ["tune", str(args.data), "--output", str(args.output)]
    for name in ("preset_like", "max_trials", "tuner", "epochs", "batch_size"):
        if getattr(args, name) is not None:
            words += [f"--{name.replace('_', '-')}", str(getattr(args, name))]
    for text in args.range:
        words += ["--range", text]
    words += ["--objective", args.objective, "--seed", str(args.seed)]
    if args.folds is not None:
        words += ["--folds", str(args.folds)]
    if args.records:
        words += ["--records", *args.records]
    return words


def end_with_parent():
    """End this process when the one that started it is gone, killed or not."""

    def watch():
        # Not `sys.stdin.read`: its lock, held at the end of Python, is a fatal error.
        while os.read(0, 1):
            pass
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


def _start(name, arguments, port, folder):
    environment = {
        **os.environ,
        "KERASTUNER_TUNER_ID": name,
        "KERASTUNER_ORACLE_IP": "127.0.0.1",
        "KERASTUNER_ORACLE_PORT": port,
        # gRPC would ask a proxy for this machine, too.
        "no_grpc_proxy": "127.0.0.1",
    }
    with open(_log(name, folder), "ab") as log:
        return subprocess.Popen(
            [sys.executable, "-m", "keras_mmfusion.cli", *arguments, PIPED],
            env=environment,
            # Nothing is ever written: it closes when this process ends.
            stdin=subprocess.PIPE,
            stdout=log,
            # What the chief says of each trial is for the user.
            stderr=None if name == "chief" else log,
        )


def _failure(name, code, folder):
    how = f"was ended by signal {-code}" if code < 0 else f"failed (exit code {code})"
    lines = []
    with contextlib.suppress(OSError):
        lines = _log(name, folder).read_text(errors="replace").strip().splitlines()
    last = f": {lines[-1].removeprefix('mmfusion: error: ')}" if lines else ""
    return (
        f"{name} {how}{last}. See {_log(name, folder)}. The same command goes on "
        "where it stopped."
    )


def _log(name, folder):
    return folder / f"{name}.log"


def _free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]
