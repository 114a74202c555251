"""Freeze in log_mel.npz what librosa makes of a chirp in noise.

python tests/parity/make_log_mel.py

Made with librosa 0.11.0.
"""

import sys
from pathlib import Path

sys.path[:0] = [str(Path(__file__).parents[i]) for i in (1, 2)]
sys.path.append(str(Path(__file__).parents[1] / "layers"))

import numpy as np  # noqa: E402
from test_log_mel import FROZEN, by_librosa, chirp  # noqa: E402


def main():
    x = chirp().astype("float64")
    arrays = {
        "natural": by_librosa(x, 16_000, 64, 20, 8000),
        "decibels": by_librosa(x, 16_000, 40, 100, 6000, decibels=True),
    }
    np.savez_compressed(FROZEN, **{k: v.astype("float32") for k, v in arrays.items()})


if __name__ == "__main__":
    main()
