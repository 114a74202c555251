"""Add cases to layers.npz: weights, seeds and outputs of every layer, on one backend.

KERAS_BACKEND=jax python tests/parity/make_layers.py [case ...]

What is frozen stays, but for the cases that are named.
"""

import sys
import zlib
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


def cell_and_states():
    """The cell as a model, whose inputs are all tensors: the state counts as well."""
    sizes = [(5, 4, 2), (6,), (5, 4, 3), (5, 4, 3)]
    inputs = [keras.Input(size) for size in sizes]
    output, states = L.ConvLSTMFusionCell(3)(inputs[:2], inputs[2:])
    return keras.Model(inputs, [output, *states])


# name: (layer, shapes of the inputs, masks)
CASES = {
    "atd": (lambda: L.ATDFusion(8, 2, num_steps=2), PAIR, None),
    "atd_masked": (lambda: L.ATDFusion(8, 2, alpha="feature"), PAIR, MASKS),
    "atd_causal": (
        lambda: L.ATDFusion(8, 2, double_scale=True, causal=True),
        [(2, 5, 4), (2, 5, 3)],
        None,
    ),
    "atd_encoder": (
        lambda: L.ATDEncoder(8, 2, 2, patch=3, class_token=True),
        [(2, 7, 3)],
        [STEP_MASK],
    ),
    "atd_encoder_image": (
        lambda: L.ATDEncoder(8, num_heads=2, patch=(2, 3)),
        [(2, 4, 6, 2)],
        None,
    ),
    "step": (lambda: L.StepFusion(8, 2), [*PAIR, (2, 5, 2)], None),
    "step_masked": (lambda: L.StepFusion(8, 2, kernel_size=4), PAIR, MASKS),
    "concat": (lambda: L.ConcatFusion(6, "tanh"), PAIR, MASKS),
    "lmf": (lambda: L.LowRankFusion(6, 3), PAIR, MASKS),
    "lmf_steps": (lambda: L.LowRankFusion(6, 2, pooling=None), PAIR, MASKS),
    "tfn": (lambda: L.TensorFusion(6, "tanh"), PAIR, MASKS),
    "tfn_steps": (lambda: L.TensorFusion(6, max_size=12, pooling=None), PAIR, None),
    "cascade": (lambda: L.CascadeMHA(8, 2), [*PAIR, (2, 5, 2)], None),
    "cascade_masked": (
        lambda: L.CascadeMHA(8, 2, "canonical", block_diagonal=True),
        PAIR,
        MASKS,
    ),
    "cross_attention": (lambda: L.CrossAttentionFusion(8, 2), PAIR, MASKS),
    "mult": (lambda: L.MulTFusion(6, 2, 1, 1, stream_dim=4), PAIR, MASKS),
    "zoom_shift": (lambda: L.ZoomShiftFusion(8, 2), [*PAIR, (2, 5, 2)], None),
    "zoom_shift_masked": (lambda: L.ZoomShiftFusion(8, 2), PAIR, MASKS),
    "atd_guide": (lambda: L.ATDGuide(ff_dim=6), [(2, 5, 4), (2, 8, 4)], MASKS),
    "modality_dropout": (lambda: L.ModalityDropout(0.5), PAIR, MASKS),
    "gaf": (lambda: L.GramianAngularField(6), [(2, 15, 2)], None),
    "gaf_difference": (
        lambda: L.GramianAngularField(method="difference"),
        [(2, 9, 1)],
        None,
    ),
    "recurrence": (lambda: L.RecurrencePlot(9, dimension=2), [(2, 15, 2)], None),
    "markov": (lambda: L.MarkovTransitionField(6, 4), [(2, 15, 2)], None),
    "period": (lambda: L.PeriodFold(4, "pad"), [(2, 15, 2)], None),
    "noise": (lambda: L.AddNoise(2.0), PAIR, MASKS),
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
    "residual_attention": (
        lambda: L.ResidualAttentionBlock(4, strides=(2, 2), num_heads=2),
        [(2, 7, 6, 3)],
        [STEP_MASK],
    ),
    "residual_attention_transposed": (
        lambda: L.ResidualAttentionBlock(2, 4, 2, num_heads=2, transposed=True),
        [(2, 3, 3)],
        None,
    ),
    "log_mel": (
        lambda: L.LogMel(1000, 3, 50, 500, window=0.008, hop=0.004),
        [(2, 61)],
        None,
    ),
    "per_step": (
        lambda: L.PerStepEncoder(L.ResNet1DEncoder((4,), 3), "meanmax"),
        [(2, 7, 6, 2)],
        [STEP_MASK],
    ),
    "conv_lstm": (
        lambda: L.ConvLSTMFusion(3, return_sequences=True),
        [(2, 5, 4, 3, 2), (2, 5, 6)],
        [STEP_MASK[:, :5], STEP_MASK[:, 2:]],
    ),
    "temporal_pyramid": (
        lambda: L.TemporalPyramidPooling((1, 2, 4)),
        [(2, 7, 3)],
        [STEP_MASK],
    ),
    "frame_pooling": (L.FramePooling, [(2, 3, 5, 4, 2)], None),
    "conv_lstm_image": (
        lambda: L.ConvLSTMFusion(3, (3, 2), strides=2, return_state=True),
        [(2, 5, 4, 2), (2, 7, 6)],
        None,
    ),
    "conv_lstm_cell": (
        cell_and_states,
        [(2, 5, 4, 2), (2, 6), (2, 5, 4, 3), (2, 5, 4, 3)],
        None,
    ),
    "linear_forecast": (lambda: L.LinearForecast(4), [(2, 9, 2), (2, 3)], None),
    "n_linear": (lambda: L.NLinear(4), [(2, 9, 2), (2, 3)], None),
    "d_linear": (lambda: L.DLinear(4, 5), [(2, 9, 2)], None),
    "seasonal_naive": (lambda: L.SeasonalNaive(7, 3), [(2, 9, 2)], None),
}


def outputs(name, seed, weights=None):
    """Inputs, weights and flat outputs of a case; weights drawn unless given."""
    make, shapes, masks = CASES[name]
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


def load():
    """What is frozen, by case: `(seed, weights, outputs)`."""
    with np.load(FILE) as file:
        arrays = dict(file)

    def several(prefix):
        count = sum(key.startswith(prefix) for key in arrays)
        return [arrays[f"{prefix}{i}"] for i in range(count)]

    return {
        name: (
            int(arrays[f"{name}/seed"]),
            several(f"{name}/weight_"),
            several(f"{name}/output_"),
        )
        for name in sorted({key.split("/")[0] for key in arrays})
    }


def freeze(again=()):
    cases = {k: v for k, v in load().items() if k in CASES and k not in again}
    for name in CASES:
        if name not in cases:
            seed = zlib.crc32(name.encode()) % 1000
            _, weights, result = outputs(name, seed)
            cases[name] = (seed, weights, result)
            print("froze", name)
    arrays = {}
    for name, (seed, weights, result) in cases.items():
        arrays[f"{name}/seed"] = np.array(seed, "int32")
        for kind, values in (("weight", weights), ("output", result)):
            for i, value in enumerate(values):
                arrays[f"{name}/{kind}_{i}"] = np.asarray(value, "float32")
    np.savez_compressed(FILE, **arrays)
    print(FILE, FILE.stat().st_size, "bytes")


if __name__ == "__main__":
    freeze(sys.argv[1:])
