"""Windows over beats: every beat comes back, with the weights it should have."""

import numpy as np
import pytest
from backends import once

from keras_mmfusion.preprocessing import BeatSegments

pytestmark = once


@pytest.mark.parametrize("causal", [False, True])
@pytest.mark.parametrize("length", [1, 2, 7, 32])
def test_cut_and_merge_for_any_number_of_beats(length, causal):
    for num_beats in range(1, 101):
        segments = BeatSegments(num_beats, length, causal)
        values = np.random.default_rng(num_beats).normal(size=(num_beats, 2))
        windows = segments.cut(values)
        assert windows.shape == (len(segments), length, 2)
        np.testing.assert_allclose(segments.merge(windows), values, atol=1e-12)


@pytest.mark.parametrize("causal", [False, True])
def test_nan_beyond_the_last_beat_only(causal):
    segments = BeatSegments(20, 32, causal)
    values = np.ones((20, 3))
    windows = segments.cut(values)
    assert np.isnan(windows[0, 20:]).all() and not np.isnan(windows[0, :20]).any()
    assert not np.isnan(values).any()
    assert not np.isnan(BeatSegments(32, 32, causal).cut(np.ones(32))).any()


def test_windows_are_consecutive_beats():
    windows = BeatSegments(75, 32).cut(np.arange(75))
    assert (np.diff(windows, axis=1) == 1).all()
    assert windows[0, 0] == 0 and windows[-1, -1] == 74


def test_middle_of_a_window_counts_most():
    segments = BeatSegments(8, 5)
    assert segments.index[:, 0].tolist() == [0, 3]
    merged = segments.merge(np.stack([np.zeros(5), np.ones(5)]))
    # Beats 3 and 4 lie in both: with weights 2 and 1, then 1 and 2.
    np.testing.assert_allclose(merged, [0, 0, 0, 1 / 3, 2 / 3, 1, 1, 1])


def test_causal_beats_have_half_a_window_of_past():
    segments = BeatSegments(100, 32, causal=True)
    # How many earlier beats each output saw, as the merged outputs weigh them.
    seen = segments.merge(np.broadcast_to(np.arange(32.0), (len(segments), 32)))
    np.testing.assert_allclose(seen[:32], np.arange(32), atol=1e-3)
    assert (seen[32:] > 15.9).all()


@pytest.mark.parametrize("length", [1, 2, 7, 32])
def test_causal_windows_do_not_tell_how_many_beats_are_to_come(length):
    whole = BeatSegments(100, length, causal=True)
    for num_beats in range(1, 100):
        part = BeatSegments(num_beats, length, causal=True)
        assert np.array_equal(part.index, whole.index[: len(part)])
        assert np.array_equal(part.weights, whole.weights[: len(part)] * part.valid)
        assert not whole.weights[len(part) :][
            whole.index[len(part) :] < num_beats
        ].any()


def test_merge_keeps_further_axes():
    segments = BeatSegments(50, 8)
    values = np.random.default_rng(0).normal(size=(50, 3, 2))
    np.testing.assert_allclose(segments.merge(segments.cut(values)), values)


@pytest.mark.parametrize(("num_beats", "length"), [(0, 32), (10, 0)])
def test_no_beats(num_beats, length):
    with pytest.raises(ValueError, match="must be at least 1"):
        BeatSegments(num_beats, length)
