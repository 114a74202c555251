"""Word vectors from local files of word2vec and GloVe."""

import codecs
import gzip
import re
import zlib
from pathlib import Path

import numpy as np

from keras_mmfusion._checks import check_choice
from keras_mmfusion.datasets.ecg_record import RecordError

UNKNOWN = ("skip", "zero")
_WORD = re.compile(r"\w+(?:'\w+)*")
# Bytes. Longer than any line of text.
_LONGEST = 1 << 20


class WordVectors:
    """The vectors of words, read from a file of word2vec or GloVe.

    Three formats are told apart by their content: word2vec binary, word2vec text
    (which fastText writes too), and GloVe text, which lacks the first line with the
    number of words and dimensions. Any of them may be compressed (`.gz`). The file is
    read once from front to back, and only the vectors of `vocabulary` are kept.

    A word that is not there as it stands is looked up in lower case, with a capital
    letter, and in capitals. Of a word that the file has twice, the first one counts.

    Args:
        path: Path of the file.
        vocabulary: Iterable of str, the words to keep, with their other cases.
            Defaults to `None`: all of the file, which takes as much memory.
        unknown: `"skip"`, words that the file lacks have no row; or `"zero"`, they
            have a row of zeros, as where rows belong to times. Defaults to `"skip"`.

    Attributes:
        dim: int. Length of a vector.

    Raises:
        RecordError: The file is missing, cut short, in none of the formats, or has
            vectors of several lengths.
        ValueError: Another value of `unknown`.

    Example:

    ```python
    from pathlib import Path
    from keras_mmfusion.preprocessing import WordVectors

    Path("tiny.txt").write_text("well 0.5 1 0\\nthat 0 0.25 1\\n")
    vectors = WordVectors("tiny.txt")
    words = vectors.words("Well, that's that.")
    assert words == ["Well", "that's", "that"]
    assert vectors(words).tolist() == [[0.5, 1, 0], [0, 0.25, 1]]
    ```

    Reference:
        Zheng et al., "Multi-channel weight-sharing autoencoder based on cascade
        multi-head attention for multimodal emotion recognition", IV.B: a vector of
        300 numbers for each word of an utterance.
    """

    def __init__(self, path, vocabulary=None, unknown="skip"):
        check_choice(UNKNOWN, unknown=unknown)
        self.unknown = unknown
        wanted = None
        if vocabulary is not None:
            vocabulary = _checked_words(vocabulary)
            wanted = {_encode(case) for word in vocabulary for case in _cases(word)}
        self._rows, numbers, self.dim = _read(Path(path), wanted)
        self._table = np.frombuffer(numbers, "<f4").reshape(-1, self.dim)

    def __len__(self):
        return len(self._rows)

    def __contains__(self, word):
        return isinstance(word, str) and self._row(word) is not None

    def __call__(self, words):
        """The vectors of a sequence of words.

        Args:
            words: Sequence of str; for a text, `words` makes one.

        Returns:
            float32 array `(rows, dim)`, a row for each word, or for each known one
            with `unknown="skip"`.

        Raises:
            ValueError: A single str, or what is none among the words.

        Example:

        ```python
        from pathlib import Path
        from keras_mmfusion.preprocessing import WordVectors

        Path("tiny.txt").write_text("yes 0.5 1\\nno 0 0.25\\n")
        vectors = WordVectors("tiny.txt", unknown="zero")
        assert vectors(["No", "never"]).tolist() == [[0, 0.25], [0, 0]]
        ```
        """
        words = _checked_words(words)
        rows = [self._row(word) for word in words]
        if self.unknown == "skip":
            rows = [row for row in rows if row is not None]
        vectors = np.zeros((len(rows), self.dim), "float32")
        for vector, row in zip(vectors, rows, strict=True):
            if row is not None:
                vector[:] = self._table[row]
        return vectors

    @staticmethod
    def words(text):
        """The words of a transcript: letters, digits, and apostrophes between them.

        Args:
            text: str.

        Returns:
            list of str.

        Example:

        ```python
        from keras_mmfusion.preprocessing import WordVectors

        words = WordVectors.words("I don’t know -- twenty-one?")
        assert words == ["I", "don't", "know", "twenty", "one"]
        ```
        """
        if not isinstance(text, str):
            raise ValueError(
                f"`text` must be a str. Received: {type(text).__name__}. Call it for "
                "each text of a list."
            )
        return _WORD.findall(text.replace("’", "'"))

    def _row(self, word):
        rows = (self._rows.get(_encode(case)) for case in _cases(word))
        return next((row for row in rows if row is not None), None)


