"""Images and recordings of digits as model inputs, alike in training and after it."""

import dataclasses
import json
import tracemalloc
from pathlib import Path

import keras
import numpy as np
import pytest
from backends import run
from digit_files import write_digits

from keras_mmfusion.datasets import RecordError, digits
from keras_mmfusion.datasets.digit_batches import DigitBatches
from keras_mmfusion.layers import AddNoise
from keras_mmfusion.preprocessing import (
    DigitPreprocessor,
    add_white_noise,
    mask_spectrogram,
    mel_scale,
    spectrogram,
)

FROZEN = Path(__file__).parent / "parity" / "audio.npz"


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    folder = tmp_path_factory.mktemp("digits")
    write_digits(folder)
    return digits.load_digits(data_dir=folder)


def waves():
    """The waves of which `audio.npz` holds the spectrograms."""
    return np.random.default_rng(0).uniform(-1, 1, (2, 2100)).astype("float32")


def test_spectrogram_by_the_definition():
    x = waves().astype("float64")
    n = np.arange(400)
    hann = np.sin(np.pi * n / 400) ** 2
    fourier = np.exp(-2j * np.pi * np.outer(np.arange(201), n) / 400)
    found = spectrogram(x)
    assert found.shape == (2, 9, 201) and found.dtype == "float32"
    for step in (0, 4, 8):
        expected = np.abs((x[:, 200 * step :][:, :400] * hann) @ fourier.T)
        np.testing.assert_allclose(found[:, step], expected, atol=1e-5)
    assert spectrogram(x[0], window=64, hop=50).shape == (41, 33)
    with pytest.raises(ValueError, match="at least one window"):
        spectrogram(x[:, :399])


@pytest.mark.parametrize("library", ["librosa", "tensorflow_io"])
def test_spectrograms_that_libraries_gave(library):
    """`tests/parity/make_audio.py` froze what they gave."""
    with np.load(FROZEN) as file:
        magnitudes, mel = (file[f"{library}/{kind}"] for kind in ("spectrogram", "mel"))
    ours = spectrogram(waves())
    np.testing.assert_allclose(ours, magnitudes[:, : ours.shape[1]], atol=1e-4)
    ours = mel_scale(ours, 8000, 40)
    if library == "librosa":  # whose triangles are over hertz
        assert np.abs(10 * np.log10(ours / mel)).max() < 0.1
    else:
        np.testing.assert_allclose(ours, mel[:, : ours.shape[1]], rtol=1e-4, atol=1e-4)


def test_spectrogram_is_that_of_librosa_here():
    librosa = pytest.importorskip("librosa")
    x = waves()
    theirs = librosa.stft(x, n_fft=400, hop_length=200, center=False)
    theirs = np.abs(theirs).swapaxes(1, 2)
    np.testing.assert_allclose(spectrogram(x), theirs, atol=1e-4)


def test_mel_bands():
    tone = np.sin(2 * np.pi * 1000 * np.arange(8400) / 8000)
    bands = mel_scale(spectrogram(tone), 8000, 40)
    edges = np.linspace(*1127 * np.log1p(np.array([20, 4000]) / 700), 42)
    nearest = np.abs(edges[1:-1] - 1127 * np.log1p(1000 / 700)).argmin()
    assert (bands.argmax(axis=1) == nearest).all()
    for band in ((-1, 4000), (20, 4001), (500, 500)):
        with pytest.raises(ValueError, match="half of the rate"):
            mel_scale(spectrogram(tone), 8000, 40, *band)


def test_masks():
    x = np.ones((41, 201))
    widths = []
    for seed in range(200):
        rng = np.random.default_rng(seed)
        zero = mask_spectrogram(x, rng, frequencies=30, times=8) == 0
        columns, rows = zero.all(axis=0), zero.all(axis=1)
        np.testing.assert_array_equal(zero, columns[None] | rows[:, None])
        for run_ in (columns, rows):  # one run of neighbours
            assert np.abs(np.diff(run_.astype(int))).sum() <= 2
        widths.append((columns.sum(), rows.sum()))
    assert np.max(widths, axis=0).tolist() == [29, 7] and x.all()
    assert mask_spectrogram(x, np.random.default_rng(0)).all()
    assert (mask_spectrogram(x, np.random.default_rng(1), times=999) == 0).any()


