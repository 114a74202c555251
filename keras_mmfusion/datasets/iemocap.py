"""IEMOCAP: five sessions of two actors each, in the layout of the full release.

Busso et al., "IEMOCAP: interactive emotional dyadic motion capture database",
Language Resources and Evaluation 42, 2008.
"""

import re

from keras_mmfusion.datasets._find import find_folder
from keras_mmfusion.datasets.ecg_record import RecordError
from keras_mmfusion.datasets.emotion_corpus import EmotionTurn, collect_turns

URL = "https://sail.usc.edu/iemocap/iemocap_release.htm"
FOLDER = "IEMOCAP_full_release"
# Turns of each emotion in work on four classes.
COUNTS = {"angry": 1103, "happy": 1636, "sad": 1084, "neutral": 1708}
# The codes of the release; `exc`, excited, counts as happy.
CODES = {"ang": "angry", "hap": "happy", "exc": "happy", "sad": "sad", "neu": "neutral"}
# Frustrated, afraid, surprised, disgusted, another one, and no majority.
OTHER_CODES = ("fru", "fea", "sur", "dis", "oth", "xxx")
_LABEL = re.compile(r"\[([\d.]+)\s*-\s*([\d.]+)\]\s+(\S+)\s+(\w+)\s+\[.+\]")
# The first letter is the actor with markers, the last one who speaks.
_TURN = re.compile(r"(Ses0([1-5])([FM])_\w+)_([FM])[A-Z]*\d+")
_SAID = re.compile(r"(\S+)\s+\[[\d.]+\s*-\s*[\d.]+\]:\s*(.*)")


def load_iemocap(data_dir=None, expected_counts=COUNTS):
    """Read turns of IEMOCAP with their labels, transcripts and places of files.

    Emotions are those of the majority of raters, as in the files of the release:
    angry, happy with excited, sad and neutral. Turns of others are left out.

    Args:
        data_dir: Folder that holds `Session1` to `Session5`, or that holds a folder
            `IEMOCAP_full_release` which does. Defaults to `None`:
            `KERAS_MMFUSION_DATA`, then the cache.
        expected_counts: dict. Number of turns of each emotion; a warning says if
            there are others. `None` for no check. Defaults to those of published
            work on the whole release, 5,531 turns.

    Returns:
        `EmotionCorpus`, ordered by session and name. `video_path` is the video of
        the dialogue, with both actors; `start`, `end` and `side` say where the turn
        is in it. The actor with markers, whom the dialogue is named by, sits on the
        left.

    Raises:
        RecordError: The corpus is not there, a line of labels cannot be read, or a
            turn has two different labels.

    Example:

    ```python
    from keras_mmfusion.datasets.iemocap import load_iemocap

    corpus = load_iemocap()
    samples, rate = corpus.wave(0)
    corpus.turns[0].text, corpus.turns[0].emotion
    ```
    """
    folder = find_folder(
        FOLDER,
        lambda folder: any(folder.glob("Session[1-5]/dialog/EmoEvaluation")),
        data_dir,
        "IEMOCAP",
        f"Ask USC SAIL for the full release with the form of {URL} (for "
        f"research), unpack it as {FOLDER}",
    )
    # Names begin with Ses: the release also holds `._Ses…` files, with nothing in them.
    texts = {}
    for path in sorted(folder.glob("Session[1-5]/dialog/transcriptions/Ses*.txt")):
        for line in _lines(path):
            said = _SAID.fullmatch(line)
            if said:
                texts.setdefault(said[1], said[2])
    videos = {
        path.stem: path for path in folder.glob("Session[1-5]/dialog/avi/DivX/Ses*.avi")
    }
    turns = [
        _turn(folder, path, number, line, texts, videos)
        for path in sorted(folder.glob("Session[1-5]/dialog/EmoEvaluation/Ses*.txt"))
        for number, line in enumerate(_lines(path), 1)
        if line.startswith("[")  # the others are a heading and single raters
    ]
    return collect_turns("IEMOCAP", turns, folder, expected_counts)


def _turn(folder, path, number, line, texts, videos):
    label = _LABEL.fullmatch(line)
    turn = label and _TURN.fullmatch(label[3])
    if not turn or label[4] not in (*CODES, *OTHER_CODES):
        raise RecordError(
            f"Expected [start - end], turn, emotion and [V, A, D] in line {number} of "
            f"{path}, the emotion one of {', '.join((*CODES, *OTHER_CODES))}. "
            f"Received: {line[:80]!r}. Get the file again."
        )
    dialogue, session, marked, letter = turn.groups()
    wavs = folder / f"Session{session}" / "sentences" / "wav" / dialogue
    return EmotionTurn(
        name=turn[0],
        emotion=CODES.get(label[4]),
        speaker=f"Ses0{session}{letter}",
        session=int(session),
        text=texts.get(turn[0], ""),
        wav_path=wavs / f"{turn[0]}.wav",
        video_path=videos.get(dialogue),
        start=float(label[1]),
        end=float(label[2]),
        side="left" if letter == marked else "right",
    )


def _lines(path):
    text = path.read_text(encoding="utf-8-sig", errors="replace")
    return [line.strip() for line in text.splitlines()]
