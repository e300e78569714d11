"""Walk-forward folds, and purging against a slow, independent implementation (spec M3)."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, reject, settings
from hypothesis import strategies as st

from quorum.candles import DAY_MS
from quorum.errors import DataError
from quorum.learning.folds import Fold, FoldSettings, PurgedKFold, training_rows, walk_forward
from quorum.learning.labels import NEVER


def days(*values: float) -> np.ndarray:
    return (np.array(values) * DAY_MS).astype(np.int64)


def test_folds_follow_each_other_and_roll_their_window():
    rules = FoldSettings(window_days=60, refit_days=30, first_days=40)
    folds = walk_forward(10 * DAY_MS, 150 * DAY_MS, rules)
    expected = [(10, 60, 90), (30, 90, 120), (60, 120, 150), (90, 150, 180)]
    assert folds == tuple(Fold(i, *(day * DAY_MS for day in row)) for i, row in enumerate(expected))


def test_an_expanding_window_always_begins_with_the_history():
    rules = FoldSettings(window_days=0, refit_days=30, first_days=40)
    folds = walk_forward(10 * DAY_MS, 150 * DAY_MS, rules)
    assert {fold.train_start for fold in folds} == {10 * DAY_MS}


def test_more_history_or_a_later_day_moves_no_fold():
    rules = FoldSettings(refit_days=30, first_days=90)
    short = walk_forward(400 * DAY_MS, 700 * DAY_MS, rules)
    longer = walk_forward(100 * DAY_MS, 723 * DAY_MS, rules)
    assert {f.valid_from for f in short} <= {f.valid_from for f in longer}
    # Grown later, by the same rules: only the window's truncated beginning may differ.
    again = walk_forward(400 * DAY_MS, 723 * DAY_MS, rules)
    assert again[: len(short)] == short


def test_too_little_history_for_one_fold_is_refused_with_what_is_needed():
    rules = FoldSettings(refit_days=30, first_days=90)
    with pytest.raises(DataError, match=r"89\.0 days of history are too few.*first_days = 90"):
        walk_forward(0, 89 * DAY_MS, rules)
    assert len(walk_forward(0, 90 * DAY_MS, rules)) == 1
    with pytest.raises(DataError, match="too few"):
        walk_forward(5 * DAY_MS, DAY_MS, rules)


@given(
    st.integers(0, 3000),
    st.integers(1, 2000),
    st.integers(0, 400),
    st.integers(1, 90),
    st.integers(1, 200),
)
def test_every_moment_after_the_first_fit_has_exactly_one_fold(first, length, window, refit, wait):
    rules = FoldSettings(window_days=window, refit_days=refit, first_days=wait)
    start, last = first * DAY_MS, (first + length) * DAY_MS
    if length < wait:
        with pytest.raises(DataError):
            walk_forward(start, last, rules)
        return
    try:
        folds = walk_forward(start, last, rules)
    except DataError:
        assert length < wait + refit
        return
    assert [fold.index for fold in folds] == list(range(len(folds)))
    assert wait * DAY_MS <= folds[0].valid_from - start < (wait + refit) * DAY_MS
    for before, after in pairwise(folds):
        assert before.valid_to == after.valid_from
    assert folds[-1].valid_from <= last < folds[-1].valid_to
    for fold in folds:
        reach = fold.valid_from - fold.train_start
        assert fold.train_start >= start
        assert reach <= window * DAY_MS or window == 0


def test_training_rows_end_an_embargo_before_the_model_becomes_valid():
    fold = Fold(0, 10 * DAY_MS, 20 * DAY_MS, 30 * DAY_MS)
    time = days(9.9, 10, 15, 17, 18, 18, 20)
    end = days(11, 11, 16, 19, 19.01, 0, 0)
    end[5], end[6] = NEVER, NEVER
    assert training_rows(fold, time, end, DAY_MS).tolist() == [
        False,
        True,
        True,
        True,
        False,
        False,
        False,
    ]


def test_a_pair_that_starts_late_trains_only_the_later_folds():
    rules = FoldSettings(window_days=60, refit_days=30, first_days=40, embargo_hours=24)
    folds = walk_forward(0, 150 * DAY_MS, rules)
    early, late = np.arange(0, 150) * DAY_MS, np.arange(100, 150) * DAY_MS
    counts = [
        [int(training_rows(fold, t, t + 2 * DAY_MS, rules.embargo_ms).sum()) for fold in folds]
        for t in (early, late)
    ]
    assert [fold.valid_from // DAY_MS for fold in folds] == [60, 90, 120, 150]
    assert counts == [[58, 58, 58, 58], [0, 0, 18, 48]]


# Purged blocks ----------------------------------------------------------------------------


def splits(splitter: PurgedKFold, time, end_time):
    return [
        (train.tolist(), test.tolist())
        for train, test in splitter.split(time, time=time, end_time=end_time)
    ]


def test_labels_that_reach_into_the_test_block_are_purged_on_both_sides():
    time = np.arange(9)
    assert splits(PurgedKFold(3), time, time + 2) == [
        ([4, 5, 6, 7, 8], [0, 1, 2]),
        ([0, 1, 7, 8], [3, 4, 5]),
        ([0, 1, 2, 3, 4], [6, 7, 8]),
    ]


def test_the_embargo_widens_the_gap_on_both_sides():
    time = np.arange(9)
    assert splits(PurgedKFold(3, embargo_ms=1), time, time + 1) == [
        ([4, 5, 6, 7, 8], [0, 1, 2]),
        ([0, 1, 7, 8], [3, 4, 5]),
        ([0, 1, 2, 3, 4], [6, 7, 8]),
    ]


def test_rows_of_one_moment_are_always_in_one_block():
    time = np.array([5, 1, 1, 1, 1, 3, 2, 4])
    blocks = [test for _, test in splits(PurgedKFold(2), time, time)]
    assert blocks == [[1, 2, 3, 4], [0, 5, 6, 7]]


def overlaps(a: tuple[int, int], b: tuple[int, int]) -> bool:
    """Whether two spans share more than a point, walked moment by moment."""
    inside = [set(range(start, end)) for start, end in (a, b)]
    return bool(inside[0] & inside[1])


@settings(max_examples=200, deadline=None)
@given(
    st.lists(st.tuples(st.integers(0, 40), st.integers(1, 8)), min_size=2, max_size=40),
    st.integers(2, 5),
    st.integers(0, 5),
)
def test_purging_agrees_with_a_slow_implementation(spans, n_splits, embargo):
    time = np.array([start for start, _ in spans])
    end = time + np.array([length for _, length in spans])
    splitter = PurgedKFold(n_splits, embargo_ms=embargo)
    if len(set(time.tolist())) < n_splits:
        with pytest.raises(DataError, match="moments are too few"):
            splits(splitter, time, end)
        return
    try:
        found = splits(splitter, time, end)
    except DataError:
        reject()
    # Every row is tested once, in blocks of time.
    assert sorted(row for _, test in found for row in test) == list(range(len(spans)))
    edges = [(time[test].min(), time[test].max()) for _, test in found]
    assert all(a[1] < b[0] for a, b in pairwise(edges))
    for train, test in found:
        block = (min(time[test]) - embargo, max(end[test]) + embargo)
        expected = [
            row
            for row in range(len(spans))
            if row not in test and not overlaps((time[row], end[row]), block)
        ]
        assert train == expected
        for row in train:
            for other in test:
                assert not overlaps((time[row], end[row]), (time[other], end[other]))


def test_blocks_are_about_equally_large():
    time = np.repeat(np.arange(1000), 10)
    sizes = [len(test) for _, test in PurgedKFold(7).split(time, time=time, end_time=time)]
    assert max(sizes) - min(sizes) <= 10


def test_labels_longer_than_the_data_leave_nothing_to_train_on():
    time = np.arange(10)
    with pytest.raises(DataError, match="leave no training row"):
        splits(PurgedKFold(2), time, time + 100)


def test_rows_and_times_of_different_length_are_refused():
    with pytest.raises(DataError, match="3 rows, 2 times and 3 end times"):
        next(PurgedKFold(2).split(np.ones((3, 4)), time=np.arange(2), end_time=np.arange(3)))


def test_the_splitter_is_used_as_scikit_learn_s_are():
    from sklearn.linear_model import LogisticRegression
    from sklearn.model_selection import cross_val_score

    rng = np.random.default_rng(0)
    X, y = rng.standard_normal((200, 3)), rng.integers(0, 2, 200)
    time = np.arange(200)
    splitter = PurgedKFold(4, embargo_ms=2)
    assert splitter.get_n_splits() == 4
    scores = cross_val_score(
        LogisticRegression(), X, y, cv=list(splitter.split(X, time=time, end_time=time + 3))
    )
    assert len(scores) == 4
    assert abs(scores.mean() - 0.5) < 0.15
