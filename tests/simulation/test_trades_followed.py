"""Trades followed candle by candle, on candles made by hand."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from markets import START
from published import agreeing, published, table_of

from quorum.candles import candles_from_frame
from quorum.errors import DataError
from quorum.exits.rules import REASONS
from quorum.settings import load_settings
from quorum.simulation import Venue, simulate

#: Nothing but the stop, 1.5 ATR of 1 from 100, and targets at 3, 3.67 and 5 R.
FREE = Venue(fee=0.0)
SIGNAL = 2


def story(path, side=1, **options):
    """Return what becomes of an entry at 100 whose candles are (open, high, low, close)."""
    n = SIGNAL + 1 + len(path)
    quiet = [(100.0, 100.0, 100.0, 100.0)] * (SIGNAL + 1)
    prices = np.array([*quiet, *path], dtype=np.float64)
    rows = [agreeing(0, 0.9, 0.9)] * n
    rows[SIGNAL] = agreeing(5, 0.9, 0.9, side)
    for row, other in options.pop("signals", {}).items():
        rows[SIGNAL + row] = agreeing(5, 0.9, 0.9, other)
    frame = published(rows, **options.pop("columns", {}))
    frame[["open", "high", "low", "close"]] = prices
    frame["volume"] = 1.0
    settings = load_settings(options.pop("settings", {}))
    candles = candles_from_frame(frame, "1h")
    table = table_of(frame, settings)
    options.setdefault("venue", FREE)
    return simulate(table, candles, settings, rows=np.array([SIGNAL]), **options)


def reason(outcome) -> str:
    return REASONS[outcome.reason[0]]


def flat(price: float, n: int = 1):
    return [(price, price, price, price)] * n


def test_a_stopped_trade_loses_one_r_at_the_price_of_the_stop():
    o = story([(100, 100.5, 99, 99.5), (99.5, 99.6, 98, 98.2)])
    assert reason(o) == "stop_loss"
    assert (o.entry_row[0], o.exit_row[0], o.known_row[0]) == (3, 4, 4)
    assert o.exit_price[0] == 98.5
    assert o.r[0] == pytest.approx(-1.0)
    assert o.profit_ratio[0] == pytest.approx(-0.015)
    assert o.mae[0] == pytest.approx(2 / 1.5)
    assert o.mfe[0] == pytest.approx(0.5 / 1.5)


def test_shorts_mirror_longs():
    long = story([(100, 100.5, 99, 99.5), (99.5, 105, 99.4, 104), *flat(104)])
    mirrored = story([(100, 101, 99.5, 100.5), (100.5, 100.6, 95, 96), *flat(96)], side=-1)
    assert mirrored.r[0] == pytest.approx(long.r[0], nan_ok=True)
    assert mirrored.rungs[0] == long.rungs[0]


def test_costs_are_paid_on_both_sides_and_funding_by_longs():
    path = [(100, 100.5, 99, 99.5), (99.5, 99.6, 98, 98.2)]
    funding = np.zeros(5)
    funding[4] = 0.25
    o = story(path, venue=Venue(fee=0.001, funding=funding))
    paid = 0.1 + 0.0985 + 0.25
    assert o.r[0] == pytest.approx(-1 - paid / 1.5)
    assert o.profit_ratio[0] == pytest.approx(-(1.5 + paid) / 100.1)


def test_slippage_costs_at_the_market_only():
    path = [(100, 100.5, 99, 99.5), (99.5, 99.6, 98, 98.2)]
    o = story(path, venue=Venue(fee=0.0, slippage=0.001))
    assert o.r[0] == pytest.approx(-1 - (0.1 + 0.0985) / 1.5)


def test_all_three_rungs_pay_the_ladder():
    # 3 R at 104.5, 3.67 R at 105.5, 5 R at 107.5.
    o = story([(100, 104.6, 99.5, 104.4), (104.4, 105.6, 104.4, 105.5), (105.5, 107.6, 105, 107)])
    assert reason(o) == "roi"
    assert o.rungs[0] == 2
    assert o.r[0] == pytest.approx(0.7 * 3 + 0.2 * (3 + 2 / 3) + 0.1 * 5)


def test_a_rung_of_the_same_candle_fills_before_the_stop_but_a_resting_one_after_it():
    both = (100, 104.6, 98.4, 99)
    at_once = story([both])
    assert at_once.rungs[0] == 1
    assert at_once.r[0] == pytest.approx(0.7 * 3 - 0.3)
    rested = story([(100, 100.1, 99.9, 100), both])
    assert rested.rungs[0] == 0
    assert rested.r[0] == pytest.approx(-1.0)


def test_a_gain_of_three_percent_moves_the_stop_to_the_entry_of_the_next_candle():
    o = story([(100, 103.2, 99.9, 103), (103, 103, 99.9, 100)])
    assert reason(o) == "trailing_stop_loss"
    assert o.exit_price[0] == 100.0
    assert o.r[0] == pytest.approx(0.0)


def test_a_trade_ends_at_the_open_where_price_has_passed_its_stop_to_be():
    o = story([(100, 103.2, 99.5, 99.8), (99.8, 101, 99.7, 100.5), *flat(100.5)])
    assert reason(o) == "stop_passed"
    assert o.exit_row[0] == SIGNAL + 2
    assert o.exit_price[0] == 99.8


def test_an_opposite_quorum_ends_the_trade_at_the_next_open():
    o = story([*flat(100, 2), *flat(100.5, 2)], signals={2: -1})
    assert reason(o) == "opposite_quorum"
    assert o.exit_row[0] == SIGNAL + 3
    assert o.exit_price[0] == 100.5


def test_the_time_stop_counts_from_the_order():
    o = story(flat(100, 9), settings={"exits": {"management": {"time_stop": 5.0}}})
    assert reason(o) == "time_stop"
    assert o.exit_row[0] - o.entry_row[0] == 5


def test_a_turn_of_the_near_trend_takes_half_out_once():
    turns = np.zeros(SIGNAL + 6)
    turns[SIGNAL + 1] = turns[SIGNAL + 2] = -1
    o = story(
        [*flat(100, 1), *flat(101, 1), *flat(102, 1), (102, 102, 98, 98)],
        columns={"near_reversal": turns[: SIGNAL + 5]},
    )
    # Half at 101, the other half at the stop.
    assert o.r[0] == pytest.approx((0.5 * 1 - 0.5 * 1.5) / 1.5)


def test_a_long_in_premium_waits_for_its_price_and_gives_up_after_three_candles():
    premium = {"columns": {"zone_position": 0.9}}
    waited = story([*flat(100), (100, 100, 99.6, 99.8), (99.8, 99.8, 98, 98)], **premium)
    assert waited.entry_row[0] == SIGNAL + 2
    assert waited.entry_price[0] == pytest.approx(99.7)
    gone = story(flat(100, 6), **premium)
    assert reason(gone) == "expired"
    assert (gone.entry_row[0], gone.exit_row[0]) == (-1, -1)
    assert gone.known_row[0] == SIGNAL + 3
    assert np.isnan(gone.r[0])


@pytest.mark.parametrize("path", [[], flat(100), flat(100, 4)])
def test_what_the_candles_end_before_is_not_known(path):
    o = story(path)
    assert reason(o) == "open"
    assert o.known_row[0] == -1
    assert np.isnan(o.r[0])
    assert not o.ended[0]


def test_a_veto_is_told_and_the_entry_followed_all_the_same():
    columns = {"liquidation_below": 0.01, "liquidation_below_mass": 1.0}
    o = story([(100, 100.5, 99, 99.5), (99.5, 99.6, 98, 98.2)], columns=columns)
    assert o.vetoes[o.veto[0]] == "liquidation_cluster"
    assert o.r[0] == pytest.approx(-1.0)


def test_prices_keep_to_the_tick():
    o = story([(100, 100.5, 99, 99.5), (99.5, 99.6, 98, 98.2)], venue=Venue(fee=0, tick=0.4))
    assert o.stop[0] == pytest.approx(98.8), "a stop is rounded towards the entry"


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"rows": np.array([99])}, "rows 99 to 99"),
        ({"rows": np.array([1]), "directions": np.array([0])}, "needs a direction"),
        ({"rows": np.array([1]), "directions": np.array([1, 1])}, "1 rows but 2 directions"),
    ],
)
def test_entries_that_cannot_be_are_refused(changes, words):
    frame = published([agreeing(5, 0.9, 0.9)] * 4)
    frame[["open", "high", "low"]] = 100.0
    frame["volume"] = 1.0
    candles = candles_from_frame(frame, "1h")
    changes.setdefault("directions", np.array([1]))
    with pytest.raises(DataError, match=words):
        simulate(table_of(frame), candles, load_settings({}), **changes)


def test_candles_of_another_span_are_refused():
    frame = published([agreeing(5, 0.9, 0.9)] * 4)
    frame[["open", "high", "low"]] = 100.0
    frame["volume"] = 1.0
    later = frame.assign(date=pd.date_range(START + pd.Timedelta("1h"), periods=4, freq="1h"))
    with pytest.raises(DataError, match="are not those of the candles"):
        simulate(table_of(frame), candles_from_frame(later, "1h"), load_settings({}))


def test_a_venue_refuses_costs_that_are_none():
    with pytest.raises(DataError, match="slippage = -1"):
        Venue(slippage=-1)
