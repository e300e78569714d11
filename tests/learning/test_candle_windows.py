"""Windows of candles: of one pair, without gaps, the same in training and prediction (M10)."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from quorum.learning.folds import PurgedKFold
from quorum.learning.inputs import WindowedRows, window_places

STEP = 3_600_000


@st.composite
def pools(draw):
    """Draw candles of some pairs, ordered by time then pair, with gaps."""
    n_pairs, n = draw(st.integers(1, 4)), draw(st.integers(1, 40))
    there = np.array(draw(st.lists(st.booleans(), min_size=n_pairs * n, max_size=n_pairs * n)))
    time, pair = np.nonzero(there.reshape(n, n_pairs))
    chosen = draw(st.lists(st.booleans(), min_size=len(time), max_size=len(time)))
    wanted = np.flatnonzero(np.array(chosen, dtype=bool))
    return time.astype(np.int64) * STEP, pair.astype(np.int16), wanted, draw(st.integers(1, 6))


@settings(deadline=None)  # the kernel compiles first
@given(pools())
def test_a_window_is_the_last_candles_of_its_pair_or_none(drawn):
    time, pair, wanted, length = drawn
    found = window_places(time, pair, wanted, length, STEP)
    assert found.shape == (len(wanted), length)
    place = {(int(p), int(t)): i for i, (p, t) in enumerate(zip(pair, time, strict=True))}
    for row, window in zip(wanted, found, strict=True):
        moments = [int(time[row]) - STEP * back for back in range(length - 1, -1, -1)]
        expected = [place.get((int(pair[row]), moment), -1) for moment in moments]
        assert window.tolist() == (expected if min(expected) >= 0 else [-1] * length)


@settings(deadline=None)  # the kernel compiles first
@given(pools())
def test_later_candles_change_no_window(drawn):
    time, pair, wanted, length = drawn
    found = window_places(time, pair, wanted, length, STEP)
    for cut in range(1, len(time) + 1):
        own = wanted[wanted < cut]
        earlier = window_places(time[:cut], pair[:cut], own, length, STEP)
        np.testing.assert_array_equal(earlier, found[: len(own)])


def test_windows_are_seen_as_an_array_and_kept_as_rows():
    source = np.arange(12, dtype=np.float32).reshape(6, 2)
    windows = WindowedRows(source, np.array([[0, 1, 2], [3, 4, 5]]))
    assert np.shape(windows) == (2, 3, 2)
    np.testing.assert_array_equal(np.asarray(windows)[1], source[3:])
    np.testing.assert_array_equal(np.asarray(windows[1:])[0], source[3:])
    assert windows[:1].source is source


@given(st.integers(2, 5), st.integers(1, 9), st.integers(0, 5), st.integers(0, 4))
def test_the_purge_counts_the_window(n_splits, length, horizon, embargo):
    time = np.arange(160) * STEP
    start, end = time - (length - 1) * STEP, time + horizon * STEP
    pause = embargo * STEP
    blocks = PurgedKFold(n_splits, pause)
    for train, test in blocks.split(time, time=time, end_time=end, start_time=start):
        before = end[train] + pause <= start[test].min()
        after = start[train] >= end[test].max() + pause
        assert (before | after).all()
        # Nothing is purged that need not be.
        others = np.setdiff1d(np.arange(len(time)), np.concatenate([train, test]))
        ends_too_late = end[others] + pause > start[test].min()
        begins_too_early = start[others] < end[test].max() + pause
        assert (ends_too_late & begins_too_early).all()
