"""Windows of a walk-forward."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from quorum.errors import DataError
from quorum.tuning.windows import read_timerange, timerange, walk_forward


def test_the_windows_of_two_years():
    windows = walk_forward(*read_timerange("20220101-20240101"), 12, 4)
    assert [(w.index, w.train, w.judge) for w in windows] == [
        (0, "20220101-20230101", "20230101-20230501"),
        (1, "20220501-20230501", "20230501-20230901"),
        (2, "20220901-20230901", "20230901-20240101"),
    ]


@given(
    st.integers(0, 1800),
    st.integers(30, 2000),
    st.integers(1, 24),
    st.integers(1, 12),
)
def test_every_day_is_judged_once_and_never_by_what_it_taught(first, days, train, judge):
    start = datetime(2015, 1, 1, tzinfo=UTC) + timedelta(days=first)
    end = start + timedelta(days=days)
    try:
        windows = walk_forward(start, end, train, judge)
    except DataError:
        assert days < 31 * (train + judge)
        return
    assert windows[0].train_start == start
    assert windows[-1].judge_end <= end
    for window in windows:
        assert window.train_start < window.judge_start < window.judge_end
    for before, after in pairwise(windows):
        assert before.judge_end == after.judge_start


def test_a_span_too_short_for_one_window_is_refused():
    with pytest.raises(DataError, match="too short to tune on 12 months and judge on the next 3"):
        walk_forward(*read_timerange("20230101-20240101"), 12, 3)


@pytest.mark.parametrize("text", ["20230101-", "-20230101", "yesterday", "20231301-20240101", ""])
def test_an_open_or_unreadable_span_is_refused(text):
    with pytest.raises(DataError, match="give two days"):
        read_timerange(text)


def test_a_span_that_ends_before_it_starts_is_refused():
    with pytest.raises(DataError, match="ends before it starts"):
        read_timerange("20240101-20230101")


def test_a_span_is_written_as_it_is_read():
    assert timerange(*read_timerange("20230105-20240229")) == "20230105-20240229"
