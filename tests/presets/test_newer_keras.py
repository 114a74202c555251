"""Presets that a newer Keras saved, with options that this one does not know."""

import copy
import json

import keras
import numpy as np
import pytest

from keras_mmfusion.models import FusionClassifier
from keras_mmfusion.presets import _config
from keras_mmfusion.presets._errors import PresetError


def model():
    return FusionClassifier(
        inputs={"load": (6, 3), "calendar": (6, 2)},
        encoders={
            "load": keras.Sequential(
                [keras.layers.Dense(4), keras.layers.LSTM(4, return_sequences=True)],
                name="load_encoder",
            ),
            "calendar": keras.layers.Dense(4, name="calendar_encoder"),
        },
        fusion="concat",
        dim=4,
    )


def with_option(node, value):
    """The config as a later release may write it: one more option everywhere."""
    if isinstance(node, list):
        return [with_option(item, value) for item in node]
    if not isinstance(node, dict):
        return node
    node = {key: with_option(item, value) for key, item in node.items()}
    if node.get("module") in ("keras.layers", "keras.initializers"):
        node["config"]["option_of_2030"] = value
    return node


def test_options_that_are_not_used_are_left_out():
    config = json.loads(_config.dump(model(), "config.json"))
    newer = with_option(copy.deepcopy(config), None)
    assert json.dumps(newer).count("option_of_2030") > 10
    built = _config.build(json.dumps(newer).encode(), "config.json")
    assert json.loads(_config.dump(built, "config.json")) == config


def test_options_that_are_used_are_refused():
    config = json.loads(_config.dump(model(), "config.json"))
    newer = json.dumps(with_option(config, "fast")).encode()
    with pytest.raises(PresetError, match="option_of_2030"):
        _config.build(newer, "config.json")


def test_none_stays_where_it_says_something():
    """Such as no activation where there would be one, and no bias."""
    layer = keras.layers.LSTM(3, activation=None, recurrent_activation=None)
    built = _config.build(_config.dump(layer, "config.json"), "config.json")
    assert built.get_config() == layer.get_config()
    x = np.ones((1, 2, 2), "float32")
    layer(x), built(x)
    built.set_weights(layer.get_weights())
    np.testing.assert_allclose(
        keras.ops.convert_to_numpy(built(x)), keras.ops.convert_to_numpy(layer(x))
    )
