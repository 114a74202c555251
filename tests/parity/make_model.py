"""Write model.npz: weights and outputs of the beat models, once, on one backend.

KERAS_BACKEND=jax python tests/parity/make_model.py
"""

import sys
from dataclasses import replace
from pathlib import Path

ROOT = Path(__file__).parents[2]
sys.path[:0] = [str(ROOT)]
sys.path.append(str(ROOT / "recipes" / "mitbih"))

import architecture  # noqa: E402
import numpy as np  # noqa: E402

from keras_mmfusion.cli.demo import EXCERPT  # noqa: E402
from keras_mmfusion.datasets import read_wfdb  # noqa: E402
from keras_mmfusion.preprocessing import BeatPreprocessor  # noqa: E402

FILE = Path(__file__).parent / "model.npz"
CASES = {"offline": ("atd", False), "causal": ("atd", True), "step": ("step", False)}
BEATS = 40


def build(case):
    fusion, causal = CASES[case]
    return architecture.build(("N", "S", "V", "F"), fusion, causal=causal)


def state(model):
    return [v for v in model.weights if "seed" not in v.path]


def draw(model, seed):
    """Weights that keep signals at their size, in half precision to be small."""
    rng = np.random.default_rng(seed)
    arrays = []
    for variable in state(model):
        fan_in = np.prod(variable.shape[:-1]) if len(variable.shape) > 1 else 25
        values = rng.normal(0, 1 / np.sqrt(fan_in), variable.shape)
        arrays.append(values.astype("float16"))
    return arrays


def outputs(model, weights, causal):
    """Probabilities of the first beats of the excerpt, a gap in one lead included."""
    for variable, value in zip(state(model), weights, strict=True):
        variable.assign(value.astype("float32"))
    record = read_wfdb(EXCERPT, "atr")
    signals = record.signals.copy()
    signals[3000:4000, 1] = np.nan
    record = replace(record, signals=signals, beats=record.beats[:BEATS])
    return model.predict_beats(BeatPreprocessor(causal=causal)(record).modalities)


if __name__ == "__main__":
    arrays = {}
    for seed, (case, (_, causal)) in enumerate(CASES.items()):
        model = build(case)
        weights = draw(model, seed)
        if case != "causal":  # It has the weights of the other one.
            for i, value in enumerate(weights):
                arrays[f"{case}/weight_{i}"] = value
        else:
            weights = draw(model, 0)
        result = outputs(model, weights, causal)
        arrays[f"{case}/output"] = result.astype("float32")
        print(case, result.min(axis=0), result.max(axis=0))
    np.savez_compressed(FILE, **arrays)
    print(FILE, FILE.stat().st_size, "bytes")
