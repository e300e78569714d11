"""Market: a value is seen only after it was published."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from markets import START, candle_frame, full_market, resample

from quorum.candles import candles_from_frame
from quorum.errors import DataError
from quorum.market import Frames, MarketSettings, Published, build_market

HOUR = 3_600_000


def test_a_higher_candle_is_seen_only_after_it_has_closed():
    base = candle_frame(48)
    market = build_market("BTC/USDT:USDT", "1h", Frames(base, {"4h": resample(base, "4h")}))
    four = market.higher["4h"]
    close = four.align(four.candles.close)
    # The candle of 00:00-04:00 is complete with the hour that closes at 04:00.
    assert np.isnan(close[:3]).all()
    assert close[3] == base["close"][3]
    assert close[6] == base["close"][3]
    assert close[7] == base["close"][7]


def test_only_timeframes_longer_than_the_base_are_higher():
    base = candle_frame(200, timeframe="4h")
    frames = Frames(base, {"4h": base, "1d": resample(base, "1d")})
    assert set(build_market("BTC/USDT:USDT", "4h", frames).higher) == {"1d", "1w"}


def test_funding_is_known_after_its_settlement_and_grows_stale():
    base = candle_frame(48)
    funding = pd.DataFrame({"date": [START + pd.Timedelta(hours=8)], "funding_rate": [0.01]})
    market = build_market("BTC/USDT:USDT", "1h", Frames(base, funding_rate=funding))
    rate = market.funding_rate
    # The candle that closes at 08:00 sharp is too early; at 20:00 the rate is twelve hours old.
    assert np.isnan(rate[:8]).all()
    assert (rate[8:20] == 0.01).all()
    assert np.isnan(rate[20:]).all()


def test_mark_prices_are_known_when_their_hour_ends():
    base = candle_frame(10)
    market = build_market("BTC/USDT:USDT", "1h", Frames(base, mark=base))
    assert market.mark.tolist() == base["close"].tolist()


def test_missing_sources_read_as_nan():
    market = build_market("BTC/USDT:USDT", "1h", Frames(candle_frame(10)))
    for series in (market.funding_rate, market.mark, market.open_interest, market.spot_close):
        assert np.isnan(series).all()
    assert np.isnan(market.context_close("BTC")).all()


def test_context_is_aligned_by_time_not_by_row():
    base = candle_frame(20, start=START + pd.Timedelta(hours=5))
    btc = candle_frame(40, seed=9)
    market = build_market(
        "SOL/USDT:USDT", "1h", Frames(base, context={"BTC": candles_from_frame(btc, "1h")})
    )
    assert market.context_close("BTC").tolist() == btc["close"][5:25].tolist()


def test_no_signal_before_the_minimum_history_or_without_volume():
    base = candle_frame(400)
    base.loc[350, "volume"] = 0.0
    market = build_market("BTC/USDT:USDT", "1h", Frames(base))
    assert not market.tradable[:299].any()
    assert market.tradable[299]
    assert not market.tradable[350]
    assert market.tradable[351]


def test_a_gap_of_three_days_pauses_signals_until_candles_have_come_back():
    base = candle_frame(600)
    base.loc[400:471, "volume"] = 0.0
    market = build_market("BTC/USDT:USDT", "1h", Frames(base))
    recovery = MarketSettings().gap_recovery
    assert market.tradable[399]
    assert not market.tradable[400 : 472 + recovery].any()
    assert market.tradable[472 + recovery]


def test_of_duplicate_publications_the_last_counts():
    base = candle_frame(10)
    funding = pd.DataFrame({"date": [START, START], "funding_rate": [0.01, 0.02]})
    market = build_market("BTC/USDT:USDT", "1h", Frames(base, funding_rate=funding))
    assert market.funding_rate[0] == 0.02


def test_unsorted_base_candles_are_refused():
    with pytest.raises(DataError, match="dates must increase"):
        build_market("BTC/USDT:USDT", "1h", Frames(candle_frame(10).iloc[::-1]))


def test_the_head_of_a_market_knows_nothing_later(market):
    n = 1000
    head = market.head(n)
    end = head.close_time[-1]
    assert len(head) == n
    for higher in head.higher.values():
        assert (higher.candles.close_time <= end).all()
        assert (higher.row < len(higher.candles)).all()
    for series in head.published.values():
        assert (series.known_at <= end).all()


@given(st.integers(1, 2200))
@settings(max_examples=20, deadline=None)
def test_inputs_of_a_prefix_are_a_prefix_of_the_inputs(n):
    market = full_market()
    head = market.head(n)
    pairs = [
        (head.funding_rate, market.funding_rate),
        (head.open_interest, market.open_interest),
        (head.spot_close, market.spot_close),
        (head.tradable, market.tradable),
    ]
    for timeframe, higher in market.higher.items():
        part = head.higher[timeframe]
        pairs.append((part.align(part.candles.close), higher.align(higher.candles.close)))
    for part_values, values in pairs:
        np.testing.assert_array_equal(part_values, values[:n])


@given(
    st.lists(st.integers(0, 100), min_size=1, unique=True),
    st.integers(0, 50),
    st.integers(0, 120),
)
def test_alignment_returns_the_last_known_value_unless_it_is_too_old(times, max_age, at):
    known = np.array(sorted(times), np.int64)
    aligned = Published(known, known.astype(float)).align(np.array([at]), max_age)[0]
    before = [t for t in times if t <= at]
    if before and at - max(before) <= max_age:
        assert aligned == max(before)
    else:
        assert np.isnan(aligned)
