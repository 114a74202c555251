"""ECG recordings from WFDB files, with errors a user can act on."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

# Symbols that mark a heart beat in a WFDB annotation file; the others mark
# rhythm changes, noise and comments. Source: PhysioNet, "Annotation codes".
BEAT_SYMBOLS = frozenset("NLRBAaJSVrFejnE/fQ?")
# Bits per sample of the storage formats that reserve a code for invalid samples.
_BITS = {
    8: ("80", "508"),
    10: ("310", "311"),
    12: ("212",),
    16: ("16", "61", "160", "516"),
    24: ("24", "524"),
    32: ("32",),
}
# Units in millivolts; the sign for micro has two codes.
MILLIVOLTS = {"mv": 1.0, "uv": 1e-3, "\u00b5v": 1e-3, "\u03bcv": 1e-3, "v": 1e3}
_INVALID = {name: -(1 << (bits - 1)) for bits, names in _BITS.items() for name in names}


class RecordError(ValueError):
    """A recording that cannot be used; the message says why and what to do."""


@dataclass(frozen=True)
class ECGRecord:
    """One ECG recording.

    Attributes:
        name: str. Name of the record, without folder.
        signals: float32 array `(samples, leads)` in millivolts; NaN where the
            recorder wrote an invalid sample.
        leads: tuple of str, one name per column of `signals`.
        fs: float. Sampling rate in hertz.
        beats: int64 array `(beats,)`, sample number of each R peak, or `None`.
        symbols: array `(beats,)` of one-character WFDB beat codes, or `None`.

    Example:

    ```python
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
        if name.lower() not in lowered:
            raise RecordError(
                f"Record {self.name} has no lead {name!r}. It has "
                f"{', '.join(self.leads)}: choose one of these."
            )
        return lowered.index(name.lower())


def read_wfdb(path, annotator=None, verify=True):
    """Read a WFDB record, and its beat annotations when asked for.

    Args:
        path: Path of the record without extension (`mitdb/100`); the name of
            its `.hea` or `.dat` file is accepted as well.
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
    record = read_wfdb("mitdb/100", annotator="atr")
    ```
    """
    wfdb = _import_wfdb()
    path = _strip_extension(Path(path))
    _require_file(path.with_name(path.name + ".hea"), "header")
    try:
        header = wfdb.rdheader(str(path))
    except Exception as error:
        raise RecordError(
            f"{path}.hea is not a readable WFDB header ({_brief(error)}). "
            "Download the record again."
        ) from error
    if not header.n_sig:
        raise RecordError(f"Record {path} has no signals, only a header.")
    for file_name in dict.fromkeys(getattr(header, "file_name", None) or []):
        _require_file(path.parent / file_name, "signal file")
    signals = _read_signals(wfdb, path, verify)
    beats = symbols = None
    if annotator is not None:
        beats, symbols = read_beats(path, annotator, len(signals), header.fs)
    return ECGRecord(
        path.name, signals, tuple(header.sig_name), float(header.fs), beats, symbols
    )


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
    beats, symbols = read_beats("mitdb/100", "atr")
    ```
    """
    wfdb = _import_wfdb()
    path = _strip_extension(Path(path))
    file = path.with_name(f"{path.name}.{annotator}")
    _require_file(file, "annotation file")
    try:
        annotation = wfdb.rdann(str(path), annotator)
    except Exception as error:
        raise RecordError(
            f"{file} is not a readable WFDB annotation file ({_brief(error)})."
        ) from error
    symbols = np.array(annotation.symbol, dtype="<U1")
    is_beat = np.isin(symbols, list(BEAT_SYMBOLS))
    beats = np.asarray(annotation.sample, dtype="int64")[is_beat]
    wrong = beats[(beats < 0) | (beats >= num_samples)] if num_samples else beats[:0]
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


def _read_signals(wfdb, path, verify):
    """Digital samples scaled to float32 mV; the library's own scaling is float64."""
    try:
        record = wfdb.rdrecord(str(path), physical=False)
    except Exception as error:
        raise RecordError(
            f"The signals of {path} cannot be read: truncated or corrupt "
            f"({_brief(error)}). Download the record again."
        ) from error
    digital = record.d_signal
    if verify and record.checksum:
        sums = digital.sum(axis=0, dtype="int64")
        for lead, found, expected in zip(
            record.sig_name, sums, record.checksum, strict=True
        ):
            if expected is not None and (int(found) - int(expected)) % 65536:
                raise RecordError(
                    f"Lead {lead} of {path} does not match the checksum in its "
                    "header: the signal file is corrupt. Download it again."
                )
    gain = np.array([g if g else 200.0 for g in record.adc_gain], "float32")
    signals = (digital - np.array(record.baseline)).astype("float32")
    signals *= np.array([_to_millivolts(u) for u in record.units], "float32") / gain
    for column, fmt in enumerate(record.fmt):
        # The most negative code of a format means "no valid sample here".
        invalid = _INVALID.get(str(fmt))
        if invalid is not None:
            signals[digital[:, column] == invalid, column] = np.nan
    return signals


def _to_millivolts(units):
    return MILLIVOLTS.get((units or "mV").lower(), 1.0)


def _require_file(path, kind):
    if not path.is_file():
        raise RecordError(f"No {kind} at {path}. Check the path and the name.")


def _strip_extension(path):
    return path.with_suffix("") if path.suffix in {".hea", ".dat"} else path


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
