"""The emotion recipe, on a small corpus in the layout of the release."""

import shutil

import keras
import numpy as np
import pytest
from backends import only_on
from emotion_files import COMMON, WORDS, write_iemocap, write_msp_improv
from recipe_modules import assert_command_tells_settings, recipe_modules

from keras_mmfusion.preprocessing import FrameFeatures

# Many trainings: where nothing is compiled that takes least.
pytestmark = only_on("torch")
features, prepare, train, evaluate = recipe_modules(
    "emotion", "features", "prepare", "train", "evaluate"
)
SECONDS = 0.4
FAST = ["--width", "8", "--quiet", "--batch-size", "32", "--any-counts"]


def write_videos(root, seed=0):
    """A video of each dialogue: as long as its turns, in grey noise."""
    av = pytest.importorskip("av")
    rng = np.random.default_rng(seed)
    for dialog in root.glob("Session*/dialog/EmoEvaluation/Ses*.txt"):
        path = dialog.parents[1] / "avi" / "DivX" / f"{dialog.stem}.avi"
        path.parent.mkdir(parents=True, exist_ok=True)
        with av.open(str(path), "w") as container:
            stream = container.add_stream("mjpeg", rate=5)
            stream.width, stream.height, stream.pix_fmt = 32, 16, "yuvj420p"
            for _ in range(5 * 40):
                noise = rng.integers(256, size=(16, 32, 3), dtype="uint8")
                frame = av.VideoFrame.from_ndarray(noise, format="rgb24")
                container.mux(stream.encode(frame))
            container.mux(stream.encode())


def tiny_network(weights):
    network = keras.Sequential(
        [keras.Input((8, 8, 3)), keras.layers.Conv2D(2048, 8, name="all")]
    )
    return FrameFeatures(network)


def write_vectors(path):
    """Vectors of the words of the corpus: those of an emotion lie together."""
    rng = np.random.default_rng(0)
    lines = []
    for words in (*WORDS.values(), COMMON):
        middle = rng.normal(size=300)
        for word in words.split():
            vector = middle + rng.normal(size=300)
            lines.append(" ".join([word, *(f"{number:.4f}" for number in vector)]))
    path.write_text("\n".join(lines) + "\n")


@pytest.fixture(scope="module")
def corpus(tmp_path_factory):
    """A turn of each emotion in each session."""
    return prepared(tmp_path_factory.mktemp("emotion"), per_class=1)


def prepared(folder, per_class):
    """Folder of the data and of the output, with features of IEMOCAP."""
    written = write_iemocap(folder, per_class, seconds=SECONDS)
    write_videos(folder / "IEMOCAP_full_release")
    write_vectors(folder / "words.txt")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(features, "frame_network", tiny_network)
        arguments = ["--corpus", "iemocap", "--words", str(folder / "words.txt")]
        prepare.main([*arguments, "--every", "1", "--any-counts", *places(folder)])
    return folder, written


def places(folder):
    return ["--data", str(folder), "--output", str(folder / "runs")]


def test_features(corpus):
    """Of each turn, of all three modalities, at the paper's sizes."""
    folder, written = corpus
    with np.load(prepare.file_of(folder / "runs", "iemocap")) as found:
        names = found["names"].tolist()
        assert names == sorted(n for n, row in written.items() if row["emotion"])
        for name, shape in features.SHAPES.items():
            assert found[name].shape == (5 * 4, *shape)
            assert np.isfinite(found[name]).all()
        longest = found["audio"][:, 0].std(axis=0)
    assert longest.min() > 0  # No band is the same for all turns.


def test_table_2(corpus, capsys):
    """A row of the table whole: subsets of modalities, with and without stage 1."""
    folder, _ = corpus
    arguments = ["--corpus", "iemocap", *places(folder)]
    once = [*arguments, *FAST, "--fold", "0", "--epochs", "1", "1"]
    once += ["--fusions", "cascade"]
    train.main(once)
    found = evaluate.main([*arguments, "--any-counts"])
    assert set(found) == {("cascade", column) for column in evaluate.COLUMNS}
    for scores in found.values():
        assert 0 <= scores["ua"] <= 1 and scores["folds"] == 1
        assert len(scores["labels"]) == 4
        assert (scores["folder"] / "confusion.png").stat().st_size > 5_000
        logs = {path.name for path in scores["folder"].glob("fold0/*_log.csv")}
        pretrained = not scores["folder"].name.endswith("_np")
        assert logs == {"stage_2_log.csv", *["stage_1_log.csv"] * pretrained}
    shown = capsys.readouterr().out
    assert "[86.3 / 0.865]" in shown and "cascade" in shown
    train.main(once)
    assert capsys.readouterr().out.count("complete") == len(found)
    with pytest.raises(SystemExit, match=r"--epochs 1 1\. Received: --epochs 1 2"):
        train.main([*once, "--epochs", "1", "2"])


class Stopped(Exception):
    pass


