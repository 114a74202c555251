"""Step time of every preset on this machine's device, beside what the device can do.

    python benchmarks/gpu.py --precision mixed_bfloat16 --output docs/benchmarks/gpu.csv

Each preset, and the paper's retrievers of 70 and 282 million weights, is compiled as
its recipe does, and shown one batch of made inputs of the recipe's size again and
again. `step` is `train_on_batch`, or `fit` where `--steps-per-execution` is above 1;
`forward` is `predict_on_batch`. Both begin and end in the memory of the host.

FLOP and bytes are those of the same step in JAX, see `gpu_cost.costs`; without JAX
there are none. Ceilings are measured in the same process as the times: a product of
large matrices in the same precision, and `y + a * x` of large vectors. On a CPU, times
are processor time, and models above 50 million weights are left out unless named.
"""

import argparse
import contextlib
import gc
import importlib.util
import json
import os
import platform
import subprocess
import sys
import time
import traceback
from pathlib import Path

import gpu_cases
import turns

CALLS = ("forward", "step")
FIELDS = ["case", "backend", "device", "precision", "steps_per_execution", "batch"]
FIELDS += ["parameters", "call", "timed", "ms", "ms_min", "ms_max", "turns", "first_s"]
FIELDS += ["samples_per_s", "gflop", "flop_by", "mb", "bytes_by", "gflop_per_s"]
FIELDS += ["ceiling_gflop_per_s", "flop_share", "gb_per_s", "ceiling_gb_per_s"]
FIELDS += ["byte_share", "threads"]
# Steps of one `fit`, in executions: starting one costs, too.
EXECUTIONS = 4


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    turns.add_arguments(parser)
    parser.add_argument("--only", nargs="+", metavar="NAME", help="cases to measure")
    parser.add_argument("--precision", default="float32", help="or mixed_bfloat16")
    parser.add_argument("--steps-per-execution", type=int, default=1, metavar="N")
    parser.add_argument("--batch", type=int, help="samples (default: as in the recipe)")
    parser.add_argument(
        "--xla",
        action=argparse.BooleanOptionalAction,
        help="jit_compile (default: as in the recipes, on JAX only)",
    )
    parser.add_argument("--output", metavar="CSV", help="file to write (default: show)")
    parser.set_defaults(turns=5)
    args = parser.parse_args()
    if args.here:
        return serve(**json.loads(args.here))
    count, batch = (2, args.batch or 2) if args.smoke else (args.turns, args.batch)
    case = {"only": args.only, "smoke": args.smoke, "count": count}
    case |= {"precision": args.precision, "batch": batch, "xla": args.xla}
    case |= {"steps_per_execution": args.steps_per_execution, "threads": args.threads}
    # JAX first, since it counts for all.
    backends = sorted(args.backends, key=lambda name: name != "jax")
    if "jax" not in backends and importlib.util.find_spec("jax"):
        backends.insert(0, "jax")
    counted, failed = {}, 0
    with contextlib.ExitStack() as stack:
        file = sys.stdout
        if args.output:
            file = stack.enter_context(
                open(args.output, "w", newline="", encoding="utf-8")
            )
        table = turns.writer(FIELDS, file)
        for backend in backends:
            timed = backend in args.backends
            for found in answers(case | {"timed": timed}, backend, args.threads):
                failed += "error" in found
                counted |= {found["case"]: found["costs"]} if "costs" in found else {}
                for row in found.get("rows", ()):
                    cost = counted.get(row["case"], {}).get(row["call"], {})
                    table.writerow(with_cost(row, cost))
                file.flush()
    return 1 if failed else 0


def answers(case, backend, threads):
    """What the process of a backend says, case by case."""
    environment = turns.environment(backend, threads, memory=False)
    # These hide the GPU from the other benchmarks.
    environment.pop("CUDA_VISIBLE_DEVICES")
    if "CUDA_VISIBLE_DEVICES" in os.environ:
        environment["CUDA_VISIBLE_DEVICES"] = os.environ["CUDA_VISIBLE_DEVICES"]
    environment |= {"TF_FORCE_GPU_ALLOW_GROWTH": "true"}
    environment |= {"XLA_PYTHON_CLIENT_PREALLOCATE": "false"}
    command = [sys.executable, __file__, "--here", json.dumps(case)]
    with subprocess.Popen(
        command, env=environment, stdout=subprocess.PIPE, text=True
    ) as process:
        for line in process.stdout:
            yield json.loads(line)
    if process.returncode:
        raise SystemExit(f"{backend} ended with exit code {process.returncode}")


