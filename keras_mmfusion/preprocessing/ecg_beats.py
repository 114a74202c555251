"""From an ECG recording to the model inputs of each of its beats."""

from dataclasses import dataclass
from fractions import Fraction

import numpy as np

from keras_mmfusion._checks import check_positive_int, check_positive_number
from keras_mmfusion._pieces import BLOCK, pieces
from keras_mmfusion._serialization import register
from keras_mmfusion.datasets._checked_record import checked_record
from keras_mmfusion.datasets.ecg_record import RecordError
from keras_mmfusion.preprocessing._ecg_leads import is_chest, usual_leads
from keras_mmfusion.preprocessing._filters import both_ways, forward, resample
from keras_mmfusion.preprocessing._interruptions import heart_times, without_gaps
from keras_mmfusion.preprocessing.beat_shape import shape_features
from keras_mmfusion.preprocessing.reference_beats import reference_beats

MIN_FS = 100.0


@dataclass(frozen=True)
class BeatInputs:
    """Model inputs of every beat of one recording.

    Attributes:
        modalities: dict of float32 arrays `(beats, ...)`; NaN marks what is missing.
        reasons: array `(beats,)` of str; empty where the beat can be classified,
            else why not, of all its leads.
        leads: tuple of the lead names used, limb leads before chest leads.
    """

    modalities: dict
    reasons: np.ndarray
    leads: tuple