@pytest.mark.parametrize("snr", [16, 0.25])
def test_noise_is_that_of_the_layer(snr):
    """The same mean, spread and shape of noise, on a signal with an offset."""
    x = np.random.default_rng(0).normal(2.0, 3.0, 40_000).astype("float32")
    ours = add_white_noise(x, snr, np.random.default_rng(1)) - x
    layers = run(AddNoise(snr, seed=1), x[None], training=True)[0] - x
    for noise in (ours, layers):
        assert abs(np.mean(x**2) / np.mean(noise**2) / snr - 1) < 0.03
        noise = noise / noise.std()
        assert abs(noise.mean()) < 0.03 and abs((noise**4).mean() - 3) < 0.2
        assert abs(np.mean(noise[1:] * noise[:-1])) < 0.03
    assert not add_white_noise(np.zeros(5), snr, np.random.default_rng(0)).any()


def test_noise_is_seeded_and_checked():
    x = np.ones(50)
    first = add_white_noise(x, 1, np.random.default_rng(3))
    assert np.array_equal(add_white_noise(x, 1, np.random.default_rng(3)), first)
    assert np.array_equal(add_white_noise(x, None, None), x)
    assert np.array_equal(add_white_noise(x, np.inf, np.random.default_rng(0)), x)
    for snr in (0, -1, np.nan, "1"):
        with pytest.raises(ValueError, match="positive ratio"):
            add_white_noise(x, snr, np.random.default_rng(0))


def test_recordings_are_padded_in_front_and_of_one_loudness():
    prepare = DigitPreprocessor()
    quiet = np.sin(np.arange(3000)).astype("float32") / 100
    wave = prepare.wave(quiet)
    assert wave.shape == (8400,) and wave.dtype == "float32"
    assert not wave[:5400].any()
    assert abs(np.mean(wave[5400:] ** 2) - 1) < 1e-5
    np.testing.assert_allclose(wave[5400:] / wave[5401], quiet / quiet[1], atol=1e-4)
    assert not prepare.wave(np.zeros(10)).any()
    np.testing.assert_array_equal(
        DigitPreprocessor(level=None).wave(quiet)[5400:], quiet
    )
    features = prepare(sound=quiet)["sound"]
    assert features.shape == (1, 41, 201)
    assert not features[0, :25].any() and features[0, 26:].any(axis=1).all()
    np.testing.assert_allclose(np.expm1(features[0]), spectrogram(wave), rtol=1e-4)
    plain = DigitPreprocessor(compress=False)(sound=quiet)["sound"][0]
    np.testing.assert_array_equal(plain, spectrogram(wave))


def test_of_a_long_recording_the_loudest_part_is_kept():
    sound = np.full(20_000, 0.01, "float32")
    sound[9_000:12_000] = np.linspace(0.5, 1.0, 3_000)
    wave = DigitPreprocessor(level=None).wave(sound)
    assert wave.shape == (8400,)
    assert (wave > 0.4).sum() == 3_000


def test_other_rates():
    pytest.importorskip("scipy")
    time = np.arange(0, 0.5, 1 / 44_100)
    prepare = DigitPreprocessor()
    wave = prepare.wave(np.sin(2 * np.pi * 1000 * time), rate=44_100)
    heard = np.flatnonzero(wave)
    assert abs(8400 - heard[0] - 4000) <= 1
    middle = prepare.describe(wave)[-10]
    assert middle.argmax() == 50  # 1 kHz in bins of 20 Hz


def test_images():
    image = np.zeros((28, 28), "uint8")
    image[3, 4] = 255
    found = DigitPreprocessor()(image)["image"]
    assert found.shape == (1, 1, 28, 28, 1) and found.dtype == "float32"
    assert found[0, 0, 3, 4, 0] == 1 and found.sum() == 1
    again = DigitPreprocessor()(image / 255)["image"]
    np.testing.assert_array_equal(again, found)


def test_what_is_missing_is_nan():
    prepare = DigitPreprocessor(mel_bands=20)
    shapes = {"image": (1, 1, 28, 28, 1), "sound": (1, 41, 20)}
    for inputs, missing in (
        (prepare(image=np.ones((28, 28))), "sound"),
        (prepare(sound=np.ones(900)), "image"),
    ):
        assert {name: x.shape for name, x in inputs.items()} == shapes
        for name, x in inputs.items():
            assert np.isnan(x).all() if name == missing else np.isfinite(x).all()


