"""The labelled beats of one recording, and the files they are written to."""

import csv
import os
import tempfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from keras_mmfusion._checks import check_positive_number
from keras_mmfusion.datasets.ecg_record import BEAT_SYMBOLS
from keras_mmfusion.metrics.beat_metrics import sample_numbers

UNCLASSIFIABLE = "Q"
ECTOPIC = frozenset("SVFA")
ANNOTATOR = "mmf"


@dataclass(frozen=True)
class BeatLabels:
    """The class of every beat of one ECG recording.

    Attributes:
        record: str. Name of the record.
        fs: float. Sampling rate of the record in hertz.
        samples: int64 array `(beats,)`, sample number of each R peak at `fs`.
        labels: str array `(beats,)` of `classes`, those of AAMI as a rule; `"Q"`
            where a beat cannot be classified.
        probabilities: float32 array `(beats, classes)`; zeros for `"Q"`.
        classes: tuple of str, one per column of `probabilities`.
        reasons: str array `(beats,)`; empty, or why a beat is `"Q"`.
        leads: tuple of str. Leads the labels come from.
        beat_source: str. Where the R peaks come from: the annotator, such as
            `"atr"`, or `"xqrs"` for detected ones.

    Example:

    ```python
    from keras_mmfusion.analysis import BeatLabels

    labels = BeatLabels.from_probabilities(
        "demo", 360.0, [180, 540], [[0.9, 0.0, 0.1, 0.0]] * 2, leads=("MLII",)
    )
    labels.counts()  # {"N": 2, "S": 0, "V": 0, "F": 0, "Q": 0}
    ```
    """

    record: str
    fs: float
    samples: np.ndarray
    labels: np.ndarray
    probabilities: np.ndarray
    classes: tuple
    reasons: np.ndarray
    leads: tuple
    beat_source: str = "atr"

    @classmethod
    def from_probabilities(
        cls,
        record,
        fs,
        samples,
        probabilities,
        classes=("N", "S", "V", "F"),
        reasons=None,
        leads=(),
        beat_source="atr",
    ):
        """Label each beat with its most probable class, or `"Q"` with a reason.

        Args:
            record: str. Name of the record.
            fs: float. Sampling rate of the record in hertz.
            samples: int array `(beats,)`.
            probabilities: array `(beats, classes)`. Rows that are not finite
                are unclassifiable even without a reason.
            classes: tuple of str.
            reasons: str array `(beats,)`, empty for usable beats.
                Defaults to `None` (all are usable).
            leads: tuple of str.
            beat_source: str. Defaults to `"atr"`.

        Returns:
            `BeatLabels`.

        Raises:
            ValueError: Samples are no ascending whole numbers, or shapes do not fit.
        """
        check_positive_number(fs=fs)
        classes, leads = tuple(classes), (leads,) if isinstance(leads, str) else leads
        samples = sample_numbers("samples", np.ravel(samples))
        probabilities = np.array(probabilities, dtype="float32")
        shape = len(samples), len(classes)
        if probabilities.size == 0:
            probabilities = probabilities.reshape(0, len(classes))
        if probabilities.shape != shape:
            raise ValueError(
                f"`probabilities` must be of shape {shape}, {shape[0]} beats of the "
                f"classes {classes}. Received: shape {probabilities.shape}"
            )
        if reasons is None:
            reasons = [""] * len(samples)
        if isinstance(reasons, str) or len(reasons) != len(samples):
            raise ValueError(
                f"`reasons` must be a str for each of {len(samples)} beats, empty for "
                f"usable ones. Received: {reasons!r:.60}"
            )
        # Object arrays, so that a long reason is not cut to the longest one so far.
        reasons = np.array([reason or "" for reason in reasons], dtype=object)
        broken = ~np.isfinite(probabilities).all(axis=1)
        reasons[broken & (reasons == "")] = "no finite probability"
        unusable = reasons != ""
        probabilities[unusable] = 0.0
        labels = np.array(classes, dtype=str)[probabilities.argmax(axis=1)]
        labels[unusable] = UNCLASSIFIABLE
        return cls(
            record=str(record),
            fs=float(fs),
            samples=samples,
            labels=labels,
            probabilities=probabilities,
            classes=classes,
            reasons=reasons.astype(str),
            leads=tuple(leads),
            beat_source=str(beat_source),
        )

    @property
    def times(self):
        """Seconds from the beginning of the record to each R peak, float64."""
        return self.samples / self.fs

    def __len__(self):
        return len(self.samples)

    def counts(self):
        """Number of beats of each class, `"Q"` last, as a dict."""
        names = dict.fromkeys((*self.classes, UNCLASSIFIABLE))
        return {name: int((self.labels == name).sum()) for name in names}

    def ectopic_per_hour(self, duration):
        """Beats of each ectopic class (S, V and F of AAMI; also A) per hour.

        Args:
            duration: float. Length of the recording in seconds.

        Returns:
            dict from class to float.
        """
        check_positive_number(duration=duration)
        hours = float(duration) / 3600
        counts = self.counts()
        return {name: counts[name] / hours for name in self.classes if name in ECTOPIC}

    def to_csv(self, path):
        """Write a table with one row a beat; the file appears whole or not at all.

        Columns: `time_s`, `sample`, `label`, `reason` and, for each class,
        `p_<class>`.

        Args:
            path: Path of the file, replaced if it exists.
        """
        path = Path(path)
        with tempfile.TemporaryDirectory(prefix=".mmfusion-", dir=path.parent) as tmp:
            part = Path(tmp) / "beats.csv"
            with open(part, "w", newline="", encoding="utf-8") as file:
                writer = csv.writer(file, lineterminator="\n")
                columns = [f"p_{name}" for name in self.classes]
                writer.writerow(["time_s", "sample", "label", "reason", *columns])
                writer.writerows(
                    [f"{time:.4f}", sample, label, reason, *(f"{p:.4f}" for p in row)]
                    for time, sample, label, reason, row in zip(
                        self.times.tolist(),
                        self.samples.tolist(),
                        self.labels.tolist(),
                        self.reasons.tolist(),
                        self.probabilities.tolist(),
                        strict=True,
                    )
                )
            os.replace(part, path)

    def to_wfdb(self, path):
        """Write a WFDB annotation file; it appears whole or not at all.

        The codes are the AAMI classes N, S, V, F and Q themselves, all of which
        are WFDB beat codes. A class of your own that is none is written as `?`,
        with its name beside it as a note (`aux_note`).

        Args:
            path: Path of the file. Its extension is the annotator: write
                `"100.mmf"` and read it by `wfdb.rdann("100", "mmf")`.
        """
        try:
            import wfdb
        except ImportError as error:
            raise ImportError(
                "Writing WFDB annotations needs the package wfdb: "
                "pip install 'keras_mmfusion[ecg]'"
            ) from error
        path = Path(path)
        known = np.isin(self.labels, list(BEAT_SYMBOLS))
        with tempfile.TemporaryDirectory(prefix=".mmfusion-", dir=path.parent) as tmp:
            # wfdb accepts letters, digits and dashes only in names; ours may
            # hold anything, so the file gets its name when it is moved.
            wfdb.wrann(
                "beats",
                ANNOTATOR,
                self.samples,
                symbol=np.where(known, self.labels, "?").tolist(),
                aux_note=np.where(known, "", self.labels).tolist(),
                fs=self.fs,
                write_dir=tmp,
            )
            os.replace(Path(tmp) / f"beats.{ANNOTATOR}", path)
