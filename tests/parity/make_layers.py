"""Write layers.npz: weights, inputs and outputs of every layer, once, on one backend.

KERAS_BACKEND=jax python tests/parity/make_layers.py
"""

import sys
from pathlib import Path

sys.path[:0] = [str(Path(__file__).parents[i]) for i in (1, 2)]

import keras  # noqa: E402
import numpy as np  # noqa: E402
from backends import run  # noqa: E402
from harness import numbers  # noqa: E402

from keras_mmfusion import layers as L  # noqa: E402

FILE = Path(__file__).parent / "layers.npz"

PAIR = [(2, 5, 4), (2, 8, 3)]
MASKS = [
    np.array([[1, 1, 1, 1, 0], [1, 0, 1, 1, 1]], bool),
    np.array([[1] * 6 + [0] * 2, [0] * 8], bool),
]
STEP_MASK = np.array([[1, 1, 1, 1, 1, 1, 0], [0, 1, 1, 1, 0, 0, 0]], bool)

# name: (layer, shapes of the inputs, masks)
CASES = {
    "atd": (lambda: L.ATDFusion(8, 2, num_steps=2), PAIR, None),
    "atd_masked": (lambda: L.ATDFusion(8, 2, alpha="feature"), PAIR, MASKS),
    "atd_causal": (
        lambda: L.ATDFusion(8, 2, double_scale=True, causal=True),
        [(2, 5, 4), (2, 5, 3)],
        None,
    ),
    "step": (lambda: L.StepFusion(8, 2), [*PAIR, (2, 5, 2)], None),
    "step_masked": (lambda: L.StepFusion(8, 2, kernel_size=4), PAIR, MASKS),
    "concat": (lambda: L.ConcatFusion(6, "tanh"), PAIR, MASKS),
    "modality_dropout": (lambda: L.ModalityDropout(0.5), PAIR, MASKS),
    "gaf": (lambda: L.GramianAngularField(6), [(2, 15, 2)], None),
    "gaf_difference": (
        lambda: L.GramianAngularField(method="difference"),
        [(2, 9, 1)],
        None,
    ),
    "resnet_1d": (lambda: L.ResNet1DEncoder((4, 6), 4), [(2, 11, 3)], None),
    "temporal": (
        lambda: L.ResNet1DEncoder((4, 4), dilations=(1, 2), normalization="layer"),
        [(2, 7, 3)],
        [STEP_MASK],
    ),
    "resnet_2d": (lambda: L.ResNet2DEncoder((3, 4)), [(2, 7, 6, 2)], None),
    "lstm": (
        lambda: L.LSTMEncoder((4, 3), bidirectional=True),
        [(2, 7, 3)],
        [STEP_MASK],
    ),
    "resnet_lstm": (
        lambda: L.ResNetLSTMEncoder((4,), (5,), causal=True),
        [(2, 7, 3)],
        [STEP_MASK],
    ),
    "per_step": (
        lambda: L.PerStepEncoder(L.ResNet1DEncoder((4,), 3), "meanmax"),
        [(2, 7, 6, 2)],
        [STEP_MASK],
    ),
}


def outputs(name, weights=None):
    """Inputs, weights and flat outputs of a case; weights drawn unless given."""
    make, shapes, masks = CASES[name]
    seed = sorted(CASES).index(name)
    inputs = numbers(len(shapes), *shapes, seed=seed)
    single = len(inputs) == 1
    x = inputs[0] if single else inputs
    m = masks[0] if single and masks else masks
    layer = make()
    run(layer, x, m)
    state = [v for v in layer.weights if "seed" not in v.path]
    if weights is None:
        rng = np.random.default_rng(seed)
        weights = [
            rng.uniform(0.2, 0.8, v.shape) - 0.4 * ("var" not in v.path) for v in state
        ]
    for variable, value in zip(state, weights, strict=True):
        variable.assign(value.astype("float32"))
    result = keras.tree.flatten(run(layer, x, m))
    return [v.path for v in state], weights, result


if __name__ == "__main__":
    arrays = {}
    for name in CASES:
        _, weights, result = outputs(name)
        for kind, values in (("weight", weights), ("output", result)):
            for i, value in enumerate(values):
                arrays[f"{name}/{kind}_{i}"] = np.asarray(value, "float32")
    np.savez_compressed(FILE, **arrays)
    print(FILE, FILE.stat().st_size, "bytes")
