"""Small emotion corpora in the layouts of the releases of IEMOCAP and MSP-IMPROV.

Emotions can be told by the pitch of the tones and by the words, so that a small model
learns them from either. Speakers differ in pitch, too.
"""

import numpy as np
from digit_files import write_wav

PITCHES = {"sad": 150.0, "neutral": 220.0, "happy": 320.0, "angry": 470.0}
WORDS = {
    "angry": "stop never hate enough liar unfair",
    "happy": "great love wonderful yes laughing party",
    "sad": "alone gone miss cry sorry lost",
    "neutral": "table monday paper seven street number",
}
COMMON = "the a well I you and it so"
# What the releases call emotions, those that readers leave out last.
IEMOCAP_CODES = {
    "angry": ["ang"],
    "happy": ["hap", "exc"],
    "sad": ["sad"],
    "neutral": ["neu"],
    None: ["fru", "xxx"],
}
MSP_CODES = {"angry": "A", "happy": "H", "sad": "S", "neutral": "N", None: "O"}
HEADING = "% [START_TIME - END_TIME] TURN_NAME EMOTION [V, A, D]"
RATERS = (
    "C-E1:\tNeutral;\t()\nC-F1:\tAnger;\t()\nA-E1:\tval 3; act 2; dom  2;\t(calm)\n"
)


def write_iemocap(folder, per_class=2, sessions=range(1, 6), seed=0, seconds=0.2):
    """`IEMOCAP_full_release` below `folder`, without videos.

    Args:
        folder: Path.
        per_class: int. Turns of each emotion in a session. Defaults to `2`.
        sessions: Iterable of ints, from 1 to 5.
        seed: int. Defaults to `0`.
        seconds: float. Length of a recording, to within a half. Defaults to `0.2`.

    Returns:
        dict by name of a turn, of dicts: `emotion`, `None` for one that is left out,
        `speaker`, `session`, `text`, `start`, `end` and `side`.
    """
    rng = np.random.default_rng(seed)
    root = folder / "IEMOCAP_full_release"
    written = {}
    for session in sessions:
        dialogs = (f"Ses0{session}F_impro01", f"Ses0{session}M_script01_1")
        place = root / f"Session{session}"
        labels = place / "dialog" / "EmoEvaluation"
        said = place / "dialog" / "transcriptions"
        for path in (labels / "Categorical", said):
            path.mkdir(parents=True)
        plan = [
            (emotion, codes[index % len(codes)])
            for emotion, codes in IEMOCAP_CODES.items()
            for index in range(per_class)
        ]
        for part, dialog in enumerate(dialogs):
            wavs = place / "sentences" / "wav" / dialog
            wavs.mkdir(parents=True)
            # Other files of the release: single raters, and what macOS leaves.
            (labels / "Categorical" / f"{dialog}_e1_cat.txt").write_text(
                f"{dialog}_F000 :Neutral state; ()\n"
            )
            (labels / f"._{dialog}.txt").write_bytes(b"\0\5\x16\7[1 - 2]\n[")
            clock, lines, spoken = 1.0, [HEADING, ""], ["Take one."]
            for number, (emotion, code) in enumerate(plan[part::2]):
                letter = "FM"[(number + number // 2) % 2]
                turn = f"{dialog}_{letter}{number:03d}"
                length = seconds * rng.uniform(0.5, 1.5)
                row = {
                    "emotion": emotion,
                    "speaker": f"Ses0{session}{letter}",
                    "session": session,
                    "text": sentence(emotion, rng),
                    "start": round(clock, 4),
                    "end": round(clock + length, 4),
                    "side": "left" if letter == dialog[5] else "right",
                }
                clock += length + 0.5
                written[turn] = row
                times = row["start"], row["end"]
                lines += ["[{:.4f} - {:.4f}]".format(*times) + f"\t{turn}\t{code}"]
                lines[-1] += "\t[2.5000, 2.5000, 2.0000]"
                lines += RATERS.split("\n")
                clocks = "[{:08.4f}-{:08.4f}]".format(*times)
                spoken.append(f"{turn} {clocks}: {row['text']}")
                samples = tone(emotion, row["speaker"], length, 16000, rng)
                write_wav(wavs / f"{turn}.wav", samples, rate=16000)
            (labels / f"{dialog}.txt").write_text("\n".join(lines) + "\n")
            (said / f"{dialog}.txt").write_text("\n".join(spoken) + "\n")
    return written


def write_msp_improv(folder, per_class=2, sessions=range(1, 7), seed=0, seconds=0.2):
    """`MSP-IMPROV` below `folder`, without videos.

    Args:
        folder: Path.
        per_class: int. Turns of each emotion in a session. Defaults to `2`.
        sessions: Iterable of ints, from 1 to 6.
        seed: int. Defaults to `0`.
        seconds: float. Length of a recording, to within a half. Defaults to `0.2`.

    Returns:
        dict by name of a turn, of dicts: `emotion`, `None` for one that is left out,
        `speaker`, `session` and `text`.
    """
    rng = np.random.default_rng(seed)
    root = folder / "MSP-IMPROV"
    said = root / "All_human_transcriptions"
    said.mkdir(parents=True)
    written, lines = {}, []
    for session in sessions:
        before = len(written)
        for emotion, code in MSP_CODES.items():
            for number in range(per_class):
                speaker = f"{'FM'[number % 2]}0{session}"
                # The emotion that was asked for is another one than raters saw.
                asked = "AHSN"[rng.integers(4)]
                scene, kind = f"S{number % 20 + 1:02d}{asked}", "RSPT"[number % 4]
                end = f"{scene}-{speaker}-{kind}-FM{len(written) - before:02d}"
                row = {
                    "emotion": emotion,
                    "speaker": speaker,
                    "session": session,
                    "text": sentence(emotion, rng),
                }
                written[f"MSP-IMPROV-{end}"] = row
                lines += [
                    f"UTD-IMPROV-{end}.avi; {code}; A:2.800000; V:2.600000; D:NaN ; "
                    "N:4.200000;",
                    "A1B2; Neutral; Neutral,Calm; A:3.000000; V:3.000000; D:NaN; "
                    "N:4.000000;",
                    "",
                ]
                (said / f"MSP-IMPROV-{end}.txt").write_text(row["text"] + "\n")
                wavs = root / "Audio" / f"session{session}" / scene / kind
                wavs.mkdir(parents=True, exist_ok=True)
                length = seconds * rng.uniform(0.5, 1.5)
                samples = tone(emotion, speaker, length, 44100, rng)
                write_wav(wavs / f"MSP-IMPROV-{end}.wav", samples, rate=44100)
    (root / "Evalution.txt").write_text("\n".join(lines) + "\n")
    return written


def sentence(emotion, rng):
    """Words of the emotion among words that all use."""
    own = WORDS[emotion or "neutral"].split()
    words = [*rng.choice(own, 2, replace=False), *rng.choice(COMMON.split(), 3)]
    return " ".join(rng.permutation(words)).capitalize() + "."


def tone(emotion, speaker, seconds, rate, rng):
    """A tone of the emotion's pitch, a little other for each speaker, and noise."""
    session = int(speaker.strip("SesFM"))
    pitch = PITCHES[emotion or "neutral"] * (1.05 if "F" in speaker else 0.95)
    pitch *= 1 + 0.01 * session
    times = np.arange(round(seconds * rate)) / rate
    phase = 2 * np.pi * (pitch * times + rng.uniform())
    return 0.4 * np.sin(phase) + 0.02 * rng.standard_normal(len(times)).clip(-5, 5)
