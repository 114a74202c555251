"""IEMOCAP and MSP-IMPROV are read in the layouts of their releases, and split."""

import warnings
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from backends import once
from emotion_files import PITCHES, write_iemocap, write_msp_improv
from scipy.io import wavfile
from sklearn.model_selection import StratifiedKFold

from keras_mmfusion.datasets import RecordError, iemocap, msp_improv
from keras_mmfusion.datasets.emotion_corpus import (
    EMOTIONS,
    EmotionCorpus,
    EmotionTurn,
)

pytestmark = once

WRITE = {"IEMOCAP": write_iemocap, "MSP-IMPROV": write_msp_improv}
LOAD = {"IEMOCAP": iemocap.load_iemocap, "MSP-IMPROV": msp_improv.load_msp_improv}
FOLDER = {"IEMOCAP": "IEMOCAP_full_release", "MSP-IMPROV": "MSP-IMPROV"}
BOTH = pytest.mark.parametrize("name", list(LOAD))


@pytest.fixture(autouse=True)
def nowhere(tmp_path, monkeypatch):
    """No data but what a test writes, and no warning that it does not look at."""
    monkeypatch.delenv("KERAS_MMFUSION_DATA", raising=False)
    monkeypatch.setenv("KERAS_HOME", str(tmp_path / "home"))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        yield


def load(name, folder):
    return LOAD[name](folder, expected_counts=None)


def label_file(name, folder):
    """One that has labels, and the line of the first."""
    root = folder / FOLDER[name]
    if name == "MSP-IMPROV":
        return root / "Evalution.txt", 0
    return root / "Session2" / "dialog" / "EmoEvaluation" / "Ses02F_impro01.txt", 2


def change(path, number, function):
    lines = path.read_text().split("\n")
    lines[number] = function(lines[number])
    path.write_text("\n".join(lines))


def made_up(per_session, sessions=5, seed=0):
    """Turns of each emotion in a session, two speakers each; no files."""
    rng = np.random.default_rng(seed)
    turns = [
        EmotionTurn(f"{s}-{e}-{i}", e, f"{'FM'[i % 2]}{s}", s, "", Path("none.wav"))
        for s in range(sessions)
        for e, number in zip(EMOTIONS, per_session, strict=True)
        for i in range(number)
    ]
    return EmotionCorpus(
        "made up", tuple(turns[i] for i in rng.permutation(len(turns)))
    )


@BOTH
def test_what_was_written_is_read(tmp_path, name, monkeypatch):
    written = WRITE[name](tmp_path, per_class=3)
    corpus = load(name, tmp_path)
    expected = {turn: row for turn, row in written.items() if row["emotion"]}
    assert len(expected) < len(written)
    assert {turn.name for turn in corpus.turns} == set(expected)
    assert len(corpus) == len(expected) and corpus.name == name
    for turn in corpus.turns:
        row = expected[turn.name]
        assert {key: getattr(turn, key) for key in row} == row
        assert turn.video_path is None
    # Arrays are those of the turns, in an order that does not depend on the disk.
    order = sorted(expected, key=lambda turn: (expected[turn]["session"], turn))
    assert [turn.name for turn in corpus.turns] == order
    rows = [expected[turn] for turn in order]
    assert [EMOTIONS[label] for label in corpus.labels] == [r["emotion"] for r in rows]
    assert corpus.speakers.tolist() == [row["speaker"] for row in rows]
    assert corpus.sessions.tolist() == [row["session"] for row in rows]
    assert corpus.texts == tuple(row["text"] for row in rows)
    number = {"IEMOCAP": 5, "MSP-IMPROV": 6}[name]
    assert corpus.counts == dict.fromkeys(EMOTIONS, 3 * number)
    assert len(set(corpus.speakers)) == 2 * number
    # The folder itself, and the folder above by its variable.
    assert load(name, tmp_path / FOLDER[name]) == corpus
    monkeypatch.setenv("KERAS_MMFUSION_DATA", str(tmp_path))
    assert load(name, None) == corpus


