"""Beats that look alike are labelled alike, in recordings of any length."""

import keras
import numpy as np
import pytest
from backends import once
from harness import assert_close
from small import predict
from test_beat_ensemble import BEATS, member

from keras_mmfusion import presets
from keras_mmfusion.models import BeatConsensus, BeatEnsemble

# More than a block, and more than the neighbours may be away.
LONG, REACH = 1300, 100


def recording(num_beats, seed=0):
    rng = np.random.default_rng(seed)
    modalities = {
        "rhythm": rng.normal(size=(num_beats, 2)).astype("float32"),
        "shape": rng.normal(size=(num_beats, 3)).astype("float32"),
    }
    return rng.dirichlet(np.ones(3), num_beats), modalities


def reference(consensus, probabilities, modalities, causal=False):
    """The same for one beat after the other, in float64."""
    places = np.concatenate(
        [
            w * modalities[name].astype("float64")
            for name, w in consensus.weights.items()
        ],
        axis=1,
    )
    logs = np.log(probabilities + 1e-4)
    result = []
    for i in range(len(logs)):
        distance = np.linalg.norm(places - places[i], axis=1)
        distance[np.abs(np.arange(len(logs)) - i) > consensus.reach] = np.inf
        distance[i] = np.inf
        if causal:
            distance[i:] = np.inf
        nearest = np.argsort(distance)[: consensus.num_neighbors]
        nearest = nearest[np.isfinite(distance[nearest])]
        share = consensus.share * len(nearest) / consensus.num_neighbors
        mean = (1 - share) * logs[i]
        if len(nearest):
            mean = mean + share * logs[nearest].mean(axis=0)
        result.append(np.exp(mean) / np.exp(mean).sum())
    return np.array(result)


@once
@pytest.mark.parametrize("causal", [False, True])
@pytest.mark.parametrize("num_beats", [1, 3, 40, LONG])
def test_equals_the_same_beat_by_beat(num_beats, causal):
    consensus = BeatConsensus(
        {"rhythm": 2.0, "shape": 0.5}, num_neighbors=5, share=0.4, reach=500
    )
    probabilities, modalities = recording(num_beats)
    expected = reference(consensus, probabilities, modalities, causal)
    assert_close(consensus(probabilities, modalities, causal), expected, 1e-6)


@once
def test_only_the_past_is_heard():
    consensus = BeatConsensus({"rhythm": 1.0})
    probabilities, modalities = recording(60)
    whole = consensus(probabilities, modalities, causal=True)
    earlier = {name: x[:40] for name, x in modalities.items()}
    assert_close(consensus(probabilities[:40], earlier, causal=True), whole[:40], 1e-7)
    assert_close(whole[0], probabilities[0], 1e-3)  # nobody came before


@once
def test_neighbours_are_not_far_away():
    consensus = BeatConsensus({"rhythm": 1.0}, reach=REACH)
    probabilities, modalities = recording(LONG)
    changed = probabilities.copy()
    changed[LONG - 10 :] = [0.0, 0.0, 1.0]
    before, after = (consensus(p, modalities) for p in (probabilities, changed))
    same = (before == after).all(axis=1)
    assert same[: LONG - 10 - REACH].all()
    assert not same[LONG - 10 - REACH : LONG - 10].all()


@once
def test_unusable_beats_are_not_heard_and_stay():
    consensus = BeatConsensus({"rhythm": 1.0}, num_neighbors=3)
    probabilities, modalities = recording(30)
    modalities["rhythm"][7] = 3e38  # its square is infinite
    lost = probabilities.copy()
    lost[3] = np.nan
    result = consensus(lost, modalities)
    assert np.isnan(result[3]).all() and (result[7] == lost[7]).all()
    rest = np.delete(np.arange(30), [3, 7])
    kept = {name: x[rest] for name, x in modalities.items()}
    assert_close(result[rest], consensus(probabilities[rest], kept), 1e-6)


@once
@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ({"weights": {}}, "positive number for each modality"),
        ({"weights": {"rhythm": -1.0}}, "positive number for each modality"),
        ({"weights": {"rhythm": np.inf}}, "positive number for each modality"),
        ({"num_neighbors": 0}, "at least 1"),
        ({"share": 0.0}, "above 0"),
        ({"share": 1.5}, "at most 1"),
        ({"reach": 0}, "at least 1"),
    ],
)
def test_bad_arguments(arguments, expected):
    with pytest.raises(ValueError, match=expected):
        BeatConsensus(**{"weights": {"rhythm": 1.0}, **arguments})


