"""From an image and a recording of a digit to the inputs of a model."""

from fractions import Fraction

import numpy as np

from keras_mmfusion._checks import (
    check_band,
    check_positive_int,
    check_positive_number,
)
from keras_mmfusion._serialization import register
from keras_mmfusion.datasets.ecg_record import RecordError
from keras_mmfusion.preprocessing.spectrogram import mel_scale, spectrogram

IMAGE_SIZE = 28
# Far beyond 1, which noise may go beyond: floats that were not divided by 255.
BRIGHTEST = 16
# Sound so many times slower or faster than the model's is none, but a wrong header.
RATIO = 100


@register()
class DigitPreprocessor:
    """Prepare a picture and a recording of a spoken digit.

    The picture is scaled to [0, 1]. The recording is brought to `rate` and to one
    loudness, padded with zeros in front, and turned into a spectrogram; of one that
    is too long, the loudest part is kept.

    Args:
        rate: float. Samples a second. Defaults to `8000.0`.
        samples: int. Length of every recording. Defaults to `8400`, the 41 steps of
            the paper's figures.
        window: int. Samples of a step of the spectrogram. Defaults to `400`.
        hop: int. Samples from step to step. Defaults to `200`.
        mel_bands: int or None. Sum the bins in that many mel bands.
            Defaults to `None`: all `window // 2 + 1` bins.
        mel_range: pair of floats, ends of the bands in hertz.
            Defaults to `(20.0, 4000.0)`.
        level: float or None. Root mean square to which every recording is brought
            before it is padded; the speakers differ tenfold. Defaults to `1.0`.
        compress: bool. Take `log(1 + x)` of the magnitudes. Defaults to `True`.

    Call arguments:
        image: Array `(28, 28)` of a white digit on black, integers from 0 to 255 or
            floats from 0 to 1; None if missing.
        sound: Array `(samples,)`; None if missing.
        rate: float. Samples a second of `sound`. Defaults to `None`: as it should be.

    Returns:
        dict of float32 arrays `"image"`, `(1, 1, 28, 28, 1)`, and `"sound"`,
        `(1, steps, bins)`: a batch of one. NaN throughout for what is missing.

    Raises:
        RecordError: an image of another size or range, or a sound without samples,
            with NaN, with more than one channel, or of a rate 100 times as low or as
            high.
        ValueError: settings that do not fit together.

    Example:

    ```python
    import numpy as np
    from keras_mmfusion.preprocessing import DigitPreprocessor

    prepare = DigitPreprocessor()
    image, sound = np.zeros((28, 28), "uint8"), np.sin(np.arange(3000))
    inputs = prepare(image, sound)
    assert inputs["sound"].shape == (1, 41, 201)
    assert np.isnan(prepare(image)["sound"]).all()
    ```

    Reference:
        Barnum et al., arXiv:2011.07191, section 4.1. Loudness and logarithm are ours,
        and so is what a spectrogram is there: magnitudes under a Hann window. There,
        the length is that of the longest recording.
    """

    def __init__(
        self,
        rate=8000.0,
        samples=8400,
        window=400,
        hop=200,
        mel_bands=None,
        mel_range=(20.0, 4000.0),
        level=1.0,
        compress=True,
    ):
        check_positive_number(rate=rate)
        if level is not None:
            check_positive_number(level=level)
        self.rate = float(rate)
        self.samples = int(samples)
        self.window = int(window)
        self.hop = int(hop)
        self.mel_bands = mel_bands
        self.mel_range = tuple(mel_range)
        self.level = level
        self.compress = bool(compress)
        if self.hop < 1 or not 2 <= self.window <= self.samples:
            raise ValueError(
                "`window` must be 2 to `samples`, and `hop` at least 1. Received: "
                f"window={window}, hop={hop}, samples={samples}."
            )
        if mel_bands is not None:
            check_positive_int(mel_bands=mel_bands)
            check_band(self.mel_range, self.rate)

    def get_config(self):
        return {
            "rate": self.rate,
            "samples": self.samples,
            "window": self.window,
            "hop": self.hop,
            "mel_bands": self.mel_bands,
            "mel_range": list(self.mel_range),
            "level": self.level,
            "compress": self.compress,
        }

    @classmethod
    def from_config(cls, config):
        return cls(**config)

    @property
    def shapes(self):
        """Shapes of one sample of each modality, time first."""
        steps = 1 + (self.samples - self.window) // self.hop
        bins = self.mel_bands or self.window // 2 + 1
        return {"image": (1, IMAGE_SIZE, IMAGE_SIZE, 1), "sound": (steps, bins)}

    def __call__(self, image=None, sound=None, rate=None):
        inputs = {
            name: np.full((1, *shape), np.nan, "float32")
            for name, shape in self.shapes.items()
        }
        if image is not None:
            inputs["image"][0] = self.image(image)
        if sound is not None:
            inputs["sound"][0] = self.describe(self.wave(sound, rate))
        return inputs

    def image(self, image):
        """A picture as float32 `(1, 28, 28, 1)` from 0 to 1."""
        image = np.asarray(image)
        if image.shape != (IMAGE_SIZE, IMAGE_SIZE):
            raise RecordError(
                f"Expected a grey image of {IMAGE_SIZE} x {IMAGE_SIZE} pixels. "
                f"Received: an array of shape {image.shape}. Resize it; "
                "`read_digit_image` makes one of a picture file."
            )
        scale = 255 if np.issubdtype(image.dtype, np.integer) else 1
        scaled = image.astype("float32") / np.float32(scale)
        if (np.abs(scaled) > BRIGHTEST).any():
            raise RecordError(
                "Expected an image of integers from 0 to 255, or of floats from 0 to "
                f"1. Received: {image.dtype} from {image.min():g} to {image.max():g}. "
                "Bring it to one of these ranges."
            )
        return scaled[None, :, :, None]

    def wave(self, sound, rate=None):
        """A recording as float32 `(samples,)`: resampled, levelled, padded."""
        sound = np.asarray(sound, "float32")
        if sound.ndim != 1 or len(sound) == 0 or not np.isfinite(sound).all():
            raise RecordError(
                "Expected one channel of sound with at least one sample, all of them "
                f"numbers. Received: an array of shape {sound.shape}"
                + (" with NaN." if sound.size and sound.ndim == 1 else ".")
            )
        sound = self._loudest(self._resample(sound, rate))
        power = np.mean(np.square(sound, dtype="float64"))
        if self.level is not None and power > 0:
            sound = sound * np.float32(self.level / np.sqrt(power))
        return np.pad(sound, (self.samples - len(sound), 0))

    def describe(self, waves):
        """Model input `(..., steps, bins)` of waves `(..., samples)`."""
        features = spectrogram(waves, self.window, self.hop)
        if self.mel_bands is not None:
            features = mel_scale(features, self.rate, self.mel_bands, *self.mel_range)
        return np.log1p(features) if self.compress else features

    def _loudest(self, sound):
        """The part of `samples` samples with most power in it; all if shorter."""
        if len(sound) <= self.samples:
            return sound
        energy = np.concatenate([[0.0], np.cumsum(np.square(sound, dtype="float64"))])
        first = int(np.argmax(energy[self.samples :] - energy[: -self.samples]))
        return sound[first : first + self.samples]

    def _resample(self, sound, rate):
        if rate is None or rate == self.rate:
            return sound
        lowest, highest = self.rate / RATIO, self.rate * RATIO
        if not lowest <= rate <= highest:
            raise RecordError(
                f"Expected sound of {lowest:,.9g} to {highest:,.9g} samples a second. "
                f"Received: rate={rate:,.9g}. Correct it, or the header of the file."
            )
        try:
            from scipy.signal import resample_poly
        except ImportError as error:
            raise ImportError(
                f"Bringing sound from {rate:g} to {self.rate:g} Hz needs the package "
                "scipy: pip install 'keras_mmfusion[digits]'"
            ) from error
        ratio = Fraction(self.rate / rate).limit_denominator(1000)
        return resample_poly(sound, ratio.numerator, ratio.denominator)
