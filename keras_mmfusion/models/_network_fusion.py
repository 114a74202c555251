"""A whole network as the fusion of a model."""

import keras

from keras_mmfusion._serialization import register


@register()
class NetworkFusion(keras.layers.Layer):
    """Any Keras model of several inputs, in place of a fusion layer.

    It is handed the masks of the modalities. Its output has none: what is missing
    is for the layers inside to leave out.

    Args:
        network: Keras model that takes one input a modality, in their order, and
            gives `(batch, time, features)`.
        **kwargs: `name`, `dtype` and so on, as for any Keras layer.
    """

    def __init__(self, network, **kwargs):
        super().__init__(**kwargs)
        shape = network.output_shape
        if not isinstance(shape, tuple) or len(shape) != 3:
            raise ValueError(
                "A network that fuses must give one output (batch, time, features). "
                f"Received: an output of shape {shape}. A Reshape((1, -1)) makes one "
                "step of a vector."
            )
        self.network = network
        self.supports_masking = True

    def call(self, inputs, mask=None, training=None):
        # Not called itself, since it says that it knows no masks: its layers do.
        return self.network.call(inputs, mask=mask, training=training)

    def compute_mask(self, inputs, previous_mask):
        return None

    def compute_output_shape(self, input_shape):
        return self.network.compute_output_shape(input_shape)

    def get_config(self):
        network = keras.saving.serialize_keras_object(self.network)
        return {**super().get_config(), "network": network}

    @classmethod
    def from_config(cls, config):
        network = keras.saving.deserialize_keras_object(config["network"])
        return cls(**{**config, "network": network})