@BOTH
def test_recordings_are_those_of_the_turns(tmp_path, name):
    WRITE[name](tmp_path)
    corpus = load(name, tmp_path)
    for index in range(0, len(corpus), 7):
        turn = corpus.turns[index]
        samples, rate = corpus.wave(index)
        expected_rate, expected = wavfile.read(turn.wav_path)
        assert rate == expected_rate == {"IEMOCAP": 16000, "MSP-IMPROV": 44100}[name]
        np.testing.assert_allclose(samples, expected / 2**15, atol=1e-7)
        # The tone that was written for this emotion, in the right file.
        loudest = np.abs(np.fft.rfft(samples)).argmax() * rate / len(samples)
        pitches = np.array(list(PITCHES.values()))
        nearest = np.abs(np.log(pitches / loudest)).argmin()
        assert list(PITCHES)[nearest] == turn.emotion


def test_videos_of_iemocap_are_of_dialogues(tmp_path):
    write_iemocap(tmp_path, sessions=[1, 2])
    place = tmp_path / "IEMOCAP_full_release" / "Session1" / "dialog" / "avi" / "DivX"
    place.mkdir(parents=True)
    for file in ("Ses01F_impro01.avi", "._Ses01M_script01_1.avi"):
        (place / file).touch()
    turns = load("IEMOCAP", tmp_path).turns
    with_video = {turn.name for turn in turns if turn.video_path}
    assert with_video == {t.name for t in turns if t.name.startswith("Ses01F_impro01_")}
    chosen = next(turn for turn in turns if turn.video_path)
    assert chosen.video_path == place / "Ses01F_impro01.avi"
    assert 0 < chosen.start < chosen.end
    # Both actors, in dialogues where either has the markers.
    assert {(t.name[5], t.speaker[5], t.side) for t in turns} == {
        ("F", "F", "left"),
        ("F", "M", "right"),
        ("M", "M", "left"),
        ("M", "F", "right"),
    }


@pytest.mark.parametrize("prefix", ["MSP", "UTD"])
def test_videos_of_msp_improv_are_of_turns(tmp_path, prefix):
    write_msp_improv(tmp_path)
    wav = load("MSP-IMPROV", tmp_path).turns[3].wav_path
    video = (
        tmp_path
        / "MSP-IMPROV"
        / "Video"
        / wav.parent.relative_to(tmp_path / "MSP-IMPROV" / "Audio")
    )
    video.mkdir(parents=True)
    video /= wav.with_suffix(".avi").name.replace("MSP", prefix, 1)
    video.touch()
    turns = load("MSP-IMPROV", tmp_path).turns
    assert [t.video_path for t in turns] == [None] * 3 + [video] + [None] * (
        len(turns) - 4
    )
    assert turns[3].start is turns[3].side is None


def test_other_layouts_of_msp_improv(tmp_path):
    """The other spelling, transcripts a folder deeper, recordings a folder higher."""
    write_msp_improv(tmp_path)
    before = load("MSP-IMPROV", tmp_path)
    root = tmp_path / "MSP-IMPROV"
    (root / "Evalution.txt").rename(root / "Evaluation.txt")
    (root / "Human_transcriptions").mkdir()
    said = "All_human_transcriptions"
    (root / said).rename(root / "Human_transcriptions" / said)
    for place in (root / "Audio").iterdir():
        place.rename(root / place.name)
    (root / "Audio").rmdir()
    after = load("MSP-IMPROV", tmp_path)
    assert after.texts == before.texts and "" not in after.texts
    assert after.turns[0].wav_path == root / before.turns[0].wav_path.relative_to(
        root / "Audio"
    )


