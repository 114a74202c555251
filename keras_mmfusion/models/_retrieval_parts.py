"""What teaches a retriever: pairs that do not belong together, and two losses."""

import math

import keras
from keras import ops

from keras_mmfusion._serialization import register
from keras_mmfusion.models._missing import MaskedMean
from keras_mmfusion.models._part import Part

NEVER = -1e9


@register()
class ContrastiveLoss(keras.layers.Layer):
    """Each image finds its text among those of the batch, and the reverse.

    Adds the mean of both cross-entropies over cosines divided by a learned temperature,
    which is kept in [0.01, 1].

    Call arguments:
        inputs: `[images, texts]`, unit vectors `(batch, dim)`.

    Returns:
        Logits `(batch, batch)`, a row for each image.

    Reference:
        Radford et al., arXiv:2103.00020, section 2.3 and Fig. 3.
    """

    BOUNDS = (math.log(0.01), 0.0)

    def __init__(self, temperature=0.07, **kwargs):
        super().__init__(**kwargs)
        self.temperature = temperature

    def build(self, input_shape):
        self.log_temperature = self.add_weight(
            shape=(),
            initializer=keras.initializers.Constant(math.log(self.temperature)),
            autocast=False,
            name="log_temperature",
        )

    def call(self, inputs):
        images, texts = (ops.cast(x, "float32") for x in inputs)
        bounded = ops.clip(self.log_temperature, *self.BOUNDS)
        logits = ops.matmul(images, ops.transpose(texts)) * ops.exp(-bounded)
        right = ops.arange(ops.shape(logits)[0])
        both = [logits, ops.transpose(logits)]
        losses = [
            keras.losses.sparse_categorical_crossentropy(right, x, from_logits=True)
            for x in both
        ]
        self.add_loss(ops.mean(ops.concatenate(losses)))
        return logits

    def compute_output_spec(self, inputs):
        batch = inputs[0].shape[0]
        return keras.KerasTensor((batch, batch), dtype="float32")

    def get_config(self):
        return {**super().get_config(), "temperature": self.temperature}


@register()
class AddNegatives(keras.layers.Layer):
    """In training, each image with a wrong text and each text with a wrong image.

    The wrong ones are drawn from the batch by how much they look right.

    Call arguments:
        inputs: `[image features, text features, image mask, text mask, logits]`.
        training: bool.

    Output shape:
        The first four, of `3 × batch` samples in training: the right pairs, then
        images with wrong texts, then texts with wrong images.

    Reference:
        Li et al., arXiv:2107.07651, section 3.2, hard negatives.
    """

    def __init__(self, seed=None, **kwargs):
        super().__init__(**kwargs)
        self.seed = seed
        self.seed_generator = keras.random.SeedGenerator(seed)
        # Masks are among inputs and outputs.
        self.supports_masking = True

    def compute_mask(self, inputs, mask=None):
        return None

    def call(self, inputs, training=None):
        *pair, logits = inputs
        images, texts, image_mask, text_mask = pair
        if not training:
            return pair
        logits = ops.stop_gradient(logits)
        own = ops.eye(ops.shape(logits)[0])
        wrong_texts = self._draw(logits + NEVER * own)
        wrong_images = self._draw(ops.transpose(logits) + NEVER * own)

        def joined(x, *numbers):
            parts = [x if n is None else ops.take(x, n, axis=0) for n in numbers]
            return ops.concatenate([x, *parts], axis=0)

        return [
            joined(images, None, wrong_images),
            joined(texts, wrong_texts, None),
            joined(image_mask, None, wrong_images),
            joined(text_mask, wrong_texts, None),
        ]

    def _draw(self, logits):
        drawn = keras.random.categorical(logits, 1, seed=self.seed_generator)
        return drawn[:, 0]

    def compute_output_spec(self, inputs, training=None):
        return [keras.KerasTensor((None, *x.shape[1:]), x.dtype) for x in inputs[:4]]

    def build(self, input_shape):
        self.built = True

    def get_config(self):
        return {**super().get_config(), "seed": self.seed}


@register()
class MatchingLoss(keras.layers.Layer):
    """In training, tells right pairs from the others; only theirs go on.

    Call arguments:
        inputs: `[scores, logits]`: `(pairs, 1)`, the right pairs first, and what has
            the size of the batch.
        training: bool.

    Output shape:
        `(batch, 1)`.
    """

    def call(self, inputs, training=None):
        scores, logits = ops.cast(inputs[0], "float32"), inputs[1]
        if not training:
            return scores
        batch = ops.shape(logits)[0]
        right = scores[:batch]
        losses = ops.softplus(ops.concatenate([-right, scores[batch:]], axis=0))
        # As much of right pairs as of wrong ones, of which there are twice as many.
        weights = ops.concatenate(
            [ops.ones_like(right), 0.5 * ops.ones_like(scores[batch:])], axis=0
        )
        self.add_loss(ops.mean(losses * weights) * 1.5)
        return right

    def compute_output_spec(self, inputs, training=None):
        return keras.KerasTensor((inputs[1].shape[0], 1), dtype="float32")

    def build(self, input_shape):
        self.built = True


@register()
class UnitVectors(Part):
    """Vectors of length 1; zeros stay zeros, and have gradients of zero.

    The gradient of Keras' UnitNormalization is NaN there.
    """

    def call(self, inputs):
        squares = ops.sum(ops.square(inputs), axis=-1, keepdims=True)
        return inputs * ops.rsqrt(ops.maximum(squares, 1e-12))

    def compute_output_shape(self, input_shape):
        return input_shape

    def build(self, input_shape):
        self.built = True


def embed(name, features, dim, policy, dense_policy):
    """Unit vectors of encoded features; zeros for what is missing."""
    x = MaskedMean(name=f"{name}_pool", dtype=policy)(features)
    x = keras.layers.Dense(
        dim, use_bias=False, name=f"{name}_projection", dtype=dense_policy
    )(x)
    return UnitVectors(name=f"{name}_embedding", dtype="float32")(x)
