"""What data sets and their batches make of unusual arguments."""

from pathlib import Path

import numpy as np
import pytest
from backends import once
from cli_fakes import copy_excerpt

from keras_mmfusion.cli.demo import EXCERPT
from keras_mmfusion.datasets import RecordError, mitbih, read_csv, read_wfdb
from keras_mmfusion.datasets.caption_batches import CaptionBatches
from keras_mmfusion.datasets.caption_corpus import CaptionCorpus
from keras_mmfusion.datasets.digit_batches import DigitBatches
from keras_mmfusion.datasets.ett import SeriesTable, split_rows
from keras_mmfusion.datasets.streamed_beats import StreamedBeats

pytestmark = once
IMAGES = np.zeros((8, 6, 6, 3), "uint8")
TEXTS = np.ones((16, 4), "int32")


class Paired:
    pairs = dict.fromkeys(("train", "validation", "test"), ())


@pytest.mark.parametrize(
    "wrong, message",
    [
        ({"images": None}, "`images` must be a uint8 array.*object"),
        ({"images": IMAGES[..., 0]}, r"`images` must be.*shape \(8, 6, 6\)"),
        ({"images": IMAGES / 255}, "`images` must be a uint8 array.*float64"),
        ({"texts": ["red"] * 16}, "`texts` must be.*CaptionTokenizer"),
        ({"texts": TEXTS[:, 0]}, r"`texts` must be.*shape \(16,\)"),
        ({"texts": TEXTS * 1.0}, "`texts` must be.*float64"),
        ({"caption_image": None}, "`caption_image` must hold a row"),
        ({"seed": None}, "`seed` must be 0 or a positive integer"),
    ],
)
def test_captions(wrong, message):
    settings = {"images": IMAGES, "texts": TEXTS, "caption_image": np.arange(16) // 2}
    with pytest.raises(ValueError, match=message):
        CaptionBatches(**{**settings, "batch_size": 4, **wrong})


def test_captions_in_lists_and_tensors():
    torch = pytest.importorskip("torch")
    pairs, options = (
        np.arange(16) // 2,
        {"shift": 1, "colour": 0.1, "word_dropout": 0.1},
    )
    expected = CaptionBatches(IMAGES, TEXTS, pairs, 4, **options)[0][0]
    tensors = torch.tensor(IMAGES), torch.tensor(TEXTS), torch.tensor(pairs)
    found = CaptionBatches(*tensors, 4, **options)[0][0]
    for name, values in expected.items():
        np.testing.assert_array_equal(found[name], values)


@pytest.mark.parametrize(
    "wrong, message",
    [
        ({"records": None}, "one or more paths"),
        ({"preprocessor": "atd"}, "must be a BeatPreprocessor.*str"),
        ({"modalities": "ecg"}, "`modalities` must be a list"),
        ({"modalities": []}, "`modalities` must be a list"),
        ({"labels": None}, "`labels` must be a function of beat codes"),
        ({"seed": None}, "`seed` must be 0 or a positive integer"),
    ],
)
def test_streams(wrong, message, tmp_path):
    """Without a seed, nothing was shuffled."""
    with pytest.raises(ValueError, match=message):
        StreamedBeats(**{"records": [EXCERPT], "cache_dir": tmp_path, **wrong})


@pytest.mark.parametrize(
    "labels",
    [
        lambda codes: None,
        lambda codes: codes,
        lambda codes: np.zeros(3, int),
        lambda codes: np.full(len(codes), 0.5),
    ],
)
def test_labels_of_streams(labels, tmp_path):
    options = {"modalities": ["rhythm"], "cache_dir": tmp_path, "workers": 0}
    with pytest.raises(ValueError, match=r"an integer for each beat.*Received"):
        StreamedBeats([EXCERPT], length=4, labels=labels, **options)[0]


@pytest.mark.parametrize(
    "wrong, message",
    [
        ({"digits": None}, "`load_digits` returns. Received: NoneType"),
        ({"snr": 1.0}, r"`snr` must be a dict.*snr=1\.0"),
        ({"modalities": None}, "Modalities are"),
        ({"mask_times": 2.5}, r"`mask_times` must be a whole number.*=2\.5"),
        ({"mask_frequencies": -1}, "`mask_frequencies` must be a whole number"),
        ({"seed": "a"}, "`seed` must be 0 or a positive integer"),
    ],
)
def test_digits(wrong, message):
    with pytest.raises(ValueError, match=message):
        DigitBatches(**{"digits": Paired, **wrong})
    assert DigitBatches(Paired, modalities="image").modalities == ("image",)


def test_shares_of_beats():
    labels = [0, 0, 1, 1, -1]
    assert mitbih.random_split(labels, 0.5).sum() == 2
    for wrong in ((labels, 2), (labels, None), (labels, np.nan), (None,), ([labels],)):
        with pytest.raises(ValueError, match=r"`share` from 0 to 1\. Received"):
            mitbih.random_split(*wrong)


def test_one_record(monkeypatch):
    """A name is no list of records 1, 0 and 0."""
    read = []
    monkeypatch.setattr(mitbih, "find_mitbih", lambda folder: Path("mitdb"))
    monkeypatch.setattr(mitbih, "read_wfdb", lambda path, _: read.append(path.name))
    monkeypatch.setattr(mitbih, "_aami_beats", lambda record: record)
    mitbih.load_mitbih("100")
    mitbih.load_mitbih(101)
    assert read == ["100", "101"]


def test_months():
    times = np.datetime64("2026-01-01", "s") + np.arange(60) * np.timedelta64(1, "D")
    table = SeriesTable("house", times, np.zeros((60, 1)), ("OT",))
    assert split_rows(table, {"train": 1.5, "test": 0.5})["test"] == (45, 60)
    for months in ({}, 5, [1], {"train": -1}, {"train": "1"}, {"train": np.nan}):
        with pytest.raises(ValueError, match="`months` must be a dict"):
            split_rows(table, months)


def test_parts_of_what_is_no_table():
    with pytest.raises(TypeError, match=r"Expected a SeriesTable.*Received: ndarray"):
        split_rows(np.zeros((60, 1)))


def test_images_of_a_corpus():
    paths = (Path("a.png"), Path("b.png"))
    corpus = CaptionCorpus("made", paths, ("train", "test"), ("x", "y"), np.arange(2))
    assert corpus.take([True, False]).captions == ("x",)
    for wrong in (None, 5, [5], [-1], [0.5], [True], ["a"], [[0]]):
        with pytest.raises(ValueError, match="`images` must be numbers from 0 to 1"):
            corpus.take(wrong)


@pytest.mark.parametrize("fs", [None, 0, "250", np.nan, np.inf, [250]])
def test_rates_of_tables(fs, tmp_path):
    (tmp_path / "ecg.csv").write_text("time,MLII\n0.000,0.12\n0.004,0.15\n")
    with pytest.raises(ValueError, match="`fs` must be a positive number"):
        read_csv(tmp_path / "ecg.csv", fs)


@pytest.mark.parametrize("path", ["", ".", "..", "folder"])
def test_a_folder_is_no_record(tmp_path, monkeypatch, path):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "folder").mkdir()
    with pytest.raises(RecordError, match=f"such as mitdb/100.*'{path}', a folder"):
        read_wfdb(path)
    (tmp_path / "ecg.csv").write_text("MLII\n0.1\n")
    with pytest.raises(RecordError, match=r"ecg\.csv\. Tables.*`read_csv"):
        read_wfdb("ecg.csv")
    # One of the same name beside it does no harm.
    copy_excerpt(tmp_path, "folder")
    assert read_wfdb("folder").name == "folder"
