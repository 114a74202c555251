"""MSP-IMPROV: six sessions of two actors each, in the layout of the release.

Busso et al., "MSP-IMPROV: an acted corpus of dyadic interactions to study emotion
perception", IEEE Transactions on Affective Computing 8(1), 2017.
"""

import re

from keras_mmfusion.datasets._find import find_folder
from keras_mmfusion.datasets.ecg_record import RecordError
from keras_mmfusion.datasets.emotion_corpus import EmotionTurn, collect_turns

URL = "https://lab-msp.com/MSP/MSP-Improv.html"
FOLDER = "MSP-IMPROV"
# The first is how the release spells it.
LABEL_FILES = ("Evalution.txt", "Evaluation.txt")
# Turns of each emotion in work on four classes.
COUNTS = {"angry": 792, "happy": 2644, "sad": 885, "neutral": 3477}
CODES = {"A": "angry", "H": "happy", "S": "sad", "N": "neutral"}
# Another one, and no majority.
OTHER_CODES = ("O", "X")
PREFIXES = ("UTD-IMPROV-", "MSP-IMPROV-")
_VALUE = r"(?:\d+(?:\.\d+)?|NaN)"
# Sentence and intended emotion, speaker with session, kind of recording, turn.
_LABEL = re.compile(
    r"(?:UTD|MSP)-IMPROV-((S\d\d[AHSN])-([FM]0([1-6]))-([RSPT])-[FM]{2}\d+)\.avi\s*;"
    r"\s*(\w+)\s*;" + "".join(rf"\s*{name}:{_VALUE}\s*;" for name in "AVDN")
)


def load_msp_improv(data_dir=None, expected_counts=COUNTS):
    """Read turns of MSP-IMPROV with their labels, transcripts and places of files.

    Emotions are those of the majority of raters, not those that actors were asked
    for: angry, happy, sad and neutral. Turns of others are left out.

    Args:
        data_dir: Folder that holds `Evalution.txt`, or that holds a folder
            `MSP-IMPROV` which does. Defaults to `None`: `KERAS_MMFUSION_DATA`, then
            the cache.
        expected_counts: dict. Number of turns of each emotion; a warning says if
            there are others. `None` for no check. Defaults to those of published
            work on the whole release, 7,798 turns.

    Returns:
        `EmotionCorpus`, ordered by session and name. `video_path` is the video of
        the turn, which shows the speaker only.

    Raises:
        RecordError: The corpus is not there, a line of labels cannot be read, or a
            turn has two different labels.

    Example:

    ```python
    from keras_mmfusion.datasets.msp_improv import load_msp_improv

    corpus = load_msp_improv()
    samples, rate = corpus.wave(0)
    corpus.turns[0].text, corpus.turns[0].emotion
    ```
    """
    folder = find_folder(
        FOLDER,
        lambda folder: any((folder / name).is_file() for name in LABEL_FILES),
        data_dir,
        "MSP-IMPROV",
        f"Ask the MSP laboratory of UT Dallas for it, with the licence form of {URL} "
        f"(for research), unpack it as {FOLDER}",
    )
    path = next(folder / name for name in LABEL_FILES if (folder / name).is_file())
    texts = _transcripts(folder)
    # In some copies, recordings and videos lie side by side, in no folder of their own.
    audio, video = (
        folder / kind if (folder / kind).is_dir() else folder
        for kind in ("Audio", "Video")
    )
    videos = {
        file.stem.replace("UTD", "MSP", 1): file
        for file in video.glob("session[1-6]/S*/[RSPT]/[MU]*.avi")
    }
    lines = path.read_text(encoding="utf-8-sig", errors="replace").splitlines()
    turns = [
        _turn(audio, path, number, line.strip(), texts, videos)
        for number, line in enumerate(lines, 1)
        if line.lstrip().startswith(PREFIXES)  # the others are single raters
    ]
    return collect_turns("MSP-IMPROV", turns, folder, expected_counts)


def _transcripts(folder):
    """Paths by turn: one file a turn, in a folder that is named in several ways."""
    return {
        path.stem: path
        for place in folder.iterdir()
        if place.is_dir() and "transcription" in place.name.lower()
        for path in sorted(place.rglob("MSP-IMPROV-*.txt"))
    }


def _turn(audio, path, number, line, texts, videos):
    label = _LABEL.fullmatch(line)
    if not label or label[6] not in (*CODES, *OTHER_CODES):
        raise RecordError(
            "Expected UTD-IMPROV-….avi; emotion; A:…; V:…; D:…; N:…; in line "
            f"{number} of {path}, the emotion one of "
            f"{', '.join((*CODES, *OTHER_CODES))}. Received: {line[:80]!r}. "
            "Get the file again."
        )
    turn, sentence, speaker, session, kind, emotion = label.groups()
    name = f"MSP-IMPROV-{turn}"
    said = texts.get(name)
    return EmotionTurn(
        name=name,
        emotion=CODES.get(emotion),
        speaker=speaker,
        session=int(session),
        text="" if said is None else _words(said),
        wav_path=audio / f"session{session}" / sentence / kind / f"{name}.wav",
        video_path=videos.get(name),
    )


def _words(path):
    return " ".join(path.read_text(encoding="utf-8", errors="replace").split())
