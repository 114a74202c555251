"""Simulated early beats and fibrillation: what is changed, and what is not."""

import sys
from pathlib import Path

import numpy as np
import pytest
from backends import once

sys.path.append(str(Path(__file__).parents[2] / "recipes" / "mitbih"))
import atrial_arrhythmia
import data
import p_waves

from keras_mmfusion.preprocessing import BeatPreprocessor

pytestmark = once
N, S, V = range(3)
TIME = (np.arange(128) - p_waves.R_PEAK) / p_waves.RATE


def bump(centre, width, height):
    return height * np.exp(-(((TIME - centre) / width) ** 2))


# A P wave, a QRS complex and a T wave, in one lead and upside down in the other.
BEAT = bump(-0.16, 0.02, 0.1) + bump(0, 0.015, 1.0) + bump(0.25, 0.03, 0.3)
BEAT = np.stack([BEAT, -BEAT], axis=-1).astype("float32")


def beats(count=400, jitter=0.02):
    rng = np.random.default_rng(0)
    times = 0.8 + jitter * rng.standard_normal(count)
    return atrial_arrhythmia.SteadyBeats(np.repeat(BEAT[None], count, axis=0), times)


def recording(jitter=0.02, count=400, name="1"):
    labels = np.where(np.arange(count) % 10 == 9, V, N)
    waves, intervals = beats(count, jitter)
    times = np.cumsum(intervals)
    nothing = np.zeros(count, bool)
    return data.Recording(name, {"image": waves}, labels, nothing, times)


def at(seconds):
    return np.argmin(np.abs(TIME - seconds))


@pytest.mark.parametrize("kind", p_waves.KINDS)
def test_only_the_p_wave_is_another_one(kind, monkeypatch):
    monkeypatch.setattr(p_waves, "KINDS", {kind: p_waves.KINDS[kind]})
    waves, foreign = beats(5).waves, np.roll(BEAT, 5, axis=0) * 2
    changed = p_waves.other_p_wave(waves, foreign, np.random.default_rng(3))
    rest = np.ones(128, bool)
    rest[p_waves.P_WAVE] = False
    np.testing.assert_array_equal(changed[:, rest], waves[:, rest])
    heights = changed[:, p_waves.P_WAVE, 0]
    assert np.abs(changed - waves).max() > 0.01
    if kind == "absent":
        assert np.abs(heights).max() < 0.03
    if kind == "inverted":
        assert heights.min() < -0.02 and heights.max() < 0.02
    if kind in ("moved", "foreign"):
        assert heights.max() > 0.03 and heights.min() > -0.02


def test_fibrillation_has_no_p_wave_but_a_tremor():
    made = p_waves.no_p_wave(beats(200).waves, np.random.default_rng(0))
    # The tremor is another one in each beat; in the median none is left.
    assert abs(np.median(made[:, at(-0.16), 0])) < 0.03
    assert made[:, at(-0.16), 0].std() > 0.005
    assert np.abs(made[:, at(0)] - BEAT[at(0)]).max() < 0.4


def test_an_early_beat_is_on_the_t_wave_of_the_one_before():
    waves = beats(2).waves
    made = p_waves.on_t_waves(waves, waves, [0.45, 1.2])
    # That T wave was 0.25 s after a beat 0.45 s ago.
    assert made[0, at(-0.2), 0] - waves[0, at(-0.2), 0] == pytest.approx(0.3, abs=0.02)
    np.testing.assert_array_equal(made[0, at(-0.04) :], waves[0, at(-0.04) :])
    np.testing.assert_array_equal(made[1], waves[1])


def test_early_beats_are_early_and_supraventricular():
    shares = []
    for seed in range(20):
        rng = np.random.default_rng(seed)
        waves, labels, intervals = atrial_arrhythmia.early(beats(), rng, BEAT)
        assert len(waves) == len(labels) == len(intervals) >= atrial_arrhythmia.LENGTH
        assert set(labels) == {N, S} and np.isfinite(waves).all()
        assert intervals[labels == S].max() < 0.8 < intervals[labels == N].max()
        after_a_run = (labels == N) & (np.roll(labels, 1) == S)
        assert intervals[after_a_run][1:].min() > 0.75
        np.testing.assert_array_equal(waves[labels == N][0], BEAT)
        shares.append((labels == S).mean())
    assert min(shares) < 0.2 and max(shares) > 0.5


def test_fibrillating_beats_are_normal_at_any_time():
    rng = np.random.default_rng(0)
    waves, labels, intervals = atrial_arrhythmia.fibrillating(beats(), rng)
    assert (
        set(labels) == {N} and len(waves) == len(intervals) == atrial_arrhythmia.LENGTH
    )
    assert intervals.std() / intervals.mean() > 0.1
    assert abs(np.corrcoef(intervals[1:], intervals[:-1])[0, 1]) < 0.15


def test_only_normal_beats_of_a_steady_rhythm_are_used():
    found = atrial_arrhythmia.steady_beats(recording())
    # Neither ventricular beats nor those after them: eight of ten.
    assert len(found.waves) == 8 * 40
    assert atrial_arrhythmia.steady_beats(recording(jitter=0.2)) is None
    assert atrial_arrhythmia.steady_beats(recording(count=200)) is None


def test_records_for_training():
    patients = [recording(name="1"), recording(0.2, name="2"), recording(name="3")]
    made, again, other = (
        atrial_arrhythmia.for_training(patients, BeatPreprocessor(), seed)
        for seed in (0, 0, 1)
    )
    assert len(made) == 2 * sum(atrial_arrhythmia.COPIES.values())
    assert {r.name for r in made} == {
        f"{name} {kind}" for name in "13" for kind in atrial_arrhythmia.COPIES
    }
    for one, same, another in zip(made, again, other, strict=True):
        assert one.simulated and not one.held_out.any()
        assert {len(x) for x in one.modalities.values()} == {len(one.labels)}
        np.testing.assert_array_equal(one.modalities["ecg"], same.modalities["ecg"])
        assert not np.array_equal(one.times, another.times)
