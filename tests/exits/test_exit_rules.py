"""Rules of an open trade: breakeven, trail, reversals, parts, time, passed stops, expiry.

Boundaries are tested on numbers that binary fractions hold exactly.
"""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from quorum.exits.management import ManagementSettings
from quorum.exits.rules import (
    GRACE,
    HALF,
    NOTHING,
    OPEN,
    REVERSAL,
    RUNG,
    STOP_PASSED,
    TIME_STOP,
    Candle,
    Standing,
    at_last_rung,
    better,
    exit_now,
    first_counted,
    order_expired,
    part_now,
    passes_stop,
    rung_share,
    stop_now,
)

#: A gain of 3.125 % is 66 from 64, exactly.
S = ManagementSettings(breakeven_at=3.125).rules()
NONE = math.nan
LONG = Standing(1.0, 64.0, 62.0, 64.5, 64.25, NONE, 0, False)
SHORT = Standing(-1.0, 64.0, 66.0, 63.5, 63.75, NONE, 0, False)
QUIET = Candle()


def test_the_rules_read_the_settings_of_the_same_names():
    settings = ManagementSettings(breakeven_at=2.0, trail=False, time_stop=12.0)
    rules = settings.rules()
    assert {name: getattr(settings, name) for name in rules._fields} == rules._asdict()


def test_a_fresh_trade_keeps_its_stop():
    assert stop_now(LONG, QUIET, S) == 62.0
    assert stop_now(SHORT, QUIET, S) == 66.0


@pytest.mark.parametrize(("best", "moves"), [(math.nextafter(66.0, 0), False), (66.0, True)])
def test_the_gain_of_breakeven_itself_moves_the_stop_to_the_entry(best, moves):
    assert stop_now(LONG._replace(best=best), QUIET, S) == (64.0 if moves else 62.0)
    # 64 to 62 is 3.125 % as well.
    mirrored = stop_now(SHORT._replace(best=128 - best), QUIET, S)
    assert mirrored == (64.0 if moves else 66.0)


def test_a_divergence_against_a_winning_trade_moves_the_stop_to_the_entry():
    assert stop_now(LONG, Candle(divergence=-1), S) == 64.0
    assert stop_now(SHORT, Candle(divergence=1), S) == 64.0


@pytest.mark.parametrize(
    ("trade", "divergence"),
    [
        (LONG, 1),
        (SHORT, -1),
        (LONG._replace(close=63.0), -1),
        (LONG._replace(close=64.0), -1),
        (SHORT._replace(close=64.0), 1),
    ],
)
def test_no_other_divergence_does(trade, divergence):
    assert stop_now(trade, Candle(divergence=divergence), S) == trade.stop


def test_the_chandelier_follows_only_after_the_first_target():
    candle = Candle(chandelier=65.0)
    assert stop_now(LONG, candle, S) == 62.0
    assert stop_now(LONG._replace(rungs=1), candle, S) == 65.0
    assert stop_now(SHORT._replace(rungs=1), Candle(chandelier=63.0), S) == 63.0


def test_an_unknown_chandelier_leaves_the_stop_where_it_is():
    assert stop_now(LONG._replace(rungs=1), QUIET, S) == 62.0


def test_the_trailing_stop_stands_behind_the_best_price_of_either_side():
    # A sixty-fourth of 64 is 1.
    assert stop_now(LONG._replace(best=64.0, trailing=1 / 64), QUIET, S) == 63.0
    assert stop_now(SHORT._replace(best=64.0, trailing=1 / 64), QUIET, S) == 65.0
    assert stop_now(SHORT._replace(best=32.0, trailing=1 / 64), QUIET, S) == 32.5


def test_of_all_stops_the_tightest_is_in_force():
    trade = LONG._replace(best=128.0, rungs=1, trailing=1 / 64)
    assert stop_now(trade, Candle(chandelier=100.0), S) == 126.0
    assert stop_now(trade, Candle(chandelier=127.0), S) == 127.0
    assert stop_now(trade._replace(stop=127.5), Candle(chandelier=127.0), S) == 127.5


@pytest.mark.parametrize(
    ("price", "passed"), [(64.0, True), (math.nextafter(64.0, 128), False), (63.0, True)]
)
def test_price_at_the_stop_to_be_has_passed_it(price, passed):
    assert passes_stop(1.0, 62.0, 64.0, price) is passed
    assert passes_stop(-1.0, 66.0, 64.0, 128 - price) is passed


