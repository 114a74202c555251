"""The MIT-BIH recipe: what training is shown."""

import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from backends import only_on

from keras_mmfusion.datasets import mitbih

ROOT = Path(__file__).parents[2]
RECIPE = ROOT / "recipes" / "mitbih"
sys.path.append(str(RECIPE))

import data  # noqa: E402
import train  # noqa: E402

pytestmark = only_on("torch")

MODALITIES = ("ecg", "image", "rhythm", "shape")
SEGMENT = 32


def recording(number, beats=100, name=None):
    """Every value of a beat tells its record and its place: 1000 · number + beat."""
    rng = np.random.default_rng(number)
    code = (1000 * number + np.arange(beats)).astype("float32")

    def filled(*shape):
        return np.broadcast_to(
            code.reshape(-1, *[1] * len(shape)), (beats, *shape)
        ).copy()

    return data.Recording(
        name or str(number),
        {
            "ecg": filled(6, 4),
            "image": filled(6, 2),
            "rhythm": filled(2),
            "shape": filled(10),
        },
        rng.choice([-1, 0, 0, 0, 1, 2, 3], beats),
        rng.random(beats) < 0.2,
        0.8 * np.arange(beats),
    )


def sampler(recordings, **kwargs):
    settings = {"lead_dropout": 0.0, "seed": 0, **kwargs}
    return data.SegmentSampler(
        recordings, MODALITIES, 4, SEGMENT, batch_size=8, steps=10, **settings
    )


@pytest.fixture
def recordings():
    return [recording(n, beats) for n, beats in ((1, 100), (2, 32), (3, 60))]


SHARES = pytest.mark.parametrize("shares", [None, (0.25, 0.4, 0.25, 0.1)])


