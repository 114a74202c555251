"""Linear discriminants of beats, as a baseline: what they see, and that they learn."""

import sys
from pathlib import Path

import numpy as np
import pytest
from backends import once

sys.path.append(str(Path(__file__).parents[2] / "recipes" / "mitbih"))

import data
import linear
import scoring

from keras_mmfusion.datasets import mitbih

BEATS = 60
pytestmark = once


def recording(name, seed):
    """Beats of four classes: of another height, after another interval, or both."""
    rng = np.random.default_rng(seed)
    labels = np.r_[:4, rng.integers(0, 4, BEATS - 5), -1]
    waves = 0.1 * rng.standard_normal((BEATS, 128, 4))
    waves[..., 0] += (labels == 2)[:, None] + 0.5 * (labels == 3)[:, None]
    rhythm = 0.1 * rng.standard_normal((BEATS, 2))
    rhythm[:, 0] -= labels == 1
    shape = 0.1 * rng.standard_normal((BEATS, 10))
    shape[7] = np.nan  # missing
    modalities = {"ecg": waves, "rhythm": rhythm, "shape": shape}
    none = np.zeros(BEATS, bool)
    return data.Recording(name, modalities, labels, none, np.arange(BEATS) / 2)


def test_features_are_of_a_beat_and_the_rhythm_around_it():
    one = recording("101", 0)
    x = linear.features(one)
    rhythm = one.modalities["rhythm"]
    assert x.shape == (BEATS, 128 * 4 + 10 + 2 * 5) and np.isfinite(x).all()
    np.testing.assert_array_equal(x[20, -10:], rhythm[18:23].reshape(-1))
    np.testing.assert_array_equal(x[0, -10:-6], np.tile(rhythm[0], 2))


@pytest.mark.parametrize("priors", linear.PRIORS)
def test_new_patients_are_predicted(priors):
    recordings = [recording(name, i) for i, name in enumerate(mitbih.DS1)]
    assert linear.validate(recordings, priors)["macro_f1_nsv"] > 0.9


def test_what_it_leaves_is_found_as_a_model(tmp_path, monkeypatch):
    names = [*mitbih.DS1[:8], *mitbih.DS2[:2]]
    known = [recording(name, i) for i, name in enumerate(names)]
    monkeypatch.setattr(data, "load", lambda protocol, data_dir: known)
    monkeypatch.setattr(mitbih, "FOLDS", (mitbih.DS1[:4], mitbih.DS1[4:8]))
    linear.main(["--output", str(tmp_path)])
    models = scoring.read_models(tmp_path, linear.PROTOCOL, scoring.LINEAR, folds=False)
    assert set(models) == {0} and set(models[0]) == set(mitbih.DS2[:2])
    found, _ = scoring.score(models[0], known, data.INTERPATIENT_CLASSES)
    assert found["beats"] == 2 * (BEATS - 1) and found["accuracy"] > 0.9
