"""Cutting off the silence before and after a sound."""

import numpy as np

# Frames this long are loud or silent as a whole.
FRAME = 0.02


def trim_silence(sound, rate, threshold=-40.0):
    """The part of a recording from its first loud frame to its last one.

    Args:
        sound: Array `(samples,)`.
        rate: float. Samples a second.
        threshold: float. Frames of 20 ms whose power is this many decibels below that
            of the loudest frame are silent. Defaults to `-40.0`.

    Returns:
        A view of `sound`; all of it where every frame is silent.

    Example:

    ```python
    beep = np.sin(np.arange(800))
    sound = np.concatenate([np.zeros(4000), beep, np.zeros(2000)])
    assert len(trim_silence(sound, rate=8000)) == 800
    ```
    """
    sound = np.asarray(sound)
    if not len(sound):
        return sound
    frame = max(round(FRAME * rate), 1)
    starts = np.arange(0, len(sound), frame)
    energy = np.add.reduceat(np.square(sound, dtype="float64"), starts)
    power = energy / np.diff(starts, append=len(sound))
    loud = np.flatnonzero(power > power.max(initial=0) * 10 ** (threshold / 10))
    if not len(loud):
        return sound
    return sound[loud[0] * frame : (loud[-1] + 1) * frame]
