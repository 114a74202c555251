"""Corpora of acted dialogues: turns of speech with an emotion, and their splits.

Zheng et al., "Multi-channel weight-sharing autoencoder based on cascade multi-head
attention for multimodal emotion recognition", sections IV-A and IV-D.
"""

import warnings
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from keras_mmfusion.datasets.ecg_record import RecordError
from keras_mmfusion.datasets.fsdd import read_wav

EMOTIONS = ("angry", "happy", "sad", "neutral")


@dataclass(frozen=True)
class EmotionTurn:
    """What one speaker says at a stretch.

    Attributes:
        name: str, such as `"Ses01F_impro01_F000"`.
        emotion: str, one of `EMOTIONS`; `None` for any other label.
        speaker: str, such as `"Ses01F"`. No two speakers of a corpus share a name.
        session: int. Its speakers are in no other session.
        text: str. What is said; `""` without a transcript.
        wav_path: Path of the recording of this turn.
        video_path: Path of the video, or `None` where there is none.
        start, end: float. Seconds in the video, where it is of a whole dialogue;
            `None` where it is of this turn only.
        side: `"left"` or `"right"`. The half of the video that shows the speaker;
            `None` where it shows nobody else.
    """

    name: str
    emotion: str | None
    speaker: str
    session: int
    text: str
    wav_path: Path
    video_path: Path | None = None
    start: float | None = None
    end: float | None = None
    side: str | None = None


@dataclass(frozen=True)
class EmotionCorpus:
    """Turns of four emotions, with the splits that are in use.

    Attributes:
        name: str, such as `"IEMOCAP"`.
        turns: tuple of `EmotionTurn`.

    Raises:
        ValueError: A turn has an emotion that is none of `EMOTIONS`.

    Example:

    ```python
    from pathlib import Path
    from keras_mmfusion.datasets.emotion_corpus import (
        EMOTIONS,
        EmotionCorpus,
        EmotionTurn,
    )

    turns = [
        EmotionTurn(str(i), emotion, f"F{i % 3}", i % 3, "Well.", Path(f"{i}.wav"))
        for i, emotion in enumerate(EMOTIONS * 15)
    ]
    corpus = EmotionCorpus("made up", tuple(turns))
    assert corpus.counts == {emotion: 15 for emotion in EMOTIONS}
    train, validation, test = corpus.session_folds()[0]
    assert set(corpus.sessions[test]) == {0} and set(corpus.sessions[train]) == {2}
    ```
    """

    name: str
    turns: tuple

    def __post_init__(self):
        other = {turn.emotion for turn in self.turns} - set(EMOTIONS)
        if other:
            raise ValueError(
                f"The emotion of a turn must be one of {', '.join(EMOTIONS)}. "
                f"Received: {', '.join(sorted(map(str, other)))}. Leave such turns out."
            )

    def __len__(self):
        return len(self.turns)

    @property
    def labels(self):
        """Index into `EMOTIONS` of each turn, int64 array `(turns,)`."""
        return np.array([EMOTIONS.index(turn.emotion) for turn in self.turns], "int64")

    @property
    def speakers(self):
        """Array `(turns,)` of str."""
        return np.array([turn.speaker for turn in self.turns])

    @property
    def sessions(self):
        """int64 array `(turns,)`."""
        return np.array([turn.session for turn in self.turns], "int64")

    @property
    def texts(self):
        """tuple of str, one a turn."""
        return tuple(turn.text for turn in self.turns)

    @property
    def counts(self):
        """Number of turns of each emotion, a dict."""
        numbers = np.bincount(self.labels, minlength=len(EMOTIONS))
        return dict(zip(EMOTIONS, numbers.tolist(), strict=True))

    def wave(self, index):
        """Read the recording of a turn.

        Args:
            index: int. Which of `turns`.

        Returns:
            `(samples, rate)`: float32 array from -1 to 1, and samples a second.

        Raises:
            RecordError: The file cannot be read; see `read_wav`.
        """
        return read_wav(self.turns[index].wav_path)

    def ten_folds(self, seed=0):
        """The paper's ten folds, NOT speaker-clean: speakers are on all sides.

        A model may know a test speaker's voice and face, and what the partner answers.
        Results are higher than on new speakers; say so beside them, and give those of
        `session_folds` too. Fold `k` is tested on in turn `k`, the next one validated
        on, the other eight trained on. Each has its share of every emotion, to within
        one turn; the paper does not say how it deals turns.

        Args:
            seed: int. Of the order in which turns are dealt. Defaults to `0`.

        Returns:
            list of ten `(train, validation, test)`, int64 arrays of turns.

        Raises:
            ValueError: There are fewer than ten turns of an emotion.

        Reference:
            Zheng et al., section IV.D.
        """
        if min(self.counts.values()) < 10:
            raise ValueError(
                "Ten folds take ten turns of each emotion at least. Received: "
                f"{_listed(self.counts)}. Read more sessions."
            )
        labels = self.labels
        shuffled = np.random.default_rng(seed).permutation(len(labels))
        fold = np.empty(len(labels), "int64")
        # Dealt like cards, one emotion after the other.
        fold[np.lexsort((shuffled, labels))] = np.arange(len(labels)) % 10
        return [_parts(fold == (k + 1) % 10, fold == k) for k in range(10)]

    def session_folds(self):
        """Leave one session out: no speaker is on two sides.

        Each session is tested on in turn, the next one validated on, the others
        trained on.

        Returns:
            list of `(train, validation, test)`, int64 arrays of turns, one a session.

        Raises:
            ValueError: There are fewer than three sessions, or a speaker is in two.
        """
        sessions = self.sessions
        numbers = np.unique(sessions)
        if len(numbers) < 3:
            raise ValueError(
                "Leaving one session out takes three of them at least: to train, "
                f"validate and test on. Received: sessions {numbers.tolist()}. "
                "Read more of them."
            )
        folds = [
            _parts(sessions == following, sessions == number)
            for number, following in zip(numbers, np.roll(numbers, -1), strict=True)
        ]
        shared = sorted({name for fold in folds for name in self.shared_speakers(fold)})
        if shared:
            raise ValueError(
                "Expected the speakers of a session in no other one. Received: "
                f"{', '.join(shared)} in several. Give each person one session."
            )
        return folds

    def shared_speakers(self, fold):
        """Speakers that are on more than one side of a split.

        Args:
            fold: Sequence of int arrays, such as `(train, validation, test)`.

        Returns:
            tuple of str, empty for a split that is speaker-clean.
        """
        speakers = self.speakers
        sides = np.concatenate([np.unique(speakers[part]) for part in fold])
        names, number = np.unique(sides, return_counts=True)
        return tuple(names[number > 1].tolist())


