"""Word vectors, from files written here byte by byte."""

import codecs
import gzip
import struct
import tracemalloc

import numpy as np
import pytest
from backends import once

from keras_mmfusion.datasets import RecordError
from keras_mmfusion.preprocessing import WordVectors

pytestmark = once

# By word, in the order of the file. One is no UTF-8, one begins with a digit.
VECTORS = {
    b"</s>": [0.5, -1.0, 0.25],
    b"the": [1.0, 2.0, 3.0],
    b"caf\xc3\xa9": [-0.125, 0.0, 8.0],
    b"\xff\xfe": [4.0, 4.0, 4.0],
    b"NASA": [10.0, 32.0, 32.0],
    b"Paris": [1.5, 1.5, -1.5],
    b"2nd": [0.0, 0.0, 1.0],
}


def binary(vectors=VECTORS, end=b"\n"):
    dim = len(next(iter(vectors.values())))
    content = b"%d %d\n" % (len(vectors), dim)
    for word, vector in vectors.items():
        content += word + b" " + struct.pack(f"<{dim}f", *vector) + end
    return content


def text(vectors=VECTORS, header=True, end=b"\n"):
    lines = [b"%d %d" % (len(vectors), 3)] if header else []
    for word, vector in vectors.items():
        lines.append(b" ".join([word, *(b"%f" % x for x in vector)]))
    return b"".join(line + end for line in lines)


FORMATS = {
    "binary": binary(),
    "binary, no line feeds": binary(end=b""),
    "text": text(),
    "text, blanks at ends of lines": text(end=b" \n"),
    "text, from Windows": codecs.BOM_UTF8 + text(end=b"\r\n"),
    "glove": text(header=False),
    "glove, from Windows": codecs.BOM_UTF8 + text(header=False, end=b"\r\n"),
    "glove, no end of the last line": text(header=False)[:-1],
}


@pytest.fixture
def write(tmp_path):
    def function(content, name="vectors"):
        path = tmp_path / name
        path.write_bytes(content)
        return path

    return function


@pytest.mark.parametrize("name", FORMATS)
def test_formats(write, name):
    path = write(FORMATS[name])
    vectors = WordVectors(path)
    assert len(vectors) == len(VECTORS) and vectors.dim == 3
    words = [word.decode("utf-8", "surrogateescape") for word in VECTORS]
    found = vectors(words)
    assert found.dtype == "float32"
    np.testing.assert_array_equal(found, list(VECTORS.values()))
    packed = write(gzip.compress(FORMATS[name]), "vectors.gz")
    np.testing.assert_array_equal(WordVectors(packed)(words), found)
    some = WordVectors(path, ["café", "nobody", "nasa"])
    assert len(some) == 2 and "the" not in some
    np.testing.assert_array_equal(some(["café", "NASA"]), found[[2, 4]])


def test_unknown_words_and_other_cases(write):
    path = write(binary())
    words = ["THE", "nobody", "paris", "Nasa", "PARIS", "2ND"]
    rows = [VECTORS[w] for w in (b"the", b"Paris", b"NASA", b"Paris", b"2nd")]
    np.testing.assert_array_equal(WordVectors(path)(words), rows)
    zero = WordVectors(path, words, unknown="zero")
    found = zero(words)
    assert len(zero) == 4 and not found[1].any()
    np.testing.assert_array_equal(np.delete(found, 1, axis=0), rows)
    assert "nobody" not in zero and "Nasa" in zero
    assert WordVectors(path)(["nobody"]).shape == WordVectors(path)([]).shape == (0, 3)
    assert zero(["nobody", "no"]).shape == (2, 3)


def test_a_word_counts_as_it_stands_before_others(write):
    pair = {b"us": [1.0, 0.0], b"US": [0.0, 1.0]}
    vectors = WordVectors(write(binary(pair)))
    assert vectors(["US", "us", "Us"]).tolist() == [[0, 1], [1, 0], [1, 0]]


