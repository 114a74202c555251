"""Simulated records of normal beats under other atria: early beats, and fibrillation.

Few patients of DS1 have supraventricular beats to learn from, and two are in atrial
fibrillation, but every patient has normal beats. A normal beat that comes early, with
another P wave on the T wave before it, is a supraventricular one. Without any P wave,
at times that mean nothing, it is still normal: that of a patient in fibrillation.
"""

from typing import NamedTuple

import numpy as np
import p_waves
from data import INTERPATIENT_CLASSES, simulated_recording

NORMAL, EARLY = (INTERPATIENT_CLASSES.index(k) for k in "NS")
COPIES = {"early": 4, "fibrillating": 4}
FEWEST = 200
LENGTH = 400  # Beats of a record, at least.


def for_training(recordings, preprocessor, seed):
    """`COPIES` records of each kind from each patient with a steady rhythm."""
    steady = {r.name: found for r in recordings if (found := steady_beats(r))}
    medians = [np.median(of.waves, axis=0) for of in steady.values()]
    simulated = []
    for name, beats in steady.items():
        for kind, copies in COPIES.items():
            for copy in range(copies):
                place = list(COPIES).index(kind)
                rng = np.random.default_rng((seed, int(name), 100 + place, copy))
                if kind == "early":
                    made = early(beats, rng, medians[rng.integers(len(medians))])
                else:
                    made = fibrillating(beats, rng)
                simulated.append(
                    simulated_recording(f"{name} {kind}", *made, preprocessor)
                )
    return simulated


class SteadyBeats(NamedTuple):
    """Normal beats after normal ones, in their order, and seconds between them."""

    waves: np.ndarray
    intervals: np.ndarray

    @property
    def usual(self):
        return np.median(self.intervals)


def steady_beats(recording):
    """`SteadyBeats`, or None for few of them or a rhythm that is not steady."""
    intervals = np.diff(recording.times, prepend=np.nan)
    normal = (recording.labels == NORMAL) & np.isfinite(intervals)
    normal[1:] &= recording.labels[:-1] == NORMAL
    if normal.sum() < FEWEST:
        return None
    waves = recording.modalities["image"][normal]
    whole = np.isfinite(waves).all(axis=(1, 2))
    if whole.sum() < FEWEST:
        return None
    found = SteadyBeats(waves[whole], intervals[normal][whole])
    spread = np.std(np.clip(found.intervals / found.usual, 0.5, 2))
    return found if spread <= 0.12 else None


def early(beats, rng, foreign):
    """Runs of early beats among normal ones: waves, labels, seconds before each.

    Of half of the records a few beats are early, of the others up to 85 %.

    Args:
        beats: `SteadyBeats` of one patient.
        rng: numpy Generator.
        foreign: array, the usual beat of another patient, see `p_waves`.
    """
    share = rng.uniform(*((0.03, 0.3) if rng.random() < 0.5 else (0.3, 0.85)))
    early_run = rng.uniform(1, 12 if share > 0.5 else 4)
    normal_run = max(early_run * (1 - share) / share, 1.0)
    # In usual intervals: before a run, within it, and after it.
    coupling = rng.uniform(0.5, 0.85)
    cycle = rng.uniform(coupling, 0.88)
    pause = rng.uniform(1.0, 1.5)
    index, intervals, is_early = [], [], []
    while len(index) < LENGTH:
        run = rng.geometric(1 / normal_run)
        run = (rng.integers(len(beats.waves)) + np.arange(run)) % len(beats.waves)
        times = beats.intervals[run]
        times[0] = beats.usual * pause * rng.uniform(0.97, 1.03)
        others = rng.integers(len(beats.waves), size=rng.geometric(1 / early_run))
        factors = np.where(np.arange(len(others)) == 0, coupling, cycle)
        factors = factors * rng.uniform(0.95, 1.05, len(others))
        index += [*run, *others]
        intervals += [*times, *np.maximum(beats.usual * factors, 0.3)]
        is_early += [False] * len(run) + [True] * len(others)
    intervals, is_early = np.array(intervals), np.array(is_early)
    waves = beats.waves[index]
    before = np.concatenate([waves[:1], waves[:-1]])[is_early]
    changed = p_waves.other_p_wave(waves[is_early], foreign, rng)
    waves[is_early] = p_waves.on_t_waves(changed, before, intervals[is_early])
    return waves, np.where(is_early, EARLY, NORMAL), intervals


def fibrillating(beats, rng):
    """Normal beats without P waves, at irregular times; returns what `early` does."""
    spread = rng.uniform(0.12, 0.3)
    intervals = np.exp(spread * rng.standard_normal(LENGTH))
    intervals = np.clip(beats.usual * rng.uniform(0.6, 1.1) * intervals, 0.3, 2.0)
    waves = beats.waves[rng.integers(len(beats.waves), size=LENGTH)]
    before = np.concatenate([waves[:1], waves[:-1]])
    waves = p_waves.on_t_waves(p_waves.no_p_wave(waves, rng), before, intervals)
    return waves, np.full(LENGTH, NORMAL), intervals
