"""Spectrograms in numpy, and what is done to them before a model sees them."""

import numpy as np

from keras_mmfusion._checks import (
    check_band,
    check_count,
    check_generator,
    check_positive_int,
    check_positive_number,
)


def spectrogram(waves, window=400, hop=200):
    """Magnitudes of the short-time Fourier transform, under a periodic Hann window.

    No step reaches beyond the ends of the recording: the same numbers as
    `librosa.stft(center=False)`, and as the first steps of
    `tensorflow_io.audio.spectrogram`, which pads the end.

    Args:
        waves: Array `(..., samples)`.
        window: int. Samples of a step, and length of the transform.
            Defaults to `400`.
        hop: int. Samples from one step to the next. Defaults to `200`.

    Returns:
        float32 array `(..., steps, window // 2 + 1)`, with
        `1 + (samples - window) // hop` steps.

    Raises:
        ValueError: The recordings are shorter than one window, or a size is no
            positive integer.

    Example:

    ```python
    import numpy as np
    from keras_mmfusion.preprocessing import spectrogram

    waves = np.sin(2 * np.pi * 1000 * np.arange(8400) / 8000)  # 1 kHz at 8 kHz
    magnitudes = spectrogram(waves)
    assert magnitudes.shape == (41, 201)
    assert magnitudes[0].argmax() == 50  # bins of 20 Hz
    ```
    """
    check_positive_int(window=window, hop=hop)
    waves = np.asarray(waves, "float64")
    if waves.ndim < 1 or waves.shape[-1] < window:
        raise ValueError(
            f"A spectrogram needs at least one window of {window} samples. Received: "
            f"an array of shape {waves.shape}. Pad it with zeros."
        )
    frames = np.lib.stride_tricks.sliding_window_view(waves, window, axis=-1)
    hann = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(window) / window)
    return np.abs(np.fft.rfft(frames[..., ::hop, :] * hann)).astype("float32")


def mel_scale(magnitudes, rate, bands, lowest=20.0, highest=4000.0):
    """Sum the bins of a spectrogram in triangular bands, evenly spaced in mel.

    The bands are those of HTK and of `tensorflow_io.audio.melscale`: triangles over
    mel, with a peak of one.

    Args:
        magnitudes: Array `(..., bins)`.
        rate: float. Samples a second of the recordings.
        bands: int. Number of bands.
        lowest: float. Lower end of the first band in hertz. Defaults to `20.0`.
        highest: float. Upper end of the last band in hertz. Defaults to `4000.0`.

    Returns:
        float32 array `(..., bands)`.

    Raises:
        ValueError: The ends are not in order, or above half of the rate.

    Example:

    ```python
    import numpy as np
    from keras_mmfusion.preprocessing import mel_scale, spectrogram

    mel = mel_scale(spectrogram(np.ones(8400)), rate=8000, bands=40)
    assert mel.shape == (41, 40)
    ```
    """
    check_positive_number(rate=rate)
    check_positive_int(bands=bands)
    check_band((lowest, highest), rate)
    magnitudes = np.asarray(magnitudes, "float64")
    if magnitudes.ndim < 1 or magnitudes.shape[-1] < 2:
        raise ValueError(
            "`magnitudes` must be (..., bins), as `spectrogram` gives them. "
            f"Received: an array of shape {magnitudes.shape}."
        )
    bins = _mel(np.linspace(0.0, rate / 2, magnitudes.shape[-1]))[:, None]
    edges = np.linspace(_mel(lowest), _mel(highest), bands + 2)
    low, middle, high = edges[:-2], edges[1:-1], edges[2:]
    rising = (bins - low) / (middle - low)
    falling = (high - bins) / (high - middle)
    weights = np.maximum(0.0, np.minimum(rising, falling))
    return (magnitudes @ weights).astype("float32")


def _mel(hertz):
    return 1127.0 * np.log1p(np.asarray(hertz) / 700.0)


def mask_spectrogram(magnitudes, rng, frequencies=0, times=0):
    """Zero a random run of bins and a random run of steps, for training.

    As `tensorflow_io.audio.freq_mask` and `time_mask`: a run is shorter than the
    number given, and begins anywhere it fits.

    Args:
        magnitudes: Array `(steps, bins)`; it is left as it is.
        rng: `numpy.random.Generator`.
        frequencies: int. Upper bound of bins; `0` for none. Defaults to `0`.
        times: int. Upper bound of steps; `0` for none. Defaults to `0`.

    Returns:
        The masked array.

    Raises:
        ValueError: Another shape, a bound that is no whole number of at least 0, or
            `rng` is no generator.

    Example:

    ```python
    import numpy as np
    from keras_mmfusion.preprocessing import mask_spectrogram

    rng = np.random.default_rng(0)
    masked = mask_spectrogram(np.ones((41, 201)), rng, frequencies=30, times=8)
    assert masked.shape == (41, 201) and masked.min() == 0
    ```

    Reference:
        Park et al., "SpecAugment", arXiv:1904.08779, section 2.
    """
    check_generator(rng)
    masked = np.array(magnitudes)
    if masked.ndim != 2 or not masked.size:
        raise ValueError(
            "`magnitudes` must be one spectrogram, (steps, bins). Received: an array "
            f"of shape {masked.shape}. Mask those of a batch one by one."
        )
    check_count(frequencies=frequencies, times=times)
    for axis, bound in ((1, frequencies), (0, times)):
        if bound:
            size = masked.shape[axis]
            width = int(rng.integers(min(bound, size)))
            first = int(rng.integers(size - width))
            run = [slice(None), slice(None)]
            run[axis] = slice(first, first + width)
            masked[tuple(run)] = 0
    return masked
