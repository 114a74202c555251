"""What `keras.layers.RNN` goes over in place of a cell whose states are images."""

from keras import ops

from keras_mmfusion.layers._materialized import materialized


class FlatLoop:
    """The recurrent half of a cell, with flat gates and flat states.

    `keras.layers.RNN` wants one sequence and the sizes of states as integers, and
    on JAX masks none but flat states.

    Args:
        cell: A built `ConvLSTMFusionCell`.
        static_gates: Gates `(batch, height, width, 4 filters)` to which those of
            each step, `(batch, 4 filters)`, are added at every location; None if
            those of a step are `(batch, height * width * 4 filters)`.
        written_out: bool. Whether the steps are, in a program for gradients.
    """

    def __init__(self, cell, static_gates=None, written_out=False):
        height, width, filters = self._shape = cell.state_shape
        self._cell, self._static_gates = cell, static_gates
        self._written_out = written_out
        # The names are those that Keras looks for.
        self.state_size = [height * width * filters] * 2
        self.compute_dtype = cell.compute_dtype

    @property
    def sees_one_image(self):
        return self._static_gates is not None

    def call(self, gates, states=None):
        height, width, filters = self._shape
        if self._static_gates is None:
            gates = ops.reshape(gates, (-1, height, width, 4 * filters))
        else:
            gates = self._static_gates + gates[:, None, None, :]
        if states is not None:
            states = [ops.reshape(s, (-1, *self._shape)) for s in states]
        _, states = self._cell.step(gates, states)
        if self._written_out:
            # Or XLA would compute the cells of all steps before anew at each one.
            states = [states[0], materialized(states[1], training=True)]
        states = [
            ops.reshape(s, (-1, size))
            for s, size in zip(states, self.state_size, strict=True)
        ]
        return states[0], states

    __call__ = call
