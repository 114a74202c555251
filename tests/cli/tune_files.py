"""A file to search on, and the command line of a short search."""

import numpy as np

RANGES = ["fusion=concat,lmf", "dim=8", "encoder=dense", "encoder_dim=4:8"]
LINE = [word for text in RANGES for word in ("--range", text)]
LINE += ["--epochs", "2", "--batch-size", "8"]


def write_arrays(path, **changes):
    rng = np.random.default_rng(0)
    arrays = {
        "voice": rng.normal(size=(24, 4, 3)),
        "text": rng.normal(size=(24, 5)),
        "y": np.arange(24) % 3,
        "groups": np.repeat(np.array(["a", "b", "c", "d", "e", "f"]), 4),
        **changes,
    }
    np.savez(path, **{k: v for k, v in arrays.items() if v is not None})
    return path


def command(file, output, *words):
    return ["tune", str(file), "--output", str(output), *LINE, *words]
