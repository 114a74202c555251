import keras
import numpy as np
import pytest
from backends import run
from conv_lstm_inputs import SHAPES, everywhere, inputs, make, masks_of
from harness import assert_close, built, check_layer, numbers
from keras import ops
from reference import conv_lstm, named_weights

from keras_mmfusion.layers import ConvLSTMFusion, ConvLSTMFusionCell


@pytest.mark.parametrize("name", SHAPES)
@pytest.mark.parametrize("by", ["direct", "patches", "winograd"])
def test_against_the_formulas(name, by):
    x = inputs(name)
    for steps in (True, False):
        layer = built(lambda: make(state_convolution=by, return_sequences=steps), x)  # noqa: B023
        outputs, (h, _) = conv_lstm(
            named_weights(layer), everywhere(x[0], 5), everywhere(x[1], 3)
        )
        expected = outputs if steps else h
        assert_close(run(layer, x), expected, 5e-6 if by == "winograd" else 1e-6)


@pytest.mark.parametrize("by", ["direct", "patches"])
@pytest.mark.parametrize("kernel_size", [(3, 2), 4])
@pytest.mark.parametrize(
    "strides, padding", [(1, "valid"), ((2, 1), "same"), (2, "valid")]
)
def test_convolutions_of_other_sizes(strides, padding, kernel_size, by):
    x = numbers(2, (2, 6, 7, 2), (2, 3, 5))
    conv = {"strides": strides, "padding": padding, "kernel_size": kernel_size}
    layer = built(lambda: make(state_convolution=by, **conv), x)
    _, (h, _) = conv_lstm(
        named_weights(layer), *x, strides=layer.strides, padding=padding
    )
    assert_close(run(layer, x), h, 1e-6)
    assert layer.compute_output_shape([s.shape for s in x]) == h.shape


@pytest.mark.parametrize("strides, padding", [(1, "same"), (2, "valid")])
def test_without_vectors_it_is_the_conv_lstm_of_keras(strides, padding):
    frames = inputs("video")[0]
    arguments = {
        "strides": strides,
        "padding": padding,
        "return_sequences": True,
    }
    theirs = keras.layers.ConvLSTM2D(3, 3, data_format="channels_last", **arguments)
    expected = run(theirs, frames)
    for x in (frames, [frames, None]):
        ours = ConvLSTMFusion(3, **arguments)
        ours.build(frames.shape)
        order = (
            "frame_projection/kernel",
            "state_projection/kernel",
            "frame_projection/bias",
        )
        by_name = {v.path.split("/cell/")[1]: v for v in ours.weights}
        assert set(by_name) == set(order)
        for name, value in zip(order, theirs.get_weights(), strict=True):
            by_name[name].assign(value)
        assert_close(run(ours, x), expected, 1e-6)


def test_frames_alone_in_a_model():
    frames = inputs("video")[0]
    layer = make(return_sequences=True)
    placeholder = keras.Input((None, 5, 4, 2))
    model = keras.Model(placeholder, layer(placeholder))
    assert model.output.shape == (None, None, 5, 4, 3)
    assert_close(run(model, frames), run(layer, [frames, None]), 1e-6)


def test_it_starts_as_the_conv_lstm_of_keras():
    layer = make()
    run(layer, inputs())
    bias = ops.convert_to_numpy(layer.cell.frame_projection.bias)
    assert_close(bias, np.repeat([0.0, 1.0, 0.0, 0.0], 3), 0.0)
    kernel = ops.convert_to_numpy(layer.cell.state_projection.kernel).reshape(27, 12)
    assert_close(kernel.T @ kernel, np.eye(12), 1e-5)
    layer = make(unit_forget_bias=False)
    run(layer, inputs())
    assert not ops.convert_to_numpy(layer.cell.frame_projection.bias).any()


def test_projections_are_made_once(monkeypatch):
    """The image once, all vectors at once; only the state at later steps."""
    calls = {"frame_projection": [], "vector_projection": [], "state_projection": []}
    for kind in (keras.layers.Conv2D, keras.layers.Dense):
        original = kind.call

        def counted(self, x, *args, original=original, **kwargs):
            if self.name in calls:
                calls[self.name].append(tuple(x.shape))
            return original(self, x, *args, **kwargs)

        monkeypatch.setattr(kind, "call", counted)
    layer = make(unroll=keras.backend.backend() != "torch")
    x = [ops.convert_to_tensor(v) for v in inputs()]
    layer(x)
    assert calls["frame_projection"] == [(3, 5, 4, 2)]
    assert calls["vector_projection"] == [(3, 6, 7)]
    assert calls["state_projection"] == [(3, 5, 4, 3)] * 5
    video = ops.convert_to_tensor(inputs("video")[0])
    calls["frame_projection"].clear()
    layer([video, x[1]])
    assert calls["frame_projection"] == [(18, 5, 4, 2)]


