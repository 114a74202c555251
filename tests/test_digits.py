"""MNIST and FSDD are read in every layout, split without leaks, and paired."""

import struct
import tracemalloc

import numpy as np
import pytest
from backends import once
from digit_files import (
    SPEAKERS,
    small_mnist,
    write_digits,
    write_fsdd,
    write_idx,
    write_mnist,
    write_wav,
)

from keras_mmfusion.cli.classify_digit import LARGEST_OFFSET
from keras_mmfusion.datasets import RecordError, digits, fsdd, mnist
from keras_mmfusion.preprocessing import trim_silence

pytestmark = once


@pytest.fixture(autouse=True)
def nowhere(tmp_path, monkeypatch, request):
    """No data but what a test writes, unless it asks for the real ones."""
    if "data_dir" not in request.fixturenames:
        monkeypatch.delenv("KERAS_MMFUSION_DATA", raising=False)
        monkeypatch.setenv("KERAS_HOME", str(tmp_path / "home"))


@pytest.mark.parametrize("layout", ["npz", "idx", "idx.gz", "idx."])
def test_mnist_in_every_layout(tmp_path, layout):
    write_mnist(tmp_path / "mnist", layout)
    for place in (tmp_path, tmp_path / "mnist"):
        images, labels = mnist.load_mnist(place)
        for found, written in zip((images, labels), small_mnist(), strict=True):
            assert found.dtype == "uint8"
            np.testing.assert_array_equal(found, written)


def test_idx_of_other_types(tmp_path):
    path = tmp_path / "numbers"
    path.write_bytes(bytes([0, 0, 0x0B, 2, 0, 0, 0, 1, 0, 0, 0, 2, 1, 0, 255, 255]))
    found = mnist.read_idx(path)
    assert found.tolist() == [[256, -1]] and found.dtype == np.int16
    assert found.dtype.isnative


@pytest.mark.parametrize(
    "damage",
    ["short", "long", "magic", "type", "header", "gzip", "deflate", "empty"],
)
def test_damaged_idx(tmp_path, damage):
    path = tmp_path / "images"
    write_idx(path, small_mnist()[0], compress=damage in ("gzip", "deflate"))
    content = path.read_bytes()
    path.write_bytes(
        {
            "short": content[:-1],
            "long": content + b"\0",
            "magic": b"\1" + content[1:],
            "type": content[:2] + b"\x07" + content[3:],
            "header": content[:6],
            "gzip": content[:-20],
            "deflate": content[:10] + bytes([content[10] ^ 0xFF]) + content[11:],
            "empty": b"",
        }[damage]
    )
    with pytest.raises(RecordError, match=str(path)):
        mnist.read_idx(path)


def test_damaged_mnist(tmp_path):
    folder = tmp_path / "mnist"
    write_mnist(folder, "idx")
    write_idx(folder / "train-labels-idx1-ubyte", np.zeros(3, "uint8"))
    with pytest.raises(RecordError, match="as many labels"):
        mnist.load_mnist(tmp_path)
    (folder / "mnist.npz").write_bytes(b"nothing")
    with pytest.raises(RecordError, match="x_train"):
        mnist.load_mnist(tmp_path)
    np.savez(folder / "mnist.npz", x_train=np.zeros(3))
    with pytest.raises(RecordError, match="x_train"):
        mnist.load_mnist(tmp_path)
    np.savez(folder / "mnist.npz", x_train=np.array([{}], dtype=object))
    with pytest.raises(RecordError, match="x_train"):  # a pickle is not opened
        mnist.load_mnist(tmp_path)
    with (folder / "mnist.npz").open("wb") as file:
        np.save(file, np.zeros(3))
    with pytest.raises(RecordError, match="x_train"):
        mnist.load_mnist(tmp_path)
    np.savez_compressed(folder / "mnist.npz", x_train=small_mnist()[0])
    content = bytearray((folder / "mnist.npz").read_bytes())
    content[2000:2100] = bytes(100)
    (folder / "mnist.npz").write_bytes(content)
    with pytest.raises(RecordError, match="x_train"):
        mnist.load_mnist(tmp_path)


@pytest.mark.parametrize("width", [1, 2, 3, 4])
@pytest.mark.parametrize("channels", [1, 2])
def test_wav_of_every_width(tmp_path, width, channels):
    samples = np.array([[0.0, 0.5], [-1.0, 0.25], [0.75, -0.5]])[:, :channels]
    write_wav(tmp_path / "a.wav", samples, width, channels, rate=16000)
    found, rate = fsdd.read_wav(tmp_path / "a.wav")
    assert rate == 16000 and found.dtype == "float32"
    np.testing.assert_allclose(found, samples.mean(axis=1), atol=1e-7)


