"""Sound as a picture: log-mel spectrograms and how they change."""

import math

import keras
import numpy as np
from keras import ops

from keras_mmfusion._checks import (
    check_band,
    check_choice,
    check_positive_int,
    check_positive_number,
)
from keras_mmfusion._serialization import register
from keras_mmfusion.layers._composite_layer import zero_where_masked
from keras_mmfusion.layers._deltas import all_of, deltas_of

# A magnitude of zero counts as the root of this: the gradient stays finite.
TINY = 1e-30


@register()
class LogMel(keras.layers.Layer):
    """Logarithm of the energy in mel bands, step by step, with its deltas.

    A wave is cut into steps, none of which reaches beyond its ends, and each is
    multiplied with a periodic window. The energies of its Fourier transform are summed
    in triangular bands. The first delta is the slope of the straight line, and the
    second the second derivative of the parabola, through 9 steps by least squares; the
    4 steps at either end have those of the first and last 9. Recordings of fewer than
    9 steps have deltas of zero.

    The numbers are those of `librosa.feature.melspectrogram(center=False)` and
    `librosa.feature.delta`, with `mel="htk"` and `power=1` those of
    `keras_mmfusion.preprocessing.mel_scale` and tensorflow-io. They are computed in
    float32 under any dtype policy, from inputs as they are.

    A step counts if all its samples do. Masked steps are zero, and deltas do not reach
    over them. Converters to ONNX refuse the Fourier transform: leave the layer out of a
    model that is exported so.

    Args:
        rate: float. Samples a second.
        bands: int. Number of bands. Defaults to `64`.
        lowest: float. Lower end of the first band in hertz. Defaults to `20.0`.
        highest: float. Upper end of the last band in hertz, at most half of `rate`.
            Defaults to `8000.0`.
        window: float. Seconds of a step. Defaults to `0.025`.
        hop: float. Seconds from one step to the next. Defaults to `0.010`.
        deltas: bool. Whether the deltas are channels too. Defaults to `True`.
        mel: `"slaney"`, triangles of equal area over hertz, librosa's default; or
            `"htk"`, triangles with a peak of one over mel. Defaults to `"slaney"`.
        taper: `"hamming"` or `"hann"`. Defaults to `"hamming"`.
        power: `2` for energies, `1` for magnitudes. Defaults to `2`.
        decibels: bool. Whether the logarithm is `10 log10` for energies and
            `20 log10` for magnitudes, and not the natural one. Defaults to `False`.
        floor: float. Smaller sums count as this. Defaults to `1e-10`.
        **kwargs: `name`, `dtype` and so on, as for any Keras layer.

    Call arguments:
        inputs: Tensor `(batch, samples)`, from -1 to 1.
        mask: None or boolean `(batch, samples)`.

    Input shape:
        `(batch, samples)`, both of which may be unknown.

    Output shape:
        `(batch, time, bands, channels)` with `1 + (samples - window) // hop` steps, in
        samples, and three channels: bands, first and second deltas. One without
        deltas.

    Raises:
        ValueError: for bands above half of the rate or without any frequency of the
            transform, other ranks, or waves shorter than a step.

    Example:

    ```python
    import numpy as np
    from keras_mmfusion.layers import LogMel

    tone = np.sin(2 * np.pi * 1000 * np.arange(16_000) / 16_000)
    picture = LogMel(rate=16_000)(tone[None])
    assert picture.shape == (1, 98, 64, 3)
    ```

    Reference:
        Zheng et al., "Multi-channel weight-sharing autoencoder based on cascade
        multi-head attention for multimodal emotion recognition", IV.B. It speaks of
        "10ms overlapping"; we take that as the hop. Scale, logarithm and width of the
        deltas are not said there.
    """

    def __init__(
        self,
        rate,
        bands=64,
        lowest=20.0,
        highest=8000.0,
        window=0.025,
        hop=0.010,
        deltas=True,
        mel="slaney",
        taper="hamming",
        power=2,
        decibels=False,
        floor=1e-10,
        **kwargs,
    ):
        # Half precision is too coarse for a wave: the layer casts by itself.
        super().__init__(autocast=False, **kwargs)
        check_positive_int(bands=bands)
        check_choice(("slaney", "htk"), mel=mel)
        check_choice(("hamming", "hann"), taper=taper)
        check_choice((1, 2), power=power)
        check_positive_number(rate=rate, window=window, hop=hop, floor=floor)
        check_band((lowest, highest), rate)
        self.rate = rate
        self.bands = int(bands)
        self.lowest = lowest
        self.highest = highest
        self.window = window
        self.hop = hop
        self.deltas = bool(deltas)
        self.mel = mel
        self.taper = taper
        self.power = power
        self.decibels = bool(decibels)
        self.floor = floor
        self.supports_masking = True
        self._size = max(round(rate * window), 2)
        self._stride = max(round(rate * hop), 1)
        angles = 2 * np.pi * np.arange(self._size) / self._size
        level = 0.54 if taper == "hamming" else 0.5
        self._taper = (level - (1 - level) * np.cos(angles)).astype("float32")
        self._weights = self._band_weights()

    def _band_weights(self):
        """What each bin of the transform counts in each band, `(bins, bands)`."""
        hertz = np.fft.rfftfreq(self._size, 1 / self.rate)
        to_mel = _htk if self.mel == "htk" else _slaney
        edges = np.linspace(to_mel(self.lowest), to_mel(self.highest), self.bands + 2)
        if self.mel == "htk":
            weights = _triangles(to_mel(hertz), edges)
        else:
            edges = _slaney_hertz(edges)
            weights = _triangles(hertz, edges) * 2 / (edges[2:] - edges[:-2])
        if not weights.any(axis=0).all():
            raise ValueError(
                f"Every band must hold a frequency of the transform, which are "
                f"{self.rate / self._size:g} Hz apart. Received: bands={self.bands}, "
                f"lowest={self.lowest:g}, highest={self.highest:g}, "
                f"window={self.window:g}. Use fewer bands or a longer window."
            )
        return weights.astype("float32")

    def build(self, input_shape):
        self.compute_output_shape(input_shape)

    def call(self, inputs, mask=None):
        self.compute_output_shape(inputs.shape)
        x = ops.cast(inputs, "float32")
        if mask is not None:
            x = zero_where_masked(x, ops.cast(mask, "bool"))
        real, imaginary = ops.stft(
            x, self._size, self._stride, self._size, window=self._taper, center=False
        )
        x = real * real + imaginary * imaginary
        if self.power == 1:
            x = ops.sqrt(ops.maximum(x, TINY))
        x = ops.matmul(x, ops.convert_to_tensor(self._weights))
        x = ops.log(ops.maximum(x, self.floor))
        if self.decibels:
            x = x * (20 / self.power / math.log(10))
        valid = ops.ones_like(x[..., 0], dtype="bool")
        if mask is not None:
            valid = self.compute_mask(inputs, mask)
            x = zero_where_masked(x, valid)
        channels = [x, *deltas_of(x, valid)] if self.deltas else [x]
        return ops.cast(ops.stack(channels, axis=-1), self.compute_dtype)

    def compute_mask(self, inputs, mask=None):
        """Steps all samples of which count."""
        if mask is None:
            return None
        return all_of(ops.cast(mask, "bool"), self._size, self._stride)

    def compute_output_shape(self, input_shape):
        shape = tuple(input_shape)
        if len(shape) != 2:
            raise ValueError(
                f"LogMel expects waves (batch, samples). Received: shape {shape}. Take "
                "the mean of several channels first."
            )
        time = shape[1]
        if time is not None:
            if time < self._size:
                raise ValueError(
                    f"LogMel needs at least one window of {self._size} samples. "
                    f"Received: shape {shape}. Pad it with zeros."
                )
            time = 1 + (time - self._size) // self._stride
        return (shape[0], time, self.bands, 3 if self.deltas else 1)

    def get_config(self):
        config = super().get_config()
        config.update(
            {
                "rate": self.rate,
                "bands": self.bands,
                "lowest": self.lowest,
                "highest": self.highest,
                "window": self.window,
                "hop": self.hop,
                "deltas": self.deltas,
                "mel": self.mel,
                "taper": self.taper,
                "power": self.power,
                "decibels": self.decibels,
                "floor": self.floor,
            }
        )
        return config


def _triangles(bins, edges):
    """Triangles from each edge to the next but one, with a peak of one."""
    low, middle, high = edges[:-2], edges[1:-1], edges[2:]
    rising = (bins[:, None] - low) / (middle - low)
    falling = (high - bins[:, None]) / (high - middle)
    return np.maximum(0.0, np.minimum(rising, falling))


def _htk(hertz):
    return 1127.0 * np.log1p(hertz / 700.0)


# The scale of Slaney's toolbox: 3 mel for 200 Hz up to 1 kHz, and 27 mel for a factor
# of 6.4 above.
def _slaney(hertz):
    above = 15 + 27 * np.log(np.maximum(hertz, 1000) / 1000) / np.log(6.4)
    return np.where(hertz < 1000, 3 * hertz / 200, above)


def _slaney_hertz(mel):
    above = 1000 * 6.4 ** ((np.maximum(mel, 15) - 15) / 27)
    return np.where(mel < 15, 200 * mel / 3, above)