def test_glove_has_words_with_blanks_and_words_twice(write):
    lines = b"a 1 2 3\n. . . 4 5 6\na 7 8 9\n"
    vectors = WordVectors(write(lines))
    assert vectors([". . .", "a"]).tolist() == [[4, 5, 6], [1, 2, 3]]


def test_vectors_full_of_blanks_and_line_feeds(write):
    """Bytes 0x20 and 0x0a within numbers end nothing; files are longer than a read."""
    rng = np.random.default_rng(0)
    bytes_ = rng.choice(np.array([0x20, 0x0A, 0x3D], "u1"), (5000, 4 * 100))
    numbers = bytes_.view("<f4")
    for end in (b"", b"\n"):
        content = b"5000 100\n" + b"".join(
            b"w%d " % i + row.tobytes() + end for i, row in enumerate(bytes_)
        )
        vectors = WordVectors(write(content))
        np.testing.assert_array_equal(vectors([f"w{i}" for i in range(5000)]), numbers)


def test_memory_is_that_of_the_vocabulary(write):
    word_and_vector = b" " + bytes(4 * 300)
    content = b"".join(b"w%d" % i + word_and_vector for i in range(20_000))
    path = write(b"20000 300\n" + content)
    assert path.stat().st_size > 24e6
    tracemalloc.start()
    try:
        assert len(WordVectors(path, ["w3", "w19999"])) == 2
        assert tracemalloc.get_traced_memory()[1] < 6e6
    finally:
        tracemalloc.stop()


def test_words():
    words = WordVectors.words
    assert words("Oh, no!  You're -- [LAUGHTER] ’twas 'fine'.") == [
        *("Oh", "no", "You're", "LAUGHTER", "twas", "fine")
    ]
    assert words("Zoë's twenty-one; l’été") == ["Zoë's", "twenty", "one", "l'été"]
    assert words("...") == words("") == []


@pytest.mark.parametrize(
    "content, message",
    [
        (binary()[:-2], "Expected 7 words with 3 numbers.*Received: 6 words"),
        (binary()[:30], "Received: 1 words"),
        (b"7 3\n", "Received: 0 words"),
        (text()[:-60], "line 7 of .*Received: b'Paris"),
        (text()[:-31], "Received: 6 words"),
        (text(header=False) + b"more 1 2\n", "line 8 of .*Received: b'more 1 2'"),
        (text(header=False) + b"more 1 2 3 4\n", "line 8 of .*5 fields"),
        (text() + b"more 1 2 x\n", "3 numbers in line 9"),
        (b"2 4\na 1 2 3\nb 1 2 3\n", "4 numbers in line 2"),
        (b"2 2\na 1 2 3\nb 1 2 3\n", "2 numbers in line 2"),
        (b"a\nb\n", "binary or text format"),
        (b"\x89PNG\r\n\x1a\n 1 2", "binary or text format"),
        (b"", "binary or text format"),
        (b"7 0\n", "binary or text format"),
    ],
)
def test_damaged_files(write, content, message):
    with pytest.raises(RecordError, match=message):
        WordVectors(write(content))


def test_damaged_archives(write):
    packed = gzip.compress(text())
    for content in (packed[:-20], text(), packed[:20] + b"\x00" * 9 + packed[29:]):
        with pytest.raises(RecordError, match="damaged or cut short"):
            WordVectors(write(content, "v.gz"))


def test_wrong_arguments(write, tmp_path):
    with pytest.raises(RecordError, match="No file of word vectors"):
        WordVectors(tmp_path / "nothing.bin")
    path = write(binary())
    with pytest.raises(ValueError, match="must be one of"):
        WordVectors(path, unknown="mean")
    for call in (WordVectors(path), lambda words: WordVectors(path, words)):
        with pytest.raises(ValueError, match=r"sequence of words.*Received: 'the'"):
            call("the")