@pytest.mark.parametrize("size", [0x7FFFF000, 0x80000000, 0xFFFFFFFF, None])
@pytest.mark.parametrize("extensible", [True, False])
def test_wav_with_other_headers(tmp_path, extensible, size):
    """As ffmpeg and sox write them: into a pipe, or with the format in a GUID."""
    path = tmp_path / "a.wav"
    write_wav(path, [0.0, 0.5, -1.0], width=3)
    content = path.read_bytes()
    kind, data = content[20:36], content[44:]
    if extensible:
        guid = struct.pack("<H", 1) + bytes.fromhex("000000001000800000aa00389b71")
        kind = b"\xfe\xff" + kind[2:] + struct.pack("<HHI", 22, 24, 4) + guid
    chunks = {b"fmt ": kind, b"LIST": b"odd", b"data": data}
    content = b"RIFF\xff\xff\xff\xffWAVE"
    for name, chunk in chunks.items():
        told = size if name == b"data" and size else len(chunk)
        content += name + struct.pack("<I", told) + chunk + b"\0" * (name == b"LIST")
    path.write_bytes(content)
    samples, rate = fsdd.read_wav(path)
    assert samples.tolist() == [0.0, 0.5, -1.0] and rate == 8000


def test_damaged_wav(tmp_path):
    path = tmp_path / "a.wav"
    with pytest.raises(RecordError, match="No WAV file"):
        fsdd.read_wav(path)
    write_wav(path, np.zeros(100))
    whole = path.read_bytes()
    for content, match in (
        (whole[:-50], "cut short"),
        (b"RIFX" + whole[4:], "whole numbers"),
        (whole[:20] + b"\3" + whole[21:], "whole numbers"),  # floats
        (whole[:20] + b"\xfe\xff" + whole[22:36], "whole numbers"),
        (whole[:24] + bytes(4) + whole[28:], "8,000 samples a second"),
        (whole[:34] + b"\x40" + whole[35:], "64 bits a sample"),
        (whole[:16] + b"\xff" + whole[17:], "whole numbers"),
        (whole[:30], "ends too early"),
        (b"", "ends too early"),
    ):
        path.write_bytes(content)
        with pytest.raises(RecordError, match=match):
            fsdd.read_wav(path)
    write_wav(path, np.zeros(0))
    with pytest.raises(RecordError, match="empty"):
        fsdd.read_wav(path)


@pytest.mark.parametrize("below", ["fsdd/recordings", "fsdd", "."])
def test_fsdd_in_every_place(tmp_path, below):
    write_fsdd(tmp_path / below, per_speaker=12, speakers=("theo", "george", "lucas"))
    (tmp_path / below / "notes.wav").touch()  # not a name of the release
    spoken = fsdd.load_fsdd(tmp_path, speakers=None)
    assert len(spoken.waves) == 360 and spoken.rate == 8000
    # By digit, speaker and number: 10 comes after 2.
    assert spoken.names[:3] == tuple(f"0_george_{i}.wav" for i in range(3))
    assert spoken.names[11:13] == ("0_george_11.wav", "0_lucas_0.wav")
    assert spoken.labels.tolist() == sorted(spoken.labels.tolist())
    assert [len(w) for w in spoken.waves[::36]] == [1200 + 100 * d for d in range(10)]
    for speakers in (["lucas"], "lucas"):
        few = fsdd.load_fsdd(tmp_path, speakers=speakers)
        assert set(few.speakers) == {"lucas"} and len(few.waves) == 120
    with pytest.raises(RecordError, match="george, lucas, theo"):
        fsdd.load_fsdd(tmp_path)
    write_wav(tmp_path / below / "1_theo_99.wav", np.zeros(5), rate=16000)
    with pytest.raises(RecordError, match="8000, 16000 Hz"):
        fsdd.load_fsdd(tmp_path, speakers=None)


