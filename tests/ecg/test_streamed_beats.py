"""Beats streamed from disk are those of the records in memory, whole and in order."""

import os
from concurrent.futures import ThreadPoolExecutor

import keras
import numpy as np
import pytest
from backends import once, only_on
from cli_fakes import copy_excerpt, write_record

from keras_mmfusion.datasets import RecordError, read_wfdb
from keras_mmfusion.datasets._beat_cache import BeatCache
from keras_mmfusion.datasets._windowed_order import WindowedOrder
from keras_mmfusion.datasets.mitbih import DS1, aami_labels
from keras_mmfusion.datasets.streamed_beats import StreamedBeats
from keras_mmfusion.preprocessing import BeatPreprocessor, BeatSegments

LENGTH = 8


@pytest.fixture(scope="module")
def records(tmp_path_factory):
    """Four records of different lengths; the last has fewer beats than a segment."""
    folder = tmp_path_factory.mktemp("records")
    rng = np.random.default_rng(0)
    paths = [copy_excerpt(folder, "real")]
    for number, count in enumerate((60, 25, 5)):
        beats = 300 + np.cumsum(rng.integers(200, 300, count))
        signals = rng.normal(0, 0.02, (beats[-1] + 300, 2)).cumsum(axis=0)
        symbols = rng.choice(list("NNNVA?"), count)
        name = f"made{number}"
        paths.append(
            write_record(folder, signals, 360, ("MLII", "V1"), beats, symbols, name)
        )
    return paths


@pytest.fixture(scope="module")
def cache(tmp_path_factory):
    return tmp_path_factory.mktemp("cache")


def in_memory(paths, length=LENGTH, causal=False):
    """All segments, as the guide to fine-tuning makes them."""
    whole = {}
    for path in paths:
        record = read_wfdb(path, "atr")
        cut = BeatSegments(len(record.beats), length, causal)
        made = BeatPreprocessor(causal=causal)(record).modalities
        classes = aami_labels(record.symbols)
        index = np.minimum(cut.index, len(classes) - 1)
        parts = {name: cut.cut(values) for name, values in made.items()}
        parts["y"] = np.maximum(classes, 0)[index]
        parts["weight"] = (cut.valid & (classes >= 0)[index]).astype("float32")
        for name, part in parts.items():
            whole.setdefault(name, []).append(part)
    return {name: np.concatenate(parts) for name, parts in whole.items()}


def streamed(batches):
    """All batches of an epoch, one after another."""
    whole = {}
    for x, y, weight in batches:
        for name, part in {**x, "y": y, "weight": weight}.items():
            whole.setdefault(name, []).append(part)
    return {name: np.concatenate(parts) for name, parts in whole.items()}


def sort(whole):
    """Segments in the order of their first waveforms and intervals."""
    keys = [np.nan_to_num(whole["rhythm"][:, 0, i]) for i in (0, 1)]
    keys.append(np.nan_to_num(whole["ecg"][:, 0, :, 0]).sum(axis=-1))
    order = np.lexsort(keys)
    return {name: values[order] for name, values in whole.items()}


def check_equal(found, expected):
    assert set(found) == set(expected)
    for name, values in expected.items():
        where = name not in ("y",) or expected["weight"] > 0
        assert found[name].dtype == values.dtype and found[name].shape == values.shape
        np.testing.assert_array_equal(
            np.where(where, found[name], 0), np.where(where, values, 0), name
        )


@once
@pytest.mark.parametrize("causal", [False, True])
def test_what_is_in_memory(records, cache, causal):
    settings = {"length": LENGTH, "batch_size": 5, "cache_dir": cache}
    settings["preprocessor"] = BeatPreprocessor(causal=causal)
    batches = StreamedBeats(records, shuffle=False, **settings)
    expected = in_memory(records, LENGTH, causal)
    assert batches.num_segments == len(expected["y"])
    check_equal(streamed(batches), expected)
    batches = StreamedBeats(records, open_records=2, seed=3, **settings)
    found = streamed(batches)
    assert not np.array_equal(found["rhythm"], expected["rhythm"], equal_nan=True)
    check_equal(sort(found), sort(expected))


