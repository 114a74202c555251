"""Simulated records full of ectopic beats, made of one patient's own beats.

Few records of DS1 hold many supraventricular beats, and in none are ectopic beats the
majority, so that template and mean interval describe them. Models trained on DS1
alone call such beats normal.
"""

import numpy as np
from data import INTERPATIENT_CLASSES, simulated_recording

SUPRAVENTRICULAR, VENTRICULAR = (INTERPATIENT_CLASSES.index(k) for k in "SV")
FEWEST = {"ectopic": 12, "normal": 50}
COPIES = 8


def for_training(recordings, preprocessor, seed):
    """`COPIES` records full of S beats from each patient with enough such beats.

    Not of V beats: patients with many of these are in DS1, and simulated ones cost
    precision on recorded beats.
    """
    variants = [(seed, copy, None) for copy in range(COPIES)]
    return _simulate_all(recordings, preprocessor, [SUPRAVENTRICULAR], variants)


def for_validation(recordings, preprocessor):
    """The same records at each call: 60 and 75 % of the beats are S, or V."""
    kinds = [SUPRAVENTRICULAR, VENTRICULAR]
    variants = [(999, 0, 0.6), (999, 1, 0.75)]
    return _simulate_all(recordings, preprocessor, kinds, variants)


def _simulate_all(recordings, preprocessor, kinds, variants):
    simulated = []
    for recording in recordings:
        for kind in kinds:
            for seed, copy, share in variants:
                rng = np.random.default_rng((seed, int(recording.name), kind, copy))
                made = simulate(recording, kind, preprocessor, rng, share)
                if made is not None:
                    simulated.append(made)
    return simulated


def simulate(recording, kind, preprocessor, rng, share=None, beats=400):
    """Runs of ectopic beats between runs of normal ones, as a `Recording`.

    Args:
        recording: `Recording` that the beats are taken from.
        kind: int. Class of the ectopic beats.
        preprocessor: `BeatPreprocessor` that describes the beats anew, as template
            and mean interval are others now.
        rng: numpy Generator.
        share: float. Share of ectopic beats, about. Defaults to `None`: drawn
            between .3 and .9.
        beats: int. Least number of beats. Defaults to `400`.

    Returns:
        `Recording`, or None for a patient without enough beats of both kinds, with
        an irregular rhythm of their own, or whose ectopic beats are not early.
    """
    before = np.diff(recording.times, prepend=np.nan)
    after = np.append(before[1:], np.nan)
    inside = np.isfinite(before) & np.isfinite(after)
    follows_normal = np.append(False, recording.labels[:-1] == 0)
    normal = np.flatnonzero((recording.labels == 0) & inside)
    ectopic = np.flatnonzero((recording.labels == kind) & inside)
    first = ectopic[follows_normal[ectopic]]
    if len(ectopic) < FEWEST["ectopic"] or len(normal) < FEWEST["normal"]:
        return None
    sinus = before[normal[follows_normal[normal]]]
    usual = np.median(sinus)
    coupling = np.median(before[first]) if len(first) else usual
    irregular = np.std(np.clip(sinus / usual, 0.5, 2)) > 0.12
    if irregular or coupling > 0.9 * usual:
        return None

    share = share or rng.uniform(0.3, 0.9)
    ectopic_run = rng.uniform(1, 12 if share > 0.5 else 4)
    normal_run = max(ectopic_run * (1 - share) / share, 1.0)
    fastest = min(max(coupling, 0.4 * usual), 0.8 * usual)
    cycle = rng.uniform(fastest, 0.88 * usual)  # Between the beats of a run.
    pause = rng.uniform(1.0, 1.6)  # After a run, in usual intervals.

    index, intervals = [], []
    while len(index) < beats:
        start = rng.choice(normal)
        for step in range(rng.geometric(1 / normal_run)):
            beat = min(start + step, len(recording.labels) - 2)
            if recording.labels[beat] != 0:
                beat = rng.choice(normal)
            if step == 0 and index:
                interval = max(after[index[-1]], usual) * pause
            else:
                interval = before[beat] if follows_normal[beat] else usual
            index.append(beat)
            intervals.append(interval)
        start = rng.integers(len(ectopic))
        for step in range(rng.geometric(1 / ectopic_run)):
            beat = ectopic[(start + step) % len(ectopic)]
            coupled = step == 0 and follows_normal[beat]
            index.append(beat)
            intervals.append(
                before[beat] if coupled else cycle * rng.uniform(0.96, 1.04)
            )

    name = f"{recording.name} {INTERPATIENT_CLASSES[kind]} {share:.2f}"
    waves, labels = recording.modalities["image"][index], recording.labels[index]
    return simulated_recording(name, waves, labels, intervals, preprocessor)
