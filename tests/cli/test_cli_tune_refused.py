"""`mmfusion tune`: what it refuses, and that nothing is written then."""

import errno
import json
import sys

import numpy as np
import pytest
from backends import once
from tune_files import command, write_arrays

from keras_mmfusion import cli

pytest.importorskip("keras_tuner")
pytestmark = once


class TestRefused:
    def test_arguments(self, file, output, refused, tmp_path):
        words = (file, "--output", output)
        refused(r"--epochs must be at least 1.*0", *words, "--epochs", 0)
        refused(r"--seed must be 0 or more", *words, "--seed", -1)
        refused(r"--range must be such as.*'dim'", *words, "--range", "dim")
        refused(
            r"of this search.*'film/encoder'", *words, "--range", "film/encoder=lstm"
        )
        refused(r"must be of.*'glue'", *words, "--range", "fusion=glue")
        refused(r"from 2 to 6.*folds=9", *words, "--folds", 9)
        refused(r"val_accuracy.*Received: val_mae", *words, "--objective", "val_mae")
        refused(r"preset.*nothing_such", *words, "--preset-like", "nothing_such")
        refused(r"letters, digits", file, "--output", tmp_path / "two words")
        refused(r"--records is for a folder", *words, "--records", "101")
        assert sorted(tmp_path.iterdir()) == [file]

    @pytest.mark.parametrize(
        "changes, message",
        [
            ({"y": None}, r"and y\. Received: \['groups', 'text', 'voice'\]"),
            ({"voice": np.zeros((23, 4, 3))}, r"same samples.*'voice': 23"),
            ({"y": np.zeros((24, 2))}, r"float64, shape \(24, 2\)"),
            ({"y": np.zeros((24, 2, 2), int)}, r"y of shape \(24, 2, 2\)\. Make fl"),
            ({"y": np.full(24, -1)}, "negative ones only"),
            ({"groups": np.zeros((24, 2))}, r"groups.*\(24, 2\)"),
            ({"text": np.array(["a"] * 24)}, "must be numbers.*text of dtype <U1"),
            ({"text": np.array([None] * 24)}, "plain arrays"),
            ({"groups": np.zeros(24)}, "groups.*two different"),
            ({"y": np.zeros((24, 1), int)}, "each step of 'voice'.*flat"),
            ({"y": np.eye(3, dtype=int)[np.arange(24) % 3]}, r"\(24, 4\).*argmax"),
            ({"y": np.arange(24) * 10**8}, "numbered from 0.*2300000000 among 24"),
            ({"voice": np.full((24, 4, 3), 1e39)}, "'voice'.*float32.*288"),
            ({"a.b": np.zeros((24, 4, 3))}, r"without '\.' and '/'.*'a\.b'"),
            ({"sample_weight": np.ones((24, 4))}, r"of shape \(24,\)\..*\(24, 4\)"),
            ({"sample_weight": -np.ones(24)}, "24 that are negative"),
            ({"sample_weight": np.full(24, np.nan)}, "24 that are negative or not"),
            ({"sample_weight": np.zeros(24)}, "count for something.*all weights 0"),
            # All of the known classes are of one group.
            ({"y": np.where(np.arange(24) < 4, [0, 1] * 12, -1)}, "all y are unknown"),
            ({"y": np.repeat([1, -1], 12)}, r"two classes\. Received: \[1\] only"),
            ({"voice": np.full((24, 4, 3), np.nan)}, "'voice' is missing from all"),
            ({"y": np.zeros((24, 2, 1))}, r"columns of .*'voice': \(3,\)\. Rec"),
            ({"voice": np.zeros((24, 4, 3, 2, 2, 2))}, "'voice' of shape"),
        ],
    )
    def test_arrays(self, changes, message, tmp_path, output, refused):
        file = write_arrays(tmp_path / "bad.npz", **changes)
        refused(message, file, "--output", output)
        assert not output.exists()

    def test_files(self, file, output, refused, tmp_path, labeller):
        refused(r"none\.npz is not there", tmp_path / "none.npz", "--output", output)
        (tmp_path / "text.npz").write_text("no arrays")
        refused("must be an .npz file", tmp_path / "text.npz", "--output", output)
        np.save(tmp_path / "one.npy", np.zeros(3))
        refused("must be an .npz file", tmp_path / "one.npy", "--output", output)
        refused("needs --preset-like", tmp_path, "--output", output)
        like = ("--output", output, "--preset-like", labeller)
        refused("must hold WFDB records.*Received: none", tmp_path, *like)
        refused(r"none for \['101'\]", tmp_path, *like, "--records", "101")
        refused(r"as in the preset.*rhythm.*Received.*voice", file, *like)
        rng = np.random.default_rng(0)
        arrays = {"shape": rng.random((8, 16, 10)), "rhythm": rng.random((8, 16, 2))}
        np.savez(tmp_path / "like.npz", y=np.arange(8), **arrays)
        refused(r"outputs of the preset, \(16, 3\)", tmp_path / "like.npz", *like)

    def test_another_search(self, file, output, refused, tmp_path):
        few = ["--max-trials", "1"]
        assert cli.main(command(file, output, *few)) == 0
        refused(
            "other epochs.*--force", *command(file, output, *few, "--epochs", 3)[1:]
        )
        changed = write_arrays(tmp_path / "other.npz", y=np.arange(24) % 2)
        refused("other data", *command(changed, output, *few)[1:])
        # What is damaged, from the last file that is read to the first one.
        state = output.with_name("found.search")
        (state / "trial_0" / "checkpoint.weights.h5").write_bytes(b"HDF")
        refused("weights of trial 0.*--force", *command(file, output, *few)[1:])
        for name in "trial.json", "trial.kept":
            (state / "trial_0" / name).unlink()
        refused("none for 0. Put back", *command(file, output, *few)[1:])
        (state / "search.json").write_text("[")
        refused("search.json must say what was", *command(file, output, *few)[1:])
        (state / "search.json").unlink()
        refused("no search of it", *command(file, output, *few)[1:])
        assert cli.main(command(changed, output, *few, "--force")) == 0
        other = tmp_path / "mine"
        other.mkdir()
        (other / "notes.txt").write_text("dear diary")
        refused("is no preset", *command(file, other, *few)[1:])
        assert (other / "notes.txt").exists()

    def test_two_at_once(self, file, output, refused):
        from keras_mmfusion.cli._tune_state import only_one

        with only_one(output.with_name("found.search")):
            refused("Another process searches", *command(file, output)[1:])

    def test_a_full_disk_fails_no_trial(self, file, output, refused, monkeypatch):
        def fit(*args, **kwargs):
            raise OSError(errno.ENOSPC, "No space left on device")

        monkeypatch.setattr("keras_mmfusion.tuning.ClassifierHyperModel.fit", fit)
        for words in ([], ["--tuner", "hyperband", "--force"]):
            refused(
                "found.search was ended.*No space", *command(file, output, *words)[1:]
            )
            (trial,) = output.with_name("found.search").glob("trial_*/trial.json")
            assert json.loads(trial.read_text())["status"] == "RUNNING"

    def test_nothing_can_be_trained(self, file, output, refused):
        words = command(file, output, "--range", "learning_rate=1e38")
        refused("No model.*in 1 trials", *words[1:], "--max-trials", "1")
        refused(r"Three models in a row.*\(val_loss is no number\)", *words[1:])

    def test_no_finite_score(self, tmp_path, output, refused):
        """Squares of such errors are infinite in float32."""
        arrays = {"load": np.ones((24, 6, 2)), "y": np.full((24, 3, 2), 1e30)}
        arrays["y"] *= np.arange(24)[:, None, None]
        np.savez(tmp_path / "series.npz", **arrays)
        words = ["--range", "dim=8", "--max-trials", 1, "--epochs", 1]
        refused(
            "No model.*in 1 trials", tmp_path / "series.npz", "--output", output, *words
        )
        assert not output.exists()

    def test_without_the_package(self, file, output, refused, monkeypatch):
        monkeypatch.setitem(sys.modules, "keras_tuner", None)
        refused(r"keras_mmfusion\[tuner\]", file, "--output", output)
