"""What the layers inside our models have in common."""

import keras


class Part(keras.layers.Layer):
    """A layer that a model makes for itself, and that users' models may hold, too.

    Keras writes no config of its own accord for a layer whose dtype is a policy; with
    one, `keras.models.clone_model` and models of some of our layers can be saved.
    """

    def get_config(self):
        return super().get_config()
