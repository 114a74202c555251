"""Simulated records: made of the patient's own beats, and of nothing else."""

import sys
from pathlib import Path

import numpy as np
import pytest
from backends import once

sys.path.append(str(Path(__file__).parents[2] / "recipes" / "mitbih"))
import data
import ectopic_rich

from keras_mmfusion.preprocessing import BeatPreprocessor

pytestmark = once


N, S, V, F = range(4)


def patient(kind=S, early=0.6, beats=300, jitter=0.02, name="1"):
    """Every fifth beat is ectopic; the value of a wave is the number of its beat."""
    rng = np.random.default_rng(0)
    labels = np.where(np.arange(beats) % 5 == 4, kind, N)
    intervals = np.where(
        labels == kind, early, 0.8 + jitter * rng.standard_normal(beats)
    )
    waves = np.broadcast_to(np.arange(beats)[:, None, None], (beats, 128, 2))
    return data.Recording(
        name,
        {"image": waves.astype("float32")},
        labels,
        np.zeros(beats, bool),
        np.cumsum(intervals),
    )


def simulate(recording, kind=S, share=0.7, seed=0):
    rng = np.random.default_rng(seed)
    return ectopic_rich.simulate(recording, kind, BeatPreprocessor(), rng, share)


@pytest.mark.parametrize("kind", [S, V])
def test_beats_keep_their_label_and_ectopic_ones_are_early(kind):
    source = patient(kind)
    made = simulate(source, kind)
    number = made.modalities["image"][:, 0, 0].astype(int)
    np.testing.assert_array_equal(made.labels, source.labels[number])
    assert set(np.unique(made.labels)) == {N, kind} and len(made.labels) >= 400
    assert made.simulated and set(made.modalities) == {
        "ecg",
        "image",
        "rhythm",
        "shape",
    }
    intervals = np.diff(made.times)
    ectopic = made.labels[1:] == kind
    assert intervals.min() > 0 and intervals[ectopic].max() < 0.8
    after_a_run = ~ectopic & (made.labels[:-1] == kind)
    assert intervals[after_a_run].min() > 0.75


def test_share_is_about_what_was_asked_for():
    for share in (0.4, 0.8):
        drawn = [simulate(patient(), S, share, seed).labels == S for seed in range(20)]
        assert abs(np.concatenate(drawn).mean() - share) < 0.08


def test_patients_that_cannot_be_simulated():
    assert simulate(patient(), V) is None  # none of these beats
    assert simulate(patient(beats=50)) is None  # too few
    assert simulate(patient(early=0.78)) is None  # not early
    assert simulate(patient(jitter=0.2)) is None  # no rhythm of their own


def test_validation_records_are_always_the_same():
    patients = [patient(S, name="1"), patient(V, name="2")]
    first, again = (
        ectopic_rich.for_validation(patients, BeatPreprocessor()) for _ in range(2)
    )
    assert [r.name for r in first] == ["1 S 0.60", "1 S 0.75", "2 V 0.60", "2 V 0.75"]
    for a, b in zip(first, again, strict=True):
        np.testing.assert_array_equal(a.labels, b.labels)
        np.testing.assert_array_equal(a.modalities["ecg"], b.modalities["ecg"])
    trained = [
        ectopic_rich.for_training(patients, BeatPreprocessor(), seed) for seed in (0, 1)
    ]
    # Full of S beats; none of the patient who has V beats only.
    assert len(trained[0]) == ectopic_rich.COPIES
    assert all(r.name.startswith("1 S ") for r in trained[0])
    assert any(
        not np.array_equal(a.times, b.times) for a, b in zip(*trained, strict=True)
    )
