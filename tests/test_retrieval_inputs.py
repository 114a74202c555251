"""Picture files of all kinds, and texts, as a retriever takes them."""

import json

import keras
import numpy as np
import pytest
from backends import once
from emoji_files import needs_emoji
from PIL import Image

from keras_mmfusion.datasets import RecordError
from keras_mmfusion.datasets.karpathy import load_emoji
from keras_mmfusion.preprocessing import (
    CaptionTokenizer,
    RetrievalPreprocessor,
    read_picture,
    read_pictures,
)

pytestmark = once


def saved(picture, path, **options):
    picture.save(path, **options)
    return read_picture(path, 16)


def test_kinds_of_pictures(tmp_path):
    red = Image.new("RGB", (32, 32), "red")
    assert (saved(red, tmp_path / "a.png") == [255, 0, 0]).all()
    assert (saved(red.convert("P"), tmp_path / "p.gif") == [255, 0, 0]).all()
    grey = saved(Image.new("L", (8, 8), 100), tmp_path / "l.png")
    assert (grey == 100).all() and grey.shape == (16, 16, 3)
    two = saved(Image.new("1", (8, 8), 1), tmp_path / "1.png")
    assert (two == 255).all()
    cmyk = saved(red.convert("CMYK"), tmp_path / "c.jpg")
    assert cmyk[..., 0].min() > 200 and cmyk[..., 1:].max() < 60
    deep = np.full((8, 8), 2**15, "uint16")
    assert abs(int(saved(Image.fromarray(deep), tmp_path / "d.png")[0, 0, 0]) - 127) < 2
    assert (
        saved(Image.fromarray(deep.astype("float32")), tmp_path / "f.tiff") < 256
    ).all()


def test_what_is_transparent_shows_white(tmp_path):
    # Black under full transparency, as many programs leave it.
    pixels = np.zeros((40, 40, 4), "uint8")
    pixels[10:30, 10:30] = [0, 0, 255, 255]
    found = saved(Image.fromarray(pixels), tmp_path / "a.png")
    assert (found[0] == 255).all() and (found[8, 8] == [0, 0, 255]).all()
    # No dark rim where the two meet.
    assert found.astype(int)[..., 2].min() > 250


def test_a_picture_stays_whole(tmp_path):
    wide = np.zeros((10, 40, 3), "uint8")
    found = saved(Image.fromarray(wide), tmp_path / "w.png")
    assert (found[:6] == 255).all() and (found[6:10] == 0).all()
    assert (found[10:] == 255).all()


def test_turned_as_exif_says(tmp_path):
    pixels = np.zeros((32, 32, 3), "uint8")
    pixels[:16] = 255  # white above
    exif = Image.Exif()
    exif[0x0112] = 6  # to be turned right by 90 degrees
    turned = saved(Image.fromarray(pixels), tmp_path / "e.jpg", exif=exif, quality=95)
    assert turned[:, 12:].mean() > 250 and turned[:, :4].mean() < 5


def test_large_and_broken_files(tmp_path, monkeypatch):
    large = tmp_path / "large.jpg"
    Image.new("RGB", (3000, 2000), "blue").save(large)
    assert read_picture(large, 8)[4, 4].tolist()[2] > 240
    monkeypatch.setattr("keras_mmfusion.preprocessing.picture_files.MOST_PIXELS", 10**6)
    with pytest.raises(RecordError, match=r"at most 1,000,000 pixels.*3000 x 2000"):
        read_picture(large, 8)
    cut = tmp_path / "cut.png"
    Image.fromarray(
        np.random.default_rng(0).integers(0, 255, (64, 64, 3), "uint8")
    ).save(cut)
    cut.write_bytes(cut.read_bytes()[:3000])
    (tmp_path / "text.png").write_text("no picture")
    (tmp_path / "empty.png").write_bytes(b"")
    Image.new("RGB", (4, 4), "lime").save(tmp_path / "good.png")
    names = ["cut.png", "good.png", "text.png", "empty.png", "gone.png", "good.png"]
    paths = [tmp_path / name for name in names]
    pictures, kept, broken = read_pictures(paths, 8)
    assert kept.tolist() == [1, 5] and (pictures == [0, 255, 0]).all()
    assert [path.name for path in broken] == [
        "cut.png",
        "text.png",
        "empty.png",
        "gone.png",
    ]
    assert "No picture" in broken[tmp_path / "gone.png"]
    assert "not a picture" in broken[cut]


