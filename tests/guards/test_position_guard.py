"""Guards of the single position (spec G1)."""

from __future__ import annotations

import math
from datetime import timedelta

import pytest
from guard_accounts import HOUR, START, account, answer, done, entry, guards, running

from quorum.guards import Reason
from quorum.guards.position import signed_correlation

MINUTE = timedelta(minutes=1)
SECOND = timedelta(seconds=1)
LONG_AGO = START - 48 * HOUR


def test_an_entry_within_all_limits_is_allowed():
    assert answer(guards(), account()) is None


def test_one_trade_less_than_the_maximum_lets_one_more_in():
    nine = tuple(running(LONG_AGO, pair=f"P{i}/USDT:USDT") for i in range(9))
    ten = (*nine, running(LONG_AGO, pair="P9/USDT:USDT"))
    assert answer(guards(), account(opened=nine)) is None
    assert answer(guards(), account(opened=ten)) is Reason.MAX_OPEN_TRADES


@pytest.mark.parametrize(("notional", "refused"), [(9999, 0), (10_000, 0), (10_001, 1)])
def test_a_stake_may_reach_but_not_exceed_its_maximum(notional, refused):
    reason = answer(guards(), account(balance=100_000, equity=99_000), notional=notional)
    assert reason is (Reason.MAX_STAKE if refused else None)


@pytest.mark.parametrize("notional", [0.0, -1.0, math.nan, math.inf])
def test_a_stake_that_is_none_is_refused(notional):
    assert answer(guards(), account(), notional=notional) is Reason.MAX_STAKE


@pytest.mark.parametrize(
    ("rho", "refused"), [(0.79, 0), (0.80, 0), (0.81, 1), (-1.0, 0), (None, 0), (math.nan, 1)]
)
def test_correlation_may_reach_but_not_exceed_its_maximum(rho, refused):
    reason = answer(guards(), account(), correlation=rho)
    assert reason is (Reason.MAX_CORRELATION if refused else None)


def test_correlation_can_be_turned_off():
    assert answer(guards(position={"max_correlation": 1.0}), account(), correlation=1.0) is None


@pytest.mark.parametrize("direction", [1, -1])
@pytest.mark.parametrize(
    ("what", "value", "reason"),
    [
        ("stop", None, Reason.NO_STOP),
        ("stop", 100.0, Reason.NO_STOP),
        ("stop", math.nan, Reason.NO_STOP),
        ("target", None, Reason.NO_TARGET),
        ("target", 100.0, Reason.NO_TARGET),
    ],
)
def test_an_entry_needs_a_stop_and_a_target_on_their_sides(direction, what, value, reason):
    assert answer(guards(), account(), direction=direction, **{what: value}) is reason
    beyond = 100.0 + (direction if what == "stop" else -direction)
    assert answer(guards(), account(), direction=direction, **{what: beyond}) is reason


@pytest.mark.parametrize(
    ("pair", "direction", "minutes", "reason"),
    [
        ("SOL/USDT:USDT", 1, 60, Reason.COOLDOWN_PAIR),
        ("ETH/USDT:USDT", 1, 30, Reason.COOLDOWN_DIRECTION),
        ("ETH/USDT:USDT", -1, 15, Reason.COOLDOWN_ANY),
    ],
)
def test_cooldowns_after_an_entry_end_to_the_second(pair, direction, minutes, reason):
    end = START + minutes * MINUTE
    holding = {"opened": (running(START),)}
    # Its own pair rests from the closing, which here is the same moment.
    over = {"closed": (done(START, 1.0, opened=START),)}
    for trade in (holding, over):
        early, late = account(at=end - SECOND, **trade), account(at=end, **trade)
        assert answer(guards(), early, pair=pair, direction=direction) is reason
        assert answer(guards(), late, pair=pair, direction=direction) is None


def test_a_pair_rests_after_its_trade_has_ended_and_no_other_does():
    trade = done(START, 10.0, opened=LONG_AGO)
    soon = account(at=START + 59 * MINUTE, closed=(trade,))
    assert answer(guards(), soon) is Reason.COOLDOWN_PAIR
    assert answer(guards(), soon, pair="ETH/USDT:USDT") is None
    assert answer(guards(), account(at=START + HOUR, closed=(trade,))) is None


def test_a_refused_entry_does_not_change_the_state():
    machine = guards()
    machine.observe(account(opened=tuple(running(LONG_AGO) for _ in range(10))))
    before = machine.state
    machine.permit(entry(), account())
    assert machine.state is before


def test_trades_that_hedge_each_other_are_not_correlated():
    assert signed_correlation([(0.9, 1), (0.7, 1)], 1) == pytest.approx(0.8)
    assert signed_correlation([(0.9, 1), (0.7, 1)], -1) == pytest.approx(-0.8)
    assert signed_correlation([(0.9, 1), (0.9, -1)], 1) == pytest.approx(0.0)
    assert signed_correlation([(math.nan, 1), (0.4, 1)], 1) == pytest.approx(0.4)
    assert signed_correlation([], 1) is None
    assert signed_correlation([(math.nan, 1)], 1) is None
