"""Managing a trade: breakeven, trail, reversals, time, and the ladder's arithmetic."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from quorum.exits.management import (
    REVERSAL_EXIT,
    TIME_STOP,
    Candle,
    ManagementSettings,
    Standing,
    exit_now,
    merge_rungs,
    rung_share,
    stop_now,
    takes_half,
)

S = ManagementSettings()
LONG = Standing(1, entry=100.0, stop=98.0, best=100.5, rate=100.2, rungs=0, halved=False)
SHORT = Standing(-1, entry=100.0, stop=102.0, best=99.5, rate=99.8, rungs=0, halved=False)
QUIET = Candle()


def test_a_fresh_trade_keeps_its_stop():
    assert stop_now(LONG, QUIET, S) == 98.0
    assert stop_now(SHORT, QUIET, S) == 102.0


@pytest.mark.parametrize(("best", "stop"), [(102.99, 98.0), (103.0, 100.0)])
def test_three_percent_gain_moves_the_stop_to_the_entry(best, stop):
    assert stop_now(replace(LONG, best=best), QUIET, S) == stop
    mirrored = stop_now(replace(SHORT, best=200 - best), QUIET, S)
    assert mirrored == 200 - stop


def test_a_divergence_against_a_winning_trade_moves_the_stop_to_the_entry():
    assert stop_now(LONG, Candle(divergence=-1), S) == 100.0
    assert stop_now(SHORT, Candle(divergence=1), S) == 100.0


def test_a_divergence_with_the_trade_or_against_a_losing_one_changes_nothing():
    assert stop_now(LONG, Candle(divergence=1), S) == 98.0
    assert stop_now(replace(LONG, rate=99.0), Candle(divergence=-1), S) == 98.0


def test_the_chandelier_follows_only_after_the_first_target():
    candle = Candle(chandelier=101.0)
    assert stop_now(LONG, candle, S) == 98.0
    assert stop_now(replace(LONG, rungs=1), candle, S) == 101.0
    assert stop_now(replace(SHORT, rungs=1), Candle(chandelier=99.0), S) == 99.0


def test_an_unknown_chandelier_leaves_the_stop_where_it_is():
    assert stop_now(replace(LONG, rungs=1), QUIET, S) == 98.0


def test_a_reversal_of_the_near_trend_takes_a_part_out_once():
    assert takes_half(LONG, Candle(near_reversal=-1), S)
    assert not takes_half(LONG, Candle(near_reversal=1), S)
    assert not takes_half(replace(LONG, halved=True), Candle(near_reversal=-1), S)
    assert takes_half(SHORT, Candle(near_reversal=1), S)


def test_a_reversal_of_the_far_trend_ends_the_trade():
    assert exit_now(LONG, Candle(far_reversal=-1), 1.0, S) == REVERSAL_EXIT
    assert exit_now(LONG, Candle(far_reversal=1), 1.0, S) is None
    assert exit_now(SHORT, Candle(far_reversal=1), 1.0, S) == REVERSAL_EXIT


@pytest.mark.parametrize(("age", "reason"), [(167.9, None), (168.0, TIME_STOP)])
def test_the_time_stop_ends_a_trade_after_seven_days(age, reason):
    assert exit_now(LONG, QUIET, age, S) == reason


def test_each_rung_takes_its_share_of_what_is_left():
    shares = (0.7, 0.2, 0.1)
    left = 1.0
    for rung, share in enumerate(shares):
        part = left * rung_share(shares, rung)
        assert part == pytest.approx(share)
        left -= part
    assert left == pytest.approx(0.0)


def test_rungs_under_the_smallest_order_go_to_their_neighbour():
    targets, shares = (102.0, 103.0, 105.0), (0.7, 0.2, 0.1)
    assert merge_rungs(targets, shares, 1000.0, 50.0) == (targets, shares)
    assert merge_rungs(targets, shares, 1000.0, 150.0) == (
        (102.0, 103.0),
        pytest.approx((0.7, 0.3)),
    )
    assert merge_rungs(targets, shares, 1000.0, 5000.0) == ((102.0,), pytest.approx((1.0,)))


prices = st.floats(50, 150)


@given(prices, prices, prices, st.integers(0, 3), prices | st.just(math.nan), st.integers(-1, 1))
def test_the_stop_never_loosens_and_mirrors(stop, best, rate, rungs, chandelier, divergence):
    long = Standing(1, 100.0, stop, best, rate, rungs, False)
    short = Standing(-1, 100.0, 200 - stop, 200 - best, 200 - rate, rungs, False)
    a = stop_now(long, Candle(chandelier, 0, 0, divergence), S)
    b = stop_now(short, Candle(200 - chandelier, 0, 0, -divergence), S)
    assert a >= stop
    assert a == pytest.approx(200 - b)


@given(
    st.lists(st.floats(0.05, 1.0), min_size=1, max_size=4),
    st.floats(10, 1e5),
    st.floats(0, 1e4),
)
def test_merging_loses_nothing_and_leaves_no_rung_too_small(raw, notional, minimum):
    shares = [x / sum(raw) for x in raw]
    targets = [100.0 + i for i in range(len(shares))]
    kept_targets, kept = merge_rungs(targets, shares, notional, minimum)
    assert sum(kept) == pytest.approx(1.0)
    assert len(kept) == len(kept_targets)
    assert list(kept_targets) == sorted(kept_targets)
    assert len(kept) == 1 or min(kept) * notional >= minimum