def with_cost(row, cost):
    """The row with what the step asks for, and its share of what the device can do."""
    seconds = float(row["ms"]) / 1e3
    if "flop" in cost:
        rate = cost["flop"] / seconds / 1e9
        row |= {"gflop": cost["flop"] / 1e9, "flop_by": cost["flop_by"]}
        row |= {"gflop_per_s": rate, "flop_share": rate / row["ceiling_gflop_per_s"]}
    if "bytes" in cost:
        rate = cost["bytes"] / seconds / 1e9
        row |= {"mb": cost["bytes"] / 1e6, "bytes_by": cost["bytes_by"]}
        row |= {"gb_per_s": rate, "byte_share": rate / row["ceiling_gb_per_s"]}
    return {k: f"{v:.4g}" if isinstance(v, float) else v for k, v in row.items()}


# In the process of a backend.


def serve(
    only, smoke, timed, count, precision, batch, xla, steps_per_execution, threads
):
    """Print a line of JSON a case: its rows, on JAX its costs, or its error."""
    import gpu_cost
    import keras

    out = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # What libraries print is no answer.
    gpu, device = describe(threads)
    keras.config.set_dtype_policy(precision)
    dtype = keras.config.dtype_policy().compute_dtype
    clock = time.perf_counter if gpu else time.process_time
    sizes = "smoke" if smoke else "gpu" if gpu else "cpu"
    most = gpu_cost.ceilings(dtype, sizes, count, clock)
    settings = {"backend": keras.backend.backend(), "device": device}
    settings |= {"precision": precision, "steps_per_execution": steps_per_execution}
    settings |= {"turns": count, "threads": "" if gpu else threads}
    settings |= {"timed": "wall" if gpu else "processor"}
    settings |= dict(
        zip(("ceiling_gflop_per_s", "ceiling_gb_per_s"), most, strict=True)
    )
    for key in ("ceiling_gflop_per_s", "ceiling_gb_per_s"):
        settings[key] /= 1e9
    for name in gpu_cases.names(only, smoke, gpu):
        answer = {"case": name}
        try:
            made = gpu_cases.make(name, precision, steps_per_execution, batch, xla)
            model, x, y = made
            samples = len(next(iter(x.values())))
            facts = {"case": name, "batch": samples, "parameters": model.count_params()}
            if timed:
                answer["rows"] = [
                    settings | facts | row
                    for row in rows(model, x, y, steps_per_execution, count, clock)
                ]
            if keras.backend.backend() == "jax":
                if not model.optimizer.built:
                    model.train_on_batch(x, y)
                answer["costs"] = gpu_cost.costs(model, x, y)
            del model, made
        except Exception as error:  # Such as a device that is too small for one case.
            traceback.print_exc()
            answer["error"] = f"{type(error).__name__}: {error}"[:200]
        print(json.dumps(answer), file=out, flush=True)
        keras.utils.clear_session()
        gc.collect()


def rows(model, x, y, steps_per_execution, count, clock):
    """A row a call: its first time, then `count` turns."""
    import gpu_cost

    samples = len(next(iter(x.values())))
    steps = EXECUTIONS * steps_per_execution
    repeated = None if steps_per_execution == 1 else again(x, y, steps)

    def step():
        if repeated is None:
            return model.train_on_batch(x, y)
        return model.fit(repeated, verbose=0, shuffle=False)

    calls = {"forward": lambda: model.predict_on_batch(x), "step": step}
    for name in CALLS:
        start = time.perf_counter()
        calls[name]()
        first = time.perf_counter() - start
        each = 1 if name == "forward" or repeated is None else steps
        found = gpu_cost.take_turns(calls[name], count, clock)
        ms, least, most = (1e3 * value / each for value in turns.spread(found))
        row = {"call": name, "ms": ms, "ms_min": least, "ms_max": most}
        yield row | {"first_s": first, "samples_per_s": samples / ms * 1e3}


def again(x, y, steps):
    """One batch, `steps` times, as a data set."""
    import keras

    class Again(keras.utils.PyDataset):
        def __len__(self):
            return steps

        def __getitem__(self, number):
            return (x,) if y is None else (x, y)

    return Again()


def describe(threads):
    """Whether there is a GPU, and the name of the device."""
    import keras

    backend = keras.backend.backend()
    name = None
    if backend == "jax":
        import jax

        device = jax.devices()[0]
        name = device.device_kind if device.platform != "cpu" else None
    elif backend == "tensorflow":
        import tensorflow as tf

        devices = tf.config.list_physical_devices("GPU")
        if devices:
            details = tf.config.experimental.get_device_details(devices[0])
            name = details.get("device_name", "GPU")
    else:
        import torch

        torch.set_num_threads(threads)
        name = torch.cuda.get_device_name() if torch.cuda.is_available() else None
    if name is not None:
        return True, name
    cores = "1 core" if threads == 1 else f"{threads} cores"
    return False, f"{processor()}, {cores}"


def processor():
    """The name of the CPU."""
    with contextlib.suppress(OSError):
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    return platform.processor() or platform.machine()


if __name__ == "__main__":
    sys.exit(main())
