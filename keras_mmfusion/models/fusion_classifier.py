"""A classifier over named modalities: one encoder each, a fusion, a head."""

import keras

from keras_mmfusion._checks import check_choice, check_count, check_positive_int
from keras_mmfusion._serialization import register
from keras_mmfusion.models._encoding import check_encoders, encode, sample_shapes
from keras_mmfusion.models._fusing import fuse_modalities
from keras_mmfusion.models._fusion_model import (
    FusionModel,
    known_classes,
    restored,
    restored_layers,
)
from keras_mmfusion.models._missing import MaskedMean
from keras_mmfusion.models._policies import copy_weights, policy_of, with_quantized
from keras_mmfusion.models.fusions import check_every_step


@register()
class FusionClassifier(FusionModel):
    """Encode each modality, fuse the sequences, classify.

    Every modality is an input of its own name. NaN marks what is missing: single
    NaN features count as zero, a time step that is NaN throughout is masked, and
    a modality that is NaN throughout is left out of the fusion for that sample.

    Args:
        inputs: dict, name of a modality to the shape of one sample, time first,
            such as `{"ecg": (32, 128, 4), "rhythm": (32, 2)}`. Its order is the
            order of fusion; the first modality sets the length of the output.
        encoders: dict, name of a modality to a Keras layer or model that yields
            `(batch, time, features)`; `None` to fuse a modality as it is.
        fusion: str or layer. One of `keras_mmfusion.models.FUSIONS`, such as
            `"atd"`, `"lmf"` or `"concat"`, a fusion layer, or a Keras model of all
            encoded modalities, images included, that gives `(batch, time, features)`.
            Not used when there is one modality only. Defaults to `"atd"`.
        num_classes: int. `0` leaves the head out: the model then returns the
            features before it. Defaults to `2`.
        dim: int. Width of the fused features. Defaults to `64`.
        fusion_options: dict, further arguments of the fusion. Defaults to `None`.
        decoder: layer between fusion and head, `(batch, time, dim)` to
            `(batch, time, features)`, such as a temporal convolution.
            Defaults to `None`.
        pooling: `"mean"` over the valid steps, or `None` to classify every step.
            `"lmf"` and `"tfn"` then fuse each step by itself, where they else fuse
            the means of the modalities. Defaults to `"mean"`.
        modality_dropout: float or list of floats. Share of the samples in
            training that lose a modality, see `ModalityDropout`.
            Defaults to `0.0`.
        dropout: float. Dropout before the head. Defaults to `0.0`.
        activation: Activation of the head, always computed in float32. With
            `num_classes=1`, `"sigmoid"` for yes or no, or `None` for a number.
            Defaults to `"softmax"`.
        dtype: Dtype policy of all but the encoders, the decoder and the head.
            Defaults to `None`, the global policy.
        **kwargs: `name` and `trainable`, as for any Keras model.

    Call arguments:
        inputs: dict of tensors `(batch, *shape)`, with exactly the names in
            `inputs`.

    Input shape:
        `{name: (batch, *inputs[name])}`.

    Output shape:
        `(batch, num_classes)`, or `(batch, time, num_classes)` if `pooling=None`.

    Raises:
        ValueError: Names or shapes of modalities differ from `inputs`, or the fusion
            pools over time where every step is to be classified.

    Example:

    ```python
    import keras
    import numpy as np
    from keras_mmfusion.models import FusionClassifier

    model = FusionClassifier(
        inputs={"load": (24, 7), "calendar": (24, 4)},
        encoders={
            "load": keras.layers.LSTM(32, return_sequences=True),
            "calendar": keras.layers.Dense(32),
        },
        fusion="atd",
        num_classes=3,
    )
    x = {"load": np.zeros((2, 24, 7)), "calendar": np.zeros((2, 24, 4))}
    model.predict(x, verbose=0).shape  # (2, 3)
    ```

    Reference:
        ATD (arXiv:2306.16950) §3.1, Fig. 1: an encoder a modality, the fusion, a
        dense head. Masks, dropout and decoder are ours.
    """

    def __init__(
        self,
        inputs,
        encoders,
        fusion="atd",
        num_classes=2,
        dim=64,
        fusion_options=None,
        decoder=None,
        pooling="mean",
        modality_dropout=0.0,
        dropout=0.0,
        activation="softmax",
        dtype=None,
        **kwargs,
    ):
        inputs = sample_shapes(inputs)
        check_encoders(inputs, encoders)
        check_choice(("mean", None), pooling=pooling)
        check_positive_int(dim=dim)
        check_count(num_classes=num_classes)
        # What numpy counts, such as `y.max() + 1`, is no int to Keras.
        num_classes = int(num_classes)
        softmax = keras.activations.get(activation) is keras.activations.softmax
        if num_classes == 1 and softmax:
            raise ValueError(
                "A softmax of one class is 1 whatever comes in. For yes or no, take "
                '`activation="sigmoid"` or `num_classes=2`; for a number, '
                f"`activation=None`. Received: num_classes=1, activation={activation!r}"
            )
        # Maps tell how layers were quantised; those of layers with children go whole.
        own_policy = keras.dtype_policies.get(dtype or keras.config.dtype_policy())
        policy = policy_of(own_policy, "")
        tensors = {
            name: keras.Input(shape, name=name, dtype="float32")
            for name, shape in inputs.items()
        }
        # Fusion layers take sequences; a network may take images as well.
        ranks = (3, 4, 5) if isinstance(fusion, keras.Model) else (3,)
        features = {
            name: encode(name, tensor, encoders[name], policy, ranks)
            for name, tensor in tensors.items()
        }
        fused, to_fuse, fuse = fuse_modalities(
            features,
            fusion,
            dim,
            fusion_options,
            modality_dropout,
            own_policy,
            every_step=pooling is None,
        )
        x = fused
        if pooling is None:
            first = next(iter(features.values()))
            check_every_step(fuse, first.shape[1], x.shape[1])
        if decoder is not None:
            if not isinstance(decoder, keras.layers.Layer):
                raise ValueError(
                    f"`decoder` must be a Keras layer or model. Received: {decoder!r}"
                )
            x = decoder(x)
            if len(x.shape) != 3:
                raise ValueError(
                    "`decoder` must yield (batch, time, features). Received: an output "
                    f"of shape {tuple(x.shape)}. A recurrent layer keeps time with "
                    "`return_sequences=True`."
                )
        if pooling == "mean":
            x = MaskedMean(name="pool", dtype=policy)(x)
        if dropout:
            x = keras.layers.Dropout(dropout, name="dropout", dtype=policy)(x)
        if num_classes:
            x = keras.layers.Dense(
                num_classes,
                activation=activation,
                name="head",
                dtype=policy_of(own_policy, "head", "float32"),
            )(x)
        super().__init__(inputs=tensors, outputs=x, **kwargs)
        self.modalities = list(inputs)
        self.num_classes = num_classes
        self.preprocessor = None
        self._settings = {
            "fusion": fusion,
            "num_classes": num_classes,
            "dim": int(dim),
            "fusion_options": dict(fusion_options or {}),
            "pooling": pooling,
            "modality_dropout": modality_dropout,
            "dropout": dropout,
            "activation": activation,
        }
        self._shapes = [[name, list(shape)] for name, shape in inputs.items()]
        self._encoder_names = {
            name: encoder.name if encoder is not None else None
            for name, encoder in encoders.items()
        }
        self._decoder_name = decoder.name if decoder is not None else None
        self._fusion_name = fuse.name
        self._fused = to_fuse, fused
        self._policy = own_policy

    def get_config(self):
        return {
            **self._settings,
            **self._saved_state(),
            "dtype": keras.dtype_policies.serialize(self._saved_policy()),
            "fusion": self._saved_fusion(),
            # Pairs, since the order of the modalities counts and JSON objects
            # are often sorted.
            "inputs": self._shapes,
            "encoders": {
                k: self._saved_layer(v) for k, v in self._encoder_names.items()
            },
            "decoder": self._saved_layer(self._decoder_name),
        }

    @classmethod
    def from_config(cls, config, custom_objects=None):
        config = dict(config)
        config["encoders"] = restored_layers(config["encoders"], custom_objects)
        for key in ("decoder", "fusion", "dtype"):
            config[key] = restored(config.get(key), custom_objects)
        return cls(**config)

    def with_num_classes(self, num_classes):
        """The same model with a fresh head for other classes.

        What is frozen stays so, but for the head.

        Args:
            num_classes: int. `0` leaves the head out.

        Returns:
            A new model; the weights below the head are copied.
        """
        return self._with_new_head(num_classes=num_classes)

    def _with_new_head(self, **changes):
        # In floats, whatever the old one was: it is there to be trained.
        policy = keras.dtype_policies.serialize(self._saved_policy(head=False))
        config = {**self.get_config(), "dtype": policy, **changes}
        # What is frozen stays so, a whole model too; but not the head.
        frozen = [name for name in self._frozen() if name != "head"]
        config |= {"trainable": True, "frozen": frozen or None}
        with known_classes(self):
            model = type(self).from_config(config)
        for layer in model.layers:
            if layer.name != "head":
                copy_weights(self.get_layer(layer.name), layer)
        model.preprocessor = self.preprocessor
        return model

    def _saved_policy(self, head=True):
        own = [self._fusion_name] + ["head"] * (head and self.num_classes > 0)
        return with_quantized(self._policy, map(self.get_layer, own), head)