@once
def test_every_epoch_has_all_segments_in_its_own_order(records, cache):
    def epochs(count=2, **kwargs):
        batches = StreamedBeats(
            records, length=LENGTH, batch_size=5, cache_dir=cache, **kwargs
        )
        for _ in range(count):
            yield streamed(batches)
            batches.on_epoch_end()

    first, second = epochs()
    assert not np.array_equal(first["rhythm"], second["rhythm"], equal_nan=True)
    check_equal(sort(first), sort(second))
    again = list(epochs(workers=3))
    check_equal(again[0], first)
    check_equal(again[1], second)
    (other,) = epochs(1, seed=1)
    assert not np.array_equal(first["rhythm"], other["rhythm"], equal_nan=True)


@once
def test_single_beats_of_some_modalities_and_classes(records, cache):
    batches = StreamedBeats(
        records,
        modalities=["rhythm"],
        length=None,
        num_classes=2,
        batch_size=50,
        shuffle=False,
        drop_remainder=True,
        cache_dir=cache,
    )
    symbols = np.concatenate([read_wfdb(path, "atr").symbols for path in records])
    classes = aami_labels(symbols)
    found = streamed(batches)
    count = len(symbols) // 50 * 50
    assert set(found) == {"rhythm", "y", "weight"}
    assert found["rhythm"].shape == (count, 2) and found["y"].shape == (count,)
    used = (classes == 0) | (classes == 1)
    assert np.array_equal(found["weight"], used[:count])
    assert np.array_equal(found["y"], np.where(used, classes, 0)[:count])


@once
def test_windows_mix_some_files_and_leave_none_out():
    rng = np.random.default_rng(0)
    for window in (1, 2, 3, 7, 9):
        sizes = rng.integers(1, 40, 7)
        order = WindowedOrder(sizes, window, seed=1)
        total = sizes.sum()
        files, items = order.take(4, 0, total)
        assert len(set(zip(files.tolist(), items.tolist(), strict=True))) == total
        assert (items < sizes[files]).all() and items.min() == 0
        # A part is a part of the whole, wherever it begins.
        for first in range(0, total, 6):
            part = order.take(4, first, min(first + 6, total))
            assert np.array_equal(part, [files[first:][:6], items[first:][:6]])
        # As many files are open as a window has, and no file comes back.
        begins = [np.flatnonzero(files == file)[[0, -1]] for file in range(7)]
        for place in range(total):
            open_files = sum(first <= place <= last for first, last in begins)
            assert 1 <= open_files <= window


@once
def test_files_of_the_cache(records, tmp_path):
    """One a record and setting; a damaged or half-written one is made again."""
    cache = BeatCache(tmp_path, BeatPreprocessor(), ["rhythm"], "atr")
    assert cache.count(records[1]) == 60 and not list(tmp_path.iterdir())
    whole = np.array(cache.beats(records[1]))
    assert whole.dtype.names == ("rhythm", "symbol")
    (file,) = tmp_path.iterdir()
    file.write_bytes(file.read_bytes()[:-100])
    assert np.array_equal(cache.beats(records[1]), whole)
    assert cache.count(records[1]) == 60
    half = tmp_path / f".{file.name}.0123456789ab.new"
    half.write_bytes(b"")
    os.utime(half, (0, 0))
    BeatCache(tmp_path, BeatPreprocessor(causal=True), ["rhythm"], "atr").beats(
        records[1]
    )
    assert len([f for f in tmp_path.iterdir() if f.suffix == ".npy"]) == 2
    file.unlink()
    cache.beats(records[1])
    assert not half.exists()
    # New annotations are another recording.
    edited = copy_excerpt(tmp_path / "edited", "real")
    before = cache.file(edited)
    atr = edited.with_suffix(".atr")
    atr.write_bytes(atr.read_bytes().replace(b"\x04", b"\x14", 1))
    again = BeatCache(tmp_path, BeatPreprocessor(), ["rhythm"], "atr")
    assert again.file(edited) != before