def test_config_and_errors():
    prepare = DigitPreprocessor(samples=4000, mel_bands=32, level=None, hop=100)
    text = json.dumps(keras.saving.serialize_keras_object(prepare))
    again = keras.saving.deserialize_keras_object(json.loads(text))
    assert again.get_config() == prepare.get_config()
    assert (
        again.shapes == prepare.shapes == {"image": (1, 28, 28, 1), "sound": (37, 32)}
    )
    for settings in (
        {"window": 9000},
        {"hop": 0},
        {"mel_bands": 8, "mel_range": (0, 5000)},
        {"mel_bands": 0},
        {"rate": 0},
        {"level": -1},
        {"level": np.nan},
    ):
        with pytest.raises(ValueError, match="Received"):
            DigitPreprocessor(**settings)
    for sound in (np.zeros(0), np.zeros((5, 2)), np.array([0.0, np.nan])):
        with pytest.raises(RecordError, match="one channel of sound"):
            prepare(sound=sound)
    for rate in (0, -8000, 79, 900_000, 4e9, np.nan):
        with pytest.raises(RecordError, match="80 to 800,000 samples a second"):
            prepare(sound=np.ones(3), rate=rate)
    with pytest.raises(RecordError, match="28 x 28"):
        prepare(np.zeros((32, 32)))
    for image in (
        255.0 * np.eye(28),
        65535 * np.eye(28, dtype=int),
        np.inf + np.eye(28),
    ):
        with pytest.raises(RecordError, match="0 to 255, or of floats from 0 to 1"):
            prepare(image)


