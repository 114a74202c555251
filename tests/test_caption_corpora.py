"""Caption corpora: real emoji, and small ones in the layouts of the releases."""

import json
import warnings

import numpy as np
import pytest
from backends import once
from emoji_files import needs_emoji
from PIL import Image

from keras_mmfusion.datasets import RecordError
from keras_mmfusion.datasets.caption_batches import CaptionBatches
from keras_mmfusion.datasets.coco_cn import load_coco_cn
from keras_mmfusion.datasets.karpathy import (
    load_emoji,
    load_flickr30k,
    read_karpathy,
)

pytestmark = once


def picture(path):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", (8, 6), "red").save(path)


def entry(filename, *captions, split="train", **more):
    sentences = [{"raw": c, "tokens": c.split()} for c in captions]
    return {"filename": filename, "split": split, "sentences": sentences, **more}


def write(path, *entries):
    path.write_text(json.dumps({"images": entries}, ensure_ascii=False), "utf-8")


@needs_emoji
@pytest.mark.parametrize("language", ["en", "zh"])
def test_emoji(language):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        corpus = load_emoji(language)
    sizes = {name: len(corpus.split(name)) for name in ("train", "val", "test")}
    assert sizes == {"train": 1320, "val": 165, "test": 165} and not corpus.skipped
    names = [set(corpus.split(name).paths) for name in sizes]
    assert len(set.union(*names)) == 1650
    first = {"en": "hash sign", "zh": "井号"}[language]
    assert corpus.captions_of(0)[0] == first
    test = corpus.split("test")
    assert set(test.caption_image) == set(range(165))
    assert len(test.captions) == len(test.caption_image)


def test_flickr30k(tmp_path):
    folder = tmp_path / "flickr30k"
    for i in range(4):
        picture(folder / "flickr30k-images" / f"{i}.jpg")
    splits = ("train", "restval", "val", "test")
    captions = [[f"caption {j} of {i}" for j in range(5)] for i in range(4)]
    entries = [
        entry(f"{i}.jpg", *captions[i], split=split) for i, split in enumerate(splits)
    ]
    write(folder / "dataset_flickr30k.json", *entries)
    corpus = load_flickr30k(tmp_path)
    assert corpus.splits == ("train", "train", "val", "test")
    test = corpus.split("test")
    assert test.captions == tuple(captions[3])
    assert test.caption_image.tolist() == [0] * 5
    assert test.paths == (folder / "flickr30k-images" / "3.jpg",)
    both = corpus.take([3, 0])
    assert both.captions_of(0) == captions[3] and both.captions_of(1) == captions[0]
    # By whether, too; a second time, an image would stand without its captions.
    masked = corpus.take([True, False, False, True])
    assert [path.name for path in masked.paths] == ["0.jpg", "3.jpg"]
    assert masked.captions_of(1) == captions[3] and len(corpus.take([])) == 0
    with pytest.raises(ValueError, match=r"several times numbers \[1\]"):
        corpus.take([1, 0, 1])
    with pytest.raises(ValueError, match="Received: 'dev'"):
        corpus.split("dev")


def test_what_is_broken_is_counted_and_left_out(tmp_path):
    for name in ("good", "twice", "silent", "odd", "mixed"):
        picture(tmp_path / f"{name}.png")
    write(
        tmp_path / "set.json",
        entry("good.png", "  a good\n one ", "", "bytes \ufffd"),
        entry("twice.png", "first"),
        entry("twice.png", "second"),
        entry("silent.png", "   "),
        entry("odd.png", "odd", split="dev"),
        entry("gone.png", "gone"),
        entry("mixed.png", "mixed", split="test"),
    )
    with pytest.warns(UserWarning, match=r"2 empty captions \(good.png, silent.png\)"):
        corpus = read_karpathy(tmp_path / "set.json", [tmp_path])
    assert corpus.captions == ("a good one", "first", "mixed")
    assert [path.name for path in corpus.paths] == [
        "good.png",
        "twice.png",
        "mixed.png",
    ]
    assert corpus.skipped == {
        "images that are listed twice": ["twice.png"],
        "images of an unknown split": ["odd.png (dev)"],
        "captions that are not UTF-8": ["good.png"],
        "empty captions": ["good.png", "silent.png"],
        "images without a caption": ["silent.png"],
        "images without a file": ["gone.png"],
    }


