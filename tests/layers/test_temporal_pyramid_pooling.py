import keras
import numpy as np
import pytest
from backends import run
from harness import assert_close, check_layer, numbers

from keras_mmfusion.layers import TemporalPyramidPooling

AUDIO = (1, 2, 4, 8, 16, 32, 64)


def pooled(x, mask, levels):
    """A sample, a level and a region at a time."""
    output = []
    for sample, valid in zip(x.astype("float64"), mask, strict=True):
        steps = sample[valid]
        rows = []
        for level in levels:
            padded = steps
            if len(steps) < level:
                zeros = np.zeros((level - len(steps), *steps.shape[1:]))
                padded = np.concatenate([steps, zeros])
            for region in range(level):
                begin = region * len(padded) // level
                end = (region + 1) * len(padded) // level
                rows.append(padded[begin:end].mean(axis=0))
        rows.append(steps.max(axis=0) if len(steps) else 0 * rows[0])
        output.append(rows)
    return np.array(output)


@pytest.mark.parametrize("levels", [(1, 2, 4, 8, 16), AUDIO, (3,)])
@pytest.mark.parametrize("shape", [(5, 23, 4), (5, 70, 3, 2)])
def test_equals_a_plain_loop(levels, shape):
    x = numbers(1, *shape)[0]
    layer = TemporalPyramidPooling(levels)
    everything = np.ones(shape[:2], bool)
    output = run(layer, x)
    assert output.shape == (5, sum(levels) + 1, *shape[2:])
    assert_close(output, pooled(x, everything, levels))
    mask = np.random.default_rng(1).random(shape[:2]) < 0.6
    mask[1] = False
    mask[2] = np.arange(shape[1]) == 7
    x[~mask] = np.nan
    assert_close(run(layer, x, mask), pooled(x, mask, levels))
    there = np.asarray(layer.compute_mask(x, mask))
    assert (there == mask.any(1, keepdims=True)).all() and there.shape[1] == len(
        output[0]
    )


def test_as_many_regions_as_steps_keep_everything():
    x = numbers(1, 2, 8, 3)[0]
    assert_close(run(TemporalPyramidPooling((8,), global_max=False), x), x)


def test_contract(tmp_path):
    x = numbers(1, 3, 9, 4)[0]
    mask = np.arange(9) < np.array([[9], [5], [2]])
    path = tmp_path / "m.keras"

    def make(**kwargs):
        return TemporalPyramidPooling((1, 2, 4), **kwargs)

    check_layer(make, x, mask, path=path, padding=True, train=False)


def test_the_mask_goes_on():
    """A text that is missing is missing after it too."""
    words = keras.Input((None, 4))
    masked = keras.layers.Masking()(words)
    pool = TemporalPyramidPooling((1, 2))
    model = keras.Model(words, keras.layers.LSTM(3)(pool(masked)))
    x = numbers(1, 2, 6, 4)[0]
    x[1] = 0
    output = run(model, x)
    assert np.abs(output[0]).max() > 1e-3 and not output[1].any()


def test_wrong_arguments():
    with pytest.raises(ValueError, match="positive integer"):
        TemporalPyramidPooling((1, 0))
    with pytest.raises(ValueError, match="must not be empty"):
        TemporalPyramidPooling(())
    for shape in ((2, 5), (2, 5, None)):
        with pytest.raises(ValueError, match="TemporalPyramidPooling expects"):
            TemporalPyramidPooling().compute_output_shape(shape)
