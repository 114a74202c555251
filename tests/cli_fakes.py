"""A stand-in for a trained model, and records to try the command on."""

import numpy as np

from keras_mmfusion.analysis import BeatLabels
from keras_mmfusion.cli.demo import EXCERPT
from keras_mmfusion.models._beat_labeller import BeatLabeller
from keras_mmfusion.preprocessing.ecg_beats import BeatPreprocessor


class RuleModel(BeatLabeller):
    """Labels beats by two rules, from the same inputs as the trained models."""

    classes = ("N", "S", "V", "F")

    def __init__(self, causal=False):
        self.causal = causal
        self.preprocessor = BeatPreprocessor(causal=causal)

    def predict_record(self, record, leads=None, progress=None):
        inputs = self.preprocessor(record, leads)
        rhythm = inputs.modalities["rhythm"]
        ecg = np.nan_to_num(inputs.modalities["ecg"])
        odd = np.abs(ecg[..., 2:]).max(axis=(1, 2)) > 0.8
        early = rhythm[:, 0] < -0.2
        scores = np.stack([~(odd | early), early & ~odd, odd, odd & early], axis=1)
        probabilities = (scores + 0.01) / (scores + 0.01).sum(axis=1, keepdims=True)
        if progress:
            progress(1, 1)
        return BeatLabels.from_probabilities(
            record.name,
            record.fs,
            record.beats,
            probabilities,
            self.classes,
            reasons=inputs.reasons,
            leads=inputs.leads,
        )


def copy_excerpt(folder, name="rec"):
    """Copy the excerpt of the demo into `folder`; returns its path, no extension."""
    folder.mkdir(parents=True, exist_ok=True)
    for suffix in (".dat", ".hea", ".atr"):
        text = EXCERPT.with_suffix(suffix).read_bytes()
        if suffix == ".hea":
            text = text.replace(EXCERPT.name.encode(), name.encode())
        (folder / f"{name}{suffix}").write_bytes(text)
    return folder / name


def write_record(folder, signals, fs, leads, beats=None, symbols=None, name="rec"):
    """Write a WFDB record in format 16, which has a code for missing samples."""
    import wfdb

    folder.mkdir(parents=True, exist_ok=True)
    wfdb.wrsamp(
        name,
        fs=fs,
        units=["mV"] * len(leads),
        sig_name=list(leads),
        p_signal=np.asarray(signals, "float64"),
        fmt=["16"] * len(leads),
        adc_gain=[2000.0] * len(leads),
        baseline=[0] * len(leads),
        write_dir=str(folder),
    )
    if beats is not None:
        write_beats(folder, beats, symbols, name)
    return folder / name


def write_beats(folder, beats, symbols=None, name="rec", annotator="atr"):
    """Write a WFDB annotation file."""
    import wfdb

    symbols = ["N"] * len(beats) if symbols is None else list(symbols)
    wfdb.wrann(
        name,
        annotator,
        np.asarray(beats, "int64"),
        symbol=symbols,
        write_dir=str(folder),
    )


def files_in(folder):
    """Names of all files below a folder."""
    return sorted(str(p.relative_to(folder)) for p in folder.rglob("*"))
