"""From the turns of a corpus to the arrays of the paper, computed once and kept.

Audio: log-mel with deltas, 128 rows. Video: features of a network for each frame, 32
rows. Words: vectors, 32 rows. Rows are those of a temporal pyramid, so that turns of
any length have as many. What a turn lacks is NaN throughout.
"""

from pathlib import Path

import keras
import numpy as np

from keras_mmfusion.datasets.iemocap import load_iemocap
from keras_mmfusion.datasets.msp_improv import load_msp_improv
from keras_mmfusion.layers import LogMel, TemporalPyramidPooling
from keras_mmfusion.models.mcwsa import SHAPES
from keras_mmfusion.preprocessing import FrameFeatures, WordVectors, read_frames

CORPORA = {"iemocap": load_iemocap, "msp_improv": load_msp_improv}
RATE = 16_000  # hertz
STEPS = 16  # lengths are filled up to multiples of this: each is compiled once
AUDIO_LEVELS = (1, 2, 4, 8, 16, 32, 64)


def of_corpus(corpus, vectors, network, every=1, progress=print):
    """dict of float32 arrays `(turns, *SHAPES[modality])`.

    Args:
        corpus: `EmotionCorpus`.
        vectors: `WordVectors` with 300 numbers a word, or None: no text.
        network: `FrameFeatures` with 2048 numbers a frame, or None: no video.
        every: int. One of so many frames is looked at. Defaults to `1`.
        progress: Function of a line of text, called now and then.
    """
    arrays = {
        name: np.full((len(corpus), *shape), np.nan, "float32")
        for name, shape in SHAPES.items()
    }
    log_mel, audio_rows = LogMel(RATE), TemporalPyramidPooling(AUDIO_LEVELS)
    rows = TemporalPyramidPooling()
    for number, turn in enumerate(corpus.turns):
        wave = resampled(*corpus.wave(number))
        wave, mask = padded(wave, RATE)
        mel = log_mel(wave, mask=mask)
        mask = log_mel.compute_mask(wave, mask)
        arrays["audio"][number] = _first(audio_rows(mel, mask=mask))
        if vectors is not None:
            words = vectors(vectors.words(turn.text))
            if len(words):
                arrays["text"][number] = _first(rows(*padded(words, STEPS)))
        if network is not None and turn.video_path is not None:
            frames = (half(frame, turn.side) for frame in _frames(turn, every))
            arrays["visual"][number] = _first(rows(*padded(network(frames), STEPS)))
        if number % 100 == 99:
            progress(f"{number + 1:,} of {len(corpus):,} turns")
    return arrays


def padded(sequence, multiple):
    """A batch of one, with zeros up to a multiple of a length, and its mask."""
    missing = -len(sequence) % multiple
    mask = np.arange(len(sequence) + missing) < len(sequence)
    zeros = [(0, missing)] + [(0, 0)] * (sequence.ndim - 1)
    return np.pad(sequence, zeros)[None], mask[None]


def resampled(wave, rate):
    """A wave at `RATE`, at least one window long."""
    from math import gcd

    from scipy.signal import resample_poly

    common = gcd(round(rate), RATE)
    wave = resample_poly(wave, RATE // common, round(rate) // common)
    shortest = round(0.025 * RATE)
    return np.pad(wave, (0, max(shortest - len(wave), 0))).astype("float32")


def half(frame, side):
    """The half of a frame in which the speaker is, where two are seen."""
    if side is None:
        return frame
    middle = frame.shape[1] // 2
    return frame[:, :middle] if side == "left" else frame[:, middle:]


def _frames(turn, every):
    start = turn.start or 0.0
    return read_frames(turn.video_path, every, start, turn.end)


def _first(batch):
    return keras.ops.convert_to_numpy(batch)[0]


def standardised(arrays, training):
    """Each feature with mean 0 and deviation 1 over the turns to train on."""
    scaled = {}
    for name, values in arrays.items():
        known = values[training]
        if np.isnan(known).all():
            scaled[name] = values
            continue
        mean = np.nanmean(known, axis=(0, 1), keepdims=True)
        deviation = np.nanstd(known, axis=(0, 1), keepdims=True)
        scaled[name] = ((values - mean) / np.maximum(deviation, 1e-3)).astype("float32")
    return scaled


def load_corpus(name, data_dir=None, **options):
    """`EmotionCorpus` of one of `CORPORA`."""
    return CORPORA[name](data_dir, **options)


def word_vectors(path, corpus):
    """The vectors of the words of a corpus; None without a path."""
    if path is None:
        return None
    words = {word for text in corpus.texts for word in WordVectors.words(text)}
    vectors = WordVectors(path, words)
    if vectors.dim != SHAPES["text"][-1]:
        raise SystemExit(
            f"Expected vectors of {SHAPES['text'][-1]} numbers a word. Received: "
            f"{vectors.dim} in {path}. Use word2vec-google-news-300 or GloVe 300d."
        )
    return vectors


def frame_network(weights):
    """`FrameFeatures` of a ResNet-50; `weights` as in Keras Applications."""
    if weights not in (None, "imagenet") and not Path(weights).is_file():
        raise SystemExit(
            "error: --frames must be imagenet, random, none, or a file of weights. "
            f"Received: {weights}"
        )
    network = keras.applications.ResNet50(
        include_top=False, weights=weights, input_shape=(224, 224, 3)
    )
    return FrameFeatures(network, keras.applications.resnet.preprocess_input)
