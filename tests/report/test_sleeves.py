"""What each playbook earned: fills divided among lots, returns that add up, and kinds of fills."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import numpy as np
import pytest
from drawn_markets import candles_of
from hypothesis import given
from hypothesis import strategies as st

from quorum.candles import Candles
from quorum.report.peers import COST, crossed, held
from quorum.report.sleeves import TOGETHER, round_trips, sleeves
from quorum.report.trades import Fill, TradeRecord
from quorum.report.washout_fills import filled_through, taken_late

PAIR = "SOL/USDT:USDT"
START = datetime(2024, 1, 1, tzinfo=UTC)
FIRST = int(START.timestamp() * 1000)
HOUR = timedelta(hours=1)
CAPITAL = 10_000.0


def fill(hour: float, price: float, amount: float, tag: str, *, entry: bool) -> Fill:
    return Fill(START + hour * HOUR, price, amount, entry, tag)


def trade(*fills: Fill, profit: float, funding: float = 0.0) -> TradeRecord:
    return TradeRecord(
        PAIR, 1, fills[0].at, fills[-1].at, fills[0].price, fills[-1].price, profit, 0.0, funding,
        0.0, 0.0, fills[-1].tag, fills, None,
    )  # fmt: skip


#: Ten coins of the trend, and five that a bid bought and sold in between, one of ten trimmed.
MIXED = trade(
    fill(1, 100.0, 10.0, "trend", entry=True),
    fill(5, 80.0, 5.0, "washout", entry=True),
    fill(9, 90.0, 5.0, "washout_over", entry=False),
    fill(12, 95.0, 1.0, "trend_trimmed", entry=False),
    fill(30, 110.0, 9.0, "trend_over", entry=False),
    profit=130.0,
    funding=-2.0,
)


def market(n: int = 72, low: float = 78.0) -> dict[str, Candles]:
    close = np.full(n, 100.0)
    close[29:] = 110.0
    candles = candles_of(close, start=FIRST)
    lows = candles.low.copy()
    lows[5] = low
    return {
        PAIR: Candles("1h", candles.time, candles.open, candles.high, lows, close, candles.volume)
    }


def run(*trades: TradeRecord):
    trips = [trip for one in trades for trip in round_trips(one)]
    return sleeves(trips, market(), FIRST, FIRST + 71 * 3_600_000, CAPITAL)


def test_every_fill_belongs_to_the_playbook_its_tag_names():
    trend, washout = round_trips(MIXED)
    assert (trend.playbook, washout.playbook) == ("trend", "washout")
    # Ten bought at 100, one sold at 95, nine at 110; five bought at 80 and sold at 90.
    assert trend.profit + trend.costs - trend.funding == pytest.approx(85.0)
    assert washout.profit + washout.costs - washout.funding == pytest.approx(50.0)
    assert trend.profit + washout.profit == pytest.approx(MIXED.profit)
    assert trend.funding + washout.funding == pytest.approx(-2.0)
    assert (trend.hours, washout.hours) == (29.0, 4.0)


def test_what_ends_the_whole_trade_ends_every_lot():
    stopped = trade(
        fill(1, 100.0, 10.0, "trend", entry=True),
        fill(5, 80.0, 5.0, "washout", entry=True),
        fill(6, 70.0, 15.0, "trailing_stop_loss", entry=False),
        profit=-350.0,
    )
    trend, washout = round_trips(stopped)
    assert (trend.profit, washout.profit) == (pytest.approx(-300.0), pytest.approx(-50.0))


def test_returns_of_the_playbooks_add_up_to_those_of_the_account():
    parts = run(MIXED)
    assert set(parts) == {"trend", "washout", TOGETHER}
    total = parts["trend"].returns + parts["washout"].returns
    np.testing.assert_allclose(total, parts[TOGETHER].returns, atol=1e-12)
    grown = CAPITAL * np.prod(1.0 + parts[TOGETHER].returns)
    assert grown == pytest.approx(CAPITAL + MIXED.profit)
    assert parts["washout"].exposure.max() == pytest.approx(500.0 / CAPITAL, rel=0.02)


@given(amounts=st.lists(st.floats(0.1, 10.0), min_size=1, max_size=8), profit=st.floats(-50, 50))
def test_profit_is_never_lost_between_playbooks(amounts, profit):
    fills = [
        fill(n, 100.0 - n, a, ("trend", "washout", "5/9 high")[n % 3], entry=True)
        for n, a in enumerate(amounts)
    ]
    end = fill(40, 100.0, sum(amounts), "force_exit", entry=False)
    trips = round_trips(trade(*fills, end, profit=profit))
    assert sum(trip.profit for trip in trips) == pytest.approx(profit, abs=1e-6)


def test_an_unlucky_bid_is_filled_only_where_price_goes_through_it():
    trips = round_trips(MIXED)
    assert filled_through(trips, market(low=79.0), 0.005) == trips
    assert [t.playbook for t in filled_through(trips, market(low=79.9), 0.005)] == ["trend"]


def test_a_late_bid_buys_at_the_close_of_the_first_short_candle_under_it():
    fine = candles_of(np.linspace(90.0, 79.0, 12), "5m", start=FIRST + 5 * 3_600_000)
    trend, washout = taken_late(round_trips(MIXED), {PAIR: fine})
    assert trend == round_trips(MIXED)[0]
    under = fine.close[np.flatnonzero(fine.low < 80.0)[0]]
    assert washout.steps[0].price == under
    assert washout.profit == pytest.approx(round_trips(MIXED)[1].profit + 5 * (80.0 - under))


def test_held_and_crossed_are_worth_what_the_candles_say():
    candles = market(240)
    day = FIRST + np.arange(10) * 86_400_000
    assert np.prod(1.0 + held(candles, day)) == pytest.approx(1.10 * (1 - COST), rel=1e-3)
    # Averages cross after the rise, so nothing of it is left, and the way in is paid.
    assert np.prod(1.0 + crossed(candles, day)) == pytest.approx(1.0, abs=3 * COST)
