"""Cutting off the silence before and after a sound."""

import numpy as np

from keras_mmfusion._checks import check_positive_number
from keras_mmfusion.datasets.ecg_record import RecordError

# Frames this long are loud or silent as a whole.
FRAME = 0.02
# Noise goes on at one level: this share of the frames, at least, has no more than twice
# the power of the quietest tenth. Of a word by itself, few frames are that much alike.
# Chosen on recordings of digits to validate on, with and without noise around them.
NOISE_SHARE = 0.4


def trim_silence(sound, rate, threshold=-40.0):
    """The part of a recording from its first loud frame to its last one.

    Where the pauses are full of noise that goes on at one level, frames are silent
    that are no louder than that.

    Args:
        sound: Array `(samples,)`.
        rate: float. Samples a second.
        threshold: float. Frames of 20 ms whose power is this many decibels below that
            of the loudest frame are silent. Defaults to `-40.0`.

    Returns:
        A view of `sound`; without samples where all of them are alike.

    Raises:
        RecordError: More than one channel, or NaN.
        ValueError: `rate` is not above 0, or `threshold` not below.

    Example:

    ```python
    import numpy as np
    from keras_mmfusion.preprocessing import trim_silence

    beep = np.sin(np.arange(800))
    sound = np.concatenate([np.zeros(4000), beep, np.zeros(2000)])
    assert len(trim_silence(sound, rate=8000)) == 800
    ```
    """
    check_positive_number(rate=rate)
    if not threshold < 0:
        raise ValueError(
            "`threshold` must be in decibels below the loudest frame, such as -40. "
            f"Received: threshold={threshold!r}"
        )
    sound = np.asarray(sound)
    if (
        sound.ndim != 1
        or sound.dtype.kind not in "biuf"
        or not np.isfinite(sound).all()
    ):
        raise RecordError(
            "Expected one channel of sound, all of its samples numbers. Received: an "
            f"array of {sound.dtype} of shape {sound.shape}"
            f"{' with NaN' * (sound.dtype.kind == 'f' and sound.ndim == 1)}. Take the "
            "mean of the channels, and cut out what is missing."
        )
    if not len(sound):
        return sound
    frame = max(round(FRAME * rate), 1)
    starts = np.arange(0, len(sound), frame)
    # Around the median: a constant is silent.
    wave = np.subtract(sound, np.median(sound), dtype="float64")
    power = np.add.reduceat(wave**2, starts) / np.diff(starts, append=len(sound))
    silent = power.max() * 10 ** (threshold / 10)
    noise = 2 * np.quantile(power, 0.1)
    if np.mean(power <= noise) >= NOISE_SHARE:
        # Never what is nearly as loud as the loudest: a tone goes on at one level too.
        silent = max(silent, min(noise, power.max() / 10))
    loud = np.flatnonzero(power > silent)
    if not len(loud):
        return sound[:0]
    return sound[loud[0] * frame : (loud[-1] + 1) * frame]
