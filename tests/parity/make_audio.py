"""Freeze in audio.npz what librosa and tensorflow-io make of two waves of noise.

python tests/parity/make_audio.py

Made with librosa 0.11.0, tensorflow-io 0.37.1 and TensorFlow 2.17.1.
"""

import sys
from pathlib import Path

sys.path[:0] = [str(Path(__file__).parents[i]) for i in (1, 2)]

import librosa  # noqa: E402
import numpy as np  # noqa: E402
import tensorflow_io as tfio  # noqa: E402
from test_digit_inputs import FROZEN, waves  # noqa: E402


def main():
    x = waves()
    magnitudes = np.abs(librosa.stft(x, n_fft=400, hop_length=200, center=False))
    bands = librosa.filters.mel(
        sr=8000, n_fft=400, n_mels=40, fmin=20, fmax=4000, htk=True, norm=None
    )
    theirs = tfio.audio.spectrogram(x, nfft=400, window=400, stride=200)
    arrays = {
        "librosa/spectrogram": magnitudes.swapaxes(1, 2),
        "librosa/mel": (bands @ magnitudes).swapaxes(1, 2),
        "tensorflow_io/spectrogram": theirs.numpy(),
        "tensorflow_io/mel": tfio.audio.melscale(theirs, 8000, 40, 20, 4000).numpy(),
    }
    np.savez_compressed(FROZEN, **{k: v.astype("float32") for k, v in arrays.items()})


if __name__ == "__main__":
    main()