@SHARES
def test_segments_are_consecutive_beats_of_one_recording(recordings, shares):
    seen = set()
    batches = sampler(recordings, anchor_shares=shares)
    for index in range(10):
        x, _, _ = batches[index]
        assert {name: v.shape[:2] for name, v in x.items()} == dict.fromkeys(
            MODALITIES, (8, SEGMENT)
        )
        code = x["rhythm"][..., 0]
        assert (np.diff(code, axis=1) == 1).all()
        assert (code[:, 0] // 1000 == code[:, -1] // 1000).all()
        assert all((v.reshape(8, SEGMENT, -1) == code[..., None]).all()
                   for v in x.values())  # fmt: skip
        seen |= set(code[:, 0] // 1000)
    assert seen == {1, 2, 3}


@SHARES
def test_no_weight_for_held_out_or_unlabelled_beats(recordings, shares):
    batches = sampler(recordings, anchor_shares=shares)
    weighed = set()
    for index in range(10):
        x, y, weight = batches[index]
        assert y.shape == (8, SEGMENT, 4) and set(np.unique(weight)) <= {0, 1}
        for code, target, used in zip(
            x["rhythm"][..., 0].ravel().astype(int), y.reshape(-1, 4), weight.ravel(),
            strict=True,
        ):  # fmt: skip
            source = recordings[code // 1000 - 1]
            label, held_out = source.labels[code % 1000], source.held_out[code % 1000]
            assert used == (label >= 0 and not held_out)
            assert not used or target.argmax() == label
            weighed.add((bool(used), label >= 0, bool(held_out)))
    assert {(False, False, False), (False, True, True), (True, True, False)} <= weighed


@SHARES
def test_every_segment_holds_a_beat_to_learn_from(recordings, shares):
    batches = sampler(recordings, anchor_shares=shares)
    assert all((batches[i][2].sum(axis=1) > 0).all() for i in range(10))


def test_anchors_follow_the_shares():
    rare = recording(1, 1000)
    rare.labels[:] = 0
    rare.labels[::200] = 2
    rare.held_out[:] = False
    batches = sampler([rare], anchor_shares=(0.2, 0.4, 0.4, 0.0))
    held = [
        (y.argmax(-1) == 2).any(axis=1).mean() for _, y, _ in map(batches.__getitem__,
                                                                  range(10))
    ]  # fmt: skip
    # By chance one segment in six would hold one; two anchors in three do here,
    # as nobody has class 1.
    assert np.mean(held) > 0.5


def test_simulated_records_fill_their_share(recordings):
    recordings[2] = replace(recordings[2], simulated=True)
    batches = sampler(recordings, simulated_share=0.25)
    sources = np.concatenate(
        [batches[i][0]["rhythm"][:, 0, 0] // 1000 == 3 for i in range(10)]
    )
    assert 0.1 < sources.mean() < 0.4
    assert sampler(recordings[:2])[0][0]["rhythm"].max() < 3000


def test_a_batch_depends_on_seed_epoch_and_number_only(recordings):
    def batch(seed=0, epoch=0, index=3, before=()):
        batches = sampler(recordings, seed=seed, lead_dropout=0.5)
        batches.epoch = epoch
        for i in before:
            batches[i]
        x, y, weight = batches[index]
        return [*x.values(), y, weight]

    def same(a, b):
        return all(np.array_equal(v, w, True) for v, w in zip(a, b, strict=True))

    assert same(batch(), batch(before=(0, 7)))
    for change in ({"seed": 1}, {"epoch": 1}, {"index": 4}):
        assert not same(batch(), batch(**change))


def test_recordings_are_not_changed(recordings):
    copies = [recording(n, beats) for n, beats in ((1, 100), (2, 32), (3, 60))]
    batches = sampler(recordings, lead_dropout=0.9)
    for index in range(5):
        batches[index]
    for source, copy in zip(recordings, copies, strict=True):
        for name in MODALITIES:
            assert np.array_equal(source.modalities[name], copy.modalities[name])
        assert np.array_equal(source.labels, copy.labels)
        assert np.array_equal(source.held_out, copy.held_out)


def test_lead_dropout_hits_all_of_one_lead(recordings):
    x, _, _ = sampler(recordings, lead_dropout=0.7)[0]
    of_lead = {
        "ecg": ([0, 2], [1, 3]),
        "image": ([0], [1]),
        "shape": ([0, 1, 2, 3, 4], [5, 6, 7, 8, 9]),
    }
    lost = []
    for row in range(8):
        gone = [
            [np.isnan(x[name][row][..., columns[lead]]) for name, columns
             in of_lead.items()] for lead in range(2)
        ]  # fmt: skip
        complete = [all(g.all() for g in lead) for lead in gone]
        untouched = [not any(g.any() for g in lead) for lead in gone]
        assert complete[0] + untouched[0] == complete[1] + untouched[1] == 1
        assert not all(complete)
        lost.append((complete[0], complete[1]))
    assert {(True, False), (False, True), (False, False)} == set(lost)
    assert np.isfinite(x["rhythm"]).all()


@pytest.mark.parametrize("fold", [None, 0, 1, 2, 3])
def test_interpatient_split_holds_no_test_record(fold):
    everyone = [recording(0, 1, name) for name in mitbih.RECORDS]
    training, validation = train.split("interpatient", everyone, fold)
    names = {r.name for r in training}, {r.name for r in validation}
    assert names[1] == (set() if fold is None else set(mitbih.FOLDS[fold]))
    assert names[0] == set(mitbih.DS1) - names[1]


@pytest.mark.parametrize("protocol", ["random_nlrav", "random_aami5"])
def test_random_protocols_hold_a_fifth_out(data_dir, protocol):
    recordings = data.load(protocol, data_dir=data_dir, records=["100", "209"])
    labels = np.concatenate([r.labels for r in recordings])
    held_out = np.concatenate([r.held_out for r in recordings])
    assert held_out.tolist() == mitbih.random_split(labels).tolist()
    assert held_out[labels >= 0].mean() == pytest.approx(0.2, abs=1e-3)


def test_interpatient_drops_q(data_dir):
    (record,) = data.load("interpatient", data_dir=data_dir, records=["101"])
    (source,) = mitbih.load_mitbih(["101"], data_dir)
    q = mitbih.aami_labels(source.symbols) == 4
    assert q.any() and (record.labels[q] == -1).all() and (record.labels[~q] >= 0).all()
    assert not record.held_out.any()