@pytest.mark.parametrize("name", ["image", "video"])
def test_loop_written_out_and_backwards(name):
    x = inputs(name)
    masks = masks_of(name)
    for m in (None, masks):
        layer = built(lambda: make(return_sequences=True), x, m)
        state = layer.get_weights()

        def like(*, m=m, state=state, x=x, **kwargs):
            other = make(return_sequences=True, **kwargs)
            run(other, x)
            other.set_weights(state)
            return run(other, x, m)

        expected = run(layer, x, m)
        assert_close(like(unroll=True), expected, 1e-6)
        back = like(go_backwards=True)
        assert_close(like(go_backwards=True, unroll=True), back, 1e-6)
        if m is None:
            turned = [v[:, ::-1] if v.shape[1:2] == (6,) else v for v in x]
            assert_close(back, run(layer, turned), 1e-6)
            assert np.abs(back - expected).max() > 1e-2


def test_initial_state_and_streaming():
    """The sequence in two halves, and step by step through the cell."""
    x = inputs()
    layer = built(lambda: make(return_sequences=True, return_state=True), x)
    outputs, *state = run(layer, x)
    assert_close(state[0], outputs[:, -1], 0.0)
    first, *middle = run(layer, [x[0], x[1][:, :2]])
    middle = [ops.convert_to_tensor(s) for s in middle]
    second, *end = run(layer, [x[0], x[1][:, 2:]], initial_state=_Unhashed(middle))
    assert_close(np.concatenate([first, second], 1), outputs, 1e-6)
    assert_close(np.stack(end), np.stack(state), 1e-6)
    image, held = ops.convert_to_tensor(x[0]), layer.cell.get_initial_state(3)
    for t in range(6):
        out, held = layer.cell((image, ops.convert_to_tensor(x[1][:, t])), held)
        assert_close(ops.convert_to_numpy(out), outputs[:, t], 1e-6)
    masks = [None, np.zeros((3, 4), bool)]
    masks[0] = np.zeros((3, 1), bool)
    _, *kept = run(layer, [x[0], x[1][:, 2:]], masks, initial_state=_Unhashed(middle))
    assert_close(
        np.stack(kept), np.stack([ops.convert_to_numpy(s) for s in middle]), 0.0
    )


class _Unhashed(list):
    """States as an argument of `run`, which sorts arguments by name."""

    def __hash__(self):
        return id(self)


def test_contract(tmp_path):
    def steps(**kwargs):
        return make(return_sequences=True, **kwargs)

    x, masks = inputs("video"), masks_of("video")
    path = tmp_path / "m.keras"
    # The losses of Keras cannot mask images at every step.
    check_layer(steps, x, masks, path=path, quantize=True, padding=True, train=False)
    check_layer(make, x, masks, padding=True, xla_training=True)


@pytest.mark.parametrize(
    "by, unroll",
    [("direct", False), ("direct", True), ("patches", False), ("winograd", False)],
)
def test_contract_of_a_static_image(tmp_path, by, unroll):
    def image(**kwargs):
        return make(unroll=unroll, state_convolution=by, **kwargs)

    x = inputs()
    if unroll:
        # An unrolled loop cannot be built for an unknown number of steps.
        layer, jit = built(image, x), keras.backend.backend() == "tensorflow"
        placeholders = [keras.Input(v.shape[1:]) for v in x]
        model = keras.Model(placeholders, layer(placeholders))
        model.compile("sgd", "mse", jit_compile=jit or "auto")
        assert_close(model.predict(x, verbose=0), run(layer, x))
        assert np.isfinite(model.train_on_batch(x, run(layer, x)))
        return
    check_layer(image, x, path=tmp_path / "m.keras", quantize=True, xla_training=True)


def test_cell_by_itself(tmp_path):
    image, sound = numbers(2, (2, 5, 4, 2), (2, 7))
    states = numbers(2, (2, 5, 4, 3), (2, 5, 4, 3))
    cell = ConvLSTMFusionCell(3, dtype="float32")
    config = cell.get_config()
    assert ConvLSTMFusionCell.from_config(config).get_config() == config
    placeholders = [keras.Input(v.shape[1:]) for v in (image, sound, *states)]
    output = cell(placeholders[:2], placeholders[2:])
    model = keras.Model(placeholders, [output[0], *output[1]])
    h, *state = run(model, [image, sound, *states])
    weights = {f"cell/{k}": v for k, v in named_weights(cell).items()}
    _, expected = conv_lstm(weights, image, sound[:, None], states)
    for actual, value in zip((h, *state), (expected[0], *expected), strict=True):
        assert_close(actual, value, 1e-6)
    shape = (2, 5, 4, 3)
    assert cell.compute_output_shape([image.shape, sound.shape]) == (shape, [shape] * 2)
    assert [tuple(t.shape) for t in output[1]] == [(None, 5, 4, 3)] * 2
    model.save(tmp_path / "m.keras")
    again = keras.saving.load_model(tmp_path / "m.keras")
    assert_close(run(again, [image, sound, *states])[0], h, 1e-6)
    # From zeros, without a frame, without a vector.
    zero = [np.zeros(shape, "f")] * 2
    assert_close(
        ops.convert_to_numpy(cell((image, sound))[0]),
        run(model, [image, sound, *zero])[0],
        1e-6,
    )
    for left_out in ((None, sound), (image, None)):
        filled = [
            np.zeros_like(full) if x is None else x
            for x, full in zip(left_out, (image, sound), strict=True)
        ]
        assert_close(
            ops.convert_to_numpy(
                cell(left_out, [ops.convert_to_tensor(s) for s in states])[0]
            ),
            run(model, [*filled, *states])[0],
            1e-6,
        )


