"""The contract that all fusion layers share."""

import keras
from keras import ops

from keras_mmfusion._checks import check_choice, check_positive_int
from keras_mmfusion.layers import _alignment
from keras_mmfusion.layers._composite_layer import CompositeLayer, zero_where_masked


class FusionLayer(CompositeLayer):
    """Base of the fusion layers: `([x1, …, xM], mask=[m1, …, mM]) -> (B, T_1, dim)`.

    A subclass creates its children in `build`, after `super().build(shapes)`,
    and implements `fuse(streams, masks, training, with_scores) -> (output, scores)`.
    There `masks` is None, or a list of M boolean tensors without None among them,
    and masked steps of the streams are zero already. The scores are read only
    `with_scores`. This class zeroes the masked steps of the output, computes its
    mask and checks shapes.

    Streams of one length are *time-aligned*: step t of the output is computed
    from whichever modalities have data at t. Streams of unlike lengths are not:
    each is resampled onto the valid steps of the first. `aligned` overrides what
    the lengths suggest.
    """

    def __init__(self, dim, aligned=None, **kwargs):
        super().__init__(**kwargs)
        check_positive_int(dim=dim)
        check_choice((None, True, False), aligned=aligned)
        self.dim = int(dim)
        self.aligned = aligned
        self.supports_masking = True
        self._widths = None

    def fuse(self, streams, masks, training, with_scores):
        raise NotImplementedError

    def attention_shapes(self, input_shape):
        """Shapes of the attention scores; none unless a subclass says so."""
        return []

    def attention_names(self, names):
        """What each of the attention scores is of: `(asking, asked)` names.

        Args:
            names: Sequence of str, one per modality.

        Returns:
            List of tuples `(query, key)`, in the order of the scores.
        """
        return []

    # Shapes and masks.

    def check_shapes(self, input_shape):
        name = type(self).__name__
        if (
            not isinstance(input_shape, (list, tuple))
            or len(input_shape) < 2
            or not all(isinstance(shape, (list, tuple)) for shape in input_shape)
        ):
            raise ValueError(
                f"{name} expects a list of at least two tensors, one (batch, time, "
                f"features) tensor per modality. Received: input_shape={input_shape}. "
                f"Call it as `layer([x1, x2])`."
            )
        for i, shape in enumerate(input_shape):
            if len(shape) != 3 or shape[2] is None:
                raise ValueError(
                    f"{name} expects every modality as (batch, time, features) with a "
                    f"known number of features. Received: shape {tuple(shape)} for "
                    f"modality {i}. Give a single vector a time axis of one step, and "
                    f"flatten the space of an image into tokens."
                )
        widths = tuple(shape[2] for shape in input_shape)
        # Swapped ones, or fewer, would be fused with the weights of others.
        if self._widths not in (None, widths):
            raise ValueError(
                f"{name} was built for {len(self._widths)} modalities of "
                f"{self._widths} features, in this order. Received: {len(widths)} of "
                f"{widths}. Give them in that order, or to a layer of their own."
            )
        sizes = [shape[0] for shape in input_shape if shape[0] is not None]
        # One sample would be fused with each of the others. A list, not a set: while
        # PyTorch traces a model, its sizes are tensors.
        if any(size != sizes[0] for size in sizes[1:]):
            raise ValueError(
                f"{name} expects the same samples of every modality. Received: "
                f"batches of {sizes}. Repeat what is the same for all of them."
            )
        self.check_lengths(input_shape)

    def check_lengths(self, input_shape):
        for shape in input_shape:
            _alignment.known_alignment(input_shape[0], shape, self.aligned)

    def check_masks(self, inputs, mask):
        """Return None, or one bool mask per modality."""
        if mask is None:
            return None
        if not isinstance(mask, (list, tuple)) or len(mask) != len(inputs):
            raise ValueError(
                f"{type(self).__name__} expects `mask` to be None or a list of "
                f"{len(inputs)} masks, one per modality, each None or a boolean "
                f"(batch, time) tensor. Received: mask={mask}"
            )
        if all(m is None for m in mask):
            return None
        masks = []
        for i, (x, m) in enumerate(zip(inputs, mask, strict=True)):
            if m is None:
                masks.append(_alignment.all_valid(x))
                continue
            m = ops.cast(m, "bool")
            sizes = zip(m.shape, x.shape[:2], strict=False)
            fits = all(None in pair or pair[0] == pair[1] for pair in sizes)
            if len(m.shape) != 2 or not fits:
                raise ValueError(
                    f"{type(self).__name__} expects masks of shape (batch, time), that "
                    f"of their modality. Received: shape {tuple(m.shape)} for the mask "
                    f"of modality {i}, of shape {tuple(x.shape)}"
                )
            masks.append(m)
        return masks

    def is_aligned(self, first, other):
        """True, False or None (unknown yet) for two tensors."""
        return _alignment.known_alignment(first.shape, other.shape, self.aligned)

    def align(self, first, first_mask, other, other_mask):
        """Bring `other` onto the time axis of `first`.

        Returns:
            `(weights, mask, merged)`: what `_alignment.resample` needs, the mask of
            the resampled stream, and the mask of both together. Masks are None
            where none are given.
        """
        aligned = self.is_aligned(first, other)
        if first_mask is None:
            if aligned:
                return None, None, None
            weights, _ = _alignment.align(
                _alignment.all_valid(first[:1]),
                _alignment.all_valid(other[:1]),
                aligned,
            )
            return weights, None, None
        weights, mask = _alignment.align(first_mask, other_mask, aligned)
        return weights, mask, ops.logical_or(first_mask, mask)

    def merged_mask(self, inputs, masks):
        """The mask of the output; `masks` as `check_masks` returns them."""
        if masks is None:
            return None
        merged = masks[0]
        for x, m in zip(inputs[1:], masks[1:], strict=True):
            aligned = self.is_aligned(inputs[0], x)
            merged = _alignment.merge_masks(merged, m, aligned)
        return merged

    # What Keras calls.

    def build(self, input_shape):
        self.check_shapes(input_shape)
        self._widths = tuple(shape[2] for shape in input_shape)

    def call(self, inputs, mask=None, training=None, return_attention_scores=False):
        self.check_shapes([tuple(x.shape) for x in inputs])
        masks = self.check_masks(inputs, mask)
        streams = list(inputs)
        if masks is not None:
            streams = [
                zero_where_masked(x, m) for x, m in zip(streams, masks, strict=True)
            ]
        output, scores = self.fuse(
            streams, masks, training, bool(return_attention_scores)
        )
        output = zero_where_masked(output, self.merged_mask(inputs, masks))
        if return_attention_scores:
            return output, scores
        return output

    def compute_mask(self, inputs, previous_mask):
        return self.merged_mask(inputs, self.check_masks(inputs, previous_mask))

    def compute_output_shape(self, input_shape):
        self.check_shapes(input_shape)
        return (input_shape[0][0], input_shape[0][1], self.dim)

    def compute_output_spec(
        self, inputs, mask=None, training=None, return_attention_scores=False
    ):
        shapes = [tuple(x.shape) for x in inputs]
        output = keras.KerasTensor(
            self.compute_output_shape(shapes), dtype=self.compute_dtype
        )
        if not return_attention_scores:
            return output
        return output, [
            keras.KerasTensor(shape, dtype=self.compute_dtype)
            for shape in self.attention_shapes(shapes)
        ]

    def get_config(self):
        config = super().get_config()
        config.update({"dim": self.dim, "aligned": self.aligned})
        return config


def alignment_of(causal, aligned):
    """What `aligned` is to be in a layer that may be causal: then it has to be true."""
    if causal and aligned is False:
        raise ValueError(
            "`causal=True` needs time-aligned streams. Received: aligned=False"
        )
    return True if causal else aligned
