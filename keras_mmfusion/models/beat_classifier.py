"""A fusion classifier of heart beats that takes ECG recordings as they are."""

import numpy as np

from keras_mmfusion._serialization import register
from keras_mmfusion.models.fusion_classifier import FusionClassifier
from keras_mmfusion.preprocessing.beat_segments import BeatSegments

UNCLASSIFIABLE = "Q"


@register()
class BeatClassifier(FusionClassifier):
    """Label every beat of a run of consecutive beats.

    A `FusionClassifier` whose time axis counts beats and whose every step is
    classified, with the preprocessing and the class names to label a recording.

    Args:
        inputs, encoders, **kwargs: See `FusionClassifier`; `pooling` is `None`.
        classes: Sequence of str, the names of the classes.
        causal: bool. Whether a beat is judged by itself and the beats before it;
            fusion, decoder and preprocessor must be causal too.
            Defaults to `False`.

    Call arguments:
        inputs: dict of tensors `(batch, beats, ...)`.

    Output shape:
        `(batch, beats, len(classes))`.

    Example:

    ```python
    from keras_mmfusion import presets

    model = presets.load("atd_mitbih")
    beats = model.predict_record("mitdb/100")
    beats.counts()  # a dict: beats of each class, and of Q
    ```

    Reference:
        Ours; no equation of the papers, which judge beats one by one.
    """

    def __init__(self, inputs, encoders, classes=None, causal=False, **kwargs):
        if classes is not None:
            kwargs["num_classes"] = len(classes)
        kwargs["pooling"] = None
        super().__init__(inputs, encoders, **kwargs)
        self.classes = tuple(classes) if classes is not None else None
        self.causal = causal

    def get_config(self):
        classes = list(self.classes) if self.classes is not None else None
        config = {**super().get_config(), "classes": classes, "causal": self.causal}
        config.pop("pooling")
        return config

    def with_num_classes(self, num_classes):
        """See `FusionClassifier`; the new classes have no names."""
        config = {**self.get_config(), "num_classes": num_classes, "classes": None}
        return self._with_body_of(type(self).from_config(config))

    @property
    def segment_length(self):
        """Beats in one sample."""
        return self._shapes[0][1][0]

    def predict_record(
        self, record, beats="atr", leads=None, batch_size=32, progress=None
    ):
        """Label every beat of a recording.

        Args:
            record: `ECGRecord` with beats, or the path of a WFDB record.
            beats: str. For a path: the annotation file to take the positions of
                the beats from, or `"xqrs"` to detect them. An `ECGRecord` has its
                beats already: say here where they are from, for
                `BeatLabels.beat_source`. Defaults to `"atr"`.
            leads: Sequence of lead names. Defaults to `None`, the usual ones.
            batch_size: int. Segments per batch. Defaults to `32`.
            progress: Callable `(done, total)` in segments. Defaults to `None`.

        Returns:
            `BeatLabels`: sample, time, label and probabilities of every beat. A
            beat without usable signal is labelled Q, with the reason.

        Raises:
            RecordError: The recording cannot be read or has no beats.
            ValueError: The model has no preprocessor or no class names.
        """
        from keras_mmfusion.analysis.beat_labels import BeatLabels

        if self.preprocessor is None or self.classes is None:
            raise ValueError(
                "`predict_record` needs a model with `preprocessor` and `classes`, "
                "such as a preset with its own head. "
                f"Received: preprocessor={self.preprocessor}, classes={self.classes}."
            )
        source = beats
        if isinstance(record, str) or hasattr(record, "__fspath__"):
            record = _read(record, beats)
        inputs = self.preprocessor(record, leads=leads)
        probabilities = self.predict_beats(inputs.modalities, batch_size, progress)
        labels = np.array(self.classes)[probabilities.argmax(axis=1)]
        unusable = inputs.reasons != ""
        labels[unusable] = UNCLASSIFIABLE
        probabilities[unusable] = 0.0
        return BeatLabels(
            record=record.name,
            fs=record.fs,
            samples=record.beats,
            labels=labels,
            probabilities=probabilities.astype("float32"),
            classes=self.classes,
            reasons=inputs.reasons,
            leads=inputs.leads,
            beat_source=source,
        )

    def predict_beats(self, modalities, batch_size=32, progress=None):
        """Class probabilities of consecutive beats.

        Args:
            modalities: dict of arrays `(beats, ...)`, as the preprocessor makes.
            batch_size: int. Segments per batch. Defaults to `32`.
            progress: Callable `(done, total)` in segments. Defaults to `None`.

        Returns:
            Array `(beats, classes)`.
        """
        num_beats = len(next(iter(modalities.values())))
        segments = BeatSegments(num_beats, self.segment_length, self.causal)
        windows = {
            name: segments.cut(values)
            for name, values in modalities.items()
            if name in self.modalities
        }
        outputs = []
        for start in range(0, len(segments), batch_size):
            # Batches of one size: a new one would be compiled anew.
            rows = np.arange(start, start + batch_size)
            wanted = rows < len(segments)
            rows = np.minimum(rows, len(segments) - 1)
            batch = {name: values[rows] for name, values in windows.items()}
            outputs.append(np.asarray(self.predict_on_batch(batch))[wanted])
            if progress is not None:
                progress(min(start + batch_size, len(segments)), len(segments))
        return segments.merge(np.concatenate(outputs))


def _read(path, beats):
    from keras_mmfusion.datasets.ecg_record import read_wfdb

    if beats != "xqrs":
        return read_wfdb(path, annotator=beats)
    from dataclasses import replace

    from keras_mmfusion.preprocessing.beat_detection import detect_beats

    record = read_wfdb(path)
    return replace(record, beats=detect_beats(record))