@once
def test_what_is_compared_must_be_there():
    probabilities, modalities = recording(5)
    with pytest.raises(ValueError, match=r"\['waves'\] are compared"):
        BeatConsensus({"waves": 1.0})(probabilities, modalities)
    with pytest.raises(ValueError, match="must compare modalities of the model"):
        member(consensus=BeatConsensus({"waves": 1.0}))
    with pytest.raises(ValueError, match="must be a `BeatConsensus`"):
        member().consensus = {"rhythm": 1.0}


@once
@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (lambda p, x: (np.log(p), x), "the sum 1 for each beat"),
        (lambda p, x: (2 * p, x), "the sum 1 for each beat"),
        (lambda p, x: (p, x[1:]), "must hold the 5 beats"),
    ],
)
def test_what_cannot_be_meant(change, expected):
    probabilities, modalities = recording(5)
    probabilities, rhythm = change(probabilities, modalities["rhythm"])
    with pytest.raises(ValueError, match=expected):
        BeatConsensus({"rhythm": 1.0})(probabilities, {"rhythm": rhythm})


@once
@pytest.mark.parametrize("dtype", ["bool", "int64", "float16", "float32"])
@pytest.mark.parametrize("num_beats", [0, 1, 12])
def test_any_numbers(dtype, num_beats):
    consensus = BeatConsensus({"rhythm": 1.0}, num_neighbors=2)
    _, modalities = recording(num_beats)
    certain = np.eye(3)[np.arange(num_beats) % 3]
    result = consensus(certain.astype(dtype), modalities)
    assert_close(result, consensus(certain, modalities), 1e-6)
    assert result.shape == (num_beats, 3)


@once
def test_beats_without_a_modality_are_heard_by_their_like_only():
    consensus = BeatConsensus({"rhythm": 1.0, "shape": 1.0}, num_neighbors=3)
    probabilities, modalities = recording(30)
    modalities["shape"] /= 100  # So that those without it are nearest.
    modalities["shape"][10:18] = np.nan
    modalities["shape"][20, 1:] = np.nan
    result = consensus(probabilities, modalities)
    lacking = np.isin(np.arange(30), np.arange(10, 18))
    for part in (lacking, ~lacking):
        kept = {name: x[part] for name, x in modalities.items()}
        assert_close(result[part], consensus(probabilities[part], kept), 1e-6)


@pytest.mark.parametrize("ensemble", [False, True])
def test_features_are_left_alone(ensemble):
    consensus = BeatConsensus({"rhythm": 1.0})
    model = BeatEnsemble([member(0), member(1)]) if ensemble else member()
    _, modalities = recording(2 * BEATS)
    expected = model.with_num_classes(0).predict_beats(modalities)
    model.consensus = consensus
    assert_close(model.with_num_classes(0).predict_beats(modalities), expected, 1e-6)


@pytest.mark.parametrize("ensemble", [False, True])
def test_models_keep_it(ensemble, tmp_path):
    consensus = BeatConsensus({"rhythm": 2.0}, num_neighbors=4, share=0.3, reach=50)
    model = member(consensus=consensus)
    if ensemble:
        model = BeatEnsemble([member(0), member(1)], consensus)
    _, modalities = recording(3 * BEATS)
    with_it = model.predict_beats(modalities)

    # It is of whole recordings: segments are judged without.
    x = {name: values[None, :BEATS] for name, values in modalities.items()}
    segments = predict(model, x)
    model.save(tmp_path / "model.keras")
    presets.save(model, tmp_path / "preset", golden=x)
    for again in (
        keras.models.load_model(tmp_path / "model.keras"),
        presets.load(tmp_path / "preset"),
    ):
        assert again.consensus.get_config() == consensus.get_config()
        assert_close(again.predict_beats(modalities), with_it, 1e-6)
    assert model.with_num_classes(2).consensus.weights == {"rhythm": 2.0}

    model.consensus = None
    assert_close(predict(model, x), segments, 1e-7)
    without = model.predict_beats(modalities)
    assert_close(consensus(without, modalities), with_it, 1e-6)
    assert np.abs(without - with_it).max() > 1e-3