def test_an_interrupted_run_ends_as_if_it_had_not_been(tmp_path, corpus, monkeypatch):
    """Cut in stage 1, and then in stage 2."""
    arguments = ["--corpus", "iemocap", *FAST, "--fold", "0", "--epochs", "3", "3"]
    arguments += ["--subsets", "vt", "--fusions", "concat", "--data", str(corpus[0])]

    def run(output):
        place = prepare.file_of(tmp_path / output, "iemocap")
        place.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(prepare.file_of(corpus[0] / "runs", "iemocap"), place)
        train.main([*arguments, "--output", str(tmp_path / output)])

    save = train.resuming.Checkpoint._save

    def cut_in(stage):
        def stop(self):
            save(self)
            if self.file.stem == stage and len(self.log) == 2:
                raise Stopped

        with monkeypatch.context() as patch, pytest.raises(Stopped):
            patch.setattr(train.resuming.Checkpoint, "_save", stop)
            run("cut")

    run("whole")
    cut_in("stage_1")
    cut_in("stage_2")
    run("cut")
    folders = [
        train.folder_of(tmp_path / of, "iemocap", "session", "vt", "concat", True)
        / "fold0"
        for of in ("whole", "cut")
    ]
    whole, cut = (np.load(folder / "test.npz") for folder in folders)
    np.testing.assert_allclose(whole["probabilities"], cut["probabilities"], atol=1e-6)
    for log in ("stage_1_log.csv", "stage_2_log.csv"):
        rows = [np.genfromtxt(f / log, delimiter=",", skip_header=1) for f in folders]
        assert len(rows[0]) == 3
        np.testing.assert_allclose(*rows, rtol=1e-5)
    assert not (folders[1] / "backup").exists()
    assert_command_tells_settings(folders[1], train)


def test_turns_are_passes_in_another_order_for_another_epoch():
    (batches,) = recipe_modules("emotion", "batches")
    x, y = {"audio": np.arange(10.0)[:, None]}, np.arange(10)
    turns, in_order = batches.Turns((x, y), 4, seed=1), batches.Turns((x, y), 4)
    seen = []
    for turns.epoch in range(2):
        parts = [turns[number] for number in range(len(turns))]
        assert [len(of) for _, of in parts] == [4, 4, 2]
        for given, of in parts:
            np.testing.assert_array_equal(given["audio"][:, 0], of)
        seen.append(np.concatenate([of for _, of in parts]).tolist())
        assert sorted(seen[-1]) == y.tolist()
    assert seen[0] != seen[1]
    np.testing.assert_array_equal(in_order[1][1], [4, 5, 6, 7])


def test_the_fusions_of_table_2(tmp_path, corpus):
    """The other rows, at the column where it takes least."""
    folder, _ = corpus
    arguments = ["--corpus", "iemocap", "--data", str(folder)]
    output = ["--output", str(tmp_path)]
    prepared = prepare.file_of(folder / "runs", "iemocap")
    place = prepare.file_of(tmp_path, "iemocap")
    place.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(prepared, place)
    fit = [*FAST, "--fold", "0", "--epochs", "1", "1", "--subsets", "vt"]
    train.main([*arguments, *output, *fit])
    found = evaluate.main([*arguments, *output, "--any-counts"])
    assert set(found) == {(fusion, "vt") for fusion in train.TABLE_II}


def test_it_learns_from_the_words(tmp_path):
    """Of new speakers, far above the quarter that guessing gets."""
    folder, _ = prepared(tmp_path, per_class=6)
    train.main(
        ["--corpus", "iemocap", *places(folder), *FAST, "--width", "16", "--fold", "1",
         "--epochs", "3", "20", "--subsets", "vt", "--fusions", "concat",
         "--learning-rate", "0.003"]
    )  # fmt: skip
    place = train.folder_of(folder / "runs", "iemocap", "session", "vt", "concat", True)
    labels = features.load_corpus("iemocap", folder, expected_counts=None).labels
    found = evaluate.scores([place / "fold1" / "test.npz"], labels)
    assert found["ua"] > 0.6


def test_msp_improv_without_video_and_words(tmp_path, capsys):
    """What is missing in all turns is missing in the model, too."""
    write_msp_improv(tmp_path, 1, sessions=range(1, 4), seconds=SECONDS)
    common = ["--corpus", "msp_improv", "--any-counts", *places(tmp_path)]
    prepare.main([*common, "--frames", "none"])
    train.main(
        [*common, *FAST, "--fold", "0", "--epochs", "1", "1", "--subsets", "at",
         "--fusions", "cascade"]
    )  # fmt: skip
    assert "no turn has text: prepare.py left it out" in capsys.readouterr().out
    ((_, scores),) = evaluate.main(common).items()
    assert 0 <= scores["ua"] <= 1


def test_what_is_not_there(tmp_path):
    write_msp_improv(tmp_path, 1, sessions=range(1, 4))
    common = ["--corpus", "msp_improv", "--any-counts", *places(tmp_path)]
    with pytest.raises(SystemExit, match="Compute them"):
        train.main(common)
    with pytest.raises(SystemExit, match=r"0 to 2 for --folds session.*Received: 3"):
        train.main([*common, "--fold", "0", "3"])
    with pytest.raises(SystemExit, match=r"file of weights. Received: none\.h5"):
        prepare.main([*common, "--frames", "none.h5"])
    (tmp_path / "few.txt").write_text("the 0.1 0.2\n")
    with pytest.raises(SystemExit, match="300 numbers a word"):
        prepare.main([*common, "--words", str(tmp_path / "few.txt")])