def collect_turns(name, turns, folder, expected_counts=None):
    """The corpus of those turns that have one of the four emotions and a recording.

    A turn that is labelled twice in the same way counts once. Where recordings are
    missing, or numbers of turns are not as expected, a warning says so.

    Args:
        name: str. Name of the corpus.
        turns: Iterable of `EmotionTurn`, as labelled, other emotions included.
        folder: Where they were read, for messages.
        expected_counts: dict. Number of turns of each emotion, or `None` to check
            nothing. Defaults to `None`.

    Returns:
        `EmotionCorpus`, ordered by session and name.

    Raises:
        RecordError: No turn is left, or one is labelled twice in different ways.
    """
    labelled = {}
    for turn in turns:
        first = labelled.setdefault(turn.name, turn)
        if first.emotion != turn.emotion:
            raise RecordError(
                f"Expected one label for each turn of {name} in {folder}. Received: "
                f"{first.emotion or 'other'} and {turn.emotion or 'other'} for "
                f"{turn.name}. Get the label files again."
            )
    chosen = [turn for turn in labelled.values() if turn.emotion is not None]
    silent = {turn.name: turn for turn in chosen if not turn.wav_path.is_file()}
    example = next((f", such as {turn.wav_path}" for turn in silent.values()), "")
    if len(silent) == len(chosen):
        raise RecordError(
            f"Expected turns of {name} with WAV files in {folder}, labelled as one of "
            f"{', '.join(EMOTIONS)}. Received: {len(labelled):,} labelled turns, "
            f"{len(chosen):,} of them so, none with its WAV file{example}. Unpack the "
            "whole release."
        )
    if silent:
        warnings.warn(
            f"{name}: {len(silent):,} of {len(chosen):,} labelled turns in {folder} "
            f"have no WAV file{example}. They are left out; unpack the whole release.",
            stacklevel=3,
        )
    kept = [turn for turn in chosen if turn.name not in silent]
    kept.sort(key=lambda turn: (turn.session, turn.name))
    corpus = EmotionCorpus(name, tuple(kept))
    if expected_counts is not None and corpus.counts != dict(expected_counts):
        warnings.warn(
            f"{name}: expected {_listed(expected_counts)}, as in published work. "
            f"Received: {_listed(corpus.counts)} in {folder}, sessions "
            f"{', '.join(map(str, np.unique(corpus.sessions)))}. Results on them are "
            "not comparable; look for missing or changed files.",
            stacklevel=3,
        )
    return corpus


def _parts(validation, test):
    """Numbers of the turns to train, validate and test on, from two bool arrays."""
    return tuple(map(np.flatnonzero, (~validation & ~test, validation, test)))


def _listed(counts):
    """Such as `1,103 angry, 1,636 happy: 2,739 turns`."""
    each = ", ".join(f"{number:,} {name}" for name, number in counts.items())
    return f"{each}: {sum(counts.values()):,} turns"
