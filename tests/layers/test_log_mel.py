import os
from pathlib import Path

import keras
import numpy as np
import pytest
from backends import gradients, once, run
from harness import assert_close, check_layer, numbers
from scipy.signal import savgol_filter

from keras_mmfusion.datasets.fsdd import read_wav
from keras_mmfusion.layers import LogMel
from keras_mmfusion.preprocessing import mel_scale, spectrogram

PARITY = Path(__file__).resolve().parents[1] / "parity"
FROZEN = PARITY / "log_mel.npz"
SPOKEN = Path(os.environ.get("KERAS_MMFUSION_DATA") or "?", "fsdd", "recordings")


def chirp(samples=6400, rate=16_000):
    """A tone that rises over all bands, in noise."""
    t = np.arange(samples) / rate
    tone = np.sin(2 * np.pi * (50 * t + 7900 * t**2 * rate / samples / 2))
    noise = np.random.default_rng(0).standard_normal(samples)
    return (0.5 * tone + 1e-2 * noise).astype("float32")


def by_librosa(x, rate, bands, lowest, highest, decibels=False):
    import librosa

    energies = librosa.feature.melspectrogram(
        y=x,
        sr=rate,
        n_fft=round(0.025 * rate),
        hop_length=round(0.01 * rate),
        window="hamming",
        center=False,
        n_mels=bands,
        fmin=lowest,
        fmax=highest,
    )
    if decibels:
        static = librosa.power_to_db(energies, top_db=None)
    else:
        static = np.log(np.maximum(energies, 1e-10))
    deltas = [librosa.feature.delta(static, order=order) for order in (1, 2)]
    return np.stack([static, *deltas], axis=-1).swapaxes(0, 1)


def mel(hertz):
    """The scale of Slaney's toolbox, a frequency at a time."""
    if hertz < 1000:
        return hertz / (200 / 3)
    return 15 + np.log(hertz / 1000) / (np.log(6.4) / 27)