@BOTH
def test_without_transcripts_texts_are_empty(tmp_path, name):
    WRITE[name](tmp_path)
    before = load(name, tmp_path)
    if name == "IEMOCAP":
        gone = before.turns[0].name
        dialog = gone.rpartition("_")[0]
        place = tmp_path / FOLDER[name] / "Session1" / "dialog" / "transcriptions"
        path = place / f"{dialog}.txt"
        path.write_text(path.read_text().replace(gone, "M"))
    else:
        place = tmp_path / FOLDER[name] / "All_human_transcriptions"
        (place / f"{before.turns[0].name}.txt").unlink()
    after = load(name, tmp_path)
    assert after.texts == ("", *before.texts[1:]) and before.texts[0] != ""


@BOTH
def test_a_missing_corpus(tmp_path, name):
    with pytest.raises(RecordError) as error:
        load(name, tmp_path / "here")
    message = str(error.value)
    assert f"{name} was not found" in message and "form" in message
    for place in (tmp_path / "here", tmp_path / "home" / "datasets"):
        assert str(place / FOLDER[name]) in message
    assert {"IEMOCAP": "USC SAIL", "MSP-IMPROV": "UT Dallas"}[name] in message


@BOTH
@pytest.mark.parametrize("damage", ["cut", "code", "name"])
def test_a_damaged_label(tmp_path, name, damage):
    WRITE[name](tmp_path)
    path, number = label_file(name, tmp_path)
    function = {
        "cut": lambda line: line[:-12],
        "code": lambda line: line.replace("ang", "mad").replace("; A;", "; M;"),
        "name": lambda line: line.replace("Ses02", "Ses09").replace("01-", "07-"),
    }[damage]
    change(path, number, function)
    with pytest.raises(RecordError, match=f"in line {number + 1} of {path}.*Received"):
        load(name, tmp_path)


@BOTH
def test_a_turn_that_is_labelled_twice(tmp_path, name):
    WRITE[name](tmp_path)
    before = load(name, tmp_path)
    path, number = label_file(name, tmp_path)
    line = path.read_text().split("\n")[number]
    with open(path, "a") as file:
        file.write(line + "\n")
    assert load(name, tmp_path) == before
    other = line.replace("\tang\t", "\tsad\t").replace("; A;", "; X;")
    assert other != line
    with open(path, "a") as file:
        file.write(other + "\n")
    with pytest.raises(RecordError, match=r"one label for each turn.*angry and"):
        load(name, tmp_path)


@BOTH
def test_turns_without_a_recording(tmp_path, name):
    WRITE[name](tmp_path)
    before = load(name, tmp_path)
    before.turns[5].wav_path.unlink()
    with pytest.warns(
        UserWarning, match=f"1 of {len(before)} .*{before.turns[5].name}"
    ):
        after = load(name, tmp_path)
    assert after.turns == before.turns[:5] + before.turns[6:]
    for turn in after.turns:
        turn.wav_path.unlink()
    with pytest.raises(RecordError, match="none with its WAV file, such as"):
        load(name, tmp_path)


@BOTH
def test_a_damaged_recording_is_noticed_when_it_is_read(tmp_path, name):
    WRITE[name](tmp_path)
    path = load(name, tmp_path).turns[2].wav_path
    path.write_bytes(path.read_bytes()[:-100])
    corpus = load(name, tmp_path)
    corpus.wave(1)
    with pytest.raises(RecordError, match=f"{path.name} is empty or cut short"):
        corpus.wave(2)


@BOTH
def test_counts_that_are_not_those_of_the_paper(tmp_path, name):
    WRITE[name](tmp_path, per_class=1, sessions=[1, 3])
    paper = {"IEMOCAP": "1,103 angry.*: 5,531", "MSP-IMPROV": "792 angry.*: 7,798"}
    match = f"{paper[name]} turns.*2 angry, 2 happy.*: 8 turns in .*sessions 1, 3"
    with pytest.warns(UserWarning, match=match) as caught:
        LOAD[name](tmp_path)
    assert caught[0].filename == __file__
    # None where they are as expected; warnings are errors here.
    LOAD[name](tmp_path, expected_counts=dict.fromkeys(EMOTIONS, 2))