def test_captions_that_no_tokenizer_takes(tmp_path):
    """None of them may wait for a training to fail."""
    picture(tmp_path / "a.png")
    write(
        tmp_path / "set.json",
        entry("a.png", "fine", split="val"),
        # The same image in another split: its captions must not come along.
        entry("a.png", "of the test", split="test"),
        entry("n" * 300 + ".png", "a name that is too long"),
    )
    content = json.loads((tmp_path / "set.json").read_text("utf-8"))
    said = content["images"][0]["sentences"]
    said += [{"raw": None, "tokens": ["two", "words"]}, {"raw": 5}, {"raw": "\ud800"}]
    (tmp_path / "set.json").write_text(json.dumps(content))
    with pytest.warns(UserWarning, match="captions that are no text"):
        corpus = read_karpathy(tmp_path / "set.json", [tmp_path])
    assert corpus.captions == ("fine", "two words") and corpus.splits == ("val",)
    assert {reason: len(names) for reason, names in corpus.skipped.items()} == {
        "images that are listed twice": 1,
        "captions that are no text": 1,
        "captions that are not UTF-8": 1,
        "images without a file": 1,
    }


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"[" * 100_000, "RecursionError"),
        (b"{", "JSONDecodeError"),
        (b"[1]", "TypeError"),
        (b'{"pictures": []}', "KeyError: 'images'"),
        (b'{"images": [{"filename": "a.png"}]}', "KeyError: 'split'"),
        (b'{"images": []}', "the lists are empty"),
    ],
)
def test_a_broken_file_is_named(tmp_path, content, message):
    path = tmp_path / "set.json"
    path.write_bytes(content)
    with pytest.raises(RecordError, match=message) as error:
        read_karpathy(path, [tmp_path])
    assert str(tmp_path) in str(error.value)


def test_nothing_left_is_an_error(tmp_path):
    write(tmp_path / "set.json", entry("gone.png", "gone"))
    with pytest.raises(RecordError, match="1 images without a file"):
        read_karpathy(tmp_path / "set.json", [tmp_path])


