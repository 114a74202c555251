"""An autoencoder of named modalities that share what lies between."""

import keras

from keras_mmfusion._checks import check_positive_int
from keras_mmfusion._serialization import register
from keras_mmfusion.models._encoding import check_encoders, encode, sample_shapes
from keras_mmfusion.models._fusing import fuse_modalities
from keras_mmfusion.models._fusion_model import (
    FusionModel,
    known_classes,
    restored,
    restored_layers,
)
from keras_mmfusion.models._known_error import KnownSquaredError
from keras_mmfusion.models._missing import DropMask
from keras_mmfusion.models._policies import copy_weights, policy_of, with_quantized
from keras_mmfusion.models.fusion_classifier import FusionClassifier


@register()
class FusionAutoencoder(FusionModel):
    """Encode each modality, fuse the sequences, reconstruct each from the fused code.

    All decoders see the same code, so it has to hold every modality. Training has two
    stages, each a `fit` as of any Keras model: reconstruction by this model, then
    classification by the one that `with_num_classes` makes of its encoders and its
    fusion. Without the first stage, the second starts from new weights.

    NaN marks what is missing, see `FusionClassifier`. Reconstructions are compared
    with what is known; a modality that is missing in a sample is reconstructed from
    the others, and its error counts nothing.

    Args:
        inputs: dict, name of a modality to the shape of one sample, time first,
            such as `{"audio": (128, 64, 3), "text": (32, 300)}`.
        encoders: dict, name of a modality to a Keras layer or model that yields
            `(batch, time, features)`; `None` to fuse a modality as it is.
        decoders: dict, name of a modality to a Keras layer or model that takes the
            code to `(batch, *inputs[name])`.
        fusion: str or layer, see `FusionClassifier`. `"lmf"` and `"tfn"` fuse step by
            step. With one modality, a dense layer in its place.
            Defaults to `"cascade"`.
        dim: int. Width of the fused features. Defaults to `64`.
        fusion_options: dict, further arguments of the fusion. Defaults to `None`.
        bottleneck: layer between fusion and decoders that makes the code of
            `(batch, time, dim)`, such as a smaller one. Defaults to `None`: the
            fused features are the code.
        modality_dropout: float or list of floats. Share of the samples in training
            whose code has to do without a modality, see `ModalityDropout`.
            Defaults to `0.0`.
        dtype: Dtype policy of all but encoders, decoders and bottleneck.
            Defaults to `None`, the global policy.
        **kwargs: `name` and `trainable`, as for any Keras model.

    Call arguments:
        inputs: dict of tensors `(batch, *shape)`, with exactly the names in `inputs`.

    Input shape:
        `{name: (batch, *inputs[name])}`.

    Output shape:
        The same.

    Raises:
        ValueError: Names or shapes of modalities differ from `inputs`, or a decoder
            does not yield the shape of its modality.

    Example:

    ```python
    import keras
    import numpy as np
    from keras_mmfusion.models import FusionAutoencoder

    names = ("load", "calendar")
    model = FusionAutoencoder(
        inputs={"load": (24, 7), "calendar": (24, 4)},
        encoders={n: keras.layers.Dense(16, name=f"{n}_encoder") for n in names},
        decoders={
            "load": keras.layers.Dense(7, name="load_decoder"),
            "calendar": keras.layers.Dense(4, name="calendar_decoder"),
        },
        dim=16,
    )
    x = {"load": np.random.rand(64, 24, 7), "calendar": np.random.rand(64, 24, 4)}
    model.compile("adam")
    model.fit(x, x, verbose=0)  # stage 1
    model.predict(x, verbose=0)["load"].shape  # (64, 24, 7)

    classifier = model.with_num_classes(3, dropout=0.5)
    classifier.compile("adam", "sparse_categorical_crossentropy")
    classifier.fit(x, np.random.randint(0, 3, 64), verbose=0)  # stage 2
    ```

    Reference:
        Zheng et al., "Multi-channel weight-sharing autoencoder based on cascade
        multi-head attention", section III.C, eq. 8-10, where the errors are sums
        over the values; ours are means, so that modalities of all sizes count alike.
        Bottleneck, masks and dropout are ours.
    """

    def __init__(
        self,
        inputs,
        encoders,
        decoders,
        fusion="cascade",
        dim=64,
        fusion_options=None,
        bottleneck=None,
        modality_dropout=0.0,
        dtype=None,
        **kwargs,
    ):
        inputs = sample_shapes(inputs)
        check_encoders(inputs, encoders)
        _check_decoders(inputs, decoders)
        check_positive_int(dim=dim)
        own_policy = keras.dtype_policies.get(dtype or keras.config.dtype_policy())
        policy = policy_of(own_policy, "")
        tensors = {
            name: keras.Input(shape, name=name, dtype="float32")
            for name, shape in inputs.items()
        }
        features = {
            name: encode(name, tensor, encoders[name], policy)
            for name, tensor in tensors.items()
        }
        fused, to_fuse, fuse = fuse_modalities(
            features,
            fusion,
            dim,
            fusion_options,
            modality_dropout,
            own_policy,
            every_step=True,
        )
        # Decoders see all of the code: what is masked in it is zero.
        code = DropMask(name="fused", dtype=policy)(fused)
        if bottleneck is not None:
            code = bottleneck(code)
        outputs = {
            name: _reconstruct(name, decoders[name], code, inputs[name])
            for name in inputs
        }
        super().__init__(inputs=tensors, outputs=outputs, **kwargs)
        self.modalities = list(inputs)
        self.preprocessor = None
        self._settings = {
            "fusion": fusion,
            "dim": int(dim),
            "fusion_options": dict(fusion_options or {}),
            "modality_dropout": modality_dropout,
        }
        self._shapes = [[name, list(shape)] for name, shape in inputs.items()]
        self._encoder_names = {
            name: encoder.name if encoder is not None else None
            for name, encoder in encoders.items()
        }
        self._decoder_names = {name: layer.name for name, layer in decoders.items()}
        self._bottleneck_name = None if bottleneck is None else bottleneck.name
        self._fusion_name = fuse.name
        self._fused = to_fuse, fused
        self._code = fused if bottleneck is None else code
        self._policy = own_policy

    def compile(self, optimizer="adam", loss=None, **kwargs):
        """As for any Keras model.

        Args:
            optimizer: str or optimizer. Defaults to `"adam"`.
            loss: Defaults to `None`: the sum over modalities of their mean squared
                errors, where NaN in the targets counts nothing.
            **kwargs: Further arguments of `keras.Model.compile`, such as
                `loss_weights` by modality.
        """
        if loss is None:
            loss = {name: KnownSquaredError() for name in self.modalities}
        super().compile(optimizer=optimizer, loss=loss, **kwargs)

    def compile_from_config(self, config):
        # Keras leaves this to models with a `compile` of their own.
        self.compile(**keras.saving.deserialize_keras_object(config))
        if self.optimizer is not None:
            self.optimizer.build(self.trainable_variables)

    def code(self, x, **kwargs):
        """Array of what all decoders see: the fused features, or their bottleneck.

        Args:
            x: dict of arrays, as for `predict`.
            **kwargs: Arguments of `predict`, such as `batch_size`.
        """
        return self._predict_outputs({"code": self._code}, x, **kwargs)["code"]

    def with_num_classes(self, num_classes, **options):
        """A classifier on the encoders and the fusion of this model, for stage 2.

        Args:
            num_classes: int. `0` leaves the head out.
            **options: Further arguments of `FusionClassifier`: `decoder`, `pooling`,
                `dropout`, `activation`, `modality_dropout`, `name`.

        Returns:
            `FusionClassifier`; the weights are copied, and there is no bottleneck.
        """
        config = self.get_config()
        for name in ("decoders", "bottleneck", "name", "trainable"):
            del config[name]
        if len(self.modalities) > 1:
            # By step, as here; the mean over steps comes after the fusion.
            fuse = self._fusion()
            config["fusion"] = keras.saving.serialize_keras_object(fuse)
            config["fusion_options"] = {}
        config = {**config, "num_classes": num_classes, **options}
        with known_classes(self):
            model = FusionClassifier.from_config(config)
        names = [*filter(None, self._encoder_names.values()), self._fusion_name]
        for name in names:
            copy_weights(self.get_layer(name), model.get_layer(name))
        model.preprocessor = self.preprocessor
        return model

    def get_config(self):
        quantized = with_quantized(self._policy, [self._fusion()])
        return {
            **self._settings,
            **self._saved_state(),
            "dtype": keras.dtype_policies.serialize(quantized),
            "fusion": self._saved_fusion(),
            # Pairs, since the order of the modalities counts.
            "inputs": self._shapes,
            "encoders": {
                k: self._saved_layer(v) for k, v in self._encoder_names.items()
            },
            "decoders": {
                k: self._saved_layer(v) for k, v in self._decoder_names.items()
            },
            "bottleneck": self._saved_layer(self._bottleneck_name),
        }

    @classmethod
    def from_config(cls, config, custom_objects=None):
        config = dict(config)
        for part in ("encoders", "decoders"):
            config[part] = restored_layers(config[part], custom_objects)
        for key in ("bottleneck", "fusion", "dtype"):
            config[key] = restored(config.get(key), custom_objects)
        return cls(**config)


def _check_decoders(inputs, decoders):
    if set(inputs) != set(decoders) or None in decoders.values():
        raise ValueError(
            "Expected a decoder for each modality of `inputs`. "
            f"Received: inputs={sorted(inputs)}, decoders={decoders}."
        )
    taken = [layer.name for layer in decoders.values() if layer.name in inputs]
    if taken:
        raise ValueError(
            "A decoder needs a name other than those of the modalities. "
            f"Received: decoders named {taken}. Rename them, for example "
            f"{taken[0]}_decoder."
        )


def _reconstruct(name, decoder, code, shape):
    output = decoder(code)
    if tuple(output.shape[1:]) != shape:
        raise ValueError(
            f"The decoder of {name!r} must yield (batch, "
            f"{', '.join(map(str, shape))}). Received: an output of shape "
            f"{tuple(output.shape)} of a code of shape {tuple(code.shape)}."
        )
    # In float32, whatever the policy of the decoder.
    return DropMask(name=f"{name}_reconstruction", dtype="float32")(output)