def test_lora():
    layer = make()
    x = inputs()
    before = run(layer, x)
    layer.cell.vector_projection.enable_lora(2)
    layer.cell.state_projection.enable_lora(2)
    assert_close(run(layer, x), before, 1e-6)
    for part in (layer.cell.vector_projection, layer.cell.state_projection):
        part.lora_kernel_b.assign(np.full(part.lora_kernel_b.shape, 0.3))
    assert np.abs(run(layer, x) - before).max() > 1e-2


def test_one_step_sees_its_neighbours_and_six_see_everything():
    x = inputs()
    layer = built(make, x)
    far = x[0].copy()
    far[:, -1, -1] += 1.0
    changed = np.abs(run(layer, [far, x[1]]) - run(layer, x)).max((0, 3))
    assert changed.min() > 0
    near = np.abs(run(layer, [far, x[1][:, :1]]) - run(layer, [x[0], x[1][:, :1]])).max(
        (0, 3)
    )
    assert (near > 0).sum() == 4 and near[3:, 2:].min() > 0


@pytest.mark.parametrize("size", [(4, 5, 3), (10, 4, 3), (5, 4), None])
def test_an_initial_state_of_another_size(size):
    """As many numbers as there should be, or a multiple, would do for a reshape."""
    x = [ops.convert_to_tensor(v[:1]) for v in inputs()]
    layer = built(make, inputs())
    states = [ops.zeros((1, *(size or (5, 4, 3))))] * (2 if size else 3)
    with pytest.raises(ValueError, match=r"h, c.* here \(1, 5, 4, 3\). Received"):
        layer(x, initial_state=states)
    if size:
        with pytest.raises(ValueError, match=r"h, c.* here \(None, 5, 4, 3\)"):
            placeholders = [keras.Input(v.shape[1:]) for v in x]
            layer(placeholders, initial_state=[keras.Input(size), keras.Input(size)])


@pytest.mark.parametrize("sizes", [[(2, 1, 1, 3)] * 2, [(1, 5, 4, 3)] * 2, [()] * 3])
def test_states_that_do_not_fit_a_cell(sizes):
    cell = ConvLSTMFusionCell(3)
    x = [ops.convert_to_tensor(v) for v in numbers(2, (2, 5, 4, 2), (2, 7))]
    cell(x)
    with pytest.raises(ValueError, match=r"`states` as a pair .* here \(2, 5, 4, 3\)"):
        cell(x, [ops.zeros(size) for size in sizes])
    with pytest.raises(ValueError, match="`states` as a pair"):
        cell([keras.Input(batch_shape=v.shape) for v in x],
             [keras.Input(batch_shape=size) for size in sizes])  # fmt: skip
    with pytest.raises(ValueError, match="of which one may be None"):
        cell((None, None))


def test_errors():
    image, sound = inputs()
    video = inputs("video")[0]
    for bad in (
        {"filters": 0},
        {"kernel_size": (3, 3, 3)},
        {"padding": "full"},
        {"state_convolution": "fft"},
        {"state_convolution": "winograd", "kernel_size": 5},
        {"state_convolution": "fft"},
    ):
        with pytest.raises(ValueError, match="Received"):
            ConvLSTMFusion(**{"filters": 3, **bad})
    cases = [
        ("change over time", [image, None]),
        ("change over time", [image, sound[:, 0]]),
        ("same number of steps", [video, sound[:, :4]]),
        ("frames as", [sound, sound]),
        ("vectors as", [image, image]),
        ("built with a frame", [None, sound]),
        ("pair", [image, sound, sound]),
        ("as many frames as vectors", [image[:2], sound]),
    ]
    for match, bad in cases:
        with pytest.raises(ValueError, match=match):
            run(make(), bad)
    layer = make()
    run(layer, [video, None])
    with pytest.raises(ValueError, match="built without a vector"):
        run(layer, [video, sound])
    with pytest.raises(ValueError, match="built for frames"):
        run(layer, video[:, :, 1:])
    for shape in ((3, 5, 4), (3, 6), (2, 1)):
        with pytest.raises(ValueError, match=r"masks of shape .* here \(3, 1\)"):
            run(make(), [image, sound], [np.ones(shape, bool), None])
    with pytest.raises(ValueError, match=r"masks of shape .* here \(3, 6\)"):
        run(make(), [image, sound], [None, np.ones((3, 5), bool)])
    with pytest.raises(ValueError, match="pair of masks"):
        run(make(), [image, sound], [None] * 3)
    with pytest.raises(ValueError, match="pair"):
        ConvLSTMFusionCell(3).build(image.shape)
    with pytest.raises(ValueError, match="vectors as"):
        ConvLSTMFusionCell(3).build([image.shape, sound.shape])
