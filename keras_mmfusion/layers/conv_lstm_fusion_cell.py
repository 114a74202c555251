"""One step of a convolutional LSTM that sees an image and hears a vector."""

import keras
from keras import ops

from keras_mmfusion._serialization import register
from keras_mmfusion.layers._conv_lstm_base import ConvLSTMBase
from keras_mmfusion.layers._frames_and_vectors import check_states
from keras_mmfusion.layers._state_convolution import StateConvolution


@register()
class ConvLSTMFusionCell(ConvLSTMBase):
    """One step of a convolutional LSTM over a frame and a vector.

    Every location of the image sees its neighbourhood in the frame `v` and in the
    state before, and the whole vector `a`, such as a column of a spectrogram:

    ```
    [i, f, g, o] = Conv(v) + Dense(a) + Conv(h) + b
    c' = σ(f) c + σ(i) tanh(g),   h' = σ(o) tanh(c')
    ```

    A step is made of two halves: `project(frame, vector)`, which knows nothing of
    time, and `step(gates, states)`. `ConvLSTMFusion` does the first for all steps
    at once; this layer is for whoever holds the state, frame by frame.

    A frame or a vector of zeros adds nothing, and is the same as `None`.

    Args:
        filters: int. Channels of the state.
        kernel_size: int or pair of ints, of both convolutions. Defaults to `3`.
        strides: int or pair of ints, of the convolution of the frame; the state is
            as small as its result. Defaults to `1`.
        padding: `"same"` or `"valid"`, of the convolution of the frame. That of
            the state is always `"same"`. Defaults to `"same"`.
        activation: Activation of `g` and of the cell state. Defaults to `"tanh"`.
        recurrent_activation: Activation of the gates. Defaults to `"sigmoid"`.
        unit_forget_bias: bool. Whether the bias of the forget gate starts at one.
            Defaults to `True`.
        state_convolution: `"direct"`, `"patches"` (neighbourhoods laid out, then one
            matrix product), `"winograd"` (fewer products, for kernels of 3 x 3; see
            Lavin & Gray, arXiv:1509.09308), or `"auto"`: direct, except in training
            without an accelerator, where on JAX Winograd's trains several times
            faster from 16 filters on, and patches with fewer or other kernels; on
            TensorFlow Winograd's is a little faster from 64 filters on. Both train
            many times faster than `"direct"` with `jit_compile=True` there: the
            layer cannot know of it, so with fewer filters give one of them. The
            weights are the same, and the numbers up to rounding. Defaults to
            `"auto"`.
        **kwargs: `name`, `dtype` and so on, as for any Keras layer.

    Call arguments:
        inputs: Pair `(frame, vector)`; either may be `None`, the frame only once
            the layer is built.
        states: Pair `(h, c)`, both `(batch, height, width, filters)`. Defaults to
            `None`: zeros, as from `get_initial_state(batch_size)`.

    Input shape:
        Frame `(batch, height, width, channels)`, vector `(batch, features)`.

    Output shape:
        `(h, [h, c])`, all `(batch, height', width', filters)`.

    Raises:
        ValueError: for other ranks, unknown sizes, states of other shapes, neither a
            frame nor a vector, a layer built without a frame, or a vector given to one
            that was built without.

    Example:

    ```python
    import numpy as np
    from keras_mmfusion.layers import ConvLSTMFusionCell

    cell = ConvLSTMFusionCell(filters=4)
    image, sound = np.ones((2, 8, 8, 1), "float32"), np.ones((2, 30, 16), "float32")
    state = None
    for t in range(30):
        output, state = cell((image, sound[:, t]), state)
    assert output.shape == (2, 8, 8, 4)
    ```

    Reference:
        Barnum et al., "On the benefits of early fusion in multimodal representation
        learning", arXiv:2011.07191, section 3 and Fig. 1; convolutional LSTM
        without peepholes after Shi et al., arXiv:1506.04214. The order of the gates
        in the weights is that of Keras, `i, f, g, o`.
    """

    def build(self, inputs_shape, states_shape=None):
        frame, vector = self.check_shapes(inputs_shape)
        if frame is None:
            raise ValueError(
                f"{type(self).__name__} has to be built with a frame, which says how "
                f"high and wide the state is. Received: shapes {inputs_shape}. Give "
                "zeros for a frame that is missing."
            )
        self.frame_shape, gates = frame[1:], 4 * self.filters
        self.frame_projection = keras.layers.Conv2D(
            gates,
            self.kernel_size,
            strides=self.strides,
            padding=self.padding,
            data_format="channels_last",
            bias_initializer=self._bias,
            dtype=self.child_policy("frame_projection"),
            name="frame_projection",
        )
        self.frame_projection.build(frame)
        self.state_shape = self.size_of_state(frame)
        self.vector_projection = None
        if vector is not None:
            self.vector_projection = keras.layers.Dense(
                gates,
                use_bias=False,
                dtype=self.child_policy("vector_projection"),
                name="vector_projection",
            )
            self.vector_projection.build(vector)
        self.state_projection = StateConvolution(
            gates,
            self.kernel_size,
            by=self.state_convolution,
            kernel_initializer="orthogonal",
            dtype=self.child_policy("state_projection"),
            name="state_projection",
        )
        self.state_projection.build((None, *self.state_shape))

    def _bias(self, shape, dtype=None):
        bias = ops.zeros((4, self.filters), dtype=dtype)
        if self.unit_forget_bias:
            forget = ops.one_hot(1, 4, dtype=dtype)
            bias = bias + ops.expand_dims(forget, 1)
        return ops.reshape(bias, shape)

    def check_shapes(self, shapes):
        """The shapes of frame and vector, either of them None."""
        name = type(self).__name__
        pair = isinstance(shapes, (list, tuple)) and len(shapes) == 2
        if not pair or all(shape is None for shape in shapes):
            raise ValueError(
                f"{name} expects a pair (frame, vector), of which one may be None. "
                f"Received: shapes {shapes}"
            )
        frame, vector = (None if s is None else tuple(s) for s in shapes)
        if frame is not None and (len(frame) != 4 or None in frame[1:]):
            raise ValueError(
                f"{name} expects frames as (batch, height, width, channels), all but "
                f"the batch known. Received: shape {frame}"
            )
        if vector is not None and (len(vector) != 2 or vector[1] is None):
            raise ValueError(
                f"{name} expects vectors as (batch, features), with a known number of "
                f"features. Received: shape {vector}"
            )
        if self.built and vector is not None and self.vector_projection is None:
            raise ValueError(
                f"{name} was built without a vector. Received: a vector of shape "
                f"{vector}. Make a new layer for both."
            )
        if self.built and frame is not None and frame[1:] != self.frame_shape:
            raise ValueError(
                f"{name} was built for frames of (height, width, channels) = "
                f"{self.frame_shape}. Received: shape {frame}"
            )
        return frame, vector

    def project_frame(self, frame):
        """What frames `(…, height, width, channels)` add to the gates."""
        return self.frame_projection(frame)

    def project_vector(self, vector):
        """What vectors `(…, features)` add to the gates of every location."""
        return self.vector_projection(vector)[..., None, None, :]

    def project(self, frame, vector):
        """Gates before the state is known, `(batch, height', width', 4 filters)`.

        Args:
            frame: Tensor `(batch, height, width, channels)` or None.
            vector: Tensor `(batch, features)` or None.
        """
        if frame is None:
            # The bias is that of the frame, so that no step has to add one.
            frame = self.no_frame(ops.shape(vector)[0])
        gates = self.project_frame(frame)
        return gates if vector is None else gates + self.project_vector(vector)

    def no_frame(self, batch_size):
        """Frames of zeros, in place of ones that are left out."""
        return ops.zeros((batch_size, *self.frame_shape), dtype=self.compute_dtype)

    def step(self, gates, states):
        """Add the state before to `gates`, and pass through them.

        Args:
            gates: Tensor `(batch, height', width', 4 filters)` from `project`.
            states: Pair `(h, c)`, or None: zeros, which need no convolution.

        Returns:
            `(h, [h, c])`, the new state.
        """
        if states is not None:
            gates = gates + self.state_projection(states[0])
        i, f, g, o = ops.split(gates, 4, axis=-1)
        gate, activation = self.recurrent_activation, self.activation
        c = gate(i) * activation(g)
        if states is not None:
            c = gate(f) * states[1] + c
        h = gate(o) * activation(c)
        return h, [h, c]

    def call(self, inputs, states=None):
        self.check_shapes([None if x is None else x.shape for x in inputs])
        gates = self.project(*inputs)
        if states is not None:
            self._check_states(states, gates.shape[0])
        return self.step(gates, states)

    def _check_states(self, states, batch_size):
        """Smaller ones would be spread over the image or the batch."""
        expected = (batch_size, *self.state_shape)
        check_states(states, expected, of="ConvLSTMFusionCell expects `states`")

    def get_initial_state(self, batch_size):
        """States of zeros `[h, c]` for the first step; the layer must be built."""
        shape = (batch_size, *self.state_shape)
        return [ops.zeros(shape, dtype=self.compute_dtype) for _ in range(2)]

    def compute_output_shape(self, inputs_shape, states_shape=None):
        frame, vector = self.check_shapes(inputs_shape)
        size = self.state_shape if frame is None else self.size_of_state(frame)
        state = ((vector if frame is None else frame)[0], *size)
        return state, [state, state]

    def compute_output_spec(self, inputs, states=None):
        shapes = [None if x is None else x.shape for x in inputs]
        output, new_states = self.compute_output_shape(shapes)
        if states is not None:
            self._check_states(states, output[0])
        tensors = [
            keras.KerasTensor(shape, dtype=self.compute_dtype)
            for shape in (output, *new_states)
        ]
        return tensors[0], tensors[1:]
