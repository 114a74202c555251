"""One checker for all layers. `check_layer` for any, `check_fusion` for fusions.

`make_layer(**kwargs)` must return a new layer and hand `kwargs` (`dtype`) to it.
`inputs` is an array or a list of arrays, `masks` likewise (or None).
"""

import json

import keras
import numpy as np
from backends import gradients, run
from keras import ops

TOLERANCE = 1e-5


def as_list(x):
    return list(x) if isinstance(x, (list, tuple)) else [x]


def like(inputs, values):
    return list(values) if isinstance(inputs, (list, tuple)) else values[0]


def assert_close(actual, expected, tolerance=TOLERANCE, what="outputs"):
    actual, expected = np.asarray(actual), np.asarray(expected)
    assert actual.shape == expected.shape, (what, actual.shape, expected.shape)
    gap = np.max(np.abs(actual - expected), initial=0.0)
    assert gap <= tolerance, f"{what} differ by {gap:.2e} (allowed {tolerance:.0e})"


def scale_of(output):
    """What rounding is measured by: the largest output, or one."""
    return max(1.0, float(np.abs(output).max(initial=0.0)))


def numbers(count, *shape, seed=0):
    """`count` standard normal arrays of a shape, or of one shape each."""
    rng = np.random.default_rng(seed)
    shapes = [shape] * count if not isinstance(shape[0], tuple) else shape
    return [rng.standard_normal(s).astype("float32") for s in shapes]


def built(make_layer, inputs, masks=None, **kwargs):
    """A layer with weights that are all away from zero."""
    layer = make_layer(**kwargs)
    run(layer, inputs, masks)
    rng = np.random.default_rng(1)
    for variable in layer.trainable_variables:
        noise = 0.1 * rng.standard_normal(variable.shape)
        variable.assign(ops.convert_to_numpy(variable) + noise.astype("float32"))
    return layer


def symbolic_model(layer, inputs, masks=None, dynamic=True):
    """A functional model with unknown lengths, masks as inputs of their own."""

    def placeholder(x, dtype):
        free = 1 if dynamic and x.ndim in (2, 3) else 0
        return keras.Input((None,) * free + x.shape[1 + free :], dtype=dtype)

    xs = [placeholder(x, "float32") for x in as_list(inputs)]
    if masks is None:
        return keras.Model(xs, layer(like(inputs, xs)))
    ms = [placeholder(m, "bool") for m in as_list(masks)]
    outputs = layer(like(inputs, xs), mask=like(inputs, ms))
    return keras.Model(xs + ms, outputs)


def check_config(make_layer, layer):
    config = layer.get_config()
    again = type(layer).from_config(config)
    assert again.get_config() == config
    text = json.dumps(keras.saving.serialize_keras_object(make_layer()))
    revived = keras.saving.deserialize_keras_object(json.loads(text))
    assert type(revived) is type(layer)
    expected = keras.saving.serialize_keras_object(revived)
    assert json.loads(json.dumps(expected)) == json.loads(text)
    assert set(dir(revived)) == set(dir(make_layer()))


def check_shapes(make_layer, inputs, masks, output, dynamic=True):
    shapes = like(inputs, [x.shape for x in as_list(inputs)])
    layer = make_layer()
    assert tuple(layer.compute_output_shape(shapes)) == output.shape
    spec = symbolic_model(make_layer(), inputs, masks, dynamic=False).output
    assert spec.shape[1:] == output.shape[1:]
    spec = symbolic_model(make_layer(), inputs, masks, dynamic).output
    assert spec.dtype == "float32"
    for symbolic, real in zip(spec.shape, output.shape, strict=True):
        assert symbolic in (None, real)


def check_mixed_precision(make_layer, layer, inputs, masks, output, dynamic=True):
    half = make_layer(dtype="mixed_bfloat16")
    result = run(half, inputs, masks, raw=True)
    assert keras.backend.standardize_dtype(result.dtype) == "bfloat16"
    for child in half._flatten_layers():
        assert child.compute_dtype == "bfloat16", child.path
    for variable in half.weights:
        assert variable.dtype in ("float32", "uint32", "int32"), variable.path
    if len(half.weights) == len(layer.weights):
        half.set_weights(layer.get_weights())
    result = run(half, inputs, masks).astype("float32")
    scale = scale_of(output)
    assert_close(result, output, 0.1 * scale, "bfloat16 outputs")
    spec = symbolic_model(half, inputs, masks, dynamic).output
    assert spec.dtype == "bfloat16"


