"""Emergency shutdown and black swans (spec G3)."""

from __future__ import annotations

import numpy as np
import pytest
from guard_accounts import HOUR, START, account, answer, entry, guards, running

from quorum.guards import MarketFlags, Reason, State
from quorum.guards.system import SystemLimits, black_swans, crossed_candles

LIMITS = SystemLimits()


@pytest.mark.parametrize(("equity", "halted"), [(104_500.01, False), (104_500, True)])
def test_the_drawdown_from_the_peak_halts_at_its_limit_and_not_before(equity, halted):
    machine = guards(day={"max_loss": 50.0})
    machine.observe(account())
    machine.observe(account(110_000.0, START + HOUR))
    changes = machine.observe(account(equity, START + 2 * HOUR))
    assert (machine.state is State.HALTED) is halted
    assert machine.closing is (Reason.EMERGENCY_SHUTDOWN if halted else None)
    assert [c.after for c in changes] == ([State.HALTED] if halted else [])


def test_a_floating_loss_halts_before_any_trade_has_closed():
    machine = guards()
    machine.observe(account())
    trade = running(START, floating=-5000.0)
    machine.observe(account(95_000.0, START + HOUR, balance=100_000.0, opened=(trade,)))
    assert machine.state is State.HALTED


def test_nothing_but_a_person_ends_a_halt():
    machine = guards()
    machine.observe(account())
    machine.observe(account(94_000.0, START + HOUR))
    for days in (1, 10, 400):
        later = START + days * 24 * HOUR
        assert answer(machine, account(150_000.0, later)) is Reason.EMERGENCY_SHUTDOWN
        assert machine.closing is Reason.EMERGENCY_SHUTDOWN


@pytest.mark.parametrize(
    ("flags", "reason"),
    [
        (MarketFlags(black_swan=True), Reason.BLACK_SWAN),
        (MarketFlags(stale=True), Reason.STALE_DATA),
        (MarketFlags(crossed=True), Reason.CROSSED_DATA),
        (MarketFlags(errors=5), Reason.EXCHANGE_ERRORS),
        (MarketFlags(errors=4), None),
    ],
)
def test_a_broken_market_allows_no_entries_until_it_is_whole_again(flags, reason):
    machine = guards()
    machine.observe(account(), flags)
    assert machine.permit(entry(), account()).reason is reason
    later = account(at=START + HOUR)
    machine.observe(later)
    assert machine.permit(entry(later.at), later).reason is None
    assert machine.closing is None


def test_stale_or_crossed_data_of_the_pair_itself_refuses_its_entry_alone():
    machine = guards()
    machine.observe(account())
    for flags, reason in (
        (MarketFlags(stale=True), Reason.STALE_DATA),
        (MarketFlags(crossed=True), Reason.CROSSED_DATA),
    ):
        assert machine.permit(entry(), account(), flags).reason is reason
    assert machine.permit(entry(), account()).allowed


def test_a_black_swan_closes_positions_only_where_that_is_asked_for():
    for flatten in (True, False):
        machine = guards(system={"flatten": flatten, "swan_pause": 120.0})
        machine.observe(account(), MarketFlags(black_swan=True))
        assert machine.closing is (Reason.BLACK_SWAN if flatten else None)
        assert answer(machine, account(at=START + HOUR)) is Reason.BLACK_SWAN
        assert answer(machine, account(at=START + 2 * HOUR)) is None
        assert machine.closing is None


def candles(n=100, price=100.0, atr=1.0):
    close = np.full(n, price)
    return close.copy(), close.copy(), close, np.full(n, atr)


@pytest.mark.parametrize(("reach", "swan"), [(7.99, False), (8.0, True)])
@pytest.mark.parametrize("side", [1, -1])
def test_a_candle_of_eight_atr_is_a_black_swan(reach, swan, side):
    high, low, close, atr = candles()
    (high if side > 0 else low)[50] = 100.0 + side * reach
    found = black_swans(high, low, close, atr, 1, LIMITS)
    assert np.flatnonzero(found).tolist() == ([50] if swan else [])


@pytest.mark.parametrize(("reach", "swan"), [(9.99, False), (10.0, True)])
@pytest.mark.parametrize("side", [1, -1])
def test_ten_percent_within_an_hour_are_a_black_swan(reach, swan, side):
    high, low, close, atr = candles(atr=5.0)
    (high if side > 0 else low)[50] = 100.0 + side * reach
    assert np.flatnonzero(black_swans(high, low, close, atr, 1, LIMITS)).tolist() == [50] * swan
    # Four candles an hour: it stays within the last hour for four of them.
    found = np.flatnonzero(black_swans(high, low, close, atr, 4, LIMITS)).tolist()
    assert found == ([50, 51, 52, 53] if swan else [])


def test_a_slow_move_is_no_black_swan_and_a_black_swan_is_known_at_its_close():
    close = 100.0 * 1.02 ** np.arange(60)
    atr = np.full(60, 10.0)
    assert not black_swans(close * 1.001, close * 0.999, close, atr, 4, LIMITS).any()
    rng = np.random.default_rng(1)
    close = 100 * np.exp(np.cumsum(rng.normal(0, 0.04, 300)))
    high, low = close * (1 + rng.random(300) / 20), close * (1 - rng.random(300) / 20)
    atr = np.abs(rng.normal(2, 1, 300))
    whole = black_swans(high, low, close, atr, 2, LIMITS)
    assert 0 < whole.sum() < 300
    for n in (0, 1, 2, 3, 50, 299):
        part = black_swans(high[:n], low[:n], close[:n], atr[:n], 2, LIMITS)
        np.testing.assert_array_equal(part, whole[:n])


def test_what_is_not_known_is_no_black_swan():
    high, low, close, atr = candles()
    high[50], atr[:] = np.nan, np.nan
    assert not black_swans(high, low, close, atr, 1, LIMITS).any()


def test_candles_that_contradict_themselves_are_crossed():
    high, low = np.array([2.0, 1.0, 2.0, 2.0, np.nan]), np.array([1.0, 2.0, 1.0, 1.0, 1.0])
    close = np.array([1.5, 1.5, 2.1, 0.9, 1.5])
    assert crossed_candles(high, low, close).tolist() == [False, True, True, True, False]
