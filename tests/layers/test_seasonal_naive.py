"""The forecast that is the value a period before."""

import keras
import pytest
from backends import run
from harness import assert_close, numbers

from keras_mmfusion.layers import SeasonalNaive


@pytest.mark.parametrize("period", [1, 4, 7])
def test_seasonal_naive(tmp_path, period):
    x = numbers(1, 3, 8, 2)[0]
    layer = SeasonalNaive(9, period)
    output = run(layer, x)
    for step in range(9):
        expected = x[:, 8 - period + step % period]
        assert_close(output[:, step], expected, 0)
    assert layer.compute_output_shape((None, None, 2)) == (None, 9, 2)
    model = keras.Sequential([keras.Input((None, 2)), layer])
    model.save(tmp_path / "m.keras")
    again = keras.saving.load_model(tmp_path / "m.keras")
    assert_close(again.predict(x, verbose=0), output, 0)


@pytest.mark.parametrize(
    "period, shape, message",
    [
        (24, (1, 12, 2), "a period of 24 steps"),
        (1, (12, 2), r"\(batch, time, columns\)"),
    ],
)
def test_series_that_do_not_fit(period, shape, message):
    with pytest.raises(ValueError, match=message):
        SeasonalNaive(5, period)(numbers(1, *shape)[0])