def _cases(word):
    return word, word.lower(), word.capitalize(), word.upper()


def _encode(word):
    # Words stay bytes: some of those in published files are not UTF-8.
    return word.encode("utf-8", "surrogateescape")


def _checked_words(words):
    """A list of str; raises for a text, and for what is no word."""
    if isinstance(words, (str, bytes)) or not np.iterable(words):
        raise ValueError(
            f"Expected a sequence of words. Received: {words!r}. Call `words(text)` "
            "for those of a text."
        )
    words = list(words)
    other = [word for word in words if not isinstance(word, str)]
    if other:
        raise ValueError(
            f"Expected words that are str. Received: {other[0]!r} and the like in "
            f"{len(other)} of {len(words)}."
        )
    return words


def _read(path, wanted):
    """Rows by word, the numbers as bytes, and the length of a vector."""
    if not path.is_file():
        raise RecordError(
            f"No file of word vectors at {path}. Check the path and the name."
        )
    rows, numbers = {}, bytearray()
    try:
        with gzip.open(path) if path.suffix == ".gz" else path.open("rb") as file:
            entries, dim = _entries(path, file)
            for word, vector in entries:
                if word not in rows and (wanted is None or word in wanted):
                    rows[word] = len(rows)
                    numbers += vector()
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise RecordError(
            f"{path} is damaged or cut short ({error}). Get it again."
        ) from error
    return rows, numbers, dim


def _entries(path, file):
    """Pairs of a word and a function that gives its vector; length of the vectors."""
    # Editors on Windows put a mark there, which would be part of the first word.
    first = file.readline(_LONGEST).removeprefix(codecs.BOM_UTF8)
    header = re.fullmatch(rb"(\d+) (\d+) *\r?\n", first)
    if header:
        count, dim = int(header[1]), int(header[2])
        second = file.readline(_LONGEST)
        fields = _fields(second)
        is_text = len(fields) > min(dim, 2) and _numbers(fields[1:]) is not None
        entries = _from_text if is_text else _from_binary
    else:
        second, count, dim = first, None, len(_fields(first)) - 1
        if dim and _numbers(_fields(first)[1:]) is None:
            dim = 0
        entries = _from_text
    if dim < 1:
        raise RecordError(
            "Expected word vectors in the binary or text format of word2vec, or in "
            f"that of GloVe. Received: {path}, which begins with {first[:40]!r}. Name "
            "another file; .gz is read as it is, others have to be unpacked."
        )
    return entries(path, file, second, dim, count), dim


def _from_text(path, file, line, dim, count):
    done = 0
    while line:
        done += 1
        fields = _fields(line)
        # Words of GloVe may hold blanks.
        word, vector = fields[:-dim], fields[-dim:]

        def numbers(vector=vector, number=done + (count is not None)):
            values = _numbers(vector)
            if values is None:
                raise _bad_line(path, number, dim, vector)
            return values.tobytes()

        if not word or (len(word) > 1 and _numbers(word[1:]) is not None):
            raise _bad_line(path, done + (count is not None), dim, fields)
        yield b" ".join(word), numbers
        line = file.readline(_LONGEST)
    if count is not None and done < count:
        raise _cut_short(path, count, dim, done)


def _from_binary(path, file, data, dim, count):
    size, at = 4 * dim, 0
    for done in range(count):
        blank = data.find(b" ", at)
        if blank < 0 or len(data) <= blank + size:
            data, at = data[at:] + file.read(size + _LONGEST), 0
            blank = data.find(b" ")
        start, end = blank + 1, blank + 1 + size
        if blank < 0 or len(data) < end:
            raise _cut_short(path, count, dim, done)
        # Some writers end a vector with a line feed.
        word = data[at:blank].lstrip(b"\n")
        yield word, lambda data=data, start=start, end=end: data[start:end]
        at = end


def _fields(line):
    return line.rstrip(b" \r\n").split(b" ")


def _numbers(fields):
    try:
        return np.array([float(field) for field in fields], "<f4")
    except ValueError:
        return None


def _bad_line(path, number, dim, fields):
    return RecordError(
        f"Expected a word and {dim} numbers in line {number} of {path}. Received: "
        f"{b' '.join(fields)[:60]!r}, {len(fields)} fields. Get the file again."
    )


def _cut_short(path, count, dim, done):
    return RecordError(
        f"Expected {count:,} words with {dim} numbers each in {path}, by its first "
        f"line. Received: {done:,} words. Get the file again."
    )
