"""Other atria for a patient's own beats: P waves of another place, or none.

What the ventricles make of a beat stays as it is. Beats are as `BeatPreprocessor` cuts
them by default: arrays `(beats, 128, leads)` in millivolts.
"""

import numpy as np

from keras_mmfusion.preprocessing import BeatPreprocessor

CUT = BeatPreprocessor()
RATE = CUT.fs / CUT.step
R_PEAK = round(CUT.before * RATE)
P_WAVE = slice(R_PEAK - round(0.26 * RATE), R_PEAK - round(0.055 * RATE))
AFTER_QRS = round(0.1 * RATE)
BEFORE_QRS = round(0.045 * RATE)
# How much of a P wave is left, and how far it moves, in samples.
KINDS = {
    "absent": ((0.0, 0.2), 0),
    "inverted": ((-1.2, -0.3), 0),
    "moved": ((0.4, 1.6), 7),
    "foreign": ((0.5, 1.3), 7),
}


def other_p_wave(waves, foreign, rng):
    """Beats whose P waves all come from the same other place.

    Args:
        waves: array of beats.
        foreign: array `(128, leads)`, a usual beat of another patient, of whom the P
            wave may be.
        rng: numpy Generator.
    """
    kind = rng.choice(list(KINDS))
    (least, most), furthest = KINDS[kind]
    own = _p_wave(waves)
    new = _p_wave(foreign[None]) if kind == "foreign" else own
    new = np.roll(new * _fading(0.5), rng.integers(-furthest, furthest + 1), axis=1)
    return _with(waves, rng.uniform(least, most) * new - own)


def no_p_wave(waves, rng):
    """Beats in atrial fibrillation: a trembling baseline instead of P waves."""
    still = _with(waves, -rng.uniform(0.8, 1.0) * _p_wave(waves))
    beats, length, leads = waves.shape
    often = rng.uniform(4, 9) * np.exp(0.1 * rng.standard_normal((beats, 1)))
    start = rng.uniform(0, 1, (beats, 1))
    tremor = np.sin(2 * np.pi * (often * np.arange(length) / RATE + start))
    height = rng.uniform(0, 0.1, leads) * np.exp(0.3 * rng.standard_normal((beats, 1)))
    return still + (tremor[..., None] * height[:, None]).astype(waves.dtype)


def on_t_waves(waves, before, intervals):
    """Beats on top of what follows the QRS complex of the beat before.

    Args:
        waves: array of beats.
        before: array of the same shape, the beat before each.
        intervals: array `(beats,)`, seconds between the two.
    """
    waves = waves.copy()
    gaps = np.rint(np.asarray(intervals) * RATE).astype(int)
    for wave, earlier, gap in zip(waves, before, gaps, strict=True):
        first = max(R_PEAK + AFTER_QRS - gap, 0)
        last = min(len(wave) - gap, R_PEAK - BEFORE_QRS)
        if last > first:
            tail = earlier[first + gap : last + gap] - earlier[-1]
            fading = np.minimum(np.arange(len(tail), 0, -1) / 6, 1.0)
            wave[first:last] += tail * fading[:, None]
    return waves


def _p_wave(waves):
    """What stands out from a straight line through the ends of the P wave."""
    part = waves[:, P_WAVE]
    ramp = np.linspace(0, 1, part.shape[1])[:, None]
    return part - part[:, :1] * (1 - ramp) - part[:, -1:] * ramp


def _fading(power):
    return np.hanning(P_WAVE.stop - P_WAVE.start)[:, None] ** power


def _with(waves, change):
    waves = waves.copy()
    waves[:, P_WAVE] += (change * _fading(0.25)).astype(waves.dtype)
    return waves
