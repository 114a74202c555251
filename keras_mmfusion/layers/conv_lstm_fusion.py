"""Early fusion of images and vectors over time: a convolutional LSTM over both."""

import keras
from keras import ops

from keras_mmfusion._serialization import register
from keras_mmfusion.layers._composite_layer import zero_where_masked
from keras_mmfusion.layers._conv_lstm_base import ConvLSTMBase
from keras_mmfusion.layers._flat_loop import FlatLoop
from keras_mmfusion.layers._frames_and_vectors import (
    batch_of,
    check_masks,
    check_shapes,
    check_states,
    is_static,
    one_step,
    pair_of,
    shapes_of,
    steps_of,
    steps_with_data,
)
from keras_mmfusion.layers.conv_lstm_fusion_cell import ConvLSTMFusionCell


@register()
class ConvLSTMFusion(ConvLSTMBase):
    """A convolutional LSTM over frames and vectors: fusion in the first layer.

    Every location sees its neighbourhood in the frame and in the state before,
    and the whole vector, as `ConvLSTMFusionCell` computes it. Everything but the
    state is projected for all steps at once; an image that stays the same is
    projected once.

    Masked frames and vectors add nothing. A step without either is skipped, so
    that padding counts for nothing. A modality that is masked throughout is
    missing: where the only one that changes over time is, a static image is
    looked at for all the steps there are.

    Args:
        filters: int. Channels of the state.
        kernel_size: int or pair of ints, of both convolutions. Defaults to `3`.
        strides: int or pair of ints, of the convolution of the frames.
            Defaults to `1`.
        padding: `"same"` or `"valid"`, of the convolution of the frames.
            Defaults to `"same"`.
        activation: Activation of the candidate and of the cell state.
            Defaults to `"tanh"`.
        recurrent_activation: Activation of the gates. Defaults to `"sigmoid"`.
        unit_forget_bias: bool. Whether the bias of the forget gate starts at one.
            Defaults to `True`.
        return_sequences: bool. Whether to return the output of every step, zero
            where a step is masked, or the last one. Defaults to `False`.
        return_state: bool. Whether to return the last state as well.
            Defaults to `False`.
        go_backwards: bool. Go from the last step to the first; the outputs are in
            that order too. Defaults to `False`.
        unroll: bool. Write the loop out, which takes long to compile and needs a
            known number of steps. Defaults to `False`.
        state_convolution: `"direct"`, `"patches"`, `"winograd"` or `"auto"`, see
            `ConvLSTMFusionCell`. Defaults to `"auto"`, the fast one; to train fewer
            than 64 filters on TensorFlow with `jit_compile=True` on the CPU, give
            `"winograd"` (kernels of 3 x 3) or `"patches"`.
        **kwargs: `name`, `dtype` and so on, as for any Keras layer.

    Call arguments:
        inputs: Pair `[frames, vectors]`, or frames alone. Either may be `None`,
            the frames only once the layer is built. One of them has to change
            over time.
        initial_state: Pair `[h, c]`, such as the one `return_state` gives.
            Defaults to `None`: zeros.
        mask: None, or a list of two boolean masks or Nones: `(batch, time)`, and
            `(batch, 1)` for what is static.

    Input shape:
        Frames `(batch, time, height, width, channels)`; static ones without the
        time axis, or with one step. Vectors `(batch, time, features)`; static
        ones `(batch, features)`, or with one step.

    Output shape:
        `(batch, height', width', filters)`, with `return_sequences`
        `(batch, time, height', width', filters)`; with `return_state` a list of
        that, `h` and `c`.

    Raises:
        ValueError: for other ranks, unknown sizes of frames, unlike numbers of
            steps or of samples, masks or states of other shapes, or if nothing
            changes over time.

    Example:

    ```python
    import numpy as np
    from keras_mmfusion.layers import ConvLSTMFusion

    image, sound = np.ones((2, 28, 28, 1), "float32"), np.ones((2, 41, 201), "float32")
    fused = ConvLSTMFusion(filters=4)([image, sound])
    assert fused.shape == (2, 28, 28, 4)
    ```

    Reference:
        Barnum et al., "On the benefits of early fusion in multimodal representation
        learning", arXiv:2011.07191, section 3, Fig. 1 and A.2. Masks are ours.
    """

    def __init__(
        self,
        filters,
        kernel_size=3,
        strides=1,
        padding="same",
        activation="tanh",
        recurrent_activation="sigmoid",
        unit_forget_bias=True,
        return_sequences=False,
        return_state=False,
        go_backwards=False,
        unroll=False,
        state_convolution="auto",
        **kwargs,
    ):
        super().__init__(
            filters,
            kernel_size=kernel_size,
            strides=strides,
            padding=padding,
            activation=activation,
            recurrent_activation=recurrent_activation,
            unit_forget_bias=unit_forget_bias,
            state_convolution=state_convolution,
            **kwargs,
        )
        self.return_sequences = return_sequences
        self.return_state = return_state
        self.go_backwards = go_backwards
        self.unroll = unroll
        self.supports_masking = True

    # Shapes.

    def build(self, inputs_shape, initial_state_shape=None):
        frames, vectors = check_shapes(inputs_shape)
        self.cell = ConvLSTMFusionCell(
            self.filters,
            kernel_size=self.kernel_size,
            strides=self.strides,
            padding=self.padding,
            activation=self.activation,
            recurrent_activation=self.recurrent_activation,
            unit_forget_bias=self.unit_forget_bias,
            state_convolution=self.state_convolution,
            dtype=self.child_policy("cell"),
            name="cell",
        )
        self.cell.build([one_step(frames, 4), one_step(vectors, 2)])

    def compute_output_shape(self, inputs_shape, initial_state_shape=None):
        frames, vectors = check_shapes(inputs_shape)
        state = output = self._shape_of_state(frames, vectors)
        if self.return_sequences:
            output = (state[0], steps_of(frames, vectors), *state[1:])
        return [output, state, state] if self.return_state else output

    def compute_output_spec(
        self, inputs, initial_state=None, mask=None, inputs_mask=None
    ):
        if initial_state is not None:
            frames, vectors = check_shapes(shapes_of(inputs))
            check_states(initial_state, self._shape_of_state(frames, vectors))
        shape = self.compute_output_shape(shapes_of(inputs))
        shapes = shape if self.return_state else [shape]
        specs = [keras.KerasTensor(s, dtype=self.compute_dtype) for s in shapes]
        return specs if self.return_state else specs[0]

    def _shape_of_state(self, frames, vectors):
        size = self.cell.state_shape if frames is None else self.size_of_state(frames)
        return (batch_of(frames, vectors), *size)

    def compute_mask(self, inputs, mask=None):
        inputs = pair_of(inputs)
        output = None
        if self.return_sequences:
            output = steps_with_data(inputs, check_masks(inputs, mask))
            output = self._in_order(output)
        return [output, None, None] if self.return_state else output

    # The computation.

    def call(
        self, inputs, initial_state=None, mask=None, inputs_mask=None, training=None
    ):
        frames, vectors = check_shapes(shapes_of(inputs))
        self.cell.check_shapes([one_step(frames, 4), one_step(vectors, 2)])
        if initial_state is not None:
            check_states(initial_state, self._shape_of_state(frames, vectors))
        inputs = pair_of(inputs)
        # Next to an `initial_state`, Keras hands over implicit masks by this name.
        mask = inputs_mask if mask is None else mask
        masks = check_masks(inputs, mask)
        valid = self._in_order(steps_with_data(inputs, masks))
        frames, vectors = (
            x if m is None else zero_where_masked(x, m)
            for x, m in zip(inputs, masks, strict=True)
        )
        loop, sequence = self._prepare(frames, vectors, training)
        outputs, state = self._go(loop, self._in_order(sequence), valid, initial_state)
        shape = self.cell.state_shape
        state = [ops.reshape(s, (-1, *shape)) for s in state]
        # Not the last of the outputs, which is none after a mask that is all False.
        output = state[0]
        if self.return_sequences:
            steps = outputs.shape[1]
            steps = ops.shape(outputs)[1] if steps is None else steps
            output = ops.reshape(outputs, (-1, steps, *shape))
            output = zero_where_masked(output, valid)
        return [output, *state] if self.return_state else output

    def _go(self, loop, sequence, valid, state):
        """Flat outputs of all steps, or of the last, and the flat states after it."""
        first = None
        if state is not None:
            state = [ops.reshape(s, (-1, loop.state_size[0])) for s in state]
        elif loop.sees_one_image and (sequence.shape[1] or 0) > 1:
            # The state before is zero, and so is its convolution. The rest
            # of the sequence is copied, which pays where it is narrow.
            first, state = loop(sequence[:, 0])
            if valid is not None:
                first, *state = (
                    zero_where_masked(x, valid[:, 0]) for x in (first, *state)
                )
                valid = valid[:, 1:]
            sequence = sequence[:, 1:]
        else:
            batch = ops.shape(sequence)[0]
            state = [ops.zeros((batch, n), self.compute_dtype) for n in loop.state_size]
        outputs, *state = keras.layers.RNN(
            loop,
            return_sequences=self.return_sequences,
            return_state=True,
            # PyTorch writes every loop out, and Keras' other one begins there twice.
            unroll=self.unroll or keras.backend.backend() == "torch",
            dtype=self.compute_dtype,
            name="loop",
        )(sequence, initial_state=state, mask=valid)
        if self.return_sequences and first is not None:
            outputs = ops.concatenate([first[:, None], outputs], axis=1)
        return outputs, state

    def _in_order(self, x):
        return x if x is None or not self.go_backwards else ops.flip(x, axis=1)

    def _prepare(self, frames, vectors, training):
        """The loop, and the flat sequence of gates it goes over.

        `keras.layers.RNN` takes one sequence, and masks of states that are flat. As
        long as the image is static, its gates are the same at every step, and the
        sequence is as narrow as the gates of a vector.
        """
        if frames is None:
            frames = self.cell.no_frame(ops.shape(vectors)[0])
        static = is_static(frames, 5)
        if static and len(frames.shape) == 5:
            frames = frames[:, 0]
        if vectors is not None and is_static(vectors, 3) and len(vectors.shape) == 3:
            vectors = vectors[:, 0]
        if static and (vectors is None or len(vectors.shape) == 2):
            # Sequences of one step.
            static, frames = False, frames[:, None]
        gates = self._project_frames(frames)
        written_out = bool(self.unroll and training)
        if static:
            sequence = self.cell.vector_projection(vectors)
            return FlatLoop(self.cell, gates, written_out), sequence
        if vectors is not None:
            added = self.cell.project_vector(vectors)
            gates = gates + (added if len(vectors.shape) == 3 else added[:, None])
        steps = gates.shape[1]
        steps = ops.shape(gates)[1] if steps is None else steps
        width = gates.shape[2] * gates.shape[3] * gates.shape[4]
        loop = FlatLoop(self.cell, written_out=written_out)
        return loop, ops.reshape(gates, (-1, steps, width))

    def _project_frames(self, frames):
        if len(frames.shape) == 4:
            return self.cell.project_frame(frames)
        steps = frames.shape[1]
        steps = ops.shape(frames)[1] if steps is None else steps
        gates = self.cell.project_frame(ops.reshape(frames, (-1, *frames.shape[2:])))
        return ops.reshape(gates, (-1, steps, *gates.shape[1:]))

    def get_config(self):
        config = super().get_config()
        config.update(
            {
                "return_sequences": self.return_sequences,
                "return_state": self.return_state,
                "go_backwards": self.go_backwards,
                "unroll": self.unroll,
            }
        )
        return config