def plainly(x, rate, bands, lowest, highest, decibels=False):
    """A step and a band at a time, in float64."""
    size, hop = round(0.025 * rate), round(0.01 * rate)
    # The inverse of the scale, by looking it up.
    fine = np.linspace(lowest, highest, 400_001)
    edges = np.interp(
        np.linspace(mel(lowest), mel(highest), bands + 2), [mel(f) for f in fine], fine
    )
    hertz = rate / size * np.arange(size // 2 + 1)
    hamming = np.hamming(size + 1)[:-1]
    static = []
    for start in range(0, len(x) - size + 1, hop):
        spectrum = np.fft.fft(hamming * x[start : start + size].astype("float64"))
        energy = np.abs(spectrum[: len(hertz)]) ** 2
        row = []
        for low, peak, high in zip(edges, edges[1:], edges[2:], strict=False):
            triangle = np.interp(hertz, [low, peak, high], [0, 2 / (high - low), 0])
            row.append(max(triangle @ energy, 1e-10))
        static.append(10 * np.log10(row) if decibels else np.log(row))
    static = np.array(static)
    deltas = [
        savgol_filter(static, 9, polyorder=order, deriv=order, axis=0)
        for order in (1, 2)
    ]
    return np.stack([static, *deltas], axis=-1)


CASES = {
    "natural": ({}, (16_000, 64, 20, 8000)),
    "decibels": (
        {"bands": 40, "lowest": 100, "highest": 6000, "decibels": True},
        (16_000, 40, 100, 6000, True),
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_a_chirp_as_librosa_has_it(case):
    """`tests/parity/make_log_mel.py` froze what librosa gave."""
    arguments, reference = CASES[case]
    with np.load(FROZEN) as file:
        frozen = file[case]
    assert_close(plainly(chirp(), *reference), frozen, 2e-4, "the reference")
    found = run(LogMel(16_000, **arguments), chirp()[None])
    assert_close(found[0], frozen, 1e-3)


def spoken():
    if not SPOKEN.is_dir():
        pytest.skip("needs fsdd in KERAS_MMFUSION_DATA")
    return [
        read_wav(SPOKEN / f"{d}_{s}_0.wav")[0] for d, s in ((3, "theo"), (7, "lucas"))
    ]


@pytest.mark.parametrize("reference", ["equations", "librosa"])
def test_spoken_digits(reference):
    """Of two lengths in one batch, the shorter one padded with NaN."""
    if reference == "librosa":
        pytest.importorskip("librosa")
    recordings = spoken()
    longest = max(len(x) for x in recordings)
    assert min(len(x) for x in recordings) < longest - 400
    batch = np.full((2, longest), np.nan, "float32")
    for row, x in zip(batch, recordings, strict=True):
        row[: len(x)] = x
    layer = LogMel(8000, highest=4000)
    found = run(layer, batch, ~np.isnan(batch))
    steps = np.asarray(layer.compute_mask(batch, ~np.isnan(batch)))
    function = by_librosa if reference == "librosa" else plainly
    for x, picture, valid in zip(recordings, found, steps, strict=True):
        expected = function(x.astype("float64"), 8000, 64, 20, 4000)
        assert valid.sum() == len(expected) and valid[: len(expected)].all()
        assert_close(picture[valid], expected, 1e-3)
        assert not picture[~valid].any()


def test_static_channel_as_tensorflow_io_has_it():
    with np.load(PARITY / "audio.npz") as file:
        frozen = file["tensorflow_io/mel"]
    x = np.random.default_rng(0).uniform(-1, 1, (2, 2100)).astype("float32")
    ours = mel_scale(spectrogram(x), 8000, 40)
    layer = LogMel(
        8000,
        40,
        highest=4000,
        window=0.05,
        hop=0.025,
        deltas=False,
        mel="htk",
        taper="hann",
        power=1,
    )
    found = run(layer, x)
    assert found.shape == (2, 9, 40, 1)
    assert_close(found[..., 0], np.log(ours), 1e-4)
    assert_close(found[..., 0], np.log(frozen[:, :9]), 1e-3)
    louder = LogMel.from_config(layer.get_config() | {"decibels": True})
    assert_close(run(louder, x)[..., 0], 20 * np.log10(ours), 1e-3)


def small(**kwargs):
    """Windows of 8 samples, 4 apart."""
    return LogMel(1000, 3, 50, 500, window=0.008, hop=0.004, **kwargs)


def test_deltas_do_not_reach_over_what_is_missing():
    """On either side of a gap, and after padding in front, as if it stood alone."""
    x = numbers(1, 3, 160)[0]
    mask = np.ones((3, 160), bool)
    mask[0, 80:84] = False
    mask[1, :40] = False
    mask[2] = np.arange(160) < 36
    found = run(small(), np.where(mask, x, np.nan), mask)
    valid = np.asarray(small().compute_mask(x, mask))
    expected = np.zeros_like(found)
    expected[0, :19] = run(small(), x[:1, :80])[0]
    expected[0, 21:] = run(small(), x[:1, 84:])[0]
    expected[1, 10:] = run(small(), x[1:2, 40:])[0]
    # Eight steps: too few for deltas.
    expected[2, :8] = run(small(), x[2:, :36])[0]
    assert_close(found, expected, 1e-5)
    np.testing.assert_array_equal(valid, expected[..., 0].any(-1))
    assert np.abs(expected[:2, 12:19, :, 1:]).min() > 0
    assert not expected[2, :, :, 1:].any()


@pytest.mark.parametrize("arguments", [{}, {"power": 1, "mel": "htk", "deltas": False}])
def test_contract(tmp_path, arguments):
    x = numbers(1, 2, 61)[0]
    mask = np.arange(61) < np.array([[61], [44]])
    path = tmp_path / "m.keras"

    def make(**kwargs):
        return small(**arguments, **kwargs)

    check_layer(make, x, mask, path=path, padding=True, train=False)


def test_silence_has_finite_gradients():
    for power in (1, 2):
        layer = small(power=power)
        assert_close(
            run(layer, np.zeros((1, 60), "float32"))[..., 0],
            np.full((1, 14, 3), np.log(1e-10)),
        )
        gradient = gradients(layer, np.zeros((1, 60), "float32"))[0][0]
        assert np.isfinite(gradient).all()


def test_half_precision_does_not_reach_the_wave():
    x = chirp()[None]
    found = run(LogMel(16_000, dtype="mixed_bfloat16"), x).astype("float32")
    # The last rounding alone: half of 2^-7 of a number.
    np.testing.assert_allclose(found, run(LogMel(16_000), x), rtol=2**-8, atol=1e-5)


def test_compiled_in_a_model():
    """Under XLA on TensorFlow and JAX, in training and after it."""
    wave = keras.Input((None,))
    picture = small()(wave)
    pooled = keras.layers.GlobalAveragePooling2D(data_format="channels_last")(picture)
    model = keras.Model(wave, keras.layers.Dense(1)(pooled))
    jit = True if keras.backend.backend() != "torch" else "auto"
    model.compile("sgd", "mse", jit_compile=jit)
    x = numbers(1, 2, 60)[0]
    expected = run(model, x)
    assert_close(model.predict(x, verbose=0), expected)
    before = model.layers[-1].get_weights()[0]
    assert np.isfinite(model.train_on_batch(x, np.ones((2, 1))))
    assert np.abs(model.layers[-1].get_weights()[0] - before).max() > 1e-4


@once
def test_wrong_arguments():
    with pytest.raises(ValueError, match="within 0 and 4000 Hz"):
        LogMel(8000)
    with pytest.raises(ValueError, match=r"40 Hz apart.*bands=300"):
        LogMel(16_000, bands=300)
    for name, value in (("rate", 0), ("window", -1.0), ("hop", 0), ("floor", 0)):
        with pytest.raises(ValueError, match=f"`{name}` must be a positive number"):
            LogMel(**{"rate": 16_000, name: value})
    for name, value in (("mel", "bark"), ("taper", "box"), ("power", 3)):
        with pytest.raises(ValueError, match=f"`{name}` must be one of"):
            LogMel(16_000, **{name: value})
    with pytest.raises(ValueError, match="at least one window of 400 samples"):
        LogMel(16_000).compute_output_shape((1, 399))
    with pytest.raises(ValueError, match=r"expects waves \(batch, samples\)"):
        LogMel(16_000).compute_output_shape((1, 399, 2))
    assert LogMel(16_000).compute_output_shape((None, None)) == (None, None, 64, 3)
