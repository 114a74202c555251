"""From recordings to labelled beats, by any model of consecutive beats."""

from dataclasses import replace
from pathlib import Path

import numpy as np

from keras_mmfusion.datasets.ecg_record import RecordError, read_wfdb
from keras_mmfusion.models.beat_consensus import BeatConsensus
from keras_mmfusion.preprocessing.beat_detection import (
    DETECTOR,
    check_alignment,
    detect_beats,
)
from keras_mmfusion.preprocessing.beat_segments import BeatSegments


class BeatLabeller:
    """What models that label beats share.

    They have `modalities`, `segment_length`, `num_classes`, `causal`, `preprocessor`
    and `predict_on_batch`.
    """

    _classes = None
    _consensus = None

    @property
    def classes(self):
        """Names of the classes, or `None`; set them after a new head."""
        return self._classes

    @classes.setter
    def classes(self, names):
        if names is not None:
            names = tuple(str(name) for name in names)
            if len(names) != self.num_classes or len(set(names)) < len(names):
                raise ValueError(
                    "`classes` must be different names, one for each of the "
                    f"{self.num_classes} classes of the head. Received: "
                    f"classes={list(names)}."
                )
        self._classes = names

    @property
    def consensus(self):
        """`BeatConsensus` of the beats of a recording, or `None`."""
        return self._consensus

    @consensus.setter
    def consensus(self, consensus):
        if not isinstance(consensus, (BeatConsensus, type(None))):
            raise ValueError(
                "`consensus` must be a `BeatConsensus` or `None`. "
                f"Received: {consensus!r}."
            )
        if consensus is not None and set(consensus.weights) - set(self.modalities):
            raise ValueError(
                f"`consensus` must compare modalities of the model: {self.modalities}. "
                f"Received: {list(consensus.weights)}."
            )
        self._consensus = consensus

    def predict_record(
        self, record, beats="atr", leads=None, batch_size=32, progress=None
    ):
        """Label every beat of a recording.

        Args:
            record: `ECGRecord`, or the path of a WFDB record.
            beats: str. For a path: the annotation file to take the positions of
                the beats from. `"detect"` or `"xqrs"` to detect them, in the first of
                `leads`. An `ECGRecord` with `beats` keeps them: say here where they
                are from, for `BeatLabels.beat_source`. Defaults to `"atr"`.
            leads: Name of a lead, or a sequence of names. Defaults to `None`, the
                usual ones.
            batch_size: int. Segments per batch. Defaults to `32`.
            progress: Callable `(done, total)` in segments. Defaults to `None`.

        Returns:
            `BeatLabels`: sample, time, label and probabilities of every beat. A
            beat without usable signal, or without finite probabilities, is
            labelled Q, with the reason.

        Raises:
            RecordError: The recording cannot be read or has no beats, those of the
                annotation file do not lie on its heart beats, or an `ECGRecord` made
                by hand is not as `read_wfdb` would have it.
            ValueError: The model has no preprocessor or no class names, or `beats` is
                no string.
        """
        from keras_mmfusion.analysis.beat_labels import BeatLabels

        self.check_complete()
        if not isinstance(beats, str):
            raise ValueError(
                "`beats` must be the extension of an annotation file, such as 'atr', "
                "or 'detect'. Beats of your own go into the record: "
                "`dataclasses.replace(read_wfdb(path), beats=beats)`. "
                f"Received: {type(beats).__name__}."
            )
        source = DETECTOR if beats == "detect" else beats
        if isinstance(record, str) or hasattr(record, "__fspath__"):
            record = _read(record, source)
        if source == DETECTOR and getattr(record, "beats", ()) is None:
            lead = leads if isinstance(leads, str) else next(iter(leads or ()), None)
            record = replace(record, beats=detect_beats(record, lead))
        inputs = self.preprocessor(record, leads=leads)
        probabilities = self.predict_beats(inputs.modalities, batch_size, progress)
        return BeatLabels.from_probabilities(
            record=record.name,
            fs=record.fs,
            samples=record.beats,
            probabilities=probabilities,
            classes=self.classes,
            reasons=inputs.reasons,
            leads=inputs.leads,
            beat_source=source,
        )

    def check_complete(self):
        """Raise `ValueError` unless there is all that `predict_record` needs."""
        if self.preprocessor is None or self.classes is None:
            raise ValueError(
                "`predict_record` needs a model with `preprocessor` and `classes`, "
                "such as a preset with its own head; name the classes of a new head "
                "(`model.classes`, or `outputs.classes` in the metadata of a preset). "
                f"Received: preprocessor={self.preprocessor}, classes={self.classes}."
            )

    def predict_beats(self, modalities, batch_size=32, progress=None):
        """Class probabilities of the consecutive beats of one recording.

        The model sees them in segments; if it has a `consensus`, that of all beats
        comes after.

        Args:
            modalities: dict of arrays `(beats, ...)`, as the preprocessor makes.
            batch_size: int. Segments per batch. Defaults to `32`.
            progress: Callable `(done, total)` in segments. Defaults to `None`.

        Returns:
            Array `(beats, classes)`; of a model without head, `(beats, features)`.
        """
        num_beats = len(next(iter(modalities.values())))
        segments = BeatSegments(num_beats, self.segment_length, self.causal)
        seen = {
            name: modalities[name] for name in modalities if name in self.modalities
        }
        outputs = []
        for start in range(0, len(segments), batch_size):
            # Batches of one size: a new one would be compiled anew.
            rows = np.arange(start, start + batch_size)
            wanted = rows < len(segments)
            rows = np.minimum(rows, len(segments) - 1)
            batch = {name: segments.cut(values, rows) for name, values in seen.items()}
            outputs.append(np.asarray(self.predict_on_batch(batch))[wanted])
            if progress is not None:
                progress(min(start + batch_size, len(segments)), len(segments))
        probabilities = segments.merge(np.concatenate(outputs))
        if self.consensus is None or not self.num_classes:
            return probabilities
        return self.consensus(probabilities, modalities, self.causal)


def _read(path, source):
    if Path(path).suffix.lower() == ".csv":
        raise RecordError(
            f"Expected a WFDB record. Received: {path}, which does not tell its rate. "
            '`read_csv(path, fs)` reads it, for `beats="detect"`.'
        )
    try:
        record = read_wfdb(path, annotator=None if source == DETECTOR else source)
    except RecordError as error:
        # Few recordings come with one, and nothing else here tells what to do then.
        if not str(error).startswith("No annotation file"):
            raise
        message = f'{error} `beats="detect"` finds the beats without one.'
        raise RecordError(message) from None
    if source != DETECTOR:
        check_alignment(record)
    return record