def test_a_huge_picture_is_reduced_before_it_is_converted(tmp_path, monkeypatch):
    sizes = []
    convert = Image.Image.convert

    def seen(self, mode=None, *args, **kwargs):
        if mode == "RGBA":
            sizes.append(self.size)
        return convert(self, mode, *args, **kwargs)

    monkeypatch.setattr(Image.Image, "convert", seen)
    halves = np.zeros((1200, 2000, 3), "uint8")
    halves[:, 1000:] = [0, 200, 0]
    found = saved(Image.fromarray(halves), tmp_path / "halves.png")
    assert max(max(size) for size in sizes) <= 96
    assert found[8, :6].max() < 4 and abs(found[8, 10:] - [0.0, 200, 0]).max() < 4
    assert (found[:3] == 255).all() and (found[13:] == 255).all()
    # Pillow refuses the largest ones by itself.
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 10_000)
    with pytest.raises(RecordError, match="must have at most"):
        read_picture(tmp_path / "halves.png", 8)


def test_what_is_no_number_is_dark(tmp_path):
    values = np.linspace(0, 1, 256).reshape(16, 16).astype("float32")
    values[3, 3] = np.nan
    found = saved(Image.fromarray(values), tmp_path / "f.tiff")
    assert found[15, 15, 0] == 255 and found[3, 3, 0] == 0 and found[8, 8, 0] > 100


def test_paths_from_a_generator(tmp_path):
    Image.new("RGB", (4, 4), "lime").save(tmp_path / "good.png")
    paths = (tmp_path / name for name in ("gone.png", "good.png"))
    assert read_pictures(paths, 8)[1].tolist() == [1]
    with pytest.raises(ValueError, match="Put it in a list"):
        read_pictures(str(tmp_path / "good.png"), 8)


@needs_emoji
def test_emoji_pictures():
    pictures, kept, broken = read_pictures(load_emoji().paths[:50], 72, workers=4)
    assert len(kept) == 50 and not broken
    assert (pictures[:, 0, 0] == 255).mean() > 0.9  # white around them
    assert pictures.std(axis=(1, 2, 3)).min() > 5


def test_tokens():
    captions = ["a hot pepper", "red pepper", "Café au lait", "hot coffee"] * 3
    tokenize = CaptionTokenizer.learn(captions, vocabulary_size=80, max_length=8)
    numbers = tokenize(
        ["Hot, PEPPER", "hot , pepper", "cafe", "CAFÉ", "hot pepper hot"]
    )
    assert numbers.dtype == "int32" and numbers.shape == (5, 8)
    assert (numbers[2] == numbers[3]).all() and (numbers[0] == numbers[1]).all()
    assert numbers[4, 0] == numbers[4, 2] != numbers[4, 1]
    assert tokenize.vocabulary_size <= 80 and numbers.max() < tokenize.vocabulary_size
    assert (tokenize(["hot " * 50]) > 0).all()
    # A sign that never came up is unknown, and no error.
    assert tokenize(["☃"])[0, 0] == 1 and tokenize(["☃"])[0, 1] == 0


def test_texts_that_look_like_signs_of_the_tokenizer():
    tokenize = CaptionTokenizer.learn(["red [PAD] pad apple"], max_length=12)
    numbers = tokenize(["red [PAD] apple", "[PAD]", "[UNK]", "red"])
    count = (numbers != 0).sum(axis=1)
    # No padding before the end, and no text without a word.
    assert (np.diff((numbers != 0).astype(int), axis=1) <= 0).all() and count.min() > 0
    assert count[0] > count[3]


def test_no_more_tokens_than_asked_for():
    chinese = ["两个人在骑马", "一只马", "一只猫在马上"]
    for size in (3, 5, 8, 40):
        tokenize = CaptionTokenizer.learn(chinese, vocabulary_size=size, max_length=8)
        assert tokenize.vocabulary_size <= size
        assert tokenize(chinese).max() < size


def test_chinese():
    tokenize = CaptionTokenizer.learn(["两个人在骑马", "一只马"], max_length=6)
    numbers = tokenize(["骑马", "马", "两个人 在骑马"])
    assert numbers[0, 1] == numbers[1, 0] and numbers[0, 2] == 0
    assert (numbers[2] > 1).all() and len(set(numbers[2])) == 6