def test_batches_are_what_the_preprocessor_gives(data):
    batches = DigitBatches(data, batch_size=50)
    pairs = data.pairs["train"]
    assert len(batches) == -(-len(pairs) // 50)
    x, y = batches[1]
    images, sounds = pairs[50:100]
    assert {k: v.shape for k, v in x.items()} == {
        "image": (50, 1, 28, 28, 1),
        "sound": (50, 41, 201),
    }
    assert y.tolist() == data.image_labels[images].tolist()
    assert y.tolist() == data.sounds.labels[sounds].tolist()
    for n in (0, 49):
        alone = batches.preprocessor(
            data.images[images[n]], data.sounds.waves[sounds[n]], rate=8000
        )
        for name, value in alone.items():
            np.testing.assert_array_equal(x[name][n], value[0])
    assert len(batches[len(batches) - 1][1]) == len(pairs) - 50 * (len(batches) - 1)
    assert list(DigitBatches(data, modalities=["sound"])[0][0]) == ["sound"]
    for wrong in ({"snr": {"audio": 1}}, {"modalities": ["voice"]}, {"modalities": []}):
        with pytest.raises(ValueError, match="Modalities"):
            DigitBatches(data, **wrong)


def test_noise_on_each_modality(data):
    numbers = data.pairs["train"].sample(60)

    def batches(**snr):
        return DigitBatches(data, numbers=numbers, snr=snr, batch_size=60)

    clean, noisy = batches().signals(0)[0], batches(image=0.5).signals(0)[0]
    np.testing.assert_array_equal(noisy["sound"], clean["sound"])
    noise = noisy["image"] - clean["image"]
    power = [np.mean(v**2, axis=(1, 2, 3, 4)) for v in (clean["image"], noise)]
    np.testing.assert_allclose(power[0] / power[1], 0.5, rtol=0.25)
    both = batches(image=0.5, sound=4).signals(0)[0]
    np.testing.assert_array_equal(both["image"], noisy["image"])
    # Before the padding: what is silence in front stays.
    assert not both["sound"][:, :6000].any() and both["sound"][:, -1200:].all()
    sample = np.corrcoef(both["sound"][0], clean["sound"][0])[0, 1]
    assert abs(sample - np.sqrt(4 / 5)) < 0.05  # share of the signal in its power


def test_a_level_of_noise_is_drawn_for_each_pair(data):
    numbers, levels = data.pairs["train"].sample(60), (None, 4.0, 0.25)

    def images(snr, **kwargs):
        batches = DigitBatches(data, numbers=numbers, snr={"image": snr}, **kwargs)
        return np.concatenate(
            [batches.signals(i)[0]["image"] for i in range(len(batches))]
        )

    drawn = images(levels)
    of_each = np.stack([images(level) for level in levels])
    same = (of_each == drawn).all(axis=(2, 3, 4, 5))
    assert (same.sum(axis=0) == 1).all()
    assert (same.sum(axis=1) > 8).all(), "each is drawn, and about as often"
    np.testing.assert_array_equal(images(levels, batch_size=7), drawn)
    one = np.array([0.25])
    np.testing.assert_array_equal(images(one), of_each[2])
    assert (images(levels, seed=1) != drawn).any()


def test_noise_and_masks_depend_on_seed_epoch_and_pair_only(data):
    numbers = data.pairs["train"].sample(30)
    settings = {
        "snr": {"image": 1, "sound": 1},
        "mask_frequencies": 50,
        "mask_times": 9,
    }

    def whole(batch_size, numbers=numbers, epoch=0, **kwargs):
        batches = DigitBatches(
            data, numbers=numbers, batch_size=batch_size, **settings | kwargs
        )
        batches.epoch = epoch
        parts = [batches[i] for i in range(len(batches))]
        x = {k: np.concatenate([p[0][k] for p in parts]) for k in parts[0][0]}
        return x, np.concatenate([p[1] for p in parts])

    first, labels = whole(30)
    for name, value in whole(7)[0].items():
        np.testing.assert_array_equal(value, first[name])
    for name, value in whole(30, numbers[::-1])[0].items():
        np.testing.assert_array_equal(value[::-1], first[name])
    for change in ({"seed": 1}, {"epoch": 1}):
        for name, value in whole(30, **change)[0].items():
            assert np.any(value != first[name])
    assert (first["sound"][:, 30:] == 0).all(axis=2).any()  # masked steps
    shuffled = whole(30, shuffle=True)
    assert shuffled[1].tolist() != labels.tolist()
    assert sorted(shuffled[1]) == sorted(labels)
    other = whole(30, shuffle=True, epoch=1)[1]
    assert other.tolist() != shuffled[1].tolist()


@pytest.mark.parametrize("numbers", [None, range(5, 900_000, 3)])
def test_shuffling_makes_no_list(data, numbers):
    pairs = digits.DigitPairs(np.zeros(2000, int), np.zeros(500, int))
    many = dataclasses.replace(data, pairs={"train": pairs})
    batches = DigitBatches(many, numbers=numbers, shuffle=True, seed=3)
    tracemalloc.start()
    order = batches._order()
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 8 * len(order) + 100_000
    # One order for a seed and an epoch: that of numpy, whatever the numbers are in.
    expected = np.random.default_rng((3, 0)).permutation(batches.numbers)
    np.testing.assert_array_equal(order, expected)


@pytest.mark.parametrize(
    "settings, message",
    [
        ({"split": "val"}, "`split` must be one of"),
        ({"batch_size": 0}, "`batch_size` must be a positive"),
        ({"snr": {"image": 0}}, "positive ratio"),
        ({"snr": {"sound": [1, np.nan]}}, "positive ratio"),
        ({"snr": {"sound": []}}, "a ratio to draw"),
        ({"snr": {"smell": 1}}, "Modalities are"),
        ({"modalities": ()}, "Modalities are"),
    ],
)
def test_wrong_settings_are_refused_before_a_batch_is_made(data, settings, message):
    with pytest.raises(ValueError, match=message):
        DigitBatches(data, **settings)


def test_batches_that_there_are_not(data):
    batches = DigitBatches(data)
    for wrong in (-1, len(batches)):
        with pytest.raises(IndexError, match=f"0 to {len(batches) - 1}. Received"):
            batches[wrong]


def test_a_model_learns_from_them(data):
    x = {
        name: keras.Input(shape, name=name)
        for name, shape in DigitPreprocessor(mel_bands=20).shapes.items()
    }
    flat = [keras.layers.Flatten()(v) for v in x.values()]
    y = keras.layers.Dense(10)(keras.layers.Concatenate()(flat))
    model = keras.Model(x, y)
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile("adam", loss, jit_compile=False)
    batches = DigitBatches(
        data, numbers=range(128), preprocessor=DigitPreprocessor(mel_bands=20)
    )
    history = model.fit(batches, epochs=3, verbose=0).history["loss"]
    assert history[-1] < history[0]