def coco_cn(folder):
    release = folder / "coco-cn-version1805v1.1"
    release.mkdir(parents=True)
    keys = [
        f"COCO_{part}2014_00000000000{i}" for i, part in enumerate(["train", "val"])
    ]
    for key in keys:
        picture(folder / key.split("_")[1] / f"{key}.jpg")
    (release / "coco-cn_train.txt").write_text(f"{keys[0]}\n")
    (release / "coco-cn_val.txt").write_text("\n")
    (release / "coco-cn_test.txt").write_text(f"{keys[1]}\n")
    lines = [
        f"{keys[0]}#0\t一只猫",
        f"{keys[1]}#0\t两个人 在骑马",
        f"{keys[1]}#1\t骑马",
    ]
    path = release / "imageid.human-written-caption.txt"
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def test_coco_cn(tmp_path, monkeypatch):
    path = coco_cn(tmp_path)
    corpus = load_coco_cn(tmp_path)
    assert corpus.captions == ("一只猫", "两个人 在骑马", "骑马")
    assert corpus.splits == ("train", "test")
    assert corpus.caption_image.tolist() == [0, 1, 1] and not corpus.skipped
    elsewhere = tmp_path / "coco"
    elsewhere.mkdir()
    for part in ("train2014", "val2014"):
        (tmp_path / part).rename(elsewhere / part)
    assert len(load_coco_cn(tmp_path, image_dir=elsewhere)) == 2
    # One line in another encoding, and one of an image that is in no split.
    other = "COCO_val2014_000000000007#0\t狗\n".encode()
    path.write_bytes(
        path.read_bytes() + "COCO_val2014_000000000001#2\t马\n".encode("gbk") + other
    )
    with pytest.warns(UserWarning, match="not UTF-8"):
        corpus = load_coco_cn(tmp_path, image_dir=elsewhere)
    assert len(corpus.captions) == 3
    assert corpus.skipped["captions without an image"] == ["COCO_val2014_000000000007"]
    # As in copies of the release; and a sign that Python takes for the end of a line.
    keys = ["COCO_train2014_000000000000", "COCO_val2014_000000000001"]
    texts = ["一只\u2028猫", "骑马"]
    lines = [f"{key}#zhm#0 {text}" for key, text in zip(keys, texts, strict=True)]
    path.write_text("\n".join([*lines, f"{keys[1]}#zhm#1"]), encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    with pytest.warns(UserWarning, match="1 empty captions"):
        corpus = load_coco_cn(tmp_path, image_dir="coco")
    assert corpus.captions == ("一只 猫", "骑马")
    path.write_text("COCO_val2014_000000000001 horses\n")
    with pytest.raises(RecordError, match="a tab and a caption in line 1"):
        load_coco_cn(tmp_path, image_dir=elsewhere)
    (path.parent / "coco-cn_val.txt").unlink()
    with pytest.raises(RecordError, match=r"text file at .*coco-cn_val\.txt"):
        load_coco_cn(tmp_path, image_dir=elsewhere)


@pytest.mark.parametrize("load", [load_flickr30k, load_coco_cn, load_emoji])
def test_a_missing_corpus_says_how_to_get_it(load, tmp_path, monkeypatch):
    monkeypatch.delenv("KERAS_MMFUSION_DATA", raising=False)
    monkeypatch.setenv("KERAS_HOME", str(tmp_path / "home"))
    with pytest.raises(RecordError, match="set KERAS_MMFUSION_DATA") as error:
        load(data_dir=tmp_path)
    assert str(tmp_path / "home" / "datasets") in str(error.value)


def batches(**options):
    images = np.arange(10, dtype="uint8")[:, None, None, None] * np.ones(
        (1, 6, 5, 3), "uint8"
    )
    caption_image = np.repeat(np.arange(10), [1, 2] * 5)
    texts = np.stack([caption_image + 1, np.arange(15) + 100, np.zeros(15, int)], 1)
    return CaptionBatches(images, texts, caption_image, 4, **options)


def test_batches():
    found = batches(seed=3)
    seen, captions = [], set()
    for epoch in range(20):
        epoch_images = []
        for i in range(len(found)):
            (x,) = found[i]
            again = found[i][0]
            assert all((x[name] == again[name]).all() for name in x)
            image = x["image"][:, 0, 0, 0]
            assert (x["text"][:, 0] == image + 1).all()
            epoch_images += image.tolist()
            captions |= set(x["text"][:, 1].tolist())
        assert len(set(epoch_images)) == len(epoch_images) == 8
        seen.append(epoch_images)
        found.on_epoch_end()
        assert found.epoch == epoch + 1
    assert len(captions) == 15 and seen[0] != seen[1]
    other = batches(seed=3)
    other.epoch = 1
    assert other[0][0]["image"][:, 0, 0, 0].tolist() == seen[1][:4]


def test_augmentation():
    plain = batches()[0][0]
    moved = batches(shift=2, colour=0.2, word_dropout=0.5)
    values = set()
    for i in range(40):
        moved.epoch = i
        x = moved[0][0]
        assert x["image"].shape == plain["image"].shape
        assert x["image"].min() >= 0 and x["image"].max() <= 255
        values.add(x["image"].mean())
        kept = (x["text"] != 0).sum(axis=1)
        assert kept.min() >= 1 and (x["text"][:, 0] != 0).all()
    assert len(values) == 40
    many = batches(word_dropout=0.5)
    shares = []
    for i in range(200):
        many.epoch = i
        shares.append((many[0][0]["text"] != 0).mean() * 3 / 2)
    # Half of the words, but a quarter of the texts would lose both and keep one.
    assert abs(np.mean(shares) - 0.625) < 0.04


def test_wrong_batches():
    images, texts = np.zeros((3, 2, 2, 3), "uint8"), np.ones((3, 2), "int32")
    with pytest.raises(ValueError, match=r"none for 1 images, rows \[1\]"):
        CaptionBatches(images, texts, np.array([0, 0, 2]), 2)
    with pytest.raises(ValueError, match="at most the number of images"):
        CaptionBatches(images, texts, np.arange(3), 4)
    with pytest.raises(ValueError, match="word_dropout"):
        CaptionBatches(images, texts, np.arange(3), 2, word_dropout=1.0)
    # Each would pair texts with images that are not theirs, or fail in an epoch.
    for wrong in ([0, 1, 3], [-1, 1, 2], [0.0, 1.0, 2.0], [0, 1], [0, 1, 2, 2]):
        with pytest.raises(ValueError, match="`caption_image` must hold"):
            CaptionBatches(images, texts, np.array(wrong), 2)
    with pytest.raises(ValueError, match="`shift`"):
        CaptionBatches(images, texts, np.arange(3), 2, shift=-1)
    with pytest.raises(IndexError, match="Received: 1"):
        CaptionBatches(images, texts, np.arange(3), 2)[1]
