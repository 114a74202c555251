"""Members of an ensemble that decide about one class and nothing else."""

import keras
import numpy as np
import pytest
from harness import assert_close
from small import predict
from test_beat_ensemble import BEATS, CLASSES, member, segments

from keras_mmfusion import presets
from keras_mmfusion.models import BeatEnsemble


@pytest.fixture(scope="module")
def members():
    return [member(seed) for seed in range(4)]


@pytest.fixture
def x():
    return segments()


def by_hand(said, specialists, alone):
    """The rule of the docstring in float64, for one class at a time."""
    said = np.asarray(said, "float64")
    special = {CLASSES.index(name): of for name, of in specialists.items()}
    others = sorted(set(range(len(said))).difference(*special.values()))
    result = said[others].mean(axis=0)
    rest = [k for k in range(len(CLASSES)) if k not in special]
    claimed = {
        k: said[of if alone else [*others, *of]].mean(axis=0)[..., k]
        for k, of in special.items()
    }
    left = np.maximum(1 - sum(claimed.values()), 0)
    result[..., rest] *= (left / result[..., rest].sum(axis=-1))[..., None]
    for k, probability in claimed.items():
        result[..., k] = probability
    return result / result.sum(axis=-1, keepdims=True)


@pytest.mark.parametrize("alone", [True, False])
@pytest.mark.parametrize(
    "specialists", [{"V": [2]}, {"V": [0, 3]}, {"V": [2], "S": [3]}]
)
def test_by_hand(members, x, specialists, alone):
    model = BeatEnsemble(members, specialists=specialists, alone=alone)
    found = predict(model, x)
    said = [predict(m, x) for m in members]
    assert_close(found, by_hand(said, specialists, alone), 1e-6)
    assert_close(found.sum(axis=-1), np.ones((4, BEATS)), 1e-6)
    assert model.specialists == specialists


def test_who_decides_what(members, x):
    """A specialist is not heard about other classes, nor anybody else about its own."""

    def changed(number):
        others = [member(9) if i == number else m for i, m in enumerate(members)]
        return predict(BeatEnsemble(others, specialists={"V": [2]}), x)

    before, n, v = changed(None), CLASSES.index("N"), CLASSES.index("V")
    assert_close(changed(0)[..., v], before[..., v], 1e-6)
    other, share = changed(2), before[..., n] / (1 - before[..., v])
    assert np.abs(other[..., v] - before[..., v]).max() > 1e-3
    assert_close(other[..., n] / (1 - other[..., v]), share, 1e-5)


def test_sure_of_everything(members, x):
    """Probabilities that are 0 or 1 in float32 leave no NaN."""
    sure = [member(seed) for seed in range(3)]
    for one, logits in zip(sure, ((0, 0, 200), (0, 0, 200), (0, 0, -200)), strict=True):
        kernel, bias = one.get_layer("head").get_weights()
        one.get_layer("head").set_weights([0 * kernel, bias + logits])
    found = predict(BeatEnsemble(sure, specialists={"V": [2]}), x)
    assert np.isfinite(found).all()


def test_a_preset_and_a_clone(members, x, tmp_path):
    model = BeatEnsemble(members, specialists={"V": [1, 2]}, alone=False)
    expected = predict(model, x)
    presets.save(model, tmp_path / "preset", golden=x)
    again = presets.load(tmp_path / "preset")
    assert again.specialists == {"V": [1, 2]} and not again.alone
    assert_close(predict(again, x), expected, 1e-6)
    clone = keras.models.clone_model(model)
    clone.set_weights(model.get_weights())
    assert_close(predict(clone, x), expected, 1e-6)


def test_names_and_heads(members, x):
    model = BeatEnsemble(members, specialists={"V": [3]})
    with pytest.raises(ValueError, match=r"must be names.*specialists=\{'V': \[3\]\}"):
        model.classes = None
    model.classes = ["normal", "early", "PVC"]
    assert model.specialists == {"PVC": [3]}
    assert model.get_config()["specialists"] == {"PVC": [3]}
    other = model.with_num_classes(2)
    assert other.specialists == {} and predict(other, x).shape == (4, BEATS, 2)
    expected = np.mean([predict(m, x) for m in other.members], axis=0)
    assert_close(predict(other, x), expected, 1e-6)


@pytest.mark.parametrize(
    "wrong,message",
    [
        ({"F": [0]}, r"must name classes.*\['N', 'S', 'V'\]"),
        (["V"], "must be a dict"),
        ({"V": []}, "one or more of the 4 members"),
        ({"V": 2}, "one or more of the 4 members"),
        ({"V": [4]}, "one or more of the 4 members"),
        ({"V": [0, 1, 2, 3]}, "leave members and classes"),
        ({"N": [0], "S": [1], "V": [2]}, "leave members and classes"),
    ],
)
def test_wrong_specialists(members, wrong, message):
    with pytest.raises(ValueError, match=message):
        BeatEnsemble(members, specialists=wrong)