@needs_emoji
@pytest.mark.parametrize("language", ["en", "zh"])
def test_tokens_of_emoji(language):
    train = load_emoji(language).split("train").captions
    tokenize = CaptionTokenizer.learn(train, max_length=48)
    again = CaptionTokenizer.learn(train, max_length=48)
    assert again.tokenizer == tokenize.tokenizer
    known = tokenize(train)
    assert (known == 1).mean() < 1e-3
    test = tokenize(load_emoji(language).split("test").captions)
    # Some Chinese characters are in no caption to train on.
    assert (test == 1).sum() < 0.06 * (test > 0).sum()


def test_saved_as_json():
    tokenize = CaptionTokenizer.learn(["red", "green"], max_length=4)
    prepare = RetrievalPreprocessor(tokenize, image_size=32)
    text = json.dumps(keras.saving.serialize_keras_object(prepare))
    again = keras.saving.deserialize_keras_object(json.loads(text))
    assert (again.texts(["red green"]) == prepare.texts(["red green"])).all()
    assert again.shapes == {"image": (32, 32, 3), "text": (4,)}
    from_text = CaptionTokenizer(json.dumps(tokenize.tokenizer), 4)
    assert (from_text(["green"]) == tokenize(["green"])).all()


def test_preprocessor(tmp_path):
    prepare = RetrievalPreprocessor(CaptionTokenizer.learn(["red"]), image_size=8)
    red = Image.new("RGB", (30, 30), "red")
    red.save(tmp_path / "red.png")
    found = [
        prepare.images([tmp_path / "red.png"]),
        prepare.images([red]),
        prepare.images(np.asarray(red)[None]),
    ]
    for images in found:
        assert images.shape == (1, 8, 8, 3) and (images == [255, 0, 0]).all()
    # Of all kinds together, and an open file turned as one that is named.
    found = prepare.images([tmp_path / "red.png", np.asarray(red), red])
    assert (found == [255, 0, 0]).all()
    assert (prepare.images(np.full((1, 4, 4, 1), 9, "uint8")) == 9).all()
    half = np.zeros((8, 8, 3), "uint8")
    half[:4] = 255
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.fromarray(half).save(tmp_path / "half.png", exif=exif)
    with Image.open(tmp_path / "half.png") as opened:
        pair = prepare.images([opened, tmp_path / "half.png"])
    assert (pair[0] == pair[1]).all() and pair[0].std(axis=1).max() > 100
    for wrong in (np.ones((4, 4, 3)), np.ones((4, 4, 2), "uint8"), None):
        with pytest.raises(
            RecordError, match="Expected paths, Pillow images, or uint8"
        ):
            prepare.images([wrong])
    with pytest.raises(RecordError, match="Put it in one"):
        prepare.images(tmp_path / "red.png")
    (tmp_path / "bad.png").write_text("bad")
    with pytest.raises(RecordError, match=r"1 of 2 pictures cannot be read.*bad\.png"):
        prepare.images([tmp_path / "red.png", tmp_path / "bad.png"])


def test_wrong_texts():
    tokenize = CaptionTokenizer.learn(["red"])
    with pytest.raises(RecordError, match=r"nothing but space in 2 of 3, at \[1, 2\]"):
        tokenize(["red", " ", ""])
    with pytest.raises(ValueError, match="Put it in a list"):
        tokenize("red")
    with pytest.raises(RecordError, match=r"must be str.*2 of 3, at \[1, 2\]"):
        tokenize(["red", None, 3.5])
    assert tokenize(["half \ud800 a sign"])[0, 0] > 0
    with pytest.raises(ValueError, match="Put it in a list"):
        CaptionTokenizer.learn("red")
    with pytest.raises(ValueError, match="as the library `tokenizers` writes it"):
        CaptionTokenizer("{}")(["red"])
    config = json.loads(json.dumps(tokenize.tokenizer)) | {"added_tokens": []}
    with pytest.raises(ValueError, match="Token 0"):
        CaptionTokenizer(config)(["red"])
    with pytest.raises(ValueError, match="`max_length`"):
        CaptionTokenizer.learn(["red"], max_length=0)
