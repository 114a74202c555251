"""The arguments that a convolutional LSTM and its single step share."""

import keras

from keras_mmfusion._checks import check_choice, check_positive_int, positive_ints
from keras_mmfusion.layers._composite_layer import CompositeLayer

STATE_CONVOLUTIONS = ("auto", "direct", "patches", "winograd")


class ConvLSTMBase(CompositeLayer):
    """See `ConvLSTMFusionCell`."""

    def __init__(
        self,
        filters,
        kernel_size=3,
        strides=1,
        padding="same",
        activation="tanh",
        recurrent_activation="sigmoid",
        unit_forget_bias=True,
        state_convolution="auto",
        **kwargs,
    ):
        super().__init__(**kwargs)
        check_positive_int(filters=filters)
        check_choice(("same", "valid"), padding=padding)
        check_choice(STATE_CONVOLUTIONS, state_convolution=state_convolution)
        self.filters = int(filters)
        self.kernel_size = _pair("kernel_size", kernel_size)
        if state_convolution == "winograd" and self.kernel_size != (3, 3):
            raise ValueError(
                '`state_convolution="winograd"` is for kernels of 3 x 3. Received: '
                f'kernel_size={kernel_size!r}. Use "auto".'
            )
        self.strides = _pair("strides", strides)
        self.padding = padding
        self.activation = keras.activations.get(activation)
        self.recurrent_activation = keras.activations.get(recurrent_activation)
        self.unit_forget_bias = unit_forget_bias
        self.state_convolution = state_convolution

    def size_of_state(self, frame_shape):
        """`(height', width', filters)` for frames `(…, height, width, channels)`."""
        sizes = []
        for size, kernel, stride in zip(
            frame_shape[-3:-1], self.kernel_size, self.strides, strict=True
        ):
            last = size - 1 if self.padding == "same" else size - kernel
            sizes.append(last // stride + 1)
        return (*sizes, self.filters)

    def get_config(self):
        config = super().get_config()
        config.update(
            {
                "filters": self.filters,
                "kernel_size": self.kernel_size,
                "strides": self.strides,
                "padding": self.padding,
                "activation": keras.activations.serialize(self.activation),
                "recurrent_activation": keras.activations.serialize(
                    self.recurrent_activation
                ),
                "unit_forget_bias": self.unit_forget_bias,
                "state_convolution": self.state_convolution,
            }
        )
        return config


def _pair(name, value):
    pair = positive_ints(name, value)
    if len(pair) > 2:
        raise ValueError(
            f"`{name}` must be one integer or two. Received: {name}={value!r}"
        )
    return pair if len(pair) == 2 else pair * 2
