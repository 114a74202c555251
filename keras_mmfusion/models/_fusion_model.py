"""What models with a fusion in the middle show of it."""

import keras

from keras_mmfusion.models._attention import attention_scores
from keras_mmfusion.models._named_model import NamedModel


class FusionModel(NamedModel):
    """A model of named modalities with a fusion layer, whose outputs can be seen.

    A subclass sets `modalities`, `_fusion_name` and `_fused`, input and output of the
    fusion, and names the layers that give encoded modalities `<modality>_features`.
    What users give may be in several models, and then has the output of another one.
    """

    def fused_features(self, x, **kwargs):
        """Array `(samples, time, dim)`: the output of the fusion.

        `time` is that of the first modality, or 1 for a fusion that pools.

        Args:
            x: dict of arrays, as for `predict`.
            **kwargs: Arguments of `predict`, such as `batch_size`.
        """
        self._fusion()  # Raises where there is none.
        return self._predict_outputs({"fusion": self._fused[1]}, x, **kwargs)["fusion"]

    def modality_features(self, x, **kwargs):
        """Dict of arrays `(samples, time, features)`: each modality, encoded.

        Args:
            x: dict of arrays, as for `predict`.
            **kwargs: Arguments of `predict`, such as `batch_size`.
        """
        outputs = {
            name: self.get_layer(f"{name}_features").output for name in self.modalities
        }
        return self._predict_outputs(outputs, x, **kwargs)

    def attention_scores(self, x, **kwargs):
        """Dict of arrays `(samples, heads, steps, steps)`: what attends to what.

        Keys are such as `"ecg → rhythm"`: steps of the first ask, along the last
        axis but one; steps of the second are attended to. A number is added where a
        fusion has several of a kind, layer by layer. What is masked is never attended
        to; a step without anything to attend to has a row of zeros.

        Args:
            x: dict of arrays, as for `predict`.
            **kwargs: Arguments of `predict`, such as `batch_size`.

        Raises:
            ValueError: The fusion has no attention.
        """
        return attention_scores(self, self._fusion(), self._fused[0], x, **kwargs)

    def _fusion(self):
        if self._fusion_name is None:
            raise ValueError(
                "There are no fused features without a fusion. Received: a model "
                "without encoders."
            )
        return self.get_layer(self._fusion_name)

    def _predict_outputs(self, outputs, x, **kwargs):
        self.check_inputs(x)
        part = keras.Model(self.input, outputs)
        predicted = part.predict(x, **{"verbose": 0, **kwargs})
        return {name: predicted[name] for name in outputs}

    # Saving: what the configs of all of them hold.

    def _saved_layer(self, name):
        """A layer of the model as JSON, None for None."""
        return name and keras.saving.serialize_keras_object(self.get_layer(name))

    def _saved_fusion(self):
        fusion = self._settings["fusion"]
        if isinstance(fusion, str):
            return fusion
        return keras.saving.serialize_keras_object(fusion)


def known_classes(model):
    """A scope in which layers of a model can be made anew from their configs.

    Classes of users need to be registered for a file only: here they are at hand.
    """
    kinds = {type(layer) for layer in model._flatten_layers()}
    name_of = keras.saving.get_registered_name
    own = {kind.__name__: kind for kind in kinds if name_of(kind) == kind.__name__}
    return keras.saving.CustomObjectScope(own)


def restored(saved, custom_objects=None):
    """What was saved as JSON; other values, such as names and None, as they are."""
    if not isinstance(saved, dict):
        return saved
    return keras.saving.deserialize_keras_object(saved, custom_objects=custom_objects)


def restored_layers(saved, custom_objects=None):
    """A dict of layers from pairs of a name and JSON, as `restored` gives them.

    What has the same name is the same layer: modalities may share an encoder.
    """
    layers, found = {}, {}
    for key, value in dict(saved).items():
        name = value["config"]["name"] if isinstance(value, dict) else id(value)
        if name not in found:
            found[name] = restored(value, custom_objects)
        layers[key] = found[name]
    return layers