def test_no_price_passes_the_stop_that_is_in_force():
    assert not passes_stop(1.0, 64.0, 64.0, 10.0)
    assert not passes_stop(1.0, 65.0, 64.0, 10.0)
    assert not passes_stop(1.0, 64.0, 64.0 * (1 + GRACE / 2), 10.0), "what the grid takes away"
    assert not passes_stop(-1.0, 64.0, 64.0 * (1 - GRACE / 2), 100.0)


def test_a_reversal_of_the_near_trend_takes_a_part_out_once():
    against, along = Candle(near_reversal=-1), Candle(near_reversal=1)
    assert part_now(LONG, against, 1, True, S) == HALF
    assert part_now(LONG, along, 1, True, S) == NOTHING
    assert part_now(LONG._replace(halved=True), against, 1, True, S) == NOTHING
    assert part_now(SHORT, along, 1, True, S) == HALF
    off = S._replace(half_on_reversal=False)
    assert part_now(LONG, against, 1, True, off) == NOTHING


@pytest.mark.parametrize(
    ("filled", "ladder", "rests", "part"),
    [(0, 3, False, RUNG), (0, 3, True, NOTHING), (1, 3, False, RUNG), (2, 3, False, NOTHING)],
)
def test_the_next_rung_is_placed_where_none_rests_and_the_last_is_no_part(
    filled, ladder, rests, part
):
    assert part_now(LONG._replace(rungs=filled), QUIET, ladder, rests, S) == part
    assert at_last_rung(filled, ladder) == (filled == 2)


def test_a_reversal_comes_before_the_next_rung():
    assert part_now(LONG, Candle(near_reversal=-1), 3, False, S) == HALF


def test_a_reversal_of_the_far_trend_ends_the_trade():
    assert exit_now(LONG, Candle(far_reversal=-1), 1.0, False, S) == REVERSAL
    assert exit_now(LONG, Candle(far_reversal=1), 1.0, False, S) == OPEN
    assert exit_now(SHORT, Candle(far_reversal=1), 1.0, False, S) == REVERSAL


@pytest.mark.parametrize(("age", "reason"), [(math.nextafter(168.0, 0), OPEN), (168.0, TIME_STOP)])
def test_the_time_stop_ends_a_trade_after_seven_days(age, reason):
    assert exit_now(LONG, QUIET, age, False, S) == reason


def test_the_reason_told_is_age_before_reversal_before_a_passed_stop():
    against = Candle(far_reversal=-1)
    assert exit_now(LONG, against, 168.0, True, S) == TIME_STOP
    assert exit_now(LONG, against, 1.0, True, S) == REVERSAL
    assert exit_now(LONG, QUIET, 1.0, True, S) == STOP_PASSED


@pytest.mark.parametrize(
    ("waits", "age", "expired"),
    [(False, 0, False), (False, 1, True), (True, 2, False), (True, 3, True)],
)
def test_a_waiting_order_has_its_candles_and_an_immediate_one_has_one(waits, age, expired):
    assert order_expired(waits, age, 3) is expired


def test_the_candle_in_which_a_waiting_order_filled_does_not_count():
    assert first_counted(7, True) == 8
    assert first_counted(7, False) == 7


def test_each_rung_takes_its_share_of_what_is_left():
    shares = np.array([0.7, 0.2, 0.1])
    left = 1.0
    for rung, share in enumerate(shares):
        part = left * rung_share(shares, rung)
        assert part == pytest.approx(share)
        left -= part
    assert left == pytest.approx(0.0)


prices = st.floats(50, 150)


@given(
    prices,
    prices,
    prices,
    st.integers(0, 3),
    prices | st.just(NONE),
    st.sampled_from([-1.0, 0.0, 1.0]),
    st.floats(0.01, 0.2) | st.just(NONE),
)
def test_the_stop_never_loosens_and_mirrors(
    stop, best, close, rungs, chandelier, divergence, trailing
):
    trailing_of_shorts = trailing * best / (200 - best)
    long = Standing(1.0, 100.0, stop, best, close, trailing, rungs, False)
    short = Standing(
        -1.0, 100.0, 200 - stop, 200 - best, 200 - close, trailing_of_shorts, rungs, False
    )
    a = stop_now(long, Candle(chandelier, 0.0, 0.0, divergence), S)
    b = stop_now(short, Candle(200 - chandelier, 0.0, 0.0, -divergence), S)
    assert a >= stop
    assert a == pytest.approx(200 - b)


@given(prices, prices)
def test_of_two_stops_the_better_is_the_tighter(a, b):
    assert better(1.0, a, b) == max(a, b)
    assert better(-1.0, a, b) == min(a, b)
