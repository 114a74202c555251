"""The transformer encoder of the ATD framework, for series, images and tokens."""

import math

import keras
from keras import ops

from keras_mmfusion._checks import check_positive_int, check_rate, positive_ints
from keras_mmfusion._serialization import register
from keras_mmfusion.layers._composite_layer import CompositeLayer, zero_where_masked
from keras_mmfusion.layers._crossmodal import CrossmodalBlock


@register()
class ATDEncoder(CompositeLayer):
    """Encode a series, an image or tokens by one kind of transformer.

    Patches (or tokens) are embedded by a dense layer, learned positions are added, and
    pre-norm transformer blocks follow:

    ```
    x = W patches + positions
    x = x + MultiHead(LN x),   x = x + FF(LN x)     for each layer
    output = LN x
    ```

    `FF` has four times the width and a ReLU. Patches do not overlap; the last one of a
    series is filled up with zeros. A patch counts as missing where all of its steps
    are masked; masked steps are zero in the others.

    Args:
        dim: int. Width of the output.
        num_layers: int. Blocks. Defaults to `1`.
        num_heads: int. Heads of attention, a divisor of `dim`. Defaults to `4`.
        patch: int, steps of a patch of a series; a pair of ints, height and width of
            a patch of an image; or `None` for tokens as they are. Defaults to `None`.
        class_token: bool. Whether a learned token, which may see all others, comes
            first. Defaults to `False`.
        max_tokens: int. Positions to learn where the number of tokens is not known
            when the layer is built. Defaults to `None`: as many as there are.
        dropout: float. Dropout of embeddings, attention and sublayers.
            Defaults to `0.0`.
        **kwargs: `name`, `dtype` and so on, as for any Keras layer.

    Call arguments:
        inputs: Tensor of series, tokens or images.
        mask: None or boolean `(batch, time)`; not for images.
        training: bool. Whether to drop out.

    Input shape:
        `(batch, time, channels)`, or `(batch, height, width, channels)` for a pair as
        `patch`; height and width are multiples of it.

    Output shape:
        `(batch, tokens, dim)`, with one token more for `class_token`.

    Raises:
        ValueError: for other ranks, an image that patches do not fill, more tokens
            than `max_tokens`, or an unknown number of tokens without it.

    Example:

    ```python
    import numpy as np
    from keras_mmfusion.layers import ATDEncoder

    week = np.random.rand(2, 7 * 24, 1).astype("float32")
    assert ATDEncoder(dim=16, patch=24)(week).shape == (2, 7, 16)
    images = np.random.rand(2, 28, 28, 1).astype("float32")
    assert ATDEncoder(dim=16, patch=(7, 7), class_token=True)(images).shape[1] == 17
    ```

    Reference:
        Qin, "Zoom and Shift is All You Need", section 3.2 and eq. 1, which leaves all
        but self-attention open; pre-norm and patches as in arXiv:2010.11929, of series
        as in arXiv:2211.14730.
    """

    def __init__(
        self,
        dim,
        num_layers=1,
        num_heads=4,
        patch=None,
        class_token=False,
        max_tokens=None,
        dropout=0.0,
        **kwargs,
    ):
        super().__init__(**kwargs)
        check_positive_int(dim=dim, num_layers=num_layers, num_heads=num_heads)
        check_rate(dropout=dropout)
        if dim % num_heads:
            raise ValueError(
                f"`num_heads` must divide `dim`. Received: num_heads={num_heads}, "
                f"dim={dim}"
            )
        if patch is not None:
            sides = positive_ints("patch", patch)
            if len(sides) > 2:
                raise ValueError(
                    f"`patch` must be an int or a pair of ints. Received: patch={patch}"
                )
            patch = sides if isinstance(patch, (list, tuple)) else sides[0]
        if max_tokens is not None:
            check_positive_int(max_tokens=max_tokens)
        self.dim = int(dim)
        self.num_layers = int(num_layers)
        self.num_heads = int(num_heads)
        self.patch = patch
        self.class_token = class_token
        self.max_tokens = max_tokens and int(max_tokens)
        self.dropout = dropout
        self.supports_masking = True

    @property
    def _of_images(self):
        return isinstance(self.patch, tuple)

    def build(self, input_shape):
        tokens = self._token_count(input_shape)
        count = tokens if self.max_tokens is None else self.max_tokens
        if count is None:
            raise ValueError(
                "ATDEncoder learns a vector for each position and needs to know how "
                "many there are. Received: an unknown number of steps. Set "
                "`max_tokens`."
            )
        features = input_shape[-1] * math.prod(self._sides())
        width = (None, None, self.dim)
        self.embedding = keras.layers.Dense(
            self.dim, dtype=self.child_policy("embedding"), name="embedding"
        )
        self.embedding.build((None, None, features))
        self.positions = self.add_weight(
            shape=(count, self.dim),
            initializer=keras.initializers.RandomNormal(stddev=0.02),
            name="positions",
        )
        self.class_vector = None
        if self.class_token:
            self.class_vector = self.add_weight(
                shape=(1, 1, self.dim),
                initializer=keras.initializers.RandomNormal(stddev=0.02),
                name="class_vector",
            )
        self.blocks = []
        for i in range(self.num_layers):
            block = CrossmodalBlock(
                self.dim,
                self.num_heads,
                dropout=self.dropout,
                dtype=self.child_policy(f"block_{i}"),
                name=f"block_{i}",
            )
            block.build(width)
            self.blocks.append(block)
        self.norm = keras.layers.LayerNormalization(
            epsilon=1e-5, dtype=self.child_policy("norm"), name="norm"
        )
        self.norm.build(width)
        self.embedding_dropout = None
        if self.dropout > 0:
            self.embedding_dropout = keras.layers.Dropout(
                self.dropout,
                dtype=self.child_policy("embedding_dropout"),
                name="embedding_dropout",
            )

    def call(self, inputs, mask=None, training=None):
        self._token_count(inputs.shape)
        if mask is not None and not self._of_images:
            inputs = zero_where_masked(inputs, mask)
        x = self.through(self.embedding, self._patches(inputs))
        count = ops.shape(x)[1]
        x = x + ops.cast(self.positions[:count], x.dtype)
        mask = self._token_mask(mask)
        if self.class_vector is not None:
            first = ops.cast(self.class_vector, x.dtype)
            first = ops.tile(first, (ops.shape(x)[0], 1, 1))
            x = ops.concatenate([first, x], axis=1)
        if self.embedding_dropout is not None:
            x = self.embedding_dropout(x, training=training)
        for block in self.blocks:
            x, _ = self.through(block, x, source_mask=mask, training=training)
        x = self.through(self.norm, x)
        return x if mask is None else zero_where_masked(x, mask)

    def compute_mask(self, inputs, mask=None):
        return self._token_mask(mask)

    def compute_output_shape(self, input_shape):
        tokens = self._token_count(input_shape)
        if tokens is not None:
            tokens += self.class_token
        return (input_shape[0], tokens, self.dim)

    # Patches.

    def _sides(self):
        return self.patch if self._of_images else (self.patch or 1,)

    def _token_count(self, shape):
        """How many patches there are, None if unknown; raise for what cannot be."""
        sides = self._sides()
        if len(shape) != len(sides) + 2 or shape[-1] is None:
            wanted = "(batch, height, width, channels)"
            if not self._of_images:
                wanted = "(batch, time, channels)"
            raise ValueError(
                f"ATDEncoder with patch={self.patch} expects {wanted} with known "
                f"channels. Received: shape {tuple(shape)}"
            )
        lengths = shape[1:-1]
        if self._of_images:
            if None in lengths or any(
                n % side for n, side in zip(lengths, sides, strict=True)
            ):
                raise ValueError(
                    f"ATDEncoder needs images that patches of {self.patch} fill. "
                    f"Received: shape {tuple(shape)}"
                )
            return math.prod(n // side for n, side in zip(lengths, sides, strict=True))
        if lengths[0] is None:
            return None
        tokens = math.ceil(lengths[0] / sides[0])
        limit = self.positions.shape[0] if self.built else self.max_tokens
        if limit is not None and tokens > limit:
            raise ValueError(
                f"ATDEncoder has learned positions of {limit} tokens. Received: "
                f"{tokens} tokens, of shape {tuple(shape)}. Set `max_tokens`."
            )
        return tokens

    def _patches(self, inputs):
        channels = inputs.shape[-1]
        if self._of_images:
            height, width = self.patch
            rows, columns = inputs.shape[1] // height, inputs.shape[2] // width
            x = ops.reshape(inputs, (-1, rows, height, columns, width, channels))
            x = ops.transpose(x, (0, 1, 3, 2, 4, 5))
            return ops.reshape(x, (-1, rows * columns, height * width * channels))
        if self.patch is None:
            return inputs
        x = self._filled_up(inputs)
        count = ops.shape(x)[1] // self.patch
        return ops.reshape(x, (ops.shape(x)[0], count, self.patch * channels))

    def _filled_up(self, x):
        """With zeros, or False, up to a multiple of the patch."""
        missing = -x.shape[1] % self.patch if x.shape[1] else None
        if missing is None:
            missing = -ops.shape(x)[1] % self.patch
        elif not missing:
            return x
        return ops.pad(x, [[0, 0], [0, missing]] + [[0, 0]] * (len(x.shape) - 2))

    def _token_mask(self, mask):
        if mask is None or self._of_images:
            return None
        mask = ops.cast(mask, "bool")
        if self.patch is not None:
            steps = self._filled_up(ops.cast(mask, "int32"))
            count = ops.shape(steps)[1] // self.patch
            steps = ops.reshape(steps, (ops.shape(steps)[0], count, self.patch))
            mask = ops.amax(steps, axis=-1) > 0
        if self.class_token:
            # Missing where all is.
            mask = ops.concatenate([ops.any(mask, axis=1, keepdims=True), mask], axis=1)
        return mask

    def get_config(self):
        config = super().get_config()
        config.update(
            {
                "dim": self.dim,
                "num_layers": self.num_layers,
                "num_heads": self.num_heads,
                "patch": self.patch,
                "class_token": self.class_token,
                "max_tokens": self.max_tokens,
                "dropout": self.dropout,
            }
        )
        return config