@register()
class BeatPreprocessor:
    """Cut, clean and describe the beats of an ECG recording.

    The recording is resampled to `fs`, filtered to `band`, and cut around each R
    peak. Beside the waveform stands its difference from the patient's own
    template (the median of the `reference_beats`) and, as modalities of their own,
    the rhythm (logarithms of the RR intervals before and after the beat, relative
    to the mean) and a few features of its shape, relative to the patient's usual
    beat.

    Args:
        fs: float. Working rate in hertz. Defaults to `360.0`.
        step: int. Every `step`-th sample of a beat is kept. Defaults to `2`.
        before: float. Seconds before the R peak. Defaults to `0.36`.
        length: int. Kept samples per beat. Defaults to `128`.
        band: tuple of two floats, pass band in hertz. Defaults to `(0.5, 40.0)`.
        num_leads: int. Leads the model takes; missing ones are NaN.
            Defaults to `2`.
        causal: bool. Whether filter, template and mean use the past only.
            A beat is then complete `delay` seconds after its R peak.
            Defaults to `False`.
        separate_leads: bool. Whether each lead is a modality, too.
            Defaults to `False`.

    Call arguments:
        record: `ECGRecord` with beats.
        leads: Name of the lead to use, or a sequence of names. Defaults to `None`:
            the usual limb lead and the usual chest lead or, unless `causal`, the next
            best ones that hold a signal. Whatever their order, a limb
            lead is the model's first, and a chest lead (V, V1 to V9, MCL1, …) its
            second, also where the other is missing: so it was in training.

    Returns:
        `BeatInputs` with the modalities `"ecg"`, `(beats, length, 2 * num_leads)`
        in millivolts, waveforms then template differences; `"image"`,
        `(beats, length, num_leads)`, the waveforms from which a model draws
        pictures; `"rhythm"`, `(beats, 2)`, without unit; `"shape"`,
        `(beats, 5 * num_leads)`, see `shape_features`. With `separate_leads` also what
        `"ecg"` holds, lead by lead: `"lead_1"`, `"lead_2"`, …, `(beats, length, 2)`.

    Raises:
        RecordError: No beats, a rate below 100 Hz, an unknown lead, or one twice.
        ValueError: An argument is none of the above, or the R peak outside the beat.

    Example:

    ```python
    from keras_mmfusion.datasets import read_wfdb
    from keras_mmfusion.preprocessing import BeatPreprocessor

    inputs = BeatPreprocessor()(read_wfdb("mitdb/100", "atr"))
    inputs.modalities["ecg"].shape  # (2273, 128, 4)
    ```
    """

    def __init__(
        self,
        fs=360.0,
        step=2,
        before=0.36,
        length=128,
        band=(0.5, 40.0),
        num_leads=2,
        causal=False,
        separate_leads=False,
    ):
        check_positive_number(fs=fs)
        check_positive_int(step=step, length=length, num_leads=num_leads)
        self.fs = float(fs)
        self.step = step
        self.before = float(before)
        self.length = length
        if not 0 <= self.before * fs / step < length - 0.5:
            raise ValueError(
                f"The R peak must lie in the beat, from 0 to {length * step / fs:g} s "
                f"after it begins. Received: before={before!r}"
            )
        self.band = _checked_band(band, fs)
        self.num_leads = num_leads
        self.causal = bool(causal)
        self.separate_leads = bool(separate_leads)

    def get_config(self):
        return {
            "fs": self.fs,
            "step": self.step,
            "before": self.before,
            "length": self.length,
            "band": list(self.band),
            "num_leads": self.num_leads,
            "causal": self.causal,
            "separate_leads": self.separate_leads,
        }

    @classmethod
    def from_config(cls, config):
        return cls(**config)

    def __call__(self, record, leads=None):
        record = checked_record(record)
        if record.beats is None or len(record.beats) == 0:
            raise RecordError(
                f"Record {record.name} has no beats to label. Name an annotation file "
                'with beats, or have them detected (`beats="detect"`).'
            )
        if record.fs < MIN_FS:
            raise RecordError(
                f"Record {record.name} is sampled at {record.fs:g} Hz; the shape of "
                f"a beat needs at least {MIN_FS:g} Hz. Use a recording with a higher "
                "rate; resampling does not bring lost detail back."
            )
        names = [leads] if isinstance(leads, str) else leads
        columns = self.choose_leads(record, names)
        present = [lead for lead, column in enumerate(columns) if column is not None]
        columns = [columns[lead] for lead in present]
        beats = np.rint(record.beats * float(self._ratio(record.fs))).astype("int64")
        waves = np.full((len(beats), self.length, self.num_leads), np.nan, "float32")
        faults = []
        for lead, column in zip(present, columns, strict=True):
            cut, wrong = self._waves(record.signals[:, column], record.fs, beats)
            cut[wrong != ""] = np.nan
            waves[..., lead] = cut
            faults.append(wrong)
        reasons = [
            " and ".join(dict.fromkeys(beat)) if all(beat) else ""
            for beat in zip(*faults, strict=True)
        ]
        times = heart_times(record.beats, record.signals, record.fs, columns)
        names = tuple(record.leads[column] for column in columns)
        return BeatInputs(self.describe(waves, times), np.array(reasons), names)

    def delay(self, fs):
        """Seconds from an R peak to the last sample of a causal beat at `fs` hertz."""
        delay = self.length * self.step / self.fs - self.before
        # The filter of the resampler looks further: see `resample`.
        return delay if fs == self.fs else delay + 10 / min(fs, self.fs)

    def describe(self, waves, times):
        """Modalities of beats that are cut already.

        Args:
            waves: float32 array `(beats, length, num_leads)` in millivolts, NaN
                where a beat or a lead is missing.
            times: array `(beats,)`. R peaks in seconds.

        Returns:
            dict of float32 arrays, as `BeatInputs.modalities`.
        """
        reference = reference_beats(times)
        differences = waves - self._templates(waves, reference)
        shape = shape_features(
            waves,
            differences,
            r_peak=round(self.before * self.fs / self.step),
            fs=self.fs / self.step,
            causal=self.causal,
            reference=reference,
        )
        ecg = np.concatenate([waves, differences], axis=-1)
        del differences
        leads = {
            f"lead_{lead + 1}": ecg[..., lead :: self.num_leads]
            for lead in range(self.num_leads if self.separate_leads else 0)
        }
        return {
            "ecg": ecg,
            "image": waves,
            "rhythm": self._rhythm(times),
            "shape": shape,
            **leads,
        }

    def choose_leads(self, record, names=None):
        """Columns of the named leads, else of the usual ones, as the model takes them.

        `None` stands for a limb lead that is missing before a chest lead.
        """
        if names:
            if len(names) > self.num_leads:
                raise RecordError(
                    f"The model takes {self.num_leads} leads. Received: {len(names)} "
                    f"({', '.join(names)})."
                )
            columns = [record.lead_index(name) for name in names]
            if len(set(columns)) < len(columns):
                raise RecordError(
                    f"Each lead is used once. Received: {', '.join(names)}. Name "
                    f"different ones of {', '.join(record.leads)}."
                )
        else:
            columns = usual_leads(record, self.num_leads, self.causal)
        chest = [is_chest(name) for name in record.leads]
        columns.sort(key=lambda i: chest[i])
        no_limb_lead = chest[columns[0]] and len(columns) < self.num_leads
        return [None] * no_limb_lead + columns

    def _waves(self, signal, fs, beats):
        """Beats of a lead, `(beats, length)`, and what is wrong with each."""
        valid = np.isfinite(signal)
        signal = without_gaps(signal, valid, self.causal)
        filtered = self._filtered(signal, fs)
        first = beats - round(self.before * self.fs)
        waves = np.empty((len(beats), self.length), "float32")
        faults = np.empty(len(beats), "<U15")
        for some in pieces(len(beats), BLOCK):
            index = first[some, None] + self.step * np.arange(self.length)
            waves[some] = filtered[np.clip(index, 0, len(filtered) - 1)]
            # Faults are looked for in what the recorder wrote, not in what we filled.
            index = np.rint(index * float(1 / self._ratio(fs))).astype("int64")
            index = np.clip(index, 0, len(signal) - 1)
            gaps = (~valid[index]).mean(axis=1)
            flat = np.ptp(signal[index], axis=1) < 0.02
            fault = np.where(flat, "flat", "")
            faults[some] = np.where(gaps > 0.1, "missing samples", fault)
        return waves, faults

    def _ratio(self, fs):
        """What resampling takes for `self.fs / fs`; beats have to move by the same."""
        return Fraction(self.fs / fs).limit_denominator(1000)

    def _filtered(self, signal, fs):
        """A lead at the rate of the model, in its band, in float32."""
        from scipy.signal import butter

        if fs != self.fs:
            # Beyond the ends is no zero: a step, wherever the recorder has an offset.
            signal = resample(signal, *self._ratio(fs).as_integer_ratio(), "edge")
        sos = butter(2, self.band, "bandpass", fs=self.fs, output="sos")
        out = np.empty(len(signal), "float32")
        if self.causal:
            return forward(sos, signal, out)
        return both_ways(sos, signal, round(3 * self.fs), out)

    def _templates(self, waves, reference):
        """The patient's median beat; in the causal case the median so far."""
        if not self.causal:
            return _median(waves, reference)
        templates = np.empty_like(waves)
        block, memory = 16, 64
        for start in range(0, len(waves), block):
            stop = min(start + block, len(waves))
            if start == 0:
                for i in range(stop):
                    templates[i] = _median(waves[: i + 1])
            else:
                templates[start:stop] = _median(waves[max(0, start - memory) : start])
        return np.nan_to_num(templates)

    def _rhythm(self, times):
        """Log RR intervals before and after, relative to their mean."""
        intervals = np.maximum(np.diff(times), 0.1)
        if len(intervals) == 0:
            return np.zeros((len(times), 2), "float32")
        before = np.concatenate([intervals[:1], intervals])
        after = np.concatenate([intervals, intervals[-1:]])
        if self.causal:
            mean = np.cumsum(before) / np.arange(1, len(before) + 1)
            features = np.stack([np.log(before / mean), np.zeros_like(mean)], axis=1)
        else:
            mean = intervals.mean()
            features = np.log(np.stack([before, after], axis=1) / mean)
        return np.clip(features, -1.5, 1.5).astype("float32")


def _checked_band(band, fs):
    try:
        low, high = band
        fits = 0 < low < high < fs / 2
    except (TypeError, ValueError):
        fits = False
    if not fits:
        raise ValueError(
            f"`band` must be two frequencies, rising, between 0 and {fs / 2:g} Hz, "
            f"half of the rate. Received: band={band!r}"
        )
    return low, high


def _median(waves, reference=None):
    """Median over the reference beats; over all if none of them is usable, or zero."""
    fine = ~np.isnan(waves).any(axis=1)
    median = np.zeros(waves.shape[1:], waves.dtype)
    for lead in range(waves.shape[2]):
        usable = fine[:, lead]
        if reference is not None and (usable & reference).any():
            usable = usable & reference
        if usable.any():
            median[:, lead] = np.median(waves[usable, :, lead], axis=0)
    return median
