"""From texts to numbers of tokens, English and Chinese alike."""

import json

import numpy as np

from keras_mmfusion._checks import check_positive_int
from keras_mmfusion._serialization import register
from keras_mmfusion.datasets.ecg_record import RecordError

PADDING, UNKNOWN = "[PAD]", "[UNK]"


@register()
class CaptionTokenizer:
    """Cut texts into pieces of words, as a tokenizer has learned them from captions.

    Made by `CaptionTokenizer.learn`, or from the JSON of any tokenizer of the library
    `tokenizers` whose token 0 is its padding.

    Texts are lower-cased and lose accents; words are cut at spaces and punctuation, and
    each Chinese character is a word of its own. Pieces of words are byte-pair encodings
    of letters.

    Args:
        tokenizer: dict or str: a tokenizer as the library `tokenizers` writes it.
        max_length: int. Tokens of a text; of a longer one, the first are kept.
            Defaults to `64`.

    Call arguments:
        texts: Sequence of str.

    Returns:
        int32 array `(texts, max_length)`; 0 is padding.

    Raises:
        RecordError: A text without any token; the message says which.
        ImportError: tokenizers is not installed.

    Example:

    ```python
    from keras_mmfusion.preprocessing import CaptionTokenizer

    captions = ["hot pepper", "red hot", "red apple", "green pepper"]
    tokenize = CaptionTokenizer.learn(captions, vocabulary_size=60, max_length=6)
    numbers = tokenize(["Hot pepper!"])
    assert numbers.shape == (1, 6) and numbers[0, 0] > 0 and numbers[0, -1] == 0
    ```
    """

    def __init__(self, tokenizer, max_length=64):
        check_positive_int(max_length=max_length)
        try:
            if isinstance(tokenizer, str):
                tokenizer = json.loads(tokenizer)
            json.dumps(tokenizer)
        except (TypeError, ValueError) as error:
            raise ValueError(
                "`tokenizer` must be a dict or JSON, as the library `tokenizers` "
                f"writes it. Received: {tokenizer!r:.60} ({error}). "
                "`CaptionTokenizer.learn` makes one of captions."
            ) from error
        self.tokenizer = tokenizer
        self.max_length = max_length
        self._ready = None

    @classmethod
    def learn(cls, captions, vocabulary_size=4000, max_length=64):
        """A tokenizer of the pieces that occur most in captions.

        Args:
            captions: Sequence of str, of the training part only.
            vocabulary_size: int. Tokens at most, padding and "unknown" included.
                Defaults to `4000`.
            max_length: int. Defaults to `64`.

        Returns:
            `CaptionTokenizer`.
        """
        check_positive_int(vocabulary_size=vocabulary_size)
        captions = _texts(captions)
        tokenizers = _library()
        # Not WordPiece, of which the library learns another one each time.
        made = tokenizers.Tokenizer(tokenizers.models.BPE(unk_token=UNKNOWN))
        made.normalizer = tokenizers.normalizers.BertNormalizer(lowercase=True)
        made.pre_tokenizer = tokenizers.pre_tokenizers.BertPreTokenizer()
        trainer = tokenizers.trainers.BpeTrainer(
            vocab_size=vocabulary_size,
            # Else it would keep every letter there is, beyond the size.
            limit_alphabet=max(vocabulary_size - 2, 0),
            special_tokens=[PADDING, UNKNOWN],
            show_progress=False,
        )
        made.train_from_iterator(captions, trainer)
        return cls(made.to_str(), max_length)

    def __call__(self, texts):
        texts = _texts(texts)
        encoded = self._library_tokenizer().encode_batch(texts)
        numbers = np.zeros((len(encoded), self.max_length), "int32")
        for row, text in zip(numbers, encoded, strict=True):
            ids = text.ids[: self.max_length]
            row[: len(ids)] = ids
        empty = np.flatnonzero(~numbers.any(axis=1))
        if len(empty):
            raise RecordError(
                "Each text must have a word. Received: nothing but space in "
                f"{len(empty)} of {len(texts)}, at {empty[:5].tolist()}."
            )
        return numbers

    def knows(self, texts):
        """bool array `(texts,)`: whether a text has any token but "unknown"."""
        unknown = self._library_tokenizer().token_to_id(UNKNOWN)
        numbers = self(texts)
        return ((numbers != 0) & (numbers != unknown)).any(axis=1)

    @property
    def vocabulary_size(self):
        """int: tokens, padding included."""
        return self._library_tokenizer().get_vocab_size()

    def _library_tokenizer(self):
        if self._ready is None:
            text, library = json.dumps(self.tokenizer), _library()
            try:
                ready = library.Tokenizer.from_str(text)
            except Exception as error:  # the library raises no other
                raise ValueError(
                    "`tokenizer` must be one as the library `tokenizers` writes it. "
                    f"Received: {text[:60]} ({error})."
                ) from error
            first = ready.get_added_tokens_decoder().get(0)
            if first is None or not first.special:
                raise ValueError(
                    "Token 0 of `tokenizer` must be its padding, a special token. "
                    f"Received: {ready.id_to_token(0)!r}."
                )
            # A text that says "[PAD]" is a text.
            ready.encode_special_tokens = True
            self._ready = ready
        return self._ready

    def get_config(self):
        return {"tokenizer": self.tokenizer, "max_length": self.max_length}

    @classmethod
    def from_config(cls, config):
        return cls(**config)


def _texts(texts):
    """A list of str that the library takes."""
    if isinstance(texts, (str, bytes)) or not np.iterable(texts):
        raise ValueError(
            f"`texts` must be a list of str. Received: {texts!r}. Put it in a list."
        )
    texts = list(texts)
    other = [i for i, text in enumerate(texts) if not isinstance(text, str)]
    if other:
        raise RecordError(
            f"Texts must be str. Received: {texts[other[0]]!r} and the like in "
            f"{len(other)} of {len(texts)}, at {other[:5]}."
        )
    # Halves of characters, as JSON may hold, are in no encoding.
    return [text.encode("utf-8", "replace").decode() for text in texts]


def _library():
    try:
        import tokenizers
    except ImportError as error:
        raise ImportError(
            "Tokens of texts need the package tokenizers: "
            "pip install 'keras_mmfusion[retrieval]'"
        ) from error
    return tokenizers
