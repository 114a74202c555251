"""The path through tf.data and tensorflow-io gives the arrays of the other one."""

import importlib
import sys
import warnings
from types import SimpleNamespace

import numpy as np
import pytest
from digit_files import write_digits

from keras_mmfusion.datasets import digits
from keras_mmfusion.datasets.digit_batches import DigitBatches
from keras_mmfusion.datasets.digit_tf_data import tf_dataset
from keras_mmfusion.preprocessing import DigitPreprocessor

tf = pytest.importorskip("tensorflow")


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    folder = tmp_path_factory.mktemp("digits")
    write_digits(folder)
    return digits.load_digits(data_dir=folder)


def stand_in():
    """What the functions of tensorflow-io 0.37.1 are documented to compute."""

    def spectrogram(input, nfft, window, stride):
        return tf.abs(tf.signal.stft(input, window, stride, nfft, pad_end=True))

    def melscale(input, rate, mels, fmin, fmax):
        bins = input.shape[-1]
        matrix = tf.signal.linear_to_mel_weight_matrix(mels, bins, rate, fmin, fmax)
        return tf.tensordot(input, matrix, 1)

    def mask(input, param, axis):
        size = tf.shape(input)[axis]
        width = tf.random.uniform((), 0, param, "int32")
        first = tf.random.uniform((), 0, size - width, "int32")
        run = tf.logical_and(tf.range(size) >= first, tf.range(size) < first + width)
        run = run[:, None] if axis == 0 else run[None]
        return tf.where(run, tf.zeros_like(input), input)

    return SimpleNamespace(
        spectrogram=spectrogram,
        melscale=melscale,
        freq_mask=lambda input, param: mask(input, param, 1),
        time_mask=lambda input, param: mask(input, param, 0),
    )


@pytest.fixture(params=["tensorflow_io", "stand_in"])
def audio(request, monkeypatch):
    if request.param == "stand_in":
        module = SimpleNamespace(audio=stand_in())
        monkeypatch.setitem(sys.modules, "tensorflow_io", module)
        return
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of what does not load beside new TensorFlow
        pytest.importorskip("tensorflow_io")


@pytest.fixture
def without_tensorflow_io(monkeypatch):
    monkeypatch.setitem(sys.modules, "tensorflow_io", None)


def arrays(dataset):
    return [
        ({name: value.numpy() for name, value in x.items()}, y.numpy())
        for x, y in dataset
    ]


SETTINGS = {
    "plain": {},
    "mel": {"preprocessor": DigitPreprocessor(mel_bands=24, compress=False)},
    "noisy": {"snr": {"image": 0.25, "sound": 0.5}, "seed": 3},
    "shuffled": {"shuffle": True, "modalities": ("sound",)},
    "image": {"modalities": ("image",)},
}


@pytest.mark.parametrize("name", SETTINGS)
def test_both_ways_give_the_same(audio, data, name):
    batches = DigitBatches(data, "train", range(70), batch_size=32, **SETTINGS[name])
    dataset = tf_dataset(batches)
    assert dataset.cardinality() == len(batches) == 3
    found = arrays(dataset)
    assert len(found) == 3
    for (x, y), index in zip(found, range(3), strict=True):
        expected, labels = batches[index]
        assert y.tolist() == labels.tolist() and list(x) == list(expected)
        for modality, value in x.items():
            assert value.dtype == "float32"
            np.testing.assert_allclose(value, expected[modality], rtol=1e-4, atol=1e-4)
    for modality, spec in dataset.element_spec[0].items():
        assert spec.shape == (None, *batches.preprocessor.shapes[modality])


def test_masks_of_tensorflow_io(audio, data):
    masks = {"mask_frequencies": 60, "mask_times": 20}
    batches = DigitBatches(data, "train", range(32), batch_size=32, **masks)
    (x, _), (clean, _) = arrays(tf_dataset(batches))[0], DigitBatches(
        data, "train", range(32), batch_size=32
    )[0]  # fmt: skip
    patterns = set()
    for masked, whole in zip(x["sound"], clean["sound"], strict=True):
        zero = (masked == 0) & (whole != 0)
        columns = zero[-5:].any(axis=0) & (masked == 0).all(axis=0)
        assert columns.sum() < 60 and np.abs(np.diff(columns.astype(int))).sum() <= 2
        np.testing.assert_allclose(
            masked[masked != 0], whole[masked != 0], rtol=1e-4, atol=1e-4
        )
        patterns.add(zero.tobytes())
    assert len(patterns) > 16  # a mask of its own for each
    assert (x["sound"] == 0).sum() > (clean["sound"] == 0).sum()


def test_one_clear_line_without_tensorflow_io(without_tensorflow_io, data):
    masks = {"mask_frequencies": 60, "mask_times": 20}
    batches = DigitBatches(data, "train", range(40), batch_size=32, **masks)
    with pytest.warns(UserWarning) as caught:
        dataset = tf_dataset(batches)
    (message,) = [str(w.message) for w in caught if "tensorflow-io" in str(w.message)]
    assert "\n" not in message and "pip install tensorflow-io" in message
    for (x, _), index in zip(arrays(dataset), range(2), strict=True):
        for name, value in batches[index][0].items():
            np.testing.assert_array_equal(x[name], value)


def test_without_tensorflow(monkeypatch, data):
    def missing(name, *args):
        raise ImportError(name)

    monkeypatch.setattr(importlib, "import_module", missing)
    with pytest.raises(ImportError, match="pip install tensorflow-cpu"):
        tf_dataset(DigitBatches(data))