def check_saving(layer, inputs, masks, output, path, quantize, dynamic=True):
    model = symbolic_model(layer, inputs, masks, dynamic)
    arrays = as_list(inputs) + ([] if masks is None else as_list(masks))

    def reload(expected):
        model.save(path)
        again = keras.saving.load_model(path)
        assert_close(run(again, arrays), expected, 1e-6, "reloaded outputs")
        for old, new in zip(model.weights, again.weights, strict=True):
            assert_close(new, old, 0.0, old.path)
        return again

    first = run(model, arrays)
    assert_close(first, output, what="functional and eager outputs")
    reload(first)
    if not quantize:
        return
    model.quantize("int8")
    modes = [child.quantization_mode for child in layer._flatten_layers()]
    assert "int8" in modes, "nothing was quantised"
    quantized = run(model, arrays)
    scale = scale_of(output)
    assert_close(quantized, output, 0.2 * scale, "int8 outputs")
    again = reload(quantized)
    again.save(path)
    again = keras.saving.load_model(path)
    assert_close(run(again, arrays), quantized, 1e-6, "twice reloaded outputs")


def check_low_rank_adaptation(make_layer, inputs, path):
    """LoRA on the dense children: nothing changes at first, and it can be saved."""
    layer = built(make_layer, inputs)
    arrays = as_list(inputs)
    output = run(symbolic_model(layer, inputs), arrays)
    dense = [c for c in layer._flatten_layers() if isinstance(c, keras.layers.Dense)]
    assert dense
    for child in dense:
        child.enable_lora(1)
        assert not child._kernel.trainable
    adapted = symbolic_model(layer, inputs)
    assert_close(run(adapted, arrays), output, 1e-6)
    for child in dense:
        child.lora_kernel_b.assign(np.full(child.lora_kernel_b.shape, 0.1, "f"))
    changed = run(symbolic_model(layer, inputs), arrays)
    assert np.abs(changed - output).max() > 1e-3
    adapted.save(path)
    again = keras.saving.load_model(path)
    assert_close(run(again, arrays), changed, 1e-5)


def check_gradients(layer, inputs, masks):
    by_input, by_weight = gradients(layer, inputs, masks, training=True)
    for i, gradient in enumerate(by_input):
        assert np.isfinite(gradient).all(), f"gradient to input {i} is not finite"
        assert np.abs(gradient).max() > 0, f"no gradient to input {i}"
    for path, gradient in by_weight.items():
        assert np.isfinite(gradient).all(), f"gradient to {path} is not finite"
        assert np.abs(gradient).max() > 0, f"no gradient to {path}"


def check_training(layer, inputs, masks, output, xla_training=True):
    """Compiled outputs are right, and one training step moves every weight.

    On TensorFlow both run under XLA; `xla_training=False` spares the step, whose
    compilation takes long for convolutions and recurrences.
    """
    model = symbolic_model(layer, inputs, masks, dynamic=False)
    arrays = as_list(inputs) + ([] if masks is None else as_list(masks))
    on_tensorflow = keras.backend.backend() == "tensorflow"
    model.compile(jit_compile=True if on_tensorflow else "auto")
    assert_close(model.predict(arrays, verbose=0), output, what="compiled outputs")
    jit = xla_training if on_tensorflow else "auto"
    model.compile(keras.optimizers.Adam(1e-2), "mse", jit_compile=jit)
    before = [ops.convert_to_numpy(v) for v in layer.trainable_variables]
    loss = model.train_on_batch(arrays, np.ones_like(output))
    assert np.isfinite(loss)
    for variable, old in zip(layer.trainable_variables, before, strict=True):
        assert np.isfinite(ops.convert_to_numpy(variable)).all(), variable.path
        assert np.any(ops.convert_to_numpy(variable) != old), variable.path


def check_batch(layer, inputs, masks, output):
    def take(values, index):
        return None if values is None else like(values, [v[index] for v in values])

    xs, ms = as_list(inputs), None if masks is None else as_list(masks)
    order = np.arange(len(output))[::-1]
    for index in (order, slice(0, 1)):
        part = run(layer, like(inputs, take(xs, index)), _like(masks, take(ms, index)))
        gap = 2e-6 * scale_of(output)
        assert_close(part, output[index], gap, "outputs in another batch")


def _like(masks, values):
    return values if masks is None or isinstance(masks, (list, tuple)) else values[0]


