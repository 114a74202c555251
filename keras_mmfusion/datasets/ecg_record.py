"""ECG recordings from WFDB files, with errors a user can act on."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from keras_mmfusion._pieces import pieces
from keras_mmfusion.datasets._annotation_notes import read_annotations
from keras_mmfusion.datasets._millivolts import in_millivolts, scales

# Symbols that mark a heart beat in a WFDB annotation file; the others mark
# rhythm changes, noise and comments. Source: PhysioNet, "Annotation codes".
BEAT_SYMBOLS = frozenset("NLRBAaJSVrFejnE/fQ?")


class RecordError(ValueError):
    """A recording that cannot be used; the message says why and what to do."""


@dataclass(frozen=True)
class ECGRecord:
    """One ECG recording.

    Attributes:
        name: str. Name of the record, without folder.
        signals: float32 array `(samples, leads)` in millivolts; NaN where the
            recorder wrote an invalid sample, or one beyond 10,000 V.
        leads: tuple of str, one name per column of `signals`.
        fs: float. Sampling rate in hertz.
        beats: int64 array `(beats,)`, sample number of each R peak, or `None`.
        symbols: array `(beats,)` of one-character WFDB beat codes, or `None`.

    Example:

    ```python
    import numpy as np
    from keras_mmfusion.datasets import ECGRecord

    record = ECGRecord("demo", np.zeros((360, 1), "float32"), ("MLII",), 360.0)
    assert record.duration == 1.0
    ```
    """

    name: str
    signals: np.ndarray
    leads: tuple
    fs: float
    beats: np.ndarray | None = None
    symbols: np.ndarray | None = None

    @property
    def duration(self):
        """Length in seconds."""
        return len(self.signals) / self.fs

    def lead_index(self, name):
        """Column of the lead called `name`; upper and lower case do not matter."""
        lowered = [lead.lower() for lead in self.leads]
        if not isinstance(name, str) or name.lower() not in lowered:
            raise RecordError(
                f"Record {self.name} has no lead {name!r}. It has "
                f"{', '.join(self.leads)}: choose one of these."
            )
        return lowered.index(name.lower())


def read_wfdb(path, annotator=None, verify=True):
    """Read a WFDB record, and its beat annotations when asked for.

    Segments of a record are joined; where one lacks a lead, samples are missing. Of
    leads with several samples a frame, each frame gives the mean. A lead without a
    description is called `lead_1`, `lead_2`, … by its place, a second ECG ECG_2.

    Args:
        path: Path of the record without extension (`mitdb/100`); the name of
            its `.hea`, `.dat` or `.mat` file is accepted as well.
        annotator: str, such as `"atr"`. Extension of the annotation file to
            read beats from. Defaults to `None` (no beats).
        verify: bool. Whether to compare each signal with the checksum in the
            header. Defaults to `True`.

    Returns:
        An `ECGRecord`.

    Raises:
        RecordError: A file is missing, truncated or corrupt, or the
            annotations belong to a longer record.

    Example:

    ```python
    from keras_mmfusion.datasets import read_wfdb

    record = read_wfdb("mitdb/100", annotator="atr")
    ```
    """
    wfdb = _import_wfdb()
    path = record_path(path)
    header = _read_header(wfdb, path)
    read = _join_segments if hasattr(header, "seg_name") else _read_signals
    leads, signals = read(wfdb, path, header, verify)
    beats = symbols = None
    if annotator is not None:
        beats, symbols = read_beats(path, annotator, len(signals), header.fs)
    return ECGRecord(path.name, signals, leads, float(header.fs), beats, symbols)


def read_beats(path, annotator, num_samples=None, fs=None):
    """Read the beats of a WFDB annotation file.

    Args:
        path: Path of the record, without extension.
        annotator: str. Extension of the annotation file, such as `"atr"`.
        num_samples: int. Length of the record, to find annotations that do not
            belong to it. Defaults to `None` (not checked).
        fs: float. Sampling rate of the record in hertz, likewise.

    Returns:
        `(beats, symbols)`: int64 sample numbers and one-character codes.

    Raises:
        RecordError: The file is missing, unreadable or of another record.

    Example:

    ```python
    from keras_mmfusion.datasets import read_beats

    beats, symbols = read_beats("mitdb/100", "atr")
    ```
    """
    wfdb = _import_wfdb()
    path = record_path(path)
    file = path.with_name(f"{path.name}.{annotator}")
    _require_file(file, "annotation file")
    content = file.read_bytes()
    # The last pair of bytes is zero; the library takes any other for it.
    if content and content[-2:] != b"\0\0":
        raise RecordError(
            f"{file} is truncated, or no WFDB annotation file: it must end in two "
            f"bytes of zero. Received: {len(content):,} bytes, the last of which are "
            f"{content[-2:].hex()}. Download it again."
        )
    try:
        annotation = read_annotations(wfdb, path, annotator, content)
    except Exception as error:
        raise RecordError(
            f"{file} is not a readable WFDB annotation file ({_brief(error)}). "
            "Download it again."
        ) from error
    symbols = np.array(annotation.symbol, dtype="<U1")
    is_beat = np.isin(symbols, list(BEAT_SYMBOLS))
    beats = np.asarray(annotation.sample, dtype="int64")[is_beat]
    wrong = beats[(beats < 0) | (beats >= (num_samples or np.inf))]
    if len(wrong):
        raise RecordError(
            f"{file} marks a beat at sample {wrong[-1]:,}, but the record has "
            f"{num_samples:,} samples: it belongs to another record. Name the "
            "right annotation file, or leave it out to have beats detected."
        )
    if fs and annotation.fs and abs(annotation.fs - fs) > 1e-3:
        raise RecordError(
            f"{file} was made for {annotation.fs:g} Hz, the record has {fs:g} Hz: "
            "it belongs to another record. Name the right annotation file."
        )
    return beats, symbols[is_beat]


def _read_header(wfdb, path):
    if path.suffix.lower() in {".edf", ".bdf"} and path.is_file():
        raise RecordError(
            f"Expected a WFDB record. Received: {path}. Write its signals as one "
            "(wfdb.io.convert.edf.read_edf reads it, wfdb.wrsamp writes) or as CSV."
        )
    if path.suffix.lower() in {".csv", ".tsv", ".txt"} and path.is_file():
        raise RecordError(
            f"Expected a WFDB record. Received: {path}. Tables are read from .csv "
            "files (`read_csv(path, fs)`; for commands, --fs)."
        )
    file = path.with_name(path.name + ".hea")
    if path.is_dir() and not file.exists():
        raise _no_record(path)
    _require_file(file, "header")
    try:
        header = wfdb.rdheader(str(path))
    except Exception as error:
        raise RecordError(
            f"{path}.hea is not a readable WFDB header ({_brief(error)}). "
            "Download the record again."
        ) from error
    if not header.n_sig:
        raise RecordError(f"Record {path} has no signals, only a header.")
    lines = header.n_sig
    if not hasattr(header, "seg_name"):
        lines = len(header.sig_name or [])
    if lines != header.n_sig:
        raise RecordError(
            f"{path}.hea is not a readable WFDB header (it tells of {header.n_sig} "
            f"signals, and describes {lines}). Download the record again."
        )
    return header


def _join_segments(wfdb, path, header, verify):
    """Names of all leads, and the segments one after the other."""
    stops = np.cumsum(header.seg_len)
    # Of length 0 is what only lists leads; "~" stands for a time without signals.
    parts = [
        (stop - length, stop, path.parent / name)
        for name, length, stop in zip(
            header.seg_name, header.seg_len, stops, strict=True
        )
        if length and name != "~"
    ]
    if not parts:
        raise RecordError(f"Record {path} has no segments with signals.")
    headers = [_read_header(wfdb, part) for _, _, part in parts]
    for (_, _, part), own in zip(parts, headers, strict=True):
        if hasattr(own, "seg_name") or own.fs != header.fs:
            raise RecordError(
                f"Segment {part} of {path} must be a record of its own at "
                f"{header.fs:g} Hz. Received: {own.fs:g} Hz"
                f"{', with segments' * hasattr(own, 'seg_name')}. Choose one segment."
            )
    leads = tuple(dict.fromkeys(name for own in headers for name in _lead_names(own)))
    signals = np.full((int(stops[-1]), len(leads)), np.nan, "float32")
    for (start, stop, part), own in zip(parts, headers, strict=True):
        names, values = _read_signals(wfdb, part, own, verify)
        if len(values) != stop - start:
            raise RecordError(
                f"Segment {part} has {len(values):,} samples, but {path}.hea says "
                f"{stop - start:,}. Download the record again."
            )
        signals[start:stop, [leads.index(name) for name in names]] = values
    return leads, signals


def _read_signals(wfdb, path, header, verify):
    """Names of the leads, and `(samples, leads)` in mV, read a piece at a time."""
    for file_name in dict.fromkeys(header.file_name or []):
        _require_file(path.parent / file_name, "signal file")
    leads, factors = _lead_names(header), scales(path, header)
    # Neither skewed signals nor differences are read from the middle of a file.
    whole = not header.sig_len or any(header.skew) or "8" in header.fmt
    parts = [slice(0, None)]
    if not whole:
        # Space for what a damaged header tells of may be more than there is.
        _read_digital(wfdb, path, slice(header.sig_len - 1, header.sig_len))
        parts = pieces(header.sig_len, width=header.n_sig)
    signals, sums = None, np.zeros(len(leads), "int64")
    for part in parts:
        record = _read_digital(wfdb, path, part)
        sums += [digital.sum(dtype="int64") for digital in record.e_d_signal]
        values = in_millivolts(record, factors)
        if signals is None:
            signals = np.empty((header.sig_len or len(values), len(leads)), "float32")
        signals[part] = values
    for i, expected in enumerate((header.checksum or []) if verify else []):
        # Of a skewed signal, not all samples of the file are left.
        if expected is None or header.skew[i]:
            continue
        if (int(sums[i]) - int(expected)) % 65536:
            raise RecordError(
                f"Lead {leads[i]} of {path} does not match the checksum in its "
                "header: the signal file is corrupt. Download it again."
            )
    return leads, signals


def _read_digital(wfdb, path, part):
    try:
        return wfdb.rdrecord(
            str(path), part.start, part.stop, physical=False, smooth_frames=False
        )
    except Exception as error:
        raise RecordError(
            f"The signals of {path} cannot be read: truncated or corrupt "
            f"({_brief(error)}). Download the record again."
        ) from error


def _lead_names(header):
    return distinct(name or f"lead_{i}" for i, name in enumerate(header.sig_name, 1))


def distinct(names):
    """Names of leads; a second ECG is called ECG_2."""
    names = list(names)
    counts = [names[: i + 1].count(name) for i, name in enumerate(names)]
    return tuple(
        name if count == 1 else f"{name}_{count}"
        for name, count in zip(names, counts, strict=True)
    )


def _require_file(path, kind):
    if not path.is_file():
        raise RecordError(f"No {kind} at {path}. Check the path and the name.")


def record_path(path):
    """Path of a record without extension, whichever of its files is named."""
    given, path = path, Path(path)
    if not path.name:
        raise _no_record(given)
    known = path.suffix.lower() in {".hea", ".dat", ".mat"}
    return path.with_suffix("") if known else path


def _no_record(given):
    return RecordError(
        "A record is given by its path without extension, such as mitdb/100. "
        f"Received: {str(given)!r}{', a folder' * Path(given).is_dir()}."
    )


def _brief(error):
    return str(error).strip().split("\n")[0][:160] or type(error).__name__


def _import_wfdb():
    try:
        import wfdb
    except ImportError as error:
        raise ImportError(
            "Reading WFDB records needs the package wfdb: "
            "pip install 'keras_mmfusion[ecg]'"
        ) from error
    return wfdb
