"""White noise at a chosen signal-to-noise ratio, outside of a model."""

import numpy as np

from keras_mmfusion._checks import check_generator, check_snr


def add_white_noise(signal, snr, rng):
    """Add white Gaussian noise to one signal, as the layer `AddNoise` does.

    `n ~ Normal(0, P / snr)` with `P` the mean square of the signal. A signal of
    zeros stays as it is. This is for signals that are noisy before they are padded
    or transformed, such as recordings of sound; the layer is for model inputs.

    Args:
        signal: Array of any shape.
        snr: float, a ratio of powers; None for no noise.
        rng: `numpy.random.Generator`.

    Returns:
        float32 array of the same shape.

    Raises:
        ValueError: The ratio is not positive, a sample is NaN, or `rng` is no
            generator.

    Example:

    ```python
    import numpy as np
    from keras_mmfusion.preprocessing import add_white_noise

    wave = np.sin(np.arange(4000))
    noisy = add_white_noise(wave, 0.5, np.random.default_rng(0))
    power = np.mean((noisy - wave) ** 2)  # twice that of the wave
    assert 0.9 < power / (2 * np.mean(wave**2)) < 1.1
    ```

    Reference:
        Barnum et al., arXiv:2011.07191, section 4.1.
    """
    check_snr(snr)
    signal = np.asarray(signal, "float32")
    if snr is None:
        return signal
    check_generator(rng)
    if not np.isfinite(signal).all():
        raise ValueError(
            "Noise goes by the power of all samples, which must be finite. Received: "
            "NaN or infinity among them. Add it before samples are marked as missing."
        )
    if not signal.size:
        return signal
    power = np.mean(np.square(signal, dtype="float64"))
    noise = rng.standard_normal(signal.shape, dtype="float32")
    return signal + np.float32(np.sqrt(power / snr)) * noise