def check_padding(layer, inputs, masks, output, extra=4):
    """Frames appended to every stream and masked change nothing."""
    xs = as_list(inputs)
    ms = [np.ones(x.shape[:2], bool) for x in xs] if masks is None else as_list(masks)
    plain = run(layer, inputs, like(inputs, ms))
    assert_close(plain, output, what="outputs with masks of ones")
    for filler in (np.nan, 1e30):
        long_xs = [_append(x, extra, filler) for x in xs]
        long_ms = [_append(m, extra, False) for m in ms]
        padded = run(layer, like(inputs, long_xs), like(inputs, long_ms))
        steps = output.shape[1]
        gap = 1e-6 * scale_of(output)
        assert_close(padded[:, :steps], output, gap, "outputs after padding")
        assert padded.shape[1] == steps or not padded[:, steps:].any()
        by_input, by_weight = gradients(
            layer, like(inputs, long_xs), like(inputs, long_ms)
        )
        for gradient in [*by_input, *by_weight.values()]:
            assert np.isfinite(gradient).all(), f"masked {filler} reaches gradients"
        for gradient, x in zip(by_input, xs, strict=True):
            assert not gradient[:, x.shape[1] :].any()


def _append(x, extra, filler):
    tail = np.full((x.shape[0], extra, *x.shape[2:]), filler, x.dtype)
    return np.concatenate([x, tail], axis=1)


def check_layer(
    make_layer,
    inputs,
    masks=None,
    *,
    path=None,
    quantize=False,
    padding=False,
    train=True,
    xla_training=False,
    dynamic=True,
):
    """Everything a layer with one output must do; see the functions above.

    `path` is a file to save to (`tmp_path / "m.keras"`), `quantize` says that there
    are children for int8, `padding` that masked steps must not count, `train` that
    there are weights, `xla_training` that the step is compiled on TensorFlow too,
    `dynamic` that the number of steps may be unknown.
    """
    layer = built(make_layer, inputs, masks)
    output = run(layer, inputs, masks)
    assert np.isfinite(output).all()
    check_config(make_layer, layer)
    check_shapes(make_layer, inputs, masks, output, dynamic)
    check_mixed_precision(make_layer, layer, inputs, masks, output, dynamic)
    check_batch(layer, inputs, masks, output)
    check_gradients(layer, inputs, masks)
    output = run(layer, inputs, masks)
    if padding:
        check_padding(layer, inputs, masks, output)
    if path is not None:
        fresh = built(make_layer, inputs, masks)
        expected = run(fresh, inputs, masks)
        check_saving(fresh, inputs, masks, expected, path, quantize, dynamic)
    if train:
        check_training(layer, inputs, masks, output, xla_training)
    return layer


def check_missing(make_layer, inputs):
    """A modality that one sample lacks counts for nothing, in that sample only."""
    layer = built(make_layer, inputs)
    full = [np.ones(x.shape[:2], bool) for x in inputs]
    output = run(layer, inputs, full)
    for m in range(len(inputs)):
        masks = [mask.copy() for mask in full]
        masks[m][0] = False
        without = run(layer, inputs, masks)
        assert np.isfinite(without).all()
        assert_close(without[1:], output[1:], 2e-6, "the other samples")
        assert np.abs(without[0] - output[0]).max() > 1e-3, "nothing went missing"
        assert np.abs(without[0]).max() > 1e-3, "the other modality is gone too"
        for filler in (np.nan, 1e30):
            changed = [x.copy() for x in inputs]
            changed[m][0] = filler
            assert_close(run(layer, changed, masks), without, 0.0, "a missing value")
            by_input, by_weight = gradients(layer, changed, masks)
            for gradient in [*by_input, *by_weight.values()]:
                assert np.isfinite(gradient).all()
            assert not by_input[m][0].any()
    masks = [mask.copy() for mask in full]
    for mask in masks:
        mask[0] = False
    nothing = run(layer, inputs, masks)
    assert not nothing[0].any()
    assert_close(nothing[1:], output[1:], 2e-6, "the other samples")


def check_fusion(make_layer, path, aligned=(6, 6), unaligned=(5, 8), dims=(4, 3)):
    """`check_layer` and `check_missing`, with and without a common time axis."""
    rng = np.random.default_rng(0)
    for steps in (aligned, unaligned):
        inputs = numbers(2, *[(3, t, d) for t, d in zip(steps, dims, strict=True)])
        check_missing(make_layer, inputs)
        if steps == aligned and keras.backend.backend() != "torch":
            continue  # The rest once, where nothing is compiled for each length.
        masks = [rng.random(x.shape[:2]) < 0.7 for x in inputs]
        for mask in masks:
            mask[:, 0] = True
        check_layer(
            make_layer,
            inputs,
            masks,
            path=path if steps == unaligned else None,
            quantize=True,
            padding=True,
            train=steps == unaligned,
            xla_training=True,
        )
    layer = built(make_layer, inputs)
    check_padding(layer, inputs, None, run(layer, inputs))
