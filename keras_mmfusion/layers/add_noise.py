"""White noise at a chosen signal-to-noise ratio."""

import numbers

import keras
from keras import ops

from keras_mmfusion._serialization import register
from keras_mmfusion.layers._composite_layer import zero_where_masked


@register()
class AddNoise(keras.layers.Layer):
    """Add white Gaussian noise at a chosen signal-to-noise ratio, per modality.

    With `P` the power of one sample of a modality, the mean square of its valid
    entries,

    ```
    out = x + n,   n ~ Normal(0, P / snr),   snr = P / E[n²]
    ```

    The ratio is one of powers, 16, 4 or 0.25, not of decibels: those are
    `10 log10(snr)`. A sample of zeros stays as it is, and so does what is masked.

    Args:
        snr: float, or None for no noise. For several modalities one of these for
            all, or a list of one each.
        inference: bool. Whether noise is added outside of training too, to measure
            how robust a model is. Defaults to `False`.
        seed: int or None. Seed of the draws. Defaults to `None`.
        **kwargs: `name`, `dtype` and so on, as for any Keras layer.

    Call arguments:
        inputs: Tensor `(batch, ...)`, or list of such tensors.
        mask: None, or the boolean mask `(batch, time)` of a tensor; for a list, a
            list of those or Nones.
        training: bool. Whether noise is added, unless `inference=True`.

    Input shape:
        Any with two axes or more; a list of those.

    Output shape:
        As the input. Whole numbers become floats.

    Raises:
        ValueError: for a ratio that is not positive, or a number of ratios or masks
            other than that of the modalities.

    Example:

    ```python
    import numpy as np
    from keras_mmfusion.layers import AddNoise

    image, sound = np.ones((4, 28, 28, 1), "float32"), np.ones((4, 40, 201), "float32")
    noisy = AddNoise([16, None], seed=1)([image, sound], training=True)
    assert noisy[0].shape == (4, 28, 28, 1)
    ```

    Reference:
        Barnum et al., "On the benefits of early fusion in multimodal representation
        learning", arXiv:2011.07191, section 4.1 and Fig. 2: white noise on each
        modality at ratios from 16 to 0.0625. That ratios are of powers, those of the
        valid entries of each sample, is ours.
    """

    def __init__(self, snr, inference=False, seed=None, **kwargs):
        super().__init__(**kwargs)
        ratios = list(snr) if isinstance(snr, (list, tuple)) else [snr]
        for ratio in ratios:
            number = isinstance(ratio, numbers.Real) and not isinstance(ratio, bool)
            if ratio is not None and not (number and ratio > 0):
                raise ValueError(
                    "`snr` must be a positive ratio of powers, None for no noise, or a "
                    f"list of those. Received: snr={snr!r}. From decibels: 10 ** (dB / "
                    "10)."
                )
        self.snr = ratios if isinstance(snr, (list, tuple)) else snr
        self.inference = inference
        self.seed = seed
        self.seed_generator = keras.random.SeedGenerator(seed)
        self.supports_masking = True

    def build(self, input_shape):
        if not isinstance(self.snr, list):
            return
        many = input_shape and isinstance(input_shape[0], (list, tuple))
        count = len(input_shape) if many else 1
        if count != len(self.snr):
            raise ValueError(
                f"`snr` must be one ratio or one per modality ({count}). "
                f"Received: snr={self.snr}"
            )

    def call(self, inputs, mask=None, training=None):
        many = isinstance(inputs, (list, tuple))
        xs = list(inputs) if many else [inputs]
        # Noise in whole numbers, such as those of an image, would be cut and wrap.
        xs = [ops.cast(x, self.compute_dtype) for x in xs]
        masks = list(mask) if many and mask is not None else [mask] * len(xs)
        if len(masks) != len(xs):
            raise ValueError(
                f"AddNoise expects `mask` to be None or a list of {len(xs)} masks or "
                f"Nones. Received: mask={mask}"
            )
        ratios = self.snr if isinstance(self.snr, list) else [self.snr] * len(xs)
        outputs = [
            x
            if ratio is None or not (training or self.inference)
            else self._noisy(x, m, ratio)
            for x, m, ratio in zip(xs, masks, ratios, strict=True)
        ]
        return outputs if many else outputs[0]

    def _noisy(self, x, mask, ratio):
        signal = zero_where_masked(ops.cast(x, "float32"), mask)
        axes = tuple(range(1, len(x.shape)))
        power = ops.sum(ops.square(signal), axis=axes, keepdims=True)
        entries = ops.ones_like(signal)
        entries = ops.sum(zero_where_masked(entries, mask), axis=axes, keepdims=True)
        power = power / ops.maximum(entries, 1.0)
        some = ops.greater(power, 0.0)
        scale = ops.sqrt(ops.where(some, power, 1.0) / ratio)
        scale = ops.where(some, scale, 0.0)
        noise = keras.random.normal(
            ops.shape(signal), dtype="float32", seed=self.seed_generator
        )
        noise = zero_where_masked(scale * noise, mask)
        return x + ops.cast(noise, x.dtype)

    def compute_output_shape(self, input_shape):
        return input_shape

    def get_config(self):
        config = super().get_config()
        config.update({"snr": self.snr, "inference": self.inference, "seed": self.seed})
        return config