@pytest.mark.parametrize("find, name", [
    (mnist.find_mnist, "mnist"), (fsdd.find_fsdd, "fsdd"),
])  # fmt: skip
def test_error_says_where_it_looked_and_what_to_do(tmp_path, monkeypatch, find, name):
    monkeypatch.setenv("KERAS_MMFUSION_DATA", str(tmp_path / "variable"))
    with pytest.raises(RecordError) as error:
        find(tmp_path / "argument")
    for part in ("argument", "variable", "home/datasets"):
        assert str(tmp_path / part / name) in str(error.value)
    assert "https://" in str(error.value) and "KERAS_MMFUSION_DATA" in str(error.value)
    write_digits(tmp_path / "variable")
    with pytest.warns(UserWarning, match="not found in .*argument, but in .*variable"):
        assert find(tmp_path / "argument").is_relative_to(tmp_path / "variable")
    write_digits(tmp_path / "argument")
    assert find(tmp_path / "argument").is_relative_to(tmp_path / "argument")


def every_pair(image_labels, sound_labels, images, sounds):
    return {
        (i, s) for i in images for s in sounds if image_labels[i] == sound_labels[s]
    }


def test_pairs_are_all_pairs_of_a_digit():
    rng = np.random.default_rng(0)
    image_labels, sound_labels = rng.integers(0, 8, 60), rng.integers(2, 10, 40)
    images, sounds = rng.permutation(60)[:50], rng.permutation(40)[:30]
    for chosen in ((images, sounds), (None, None)):
        pairs = digits.DigitPairs(image_labels, sound_labels, *chosen)
        used = (range(60), range(40)) if chosen[0] is None else chosen
        expected = every_pair(image_labels, sound_labels, *used)
        found = list(zip(*pairs[:], strict=True))
        assert len(found) == len(pairs) == len(expected)
        assert set(found) == expected
    assert pairs[7] == tuple(part[7] for part in pairs[:])
    grid = pairs[np.array([[3, 1], [0, 2]])]
    assert grid[0].shape == (2, 2) and grid[1][1, 0] == pairs[0][1]
    assert pairs[[]][0].shape == (0,)
    for wrong in (-1, len(pairs), [0, len(pairs)], 1.5, np.ones(len(pairs), bool)):
        with pytest.raises(IndexError, match="numbered from 0"):
            pairs[wrong]


# The numbers of pairs in the paper, from split sizes 8:1:1 of 70,000 images and 2,500
# recordings.
PAPER = {
    "train": (56_000, 2_000, 11_202_076),
    "validation": (7_000, 250, 174_490),
    "test": (7_000, 250, 175_389),
}


