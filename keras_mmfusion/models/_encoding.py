"""From inputs with NaN to encoded modalities with masks."""

import inspect
import numbers
import re

import keras

from keras_mmfusion.layers.modality_dropout import ModalityDropout
from keras_mmfusion.models._missing import (
    AttachMask,
    ShowMask,
    SplitMissing,
    TokenMask,
)


def sample_shapes(inputs):
    """The shapes of samples as tuples; raise for what are none."""
    shapes = {}
    for name, shape in dict(inputs).items():
        # What TensorFlow takes for the names of the layers around it.
        if not isinstance(name, str) or not re.fullmatch(r"[A-Za-z0-9_.-]+", name):
            raise ValueError(
                "A modality needs a name, a str of letters of English, digits, '_', "
                f"'-' and '.'. Received: {name!r} among the names of `inputs`."
            )
        sizes = list(shape) if hasattr(shape, "__len__") else []
        whole = (n is None or isinstance(n, numbers.Integral) for n in sizes)
        if not sizes or not all(whole):
            raise ValueError(
                "`inputs` must give the shape of one sample of each modality, such as "
                f"(32, 4) for 32 steps of 4 features. Received: {shape!r} for {name!r}."
            )
        shapes[str(name)] = tuple(None if n is None else int(n) for n in sizes)
    return shapes


def check_encoders(inputs, encoders):
    """Raise unless there is an encoder for each modality, with a name of its own."""
    named = isinstance(encoders, dict)
    if not inputs or not named or set(inputs) != set(encoders):
        raise ValueError(
            "Expected an encoder (or None) for each modality of `inputs`, in a dict. "
            f"Received: inputs={sorted(inputs)}, "
            f"encoders={sorted(encoders) if named else encoders}."
        )
    for name, encoder in encoders.items():
        if not isinstance(encoder, (keras.layers.Layer, type(None))):
            raise ValueError(
                "An encoder must be a Keras layer or model, or None to fuse a modality "
                f"as it is. Received: {encoder!r} for {name!r}."
            )
    taken = [e.name for e in encoders.values() if e is not None and e.name in inputs]
    if taken:
        raise ValueError(
            "An encoder needs a name other than those of the modalities. "
            f"Received: encoders named {taken}. Rename them, for example "
            f"{taken[0]}_encoder."
        )


def encode(name, tensor, encoder, policy, ranks=(3,)):
    """A modality without NaN, through its encoder, with a mask of what is there."""
    filled, present = SplitMissing(name=f"{name}_missing", dtype=policy)(tensor)
    own_mask = _makes_mask(encoder)
    return _encoded(name, filled, present, encoder, policy, ranks, own_mask)


def encode_tokens(name, tensor, encoder, policy):
    """Token numbers, 0 where there is none, through their encoder, with a mask."""
    present = TokenMask(name=f"{name}_missing", dtype=policy)(tensor)
    return _encoded(name, tensor, present, encoder, policy, (3,))


def encode_image(name, tensor, encoder, policy):
    """A picture without NaN, through its encoder; all of its tokens or none are there.

    Encoders of pictures may take masks of pixels: there is none here.
    """
    filled, rows = SplitMissing(name=f"{name}_missing", dtype=policy)(tensor)
    encoded = filled if encoder is None else encoder(filled)
    encoded = _checked(name, encoded, (3,))
    anywhere = keras.ops.any(rows, axis=1, keepdims=True)
    return AttachMask(name=f"{name}_features", dtype=policy)([encoded, anywhere])


def _encoded(name, filled, present, encoder, policy, ranks, own_mask=False):
    if encoder is None:
        encoded = filled
    elif _takes_mask(encoder) and not own_mask:
        if isinstance(encoder, (keras.Sequential, keras.Function)):
            # It hands masks from layer to layer, and warns that it does not.
            encoder.supports_masking = True
        encoded = encoder(filled, mask=present)
    else:
        encoded = encoder(filled)
    encoded = _checked(name, encoded, ranks)
    parts = [encoded, present]
    if own_mask:
        parts.append(ShowMask(name=f"{name}_encoded", dtype=policy)(encoded))
    return AttachMask(name=f"{name}_features", dtype=policy)(parts)


def _checked(name, encoded, ranks):
    if not hasattr(encoded, "shape"):
        raise ValueError(
            f"The encoder of {name!r} must yield one tensor (batch, time, features). "
            f"Received: a {type(encoded).__name__} of {len(encoded)}. Make a "
            "keras.Model of the one to be fused; a recurrent layer goes without "
            "`return_state`."
        )
    if len(encoded.shape) not in ranks:
        raise ValueError(
            f"The encoder of {name!r} must yield (batch, time, features). "
            f"Received: an output of shape {tuple(encoded.shape)}. "
            f"{_remedy(encoded.shape)}"
        )
    return encoded


def _remedy(shape):
    if len(shape) == 2:
        return f"A vector is one step: end the encoder by Reshape((1, {shape[-1]}))."
    return f"End the encoder of an image by Reshape((-1, {shape[-1]}))."


def _takes_mask(encoder):
    # A Sequential whose first layer has none loses the mask there, and warns.
    lost = isinstance(encoder, keras.Sequential) and not (
        encoder.layers and encoder.layers[0].supports_masking
    )
    return not lost and _uses_mask(encoder)


def _uses_mask(encoder):
    if isinstance(encoder, (keras.Sequential, keras.Function)):
        # Where none of them does, a mask would change nothing, but make Keras warn.
        return any(map(_uses_mask, encoder.layers))
    return "mask" in inspect.signature(encoder.call).parameters


def _makes_mask(encoder):
    """Whether it masks zeros, as NaN comes to it; a mask from here would undo that."""
    layers = list(_in_order(encoder))
    # What is before an embedding makes token numbers, and needs no mask.
    return any(
        isinstance(layer, keras.layers.Embedding) and layer.mask_zero
        for layer in layers
    ) or isinstance(next(iter(layers), None), keras.layers.Masking)


def _in_order(encoder):
    """The layers of an encoder, those of the models in it included."""
    if not isinstance(encoder, keras.Model):
        yield encoder
        return
    for layer in encoder.layers:
        if not isinstance(layer, keras.layers.InputLayer):
            yield from _in_order(layer)


def drop_modalities(names, features, rate, policy):
    """Features some of which are masked in training, see `ModalityDropout`."""
    drop = ModalityDropout(rate, name="modality_dropout", dtype=policy)
    features, masks = drop(features)
    return [
        AttachMask(name=f"{name}_kept", dtype=policy)([feature, mask])
        for name, feature, mask in zip(names, features, masks, strict=True)
    ]
