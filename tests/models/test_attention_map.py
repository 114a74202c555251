"""The attention weights of a model, and their picture."""

import keras
import numpy as np
import pytest
import small
from harness import assert_close

from keras_mmfusion.analysis import attention_map
from keras_mmfusion.layers import ATDFusion


@pytest.fixture(scope="module")
def model():
    """Shared by the tests; do not change it."""
    return small.classifier("cross_attention")


def with_gaps():
    x = small.inputs()
    x["calendar"][1] = np.nan
    x["calendar"][2, 4:] = np.nan
    return x


def test_scores_are_those_of_the_layer(model):
    x = with_gaps()
    before = small.predict(model, x)
    scores, figure = attention_map(model, x, sample=2)
    weights = scores["wave → calendar"]
    assert list(scores) == ["wave → calendar"] and weights.shape == (4, 2, 6, 6)
    assert not weights[1].any() and not weights[2, :, :, 4:].any()
    assert_close(weights[[0, 2, 3]].sum(-1), np.ones((3, 2, 6)))
    features = model.modality_features(x)
    masks = [np.ones((4, 6), bool), ~np.isnan(x["calendar"]).all(-1)]
    _, expected = model.get_layer("fusion")(
        [keras.ops.convert_to_tensor(features[name]) for name in model.modalities],
        mask=[keras.ops.convert_to_tensor(m) for m in masks],
        return_attention_scores=True,
    )
    assert_close(weights, keras.ops.convert_to_numpy(expected[0]))
    # Asking leaves the model as it was.
    assert_close(small.predict(model, x), before, 0.0)
    assert model.fused_features(x).shape == (4, 6, 8)
    drawn = figure.axes[0].images[0].get_array()
    assert_close(drawn[:, :4], weights[2].mean(0)[:, :4])
    assert np.ma.getmaskarray(drawn)[:, 4:].all()


def test_picture(model, tmp_path):
    x = with_gaps()
    for kwargs in ({"sample": 1}, {"head": 1, "only": ["wave → calendar"]}):
        _, figure = attention_map(model, x, **kwargs)
        figure.savefig(tmp_path / "map.png", dpi=40)
    assert [a.get_title() for a in figure.axes[:1]] == ["wave → calendar"]


def test_several_maps():
    x = small.inputs(samples=2)
    model = small.classifier(ATDFusion(8, 2, num_steps=2), modality_dropout=0.2)
    scores, figure = attention_map(model, x)
    assert list(scores) == ["wave → calendar", "calendar → wave+calendar"]
    assert len(figure.axes) == 3
    layers = {"num_layers": 2}
    model = small.classifier("mult", fusion_options=layers)
    scores = model.attention_scores(with_gaps())
    assert not scores["calendar → wave 1"][1].any()  # nothing there that could ask
    assert not scores["wave → calendar 2"][1].any()
    assert_close(scores["wave → wave"].sum(-1), np.ones((4, 2, 6)))
    assert list(scores) == [
        "wave → calendar 1",
        "wave → calendar 2",
        "wave → wave",
        "calendar → wave 1",
        "calendar → wave 2",
        "calendar → calendar",
    ]


def test_errors(model):
    x = small.inputs()
    with pytest.raises(ValueError, match="needs a fusion with attention"):
        attention_map(small.classifier("lmf"), x)
    with pytest.raises(ValueError, match="sample=4"):
        attention_map(model, x, sample=4)
    with pytest.raises(ValueError, match="head=2"):
        attention_map(model, x, head=2)
    with pytest.raises(ValueError, match="only"):
        attention_map(model, x, only=["wave"])
    with pytest.raises(ValueError, match="modalities"):
        attention_map(model, {"wave": x["wave"]})
