"""Which beats of a record stand for the patient's usual beat."""

import numpy as np

LATE = 0.2  # Log RR interval beyond the median, a fifth longer.
SHARE = 0.1  # As many beats as that must be late; fewer are chance.
STEADY = 0.1  # Median deviation of the other beats' log RR intervals.
FEWEST = 16  # A median of fewer beats is noise.


def reference_beats(times):
    """Beats that template and usual shape are taken from.

    They are all beats, save in a record with ectopic beats in such numbers that
    they may be the majority, so that the median beat is one of them. There the
    beats after a pause are the reference: an early beat is ectopic, a late one
    hardly ever. Such a record has two rhythms, an otherwise steady one and the
    pauses. In atrial fibrillation, where no interval means anything, all beats
    count.

    Args:
        times: array `(beats,)`. R peaks in seconds.

    Returns:
        bool array `(beats,)` with at least one True if there are beats.

    Example:

    ```python
    import numpy as np
    from keras_mmfusion.preprocessing.reference_beats import reference_beats

    pairs = np.cumsum([1.4, 0.6, 0.6] * 20)  # two early beats after each normal one
    assert reference_beats(pairs).sum() == 19  # of the first nobody knows
    ```

    Reference:
        Ours; no equation of the papers.
    """
    everything = np.ones(len(times), bool)
    if len(times) < FEWEST:
        return everything
    intervals = np.maximum(np.diff(times), 0.1)
    logs = np.log(np.concatenate([intervals[:1], intervals]))
    logs -= np.median(logs)
    late = logs > LATE
    if late.sum() < FEWEST or late.mean() < SHARE:
        return everything
    others = logs[~late]
    spread = np.median(np.abs(others - np.median(others)))
    return late if spread < STEADY else everything
