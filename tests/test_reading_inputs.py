"""What readers of pictures, videos, texts and words make of unusual arguments."""

import json

import keras
import numpy as np
import pytest
from backends import once

from keras_mmfusion import preprocessing as pre

pytestmark = once
FRAMES = np.zeros((5, 8, 8, 3), "uint8")


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    image = pytest.importorskip("PIL.Image")
    folder = tmp_path_factory.mktemp("files")
    image.new("RGB", (8, 6), "red").save(folder / "red.png")
    (folder / "words.txt").write_text("yes 0.5 1\nno 0 0.25\n")
    return folder


@pytest.mark.parametrize("size", [0, 2.5, None, "8", (8, 8)])
def test_sizes_of_pictures(files, size):
    """They were said to be files that Pillow cannot read."""
    with pytest.raises(ValueError, match="`size` must be a positive integer"):
        pre.read_picture(files / "red.png", size)
    with pytest.raises(ValueError, match="`size` must be a positive integer"):
        pre.read_pictures([files / "red.png"], size)


def test_lists_of_pictures(files):
    for paths in (None, 5, ["red.png", None], [FRAMES[0]]):
        with pytest.raises(ValueError, match=r"Expected a list of paths\. Received"):
            pre.read_pictures(paths, 8)
    with pytest.raises(ValueError, match="`workers` must be a positive integer"):
        pre.read_pictures([files / "red.png"], 8, workers=0)


def test_one_picture_is_no_list_of_its_rows():
    """An array (8, 8, 3) became eight pictures of 8 times 3 greys."""
    pytest.importorskip("PIL")
    prepare = pre.RetrievalPreprocessor(None, image_size=16)
    for picture in (FRAMES[0], None, 5):
        with pytest.raises(ValueError, match=r"a list of pictures\. Received"):
            prepare.images(picture)
    assert prepare.images(FRAMES).shape == (5, 16, 16, 3)
    assert prepare.images(FRAMES[..., 0]).shape == (5, 16, 16, 3)


def test_captions_to_choose_from():
    """A single one became its letters."""
    found = pre.RetrievalPreprocessor(None, captions=np.array(["a cat", "a dog"]))
    assert found.get_config()["captions"] == ["a cat", "a dog"]
    for captions in ("a cat", [5], [None]):
        with pytest.raises(ValueError, match="`captions` must be a list of str"):
            pre.RetrievalPreprocessor(None, captions=captions)


def test_frames():
    network = keras.Sequential(
        [keras.Input((None, None, 3)), keras.layers.GlobalMaxPooling2D()]
    )
    for size in (8, (8,), (8, 8, 3)):
        with pytest.raises(ValueError, match=r"`size` must be \(height, width\)"):
            pre.FrameFeatures(network, size=size)
    with pytest.raises(ValueError, match=r"a function of an array.*'resnet'"):
        pre.FrameFeatures(network, "resnet")
    with pytest.raises(ValueError, match=r"Expected frames.*NoneType"):
        pre.FrameFeatures(network)(None)


@pytest.mark.parametrize(
    "part",
    [
        {"start": None},
        {"start": "1"},
        {"start": np.nan},
        {"start": np.inf},
        {"end": np.nan},
        {"end": [1]},
    ],
)
def test_parts_of_videos(part):
    """Until NaN was all of a video."""
    with pytest.raises(ValueError, match=r"Expected 0 <= start < end.* Received"):
        pre.read_frames("clip.gif", **part)


def test_texts():
    pytest.importorskip("tokenizers")
    tokenize = pre.CaptionTokenizer.learn(["red", "green"], 60, 4)
    for texts in (None, 5, b"red"):
        with pytest.raises(ValueError, match="`texts` must be a list of str"):
            tokenize(texts)
    for tokenizer in ("red", tokenize, b"{}", {1, 2}):
        with pytest.raises(ValueError, match=r"a dict or JSON.*Received"):
            pre.CaptionTokenizer(tokenizer)
    again = pre.CaptionTokenizer(json.dumps(tokenize.tokenizer), 4)
    assert again(["red"]).tolist() == tokenize(["red"]).tolist()


def test_words(files):
    vectors = pre.WordVectors(files / "words.txt", vocabulary=iter(["yes", "no"]))
    assert len(vectors) == 2 and None not in vectors and "Yes" in vectors
    for words in (None, 5, [None], ["yes", 5], [["yes"]], [b"yes"]):
        with pytest.raises(ValueError, match=r"Expected .*words.* Received"):
            vectors(words)
        with pytest.raises(ValueError, match=r"Expected .*words.* Received|^$"):
            pre.WordVectors(files / "words.txt", vocabulary=words or 5)
    for text in (None, ["yes"], b"yes"):
        with pytest.raises(ValueError, match="`text` must be a str"):
            vectors.words(text)