def test_counts_are_those_of_the_paper():
    """Section IV-A: happy, angry, sad and neutral turns in the order of each text."""
    assert EMOTIONS == ("angry", "happy", "sad", "neutral")
    assert list(iemocap.COUNTS.values()) == [1103, 1636, 1084, 1708]
    assert list(msp_improv.COUNTS.values()) == [792, 2644, 885, 3477]
    for module, total in ((iemocap, 5531), (msp_improv, 7798)):
        assert tuple(module.COUNTS) == EMOTIONS
        assert sum(module.COUNTS.values()) == total


def test_ten_folds_have_shares_of_every_emotion():
    corpus = made_up((11, 17, 8, 14))
    labels = corpus.labels
    folds = corpus.ten_folds(seed=3)
    every = np.arange(len(corpus))
    for index, fold in enumerate(folds):
        np.testing.assert_array_equal(np.sort(np.concatenate(fold)), every)
        np.testing.assert_array_equal(fold[1], folds[(index + 1) % 10][2])
    tests = [fold[2] for fold in folds]
    np.testing.assert_array_equal(np.sort(np.concatenate(tests)), every)
    # As many turns of each emotion in each fold as scikit-learn deals.
    ours = [np.bincount(labels[test], minlength=4).tolist() for test in tests]
    dealt = StratifiedKFold(10).split(labels, labels)
    theirs = [np.bincount(labels[test], minlength=4).tolist() for _, test in dealt]
    assert sorted(ours) == sorted(theirs)
    again = corpus.ten_folds(seed=3)
    assert all(map(np.array_equal, tests, (fold[2] for fold in again)))
    other = corpus.ten_folds(seed=4)
    assert not any(map(np.array_equal, tests, (fold[2] for fold in other)))
    # What the docstring warns of: each speaker is on several sides.
    assert all(len(corpus.shared_speakers(fold)) == 10 for fold in folds)
    assert "NOT speaker-clean" in EmotionCorpus.ten_folds.__doc__


@BOTH
def test_no_speaker_is_on_two_sides_of_a_session_fold(tmp_path, name):
    WRITE[name](tmp_path)
    corpus = load(name, tmp_path)
    folds = corpus.session_folds()
    numbers = sorted(set(corpus.sessions))
    assert len(folds) == len(numbers)
    for index, fold in enumerate(folds):
        train, validation, test = fold
        assert len(train) + len(validation) + len(test) == len(corpus)
        assert set(corpus.sessions[test]) == {numbers[index]}
        assert set(corpus.sessions[validation]) == {numbers[index - len(numbers) + 1]}
        sides = [set(corpus.speakers[part]) for part in fold]
        assert sides[0].isdisjoint(sides[1] | sides[2])
        assert sides[1].isdisjoint(sides[2])
        assert corpus.shared_speakers(fold) == ()
        assert set(np.concatenate(fold)) == set(range(len(corpus)))


def test_shared_speakers_are_found():
    corpus = made_up((2, 2, 2, 2), sessions=3)
    train, validation, test = corpus.session_folds()[0]
    leak = np.append(train, test[corpus.speakers[test] == "M0"][:1])
    assert corpus.shared_speakers((leak, validation, test)) == ("M0",)
    moved = [replace(turn, speaker=f"S{turn.session % 2}") for turn in corpus.turns]
    with pytest.raises(ValueError, match="Received: S0 in several"):
        EmotionCorpus("moved", tuple(moved)).session_folds()


def test_too_little_to_split():
    with pytest.raises(ValueError, match=r"Received: sessions \[0, 1\]"):
        made_up((9, 9, 9, 9), sessions=2).session_folds()
    with pytest.raises(ValueError, match=r"ten turns of each.*9 sad"):
        made_up((9, 9, 3, 9), sessions=3).ten_folds()
    turn = made_up((1, 1, 1, 1)).turns[0]
    with pytest.raises(ValueError, match="Received: None, bored"):
        turns = replace(turn, emotion="bored"), replace(turn, emotion=None)
        EmotionCorpus("odd", turns)