def labels_with(images, sounds, pairs):
    """Labels of that many images and recordings that make that many pairs.

    One digit is left to the rest: recordings are moved between digits until the sum
    of products fits.
    """
    count = np.array([images // 10] * 10)
    heard = np.array([sounds // 10] * 10)
    # Moving an image from one digit to another with `n` more recordings adds n pairs.
    gap = pairs - int(count @ heard)
    heard[0] -= 1
    heard[1] += 1
    step = abs(gap)
    source, target = (0, 1) if gap > 0 else (1, 0)
    count[source] -= step // 2
    count[target] += step // 2
    if step % 2:  # from or to a digit with as many as there were
        count[source], count[2] = count[source] - 1, count[2] + 1
    assert count.min() > 0 and int(count @ heard) == pairs
    return np.repeat(np.arange(10), count), np.repeat(np.arange(10), heard)


@pytest.mark.parametrize("split", PAPER)
def test_the_papers_numbers_of_pairs(split):
    images, sounds, count = PAPER[split]
    image_labels, sound_labels = labels_with(images, sounds, count)
    assert (len(image_labels), len(sound_labels)) == (images, sounds)
    rng = np.random.default_rng(0)
    rng.shuffle(image_labels), rng.shuffle(sound_labels)
    tracemalloc.start()
    pairs = digits.DigitPairs(image_labels, sound_labels)
    assert len(pairs) == count
    last = pairs[count - 1]
    numbers = np.arange(0, count, 997)
    image, sound = pairs[numbers]
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 40 * (images + sounds) + 100 * len(numbers) < 11_202_076
    assert image_labels[last[0]] == sound_labels[last[1]]
    assert (image_labels[image] == sound_labels[sound]).all()
    assert len(set(zip(image, sound, strict=True))) == len(numbers)


def test_a_sample_of_pairs():
    labels = np.repeat(np.arange(10), 400)
    pairs = digits.DigitPairs(labels, labels[::4])
    drawn = pairs.sample(20_000, seed=1)
    assert len(set(drawn.tolist())) == 20_000
    assert drawn.min() >= 0 and drawn.max() < len(pairs) == 400_000
    assert abs(drawn.mean() / len(pairs) - 0.5) < 0.02 and (np.diff(drawn) < 0).any()
    assert np.array_equal(drawn, pairs.sample(20_000, seed=1))
    assert not np.array_equal(drawn, pairs.sample(20_000, seed=2))


@pytest.mark.parametrize("protocol", digits.PROTOCOLS)
def test_no_image_and_no_recording_in_two_splits(tmp_path, protocol):
    write_digits(tmp_path)
    data = digits.load_digits(protocol, tmp_path, seed=3)
    assert data.images.shape == (40, 28, 28) and len(data.sounds.waves) == 120
    images, sounds = {}, {}
    for name, pairs in data.pairs.items():
        i, s = pairs[:]
        assert (data.image_labels[i] == data.sounds.labels[s]).all()
        images[name], sounds[name] = set(i.tolist()), set(s.tolist())
    for parts in (images, sounds):
        assert list(parts) == ["train", "validation", "test"]
        for a, b in (
            ("train", "validation"),
            ("train", "test"),
            ("validation", "test"),
        ):
            assert not parts[a] & parts[b]
    speakers = {n: set(data.sounds.speakers[list(s)]) for n, s in sounds.items()}
    if protocol == "digits":
        assert len(speakers["train"]) == 6
    else:
        assert speakers["test"] == {"nicolas"} and speakers["validation"] == {"theo"}
        assert speakers["train"] == set(SPEAKERS) - {"nicolas", "theo"}
    again = digits.load_digits(protocol, tmp_path, seed=3)
    other = digits.load_digits(protocol, tmp_path, seed=4)
    assert np.array_equal(again.pairs["train"][:], data.pairs["train"][:])
    assert not np.array_equal(other.pairs["train"][:], data.pairs["train"][:])


def test_splits():
    for count in (70_000, 2_500, 3_000, 20, 7):
        split = digits.random_split(count, seed=1)
        joined = np.concatenate(list(split.values()))
        assert np.array_equal(np.sort(joined), np.arange(count))
        assert abs(len(split["test"]) - count / 10) <= 0.5
        assert len(split["test"]) == len(split["validation"])
    tested = [
        digits.speaker_split(np.array(SPEAKERS), turn)["test"][0] for turn in range(6)
    ]
    assert sorted(tested) == list(range(6))
    with pytest.raises(ValueError, match="three"):
        digits.speaker_split(["a", "b", "a"])
    with pytest.raises(ValueError, match="protocol"):
        digits.load_digits("speaker")


def test_the_real_sets(data_dir):
    try:
        data = digits.load_digits(data_dir=data_dir)
    except RecordError as error:
        pytest.skip(str(error))
    assert data.images.shape == (70_000, 28, 28)
    # The canonical order: the first training image is a five, the first test one a 7.
    assert data.image_labels[[0, 1, 60_000]].tolist() == [5, 0, 7]
    assert np.bincount(data.image_labels).tolist() == [
        6903, 7877, 6990, 7141, 6824, 6313, 6876, 7293, 6825, 6958,
    ]  # fmt: skip
    assert len(data.sounds.waves) == 3_000 and data.sounds.rate == 8000
    counts = np.unique(data.sounds.speakers, return_counts=True)
    assert dict(zip(*counts, strict=True)) == dict.fromkeys(fsdd.SPEAKERS, 500)
    assert np.bincount(data.sounds.labels).tolist() == [300] * 10
    lengths = [len(wave) for wave in data.sounds.waves]
    assert (min(lengths), max(lengths)) == (1_148, 18_262)
    # What the command takes for an offset of the microphone, none of them has.
    sounds = [trim_silence(wave, 8000) for wave in data.sounds.waves]
    assert max(abs(s.mean()) / s.std() for s in sounds) < LARGEST_OFFSET
    # 56,000 x 240 pairs and 7,000 x 30, but for how digits fall.
    sizes = {name: len(pairs) for name, pairs in data.pairs.items()}
    assert abs(sizes["train"] / 13_440_000 - 1) < 0.005
    assert abs(sizes["validation"] / 210_000 - 1) < 0.05
    assert abs(sizes["test"] / 210_000 - 1) < 0.05


def test_five_speakers_give_the_numbers_of_the_paper(data_dir):
    """Which five does not matter: all recorded every digit fifty times."""
    try:
        data = digits.load_digits(data_dir=data_dir, speakers=fsdd.SPEAKERS[:5])
    except RecordError as error:
        pytest.skip(str(error))
    for name, (images, sounds, count) in PAPER.items():
        i, s = data.pairs[name]._images, data.pairs[name]._sounds
        assert (sum(map(len, i)), sum(map(len, s))) == (images, sounds)
        assert abs(len(data.pairs[name]) / count - 1) < 0.03
