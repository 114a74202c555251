"""What preprocessing of sounds, times and tables makes of unusual inputs."""

import numpy as np
import pytest
from backends import once

from keras_mmfusion import preprocessing as pre

pytestmark = once
RNG = np.random.default_rng(0)
WAVE = np.sin(np.arange(900.0))


@pytest.mark.parametrize("make", [pre.calendar_features, pre.annual_phase])
@pytest.mark.parametrize(
    "times", [[1, 2], [1.5], None, [True], ["2026-01-01", "NaT"], [None], 3]
)
def test_what_is_no_time(make, times):
    """Numbers and NaT gave sines of something."""
    with pytest.raises(ValueError, match=r"must be datetime64, without NaT\. Received"):
        make(times)


def test_times_of_several_kinds():
    expected = pre.calendar_features(np.array(["2026-01-05T12"], "datetime64[ns]"))
    assert (pre.calendar_features(["2026-01-05T12:00"]) == expected).all()
    assert pre.annual_phase(np.array([], "datetime64[s]")).shape == (0, 2)
    pd = pytest.importorskip("pandas")
    times = pd.to_datetime(["2026-01-05T12:00"])
    for given in (times, pd.Series(times), list(times), times.to_pydatetime()):
        assert (pre.calendar_features(given) == expected).all()


@pytest.mark.parametrize(
    "call, message",
    [
        (lambda: pre.spectrogram(WAVE, hop=-1), "`hop` must be a positive integer"),
        (lambda: pre.spectrogram(WAVE, window=2.5), "`window` must be a positive int"),
        (lambda: pre.mel_scale([[1, 2]], 8000, 0), "`bands` must be a positive int"),
        (lambda: pre.mel_scale([[1, 2]], None, 4), "`rate` must be a positive number"),
        (lambda: pre.mel_scale([], 8000, 4), r"must be \(..., bins\).* shape \(0,\)"),
        (lambda: pre.mel_scale(3, 8000, 4), r"must be \(..., bins\).* shape \(\)"),
        (
            lambda: pre.mask_spectrogram(np.ones((2, 9, 9)), RNG, 2, 2),
            r"one spectrogram, \(steps, bins\).* shape \(2, 9, 9\)",
        ),
        (lambda: pre.trim_silence(WAVE, 0), "`rate` must be a positive number"),
        (lambda: pre.trim_silence(WAVE, 8000, np.nan), "decibels below the loudest"),
        (lambda: pre.trim_silence(WAVE, 8000, 10), "decibels below the loudest"),
        (lambda: pre.trim_silence(["a"], 8000), "one channel of sound.* of <U1"),
        (lambda: pre.add_white_noise([1, np.nan], 1.0, RNG), "NaN or infinity among"),
        (lambda: pre.add_white_noise(WAVE, 1.0, 0), r"such as np.*default_rng\(0\)"),
        (lambda: pre.mask_spectrogram([[1]], None, 1), r"such as np.*default_rng\(0\)"),
        (lambda: pre.mask_spectrogram(np.ones((0, 9)), RNG, 2), r"shape \(0, 9\)"),
        (
            lambda: pre.mask_spectrogram([[1]], RNG, 2.5),
            "`frequencies` must be a whole",
        ),
        (lambda: pre.mask_spectrogram([[1]], RNG, times=-1), "`times` must be a whole"),
        (
            lambda: pre.ConformalIntervals(0.9),
            r"such as \(0.9,\)\. Received: levels=0.9",
        ),
        (
            lambda: pre.ConformalIntervals(None),
            r"such as \(0.9,\)\. Received: levels=None",
        ),
        (lambda: pre.ConformalIntervals("0.9"), r"such as \(0.9,\)"),
        (lambda: pre.ConformalIntervals().fit(None), r"`errors` must be.* shape \(\)"),
        (lambda: pre.ConformalIntervals().fit(np.ones((9, 2))), r"shape \(9, 2\)"),
        (lambda: pre.ConformalIntervals((0.5,), [[[1]], [[2]]]), "of 1 levels"),
        (
            lambda: pre.read_digit_image(np.ones((28, 28))),
            "path of a picture.*to_mnist",
        ),
    ],
)
def test_refused(call, message):
    with pytest.raises(ValueError, match=message):
        call()


def test_noise_of_nothing():
    with np.errstate(all="raise"):
        assert pre.add_white_noise([], 1.0, RNG).shape == (0,)


@pytest.mark.parametrize("method", ["standard", "minmax"])
def test_what_is_missing_does_not_scale(method):
    """One NaN made NaN of the whole column, in all that followed."""
    rows = RNG.normal(size=(9, 2))
    gaps = np.concatenate([rows, [[np.nan, np.nan]]])
    scaled = pre.SeriesScaler(method).fit(gaps)(gaps)
    expected = pre.SeriesScaler(method).fit(rows)(rows)
    np.testing.assert_allclose(scaled[:-1], expected, atol=1e-6)
    assert np.isnan(scaled[-1]).all()


@pytest.mark.parametrize(
    "rows", [[], [1, 2], None, [[np.inf]], [[np.nan, 1]], np.ones((2, 2, 2))]
)
def test_rows_that_cannot_scale(rows):
    with pytest.raises(ValueError, match=r"Expected rows \(rows, columns\).* Received"):
        pre.SeriesScaler().fit(rows)
    with pytest.raises(ValueError, match=r"Expected rows \(rows, columns\).* Received"):
        pre.SeriesScaler().fit(np.ones((0, 2)))
