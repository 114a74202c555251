"""The database, its classes and splits are what the literature says they are."""

import collections

import numpy as np
import pytest
from backends import once

from keras_mmfusion.datasets import RecordError, mitbih, read_beats

pytestmark = once


# PROTOCOLS.md; N S V F Q.
COUNTS = {
    mitbih.RECORDS: (90_631, 2_781, 7_236, 803, 8_043),
    mitbih.DS1: (45_866, 944, 3_788, 415, 8),
    mitbih.DS2: (44_259, 1_837, 3_221, 388, 7),
}


@pytest.fixture(scope="module")
def symbols():
    """WFDB beat codes of each record."""
    try:
        folder = mitbih.find_mitbih()
    except RecordError as error:
        pytest.skip(str(error))
    return {name: read_beats(folder / name, "atr")[1] for name in mitbih.RECORDS}


def counts(symbols, names):
    labels = mitbih.aami_labels(np.concatenate([symbols[name] for name in names]))
    return tuple(np.bincount(labels[labels >= 0], minlength=5))


@pytest.mark.parametrize("names", COUNTS, ids=("all", "DS1", "DS2"))
def test_aami_counts(symbols, names):
    assert counts(symbols, names) == COUNTS[names]


def test_splits_are_disjoint_and_complete():
    parts = [*mitbih.DS1, *mitbih.DS2, *mitbih.PACED]
    assert len(parts) == len(set(parts)) == len(mitbih.RECORDS) == 48
    assert (len(mitbih.DS1), len(mitbih.DS2)) == (22, 22)


def test_paced_records_are_left_out(symbols):
    for name in mitbih.DS1 + mitbih.DS2:
        assert "/" not in symbols[name]
    for name in mitbih.PACED:
        assert "/" in symbols[name]


def test_folds_partition_ds1_by_record():
    records = [name for fold in mitbih.FOLDS for name in fold]
    assert sorted(records) == sorted(mitbih.DS1)


@pytest.mark.parametrize("fold", mitbih.FOLDS)
def test_every_fold_holds_rare_beats(symbols, fold):
    _, s, v, _, _ = counts(symbols, fold)
    assert s >= 100 and v >= 300


@pytest.mark.parametrize("symbol,aami,nlrav", [
    ("N", "N", "N"), ("L", "N", "L"), ("R", "N", "R"), ("e", "N", None),
    ("j", "N", None), ("A", "S", "A"), ("a", "S", None), ("J", "S", None),
    ("S", "S", None), ("V", "V", "V"), ("E", "V", None), ("F", "F", None),
    ("/", "Q", None), ("f", "Q", None), ("Q", "Q", None), ("?", None, None),
    ("+", None, None),
])  # fmt: skip
def test_label_of_each_code(symbol, aami, nlrav):
    for label, classes, expected in (
        (mitbih.aami_labels([symbol])[0], mitbih.AAMI_CLASSES, aami),
        (mitbih.nlrav_labels([symbol])[0], mitbih.NLRAV_CLASSES, nlrav),
    ):
        assert (classes[label] if label >= 0 else None) == expected


@pytest.mark.parametrize(
    "labels_of,train,test",
    [
        (mitbih.nlrav_labels, 80_049, 20_013),
        (mitbih.aami_labels, 87_595, 21_899),
    ],
    ids=("nlrav", "aami5"),
)
def test_random_split_has_the_papers_sizes(symbols, labels_of, train, test):
    labels = labels_of(np.concatenate([symbols[name] for name in mitbih.RECORDS]))
    chosen = mitbih.random_split(labels)
    used = labels >= 0
    assert used.sum() == train + test
    # Each of five classes is rounded by itself.
    assert abs(chosen.sum() - test) <= 2
    assert not chosen[~used].any()


def test_random_split_is_stratified_and_deterministic():
    labels = np.repeat([-1, 0, 1, 2], [50, 1000, 40, 7])
    chosen = mitbih.random_split(labels, share=0.25, seed=3)
    assert collections.Counter(labels[chosen]) == {0: 250, 1: 10, 2: 2}
    assert np.array_equal(chosen, mitbih.random_split(labels, share=0.25, seed=3))
    assert not np.array_equal(chosen, mitbih.random_split(labels, share=0.25, seed=4))


def test_load_leaves_out_beats_without_a_class(data_dir):
    (record,) = mitbih.load_mitbih(["207"], data_dir)
    _, symbols = read_beats(mitbih.find_mitbih(data_dir) / "207", "atr")
    known = mitbih.aami_labels(symbols) >= 0
    assert record.symbols.tolist() == symbols[known].tolist()
    assert len(record.beats) == known.sum()


def make_database(folder):
    folder.mkdir(parents=True)
    (folder / "100.hea").touch()
    return folder


@pytest.mark.parametrize("name", ["", "mitdb"])
def test_finds_the_folder_or_the_one_above(tmp_path, name):
    folder = make_database(tmp_path / "a" / name)
    assert mitbih.find_mitbih(tmp_path / "a") == folder


def test_argument_then_variable_then_cache(tmp_path, monkeypatch):
    cache = make_database(tmp_path / "home" / "datasets" / "mitdb")
    monkeypatch.setenv("KERAS_HOME", str(tmp_path / "home"))
    monkeypatch.delenv("KERAS_MMFUSION_DATA", raising=False)
    assert mitbih.find_mitbih() == cache
    monkeypatch.setenv("KERAS_MMFUSION_DATA", "")
    assert mitbih.find_mitbih() == cache
    variable = make_database(tmp_path / "variable" / "mitdb")
    monkeypatch.setenv("KERAS_MMFUSION_DATA", str(tmp_path / "variable"))
    assert mitbih.find_mitbih() == variable
    argument = make_database(tmp_path / "argument")
    assert mitbih.find_mitbih(str(argument)) == argument


def test_error_says_where_it_looked_and_what_to_do(tmp_path, monkeypatch):
    monkeypatch.setenv("KERAS_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("KERAS_MMFUSION_DATA", str(tmp_path / "variable"))
    with pytest.raises(RecordError) as error:
        mitbih.find_mitbih(tmp_path / "argument")
    for part in ("argument", "variable", "home/datasets"):
        assert str(tmp_path / part / "mitdb") in str(error.value)
    assert mitbih.URL in str(error.value)
    assert "KERAS_MMFUSION_DATA" in str(error.value)
