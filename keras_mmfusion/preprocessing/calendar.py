"""What time it is, as numbers that go round."""

import numpy as np

CALENDAR = ("hour", "weekday")
DAY = 86_400.0
WEEK = 7 * DAY
# 1970-01-01 was a Thursday; weeks begin on Monday.
MONDAY = 4 * DAY


def calendar_features(times):
    """Time of the day and of the week, each as sine and cosine.

    Args:
        times: datetime64 array `(n,)`.

    Returns:
        float32 array `(n, 4)`: sine and cosine of the day, which begins at
        midnight, and of the week, which begins on Monday.

    Example:

    ```python
    import numpy as np
    from keras_mmfusion.preprocessing import calendar_features

    noon = np.array(["2026-01-05T12:00"], "datetime64[s]")  # a Monday
    day_sin, day_cos, week_sin, week_cos = calendar_features(noon)[0]
    assert abs(day_sin) < 1e-6 and day_cos == -1
    ```
    """
    seconds = _seconds(times).astype("int64").astype("float64")
    return _circles(seconds / DAY, (seconds - MONDAY) / WEEK)


def annual_phase(times):
    """Time of the year, as sine and cosine.

    Args:
        times: datetime64 array `(n,)`.

    Returns:
        float32 array `(n, 2)`. The year begins on 1 January, and is one round whether
        it is a leap year or not.

    Example:

    ```python
    import numpy as np
    from keras_mmfusion.preprocessing import annual_phase

    summer = np.array(["2026-07-02T12:00"], "datetime64[s]")
    assert np.allclose(annual_phase(summer), [[0, -1]], atol=0.01)
    ```
    """
    times = _seconds(times)
    years = times.astype("datetime64[Y]")
    start, end = years.astype("datetime64[s]"), (years + 1).astype("datetime64[s]")
    return _circles((times - start) / (end - start))


def _seconds(times):
    """Times as datetime64[s]; raise for numbers, of which numpy makes times, too."""
    given = np.asarray(times)
    found = given
    if given.dtype.kind in "MUO" or not given.size:
        found = given.astype("datetime64[s]")
    if found.dtype.kind != "M" or np.isnat(found).any():
        raise ValueError(
            "`times` must be datetime64, without NaT. Received: an array of "
            f"{given.dtype} of shape {given.shape}. Text and numbers become times by "
            "pandas.to_datetime; leave out rows without one."
        )
    return found


def _circles(*rounds):
    angles = 2 * np.pi * np.stack([r % 1.0 for r in rounds], axis=-1)
    waves = np.stack([np.sin(angles), np.cos(angles)], axis=-1)
    return waves.reshape(*angles.shape[:-1], 2 * len(rounds)).astype("float32")