@once
def test_makers_of_one_file_do_not_disturb_each_other(records, tmp_path, monkeypatch):
    """As processes do, which share no lock."""
    from contextlib import nullcontext

    from keras_mmfusion.datasets import _beat_cache

    monkeypatch.setattr(_beat_cache, "_MAKING", nullcontext())
    cache = BeatCache(tmp_path, BeatPreprocessor(), None, "atr")
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(cache.beats, [records[1]] * 8))
    assert len(list(tmp_path.iterdir())) == 1
    assert all(np.array_equal(found[0], beats) for beats in found)


def test_fit(records, cache):
    batches = StreamedBeats(
        records,
        modalities=["rhythm"],
        length=LENGTH,
        batch_size=5,
        cache_dir=cache,
        workers=4,
    )
    model = keras.Sequential(
        [keras.Input((LENGTH, 2)), keras.layers.Dense(5, activation="softmax")]
    )
    model = keras.Model(
        inputs={"rhythm": (rhythm := keras.Input((LENGTH, 2), name="rhythm"))},
        outputs=model(keras.ops.nan_to_num(rhythm)),
    )
    model.compile("adam", "sparse_categorical_crossentropy")
    history = model.fit(batches, epochs=2, shuffle=False, verbose=0)
    assert np.isfinite(history.history["loss"]).all()


# Where a process takes least to start.
@only_on("jax")
def test_processes(records, cache):
    settings = {"length": LENGTH, "batch_size": 5, "cache_dir": cache}
    batches = StreamedBeats(records, workers=2, use_multiprocessing=True, **settings)
    alone = StreamedBeats(records, **settings)
    for _ in range(2):
        check_equal(streamed(batches), streamed(alone))
        batches.on_epoch_end()
        alone.on_epoch_end()


@once
def test_grain(records, cache):
    grain = pytest.importorskip("grain")
    batches = StreamedBeats(
        records, length=LENGTH, batch_size=5, cache_dir=cache, workers=0
    )
    source = grain.MapDataset.source(batches)
    check_equal(streamed(source.to_iter_dataset()), streamed(batches))


@once
def test_errors(records, cache, tmp_path):
    for wrong in ([], "mitdb/100", tmp_path):
        with pytest.raises(ValueError, match="one or more paths of WFDB records"):
            StreamedBeats(wrong)
    with pytest.raises(RecordError, match="No header at"):
        StreamedBeats([tmp_path / "absent"])
    alone = copy_excerpt(tmp_path, "alone")
    with pytest.raises(RecordError, match="No annotation file at"):
        StreamedBeats([alone], annotator="qrs")
    write_record(tmp_path, np.zeros((720, 1)), 360, ("MLII",), [30], "+", "empty")
    with pytest.raises(RecordError, match="has no beats"):
        StreamedBeats([alone, tmp_path / "empty"])
    with pytest.raises(ValueError, match="of what the preprocessor makes"):
        StreamedBeats(records, modalities=["sound"], cache_dir=cache)[0]
    for name in ("batch_size", "open_records", "length", "num_classes"):
        with pytest.raises(ValueError, match=name):
            StreamedBeats(records, **{name: 0})


@once
def test_mitbih(data_dir, tmp_path):
    """Three whole records, as the reader of the database and the recipe see them."""
    paths = [data_dir / "mitdb" / name for name in DS1[:3]]
    batches = StreamedBeats(paths, batch_size=64, seed=5, cache_dir=tmp_path)
    check_equal(sort(streamed(batches)), sort(in_memory(paths, 32)))
