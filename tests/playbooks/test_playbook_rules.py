"""What the playbooks want: weights followed, bids laid and sold, caps kept (spec T-1, W-1)."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from quorum.playbooks import Lot, Place
from quorum.playbooks.allocation import AllocationSettings, derisked
from quorum.playbooks.entries import entering
from quorum.playbooks.trend import BUFFER, Trend, TrendSettings
from quorum.playbooks.washout import OPEN_CAP, Washout, WashoutSettings

HOUR = 3_600_000
#: A candle in which a 4h candle has just closed.
DECIDED = 4 * HOUR
TREND = Trend(TrendSettings(enabled=True))
WASHOUT = Washout(WashoutSettings(enabled=True))


def rising(forecast: float = 5.0, **changes) -> Place:
    columns = {"trend_forecast": forecast, "trend_volatility": 0.5, "trend_weight": 0.1}
    given_ = {"close": 100.0, "candle": DECIDED, "weight": 0.1, "equity": 10_000.0}
    return Place(columns, **(given_ | changes))


def bidding(bid: float = 90.0, **changes) -> Place:
    columns = {
        "washout_forecast": 5.0, "washout_sigma": 0.01, "washout_bid": bid, "washout_weight": 0.05,
    }  # fmt: skip
    given_ = {"close": 100.0, "candle": DECIDED, "weight": 0.05, "equity": 10_000.0}
    return Place(columns, **(given_ | changes))


def test_an_empty_pair_is_entered_with_its_weight_at_any_hour():
    for candle in (DECIDED, DECIDED + HOUR):
        wish = TREND.wish(rising(candle=candle))
        assert (wish.units, wish.tag, wish.price) == (pytest.approx(10.0), "trend", None)


@given(held=st.floats(0.01, 50.0), weight=st.floats(0.001, 0.35))
def test_the_weight_is_followed_only_outside_its_buffer(held, weight):
    place = rising(weight=weight, lot=Lot(held, 90.0, 0))
    wanted = weight * 10_000.0 / 100.0
    far = abs(wanted - held) / max(wanted, held)
    assume(abs(far - BUFFER) > 1e-9)
    wish = TREND.wish(place)
    assert (wish is not None) == (far > BUFFER)
    if wish is not None:
        assert held + wish.units == pytest.approx(wanted)
        # Once followed, a second look, or one after a restart, wants nothing.
        after = rising(weight=weight, lot=Lot(held + wish.units, 90.0, 0))
        assert TREND.wish(after) is None
        assert TREND.wish(rising(weight=weight, lot=place.lot, candle=DECIDED + HOUR)) is None


@pytest.mark.parametrize("candle", [DECIDED, DECIDED + HOUR])
def test_everything_goes_when_the_forecast_is_not_above_zero(candle):
    wish = TREND.wish(rising(0.0, candle=candle, lot=Lot(3.0, 90.0, 0)))
    assert (wish.units, wish.tag) == (-3.0, "trend_over")


def test_nothing_is_done_on_what_is_not_known():
    held = Lot(3.0, 90.0, 0)
    assert TREND.wish(rising(np.nan, lot=held)) is None
    assert TREND.wish(rising(equity=np.nan, lot=held)) is None
    assert TREND.wish(rising(np.nan)) is None
    assert WASHOUT.wish(bidding(np.nan)) is None
    assert WASHOUT.wish(bidding(equity=np.nan)) is None


def test_what_a_bid_bought_is_kept_for_four_candles_and_sold_whatever_the_market_says():
    for hours in range(4):
        lot = Lot(2.0, 90.0, DECIDED - hours * HOUR)
        assert WASHOUT.wish(bidding(lot=lot)) is None
    for hours in (4, 5, 100):
        lot = Lot(2.0, 90.0, DECIDED - hours * HOUR)
        wish = WASHOUT.wish(bidding(np.nan, equity=np.nan, lot=lot))
        assert (wish.units, wish.tag) == (-2.0, "washout_over")


def test_a_bid_is_worth_its_weight_at_its_own_price():
    wish = WASHOUT.wish(bidding())
    assert wish.price == 90.0
    assert wish.units * wish.price == pytest.approx(500.0)


pair = st.tuples(st.floats(0.0, 0.35), st.floats(0.001, 0.1), st.floats(0.0, 0.5))


@given(pairs=st.lists(pair, min_size=1, max_size=60), share=st.floats(0.1, 5.0))
def test_open_fills_and_bids_stay_under_their_cap_and_the_deepest_come_first(pairs, share):
    rows = [{"washout_weight": w, "washout_sigma": s} for w, s, _ in pairs]
    held = np.array([h if h > 0.4 else 0.0 for *_, h in pairs])
    weights = WASHOUT.weights(rows, held, share)
    room = max(OPEN_CAP - held.sum(), 0.0)
    assert weights.sum() <= room + 1e-12
    assert not weights[held > 0].any()
    wanted = np.array(
        [0.0 if h > 0 else share * r["washout_weight"] for r, h in zip(rows, held, strict=True)]
    )
    np.testing.assert_array_equal(weights[weights > 0], wanted[weights > 0])
    for left in np.flatnonzero((wanted > 0) & (weights == 0)):
        deeper = [r["washout_sigma"] >= rows[left]["washout_sigma"] for r in rows]
        assert wanted[left] > room - weights[np.array(deeper)].sum() - 1e-12


@pytest.mark.parametrize(
    ("quorum", "entered"),
    [("none", [0, 0, 0, -1, -1]), ("veto", [-1, 0, 0, -1, -1]), ("gate", [-1, -1, 0, -1, -1])],
)
def test_the_quorum_acts_as_the_playbook_declares(quorum, entered):
    trend = Trend(TrendSettings(enabled=True, quorum=quorum))
    forecast = np.array([1.0, 1.0, 1.0, 0.0, 1.0])
    side = np.array([-1, 0, 1, 1, 1], dtype=np.int8)
    tradable = np.array([True, True, True, True, False])
    by = entering([trend], {"trend_forecast": forecast}, side, tradable)
    assert by.tolist() == entered


@pytest.mark.parametrize(
    ("drawdown", "share"), [(0.0, 1.0), (2.0, 1.0), (3.0, 0.75), (4.0, 0.5), (9.0, 0.5)]
)
def test_shares_fall_to_a_half_between_two_drawdowns(drawdown, share):
    assert derisked(drawdown, AllocationSettings()) == pytest.approx(share)
    assert derisked(drawdown, AllocationSettings(derisk_share=1.0)) == 1.0
