"""Batches of beats from recordings that together are larger than memory."""

import functools
import os
from pathlib import Path

import numpy as np

from keras_mmfusion._checks import check_positive_int, check_seed
from keras_mmfusion.datasets._beat_cache import BeatCache, default_folder
from keras_mmfusion.datasets._windowed_order import WindowedOrder
from keras_mmfusion.datasets.ecg_record import RecordError
from keras_mmfusion.datasets.mitbih import aami_labels
from keras_mmfusion.datasets.prefetched_batches import PrefetchedBatches
from keras_mmfusion.preprocessing.beat_segments import BeatSegments
from keras_mmfusion.preprocessing.ecg_beats import BeatPreprocessor


class StreamedBeats(PrefetchedBatches):
    """Segments of beats from WFDB records, read from disk batch by batch.

    In memory are the number of beats of each record, and the batches that are made.
    A record is preprocessed when its first beat is asked for, and kept on disk: that
    once, it takes the memory of the whole record. `prepare` does so for all of them.

    An epoch has every segment once. Records are taken in a new order, `open_records` at
    a time, and their segments are mixed. The order depends on the seed and the epoch
    alone. Pass `shuffle=False` to `fit`, which would otherwise draw batches from
    everywhere.

    It is a source for Grain, too: `grain.MapDataset.source(batches)`, with
    `workers=0`.

    Args:
        records: Paths of WFDB records, without extension.
        preprocessor: `BeatPreprocessor`, such as that of a preset. Defaults to `None`:
            a new one.
        modalities: Names of those to give, of what the preprocessor makes. Defaults to
            `None`: all.
        length: int. Beats of a segment, as `BeatSegments` cuts them; None for single
            beats. Defaults to `32`.
        labels: Function of an array of WFDB beat codes that returns a class for each,
            an integer, -1 for none. Defaults to `aami_labels`.
        num_classes: int. Labels from there on count as none. Defaults to `None`.
        annotator: str. Extension of the annotation files. Defaults to `"atr"`.
        batch_size: int. Segments of a batch. Defaults to `32`.
        open_records: int. Records whose segments are mixed. Defaults to `8`.
        shuffle: bool. Whether the order changes with every epoch. Defaults to `True`.
        drop_remainder: bool. Whether to leave out a last batch that is not full.
            Defaults to `False`.
        seed: int. Defaults to `0`.
        cache_dir: Folder for preprocessed records. Defaults to `None`:
            `keras_mmfusion/beats` in `KERAS_HOME`, by default `~/.keras`.
        **kwargs: `workers`, `use_multiprocessing` and `max_queue_size`, as for
            `PrefetchedBatches`.

    Call arguments:
        `batches[i]` is `(x, y, weight)`: dict of float32 arrays `(segments, length,
        ...)` by modality, NaN beyond the last beat of a record; int64 classes
        `(segments, length)`; float32 weights of that shape, 0 where there is no
        beat or no class. Without `length` there is no such axis.

    Raises:
        RecordError: A record has no header, no annotations or no beats.
        ValueError: No records, or modalities that the preprocessor does not make.

    Example:

    ```python
    from keras_mmfusion.datasets.streamed_beats import StreamedBeats

    batches = StreamedBeats(["mitdb/100"], length=4, batch_size=2, cache_dir="beats")
    x, y, weight = batches[0]
    assert x["ecg"].shape == (2, 4, 128, 4) and y.shape == weight.shape == (2, 4)
    ```
    """

    def __init__(
        self,
        records,
        preprocessor=None,
        modalities=None,
        length=32,
        labels=aami_labels,
        num_classes=None,
        annotator="atr",
        batch_size=32,
        open_records=8,
        shuffle=True,
        drop_remainder=False,
        seed=0,
        cache_dir=None,
        **kwargs,
    ):
        super().__init__(**kwargs)
        paths = isinstance(records, (str, os.PathLike)) or not np.iterable(records)
        records = [] if paths else [Path(record) for record in records]
        if not records:
            raise ValueError(
                "`records` must be one or more paths of WFDB records, in a list. "
                f"Received: {records}"
            )
        check_positive_int(batch_size=batch_size, open_records=open_records)
        check_positive_int(
            **{
                name: value
                for name, value in (("length", length), ("num_classes", num_classes))
                if value is not None
            }
        )
        check_seed(seed)
        if not callable(labels):
            raise ValueError(
                "`labels` must be a function of beat codes, such as aami_labels. "
                f"Received: labels={labels!r}"
            )
        if modalities is not None:
            one = isinstance(modalities, str) or not np.iterable(modalities)
            modalities = () if one else list(dict.fromkeys(modalities))
            if not modalities:
                raise ValueError(
                    "`modalities` must be a list of one or more names, or None for "
                    "all. Received: none, or no list."
                )
        if preprocessor is not None and not hasattr(preprocessor, "describe"):
            raise ValueError(
                "`preprocessor` must be a BeatPreprocessor, or None for a new one. "
                f"Received: {type(preprocessor).__name__}"
            )
        self.records = records
        self.preprocessor = preprocessor or BeatPreprocessor()
        self.length, self.batch_size = length, batch_size
        self.labels, self.num_classes = labels, num_classes
        self.drop_remainder = drop_remainder
        self._cache = BeatCache(
            cache_dir or default_folder(),
            self.preprocessor,
            modalities,
            annotator,
        )
        distinct = {path: self._cache.count(path) for path in dict.fromkeys(records)}
        self.counts = np.array([distinct[path] for path in records])
        if not self.counts.all():
            path = records[int(np.argmin(self.counts))]
            raise RecordError(f"Record {path} has no beats. Leave it out.")
        sizes = [len(self._segments(n)) for n in self.counts]
        self._order = WindowedOrder(sizes, open_records, seed if shuffle else None)

    def prepare(self):
        """Preprocess every record that is not on disk yet; returns `self`."""
        for path in dict.fromkeys(self.records):
            self._cache.beats(path)
        return self

    @property
    def num_segments(self):
        """int: segments of an epoch."""
        return int(self._order.sizes.sum())

    def __len__(self):
        whole, rest = divmod(self.num_segments, self.batch_size)
        return whole + bool(rest and not self.drop_remainder)

    def batch(self, number):
        first = number * self.batch_size
        last = min(first + self.batch_size, self.num_segments)
        records, segments = self._order.take(self.epoch, first, last)
        x, y, weight = {}, None, None
        for record in np.unique(records):
            rows = np.flatnonzero(records == record)
            part, labels, used = self._read(record, segments[rows])
            if y is None:
                y = np.empty((len(records), *labels.shape[1:]), "int64")
                weight = np.empty(y.shape, "float32")
            y[rows], weight[rows] = labels, used
            for name, values in part.items():
                if name not in x:
                    shape = (len(records), *values.shape[1:])
                    x[name] = np.empty(shape, values.dtype)
                x[name][rows] = values
        return x, y, weight

    def _read(self, record, segments):
        """Inputs, labels and weights of some segments of one record."""
        cut = self._segments(self.counts[record])
        index, valid = cut.index[segments], cut.valid[segments]
        if self.length is None:
            index, valid = index[:, 0], valid[:, 0]
        beats = self._cache.beats(self.records[record])
        beats = beats[np.minimum(index, len(beats) - 1)]
        x = {name: beats[name] for name in beats.dtype.names if name != "symbol"}
        if not valid.all():
            for name in x:
                x[name][~valid] = np.nan
        labels = np.asarray(self.labels(beats["symbol"].ravel()))
        if labels.shape != (index.size,) or labels.dtype.kind not in "iub":
            raise ValueError(
                "`labels` must return an integer for each beat, -1 for no class. "
                f"Received: {labels.dtype} of shape {labels.shape} for {index.size} "
                "beats."
            )
        labels = labels.astype("int64").reshape(index.shape)
        known = valid & (labels >= 0)
        if self.num_classes is not None:
            known &= labels < self.num_classes
        return x, np.where(known, labels, 0), known

    def _segments(self, num_beats):
        return _segments(int(num_beats), self.length or 1, self.preprocessor.causal)


@functools.lru_cache(maxsize=16)
def _segments(num_beats, length, causal):
    return BeatSegments(num_beats, length, causal)
