"""Derivatives columns: what is measured, from which source, and when it becomes known."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from drawn_markets import candles_of
from evaluations import assert_rows_of
from hypothesis import given, settings
from hypothesis import strategies as st

from quorum.candles import DAY_MS
from quorum.features.cross_market import CrossMarketConstants, alt_season
from quorum.features.derivatives import (
    CAPITULATION,
    NEW_LONGS,
    NEW_SHORTS,
    SHORT_COVERING,
    DerivativesConstants,
    FlowConstants,
    FundingConstants,
    OpenInterestConstants,
    add_derivatives,
)
from quorum.features.table import Features
from quorum.market import HOUR_MS, Market, Published

SMALL = DerivativesConstants(
    funding=FundingConstants(window=10, min_count=5),
    open_interest=OpenInterestConstants(window=50, min_count=10),
    flow=FlowConstants(reserves_window=20, reserves_min_count=5, reserves_years=0.02),
    cross=CrossMarketConstants(long=20, alt_season_days=5, alt_season_min_coins=2),
)


def hourly(values, first_hour=1):
    values = np.asarray(values, dtype=np.float64)
    return Published((first_hour + np.arange(len(values), dtype=np.int64)) * HOUR_MS, values)


def columns_of(market, section=SMALL, atr=2.0):
    out = Features(len(market))
    out.add("taker_buy_share", np.full(len(market), 0.9))
    out.add("atr_unit", np.full(len(market), atr), scale_free=False)
    add_derivatives(market, out, section)
    return out


def market_of(closes, **published):
    return Market("ALT/USDT:USDT", candles_of(closes), published=published)


def test_without_any_source_every_column_is_nan():
    x = columns_of(market_of([100.0] * 30))
    given = {"atr_unit", "taker_buy_share"}
    assert all(np.isnan(values).all() for name, values in x.items() if name not in given)


def test_funding_is_a_rate_over_the_usual_interval_whatever_the_settlement_before():
    at = np.array([8, 16, 18, 20], dtype=np.int64) * HOUR_MS
    x = columns_of(market_of([100.0] * 24, funding_rate=Published(at, np.full(4, 1e-4))))
    # Candle 7 closes at 08:00, candle 17 at 18:00: the first settlement after two hours.
    assert np.isnan(x["funding_rate"][6])
    assert x["funding_rate"][7] == 1e-4
    assert x["funding_rate"][17] == 4e-4


def test_a_netflow_that_never_varies_is_not_sharp():
    days = np.arange(1, 12, dtype=np.int64) * DAY_MS
    x = columns_of(market_of([100.0] * 270, exchange_netflow=Published(days, np.full(11, 0.1))))
    assert np.isnan(x["exchange_netflow_z"]).all()


def test_an_outlying_funding_rate_has_a_high_z_score_and_a_resting_one_none():
    rates = np.full(20, 1e-4)
    rates[15] = 1e-3
    at = np.arange(1, 21, dtype=np.int64) * 8 * HOUR_MS
    x = columns_of(market_of([100.0] * 170, funding_rate=Published(at, rates)))
    settled = at // HOUR_MS - 1
    assert np.isnan(x["funding_z"][settled[3]])
    assert x["funding_z"][settled[4]] == pytest.approx(0.0)
    assert x["funding_z"][settled[15]] == pytest.approx(3.0)


def test_the_premium_takes_its_best_source():
    closes = [101.0] * 10
    sources = {
        "funding_rate": hourly([2e-4]),
        "mark": hourly([100.5] * 10),
        "index": hourly([100.0] * 10),
        "spot_close": hourly([100.0] * 10),
        "premium_index": hourly([0.003] * 10),
    }
    expected = [2e-4, 2e-4, 0.005, 0.01, 0.003]
    for count, value in enumerate(expected, start=1):
        present = dict(list(sources.items())[:count])
        assert columns_of(market_of(closes, **present))["perp_premium"][5] == pytest.approx(value)


def test_a_premium_source_that_ends_gives_way_to_the_next():
    x = columns_of(
        market_of([101.0] * 10, spot_close=hourly([100.0] * 10), premium_index=hourly([0.003] * 4))
    )
    np.testing.assert_allclose(x["perp_premium"][:5], 0.003)
    np.testing.assert_allclose(x["perp_premium"][5:], 0.01)


@pytest.mark.parametrize(
    ("price", "interest", "code"),
    [
        (20.0, 1.3, NEW_LONGS),
        (20.0, 0.7, SHORT_COVERING),
        (-20.0, 0.7, CAPITULATION),
        (-20.0, 1.3, NEW_SHORTS),
        (0.0, 1.3, 0),
        (20.0, 1.0, 0),
    ],
)
def test_open_interest_against_price_names_who_moves_it(price, interest, code):
    closes = np.full(100, 100.0)
    closes[-1] += price
    wobble = 1000.0 * (1 + 0.001 * (np.arange(100) % 2))
    wobble[-1] *= interest
    x = columns_of(market_of(closes, open_interest=hourly(wobble)))
    assert x["oi_quadrant"][-1] == code
    assert x["oi_quadrant"][-2] == 0


def test_open_interest_changes_are_measured_over_hours_whatever_the_base_timeframe():
    values = 1000.0 * 1.01 ** np.arange(60)
    market = Market(
        "ALT/USDT:USDT",
        candles_of([100.0] * 15, "4h"),
        published={"open_interest": hourly(values)},
    )
    x = columns_of(market)
    for hours in (1, 4, 24):
        assert x[f"oi_change_{hours}h"][-1] == pytest.approx(1.01**hours - 1)


def test_stale_open_interest_is_unknown():
    x = columns_of(market_of([100.0] * 100, open_interest=hourly([1000.0] * 60)))
    assert np.isfinite(x["oi_z"][62])
    assert np.isnan(x["oi_z"][63])
    assert np.isnan(x["oi_quadrant"][63])


def test_taker_records_are_averaged_over_the_hour_and_trades_come_first():
    five_minutes = HOUR_MS // 12
    at = np.arange(1, 37, dtype=np.int64) * five_minutes
    shares = np.repeat([0.2, 0.8, 0.5], 12)
    shares[11] = 0.9
    market = market_of([100.0] * 5, taker_buy_share=Published(at, shares))
    recorded = columns_of(market)["taker_share"]
    np.testing.assert_allclose(recorded[:3], [(11 * 0.2 + 0.9) / 12, 0.8, 0.5])
    assert np.isnan(recorded[3:]).all()
    traded = replace(market, taker_delta=np.array([np.nan, 0.1, 0.1, 0.1, np.nan]))
    mixed = columns_of(traded)["taker_share"]
    assert mixed[0] == recorded[0]
    assert mixed[1:4].tolist() == [0.9, 0.9, 0.9]


def test_reserves_at_their_low_need_the_whole_span_of_records():
    # 0.02 years are 7.3 days.
    at = np.arange(1, 13, dtype=np.int64) * DAY_MS
    levels = np.array([9, 8, 7, 6, 5, 6, 7, 6.5, 6, 4, 5, 4.5])
    x = columns_of(market_of([100.0] * 300, exchange_reserves=Published(at, levels)))
    seen = at // HOUR_MS - 1
    low = x["exchange_reserves_low"]
    assert np.isnan(low[seen[:8]]).all()
    assert low[seen[8:]].tolist() == [0.0, 1.0, 0.0, 0.0]


def season_market(days=20, **closes):
    universe = {name: candles_of(values, "1d") for name, values in closes.items()}
    return Market("ALT/USDT:USDT", candles_of([100.0] * days * 24), universe=universe)


def test_the_alt_season_is_the_share_of_alts_that_beat_bitcoin():
    rising, flat = np.linspace(100, 200, 20), np.full(20, 100.0)
    market = season_market(BTC=np.linspace(100, 150, 20), A=rising, B=rising, C=rising, D=flat)
    x = columns_of(market)
    # Five days after the first close, seen from the day's last hour on.
    assert np.isnan(x["alt_season"][6 * 24 - 2])
    assert np.all(x["alt_season"][6 * 24 - 1 :] == 75.0)


def test_a_day_moves_the_alt_season_only_after_it_closed():
    bitcoin = np.full(20, 100.0)
    alt = np.full(20, 99.0)
    alt[10:] = 200.0
    x = columns_of(season_market(BTC=bitcoin, A=alt, B=alt))
    assert x["alt_season"][11 * 24 - 2] == 0.0
    assert x["alt_season"][11 * 24 - 1] == 100.0


def test_the_alt_season_needs_enough_coins_and_bitcoin():
    section = CrossMarketConstants(alt_season_days=5, alt_season_min_coins=3)
    flat = np.full(20, 100.0)
    few = alt_season(season_market(BTC=flat, A=flat, B=flat), section)
    assert few is not None
    assert np.isnan(few.value).all()
    assert alt_season(season_market(A=flat, B=flat, C=flat), section) is None


def test_a_coin_listed_later_counts_from_its_own_history():
    late = candles_of(np.linspace(100, 300, 8), "1d", start=12 * DAY_MS)
    market = season_market(BTC=np.full(20, 100.0), A=np.full(20, 100.0), B=np.full(20, 100.0))
    market = replace(market, universe={**market.universe, "LATE": late})
    season = alt_season(market, SMALL.cross)
    assert season is not None
    assert season.value[16] == 0.0
    assert season.value[17] == pytest.approx(100 / 3)


def test_relative_strength_is_the_return_over_bitcoins():
    bitcoin = candles_of(100.0 * 1.01 ** np.arange(60))
    market = Market(
        "ALT/USDT:USDT", candles_of(100.0 * 1.03 ** np.arange(60)), context={"BTC": bitcoin}
    )
    x = columns_of(market)
    assert x["btc_return_short"][-1] == pytest.approx(4 * np.log(1.01))
    assert x["relative_strength_medium"][-1] == pytest.approx(24 * np.log(1.03 / 1.01))
    assert np.isnan(x["eth_btc_return"]).all()


def test_correlation_with_bitcoin_is_one_for_its_own_candles_and_unknown_when_still():
    closes = 100.0 + np.random.default_rng(1).normal(0, 1, 60)
    same = Market("BTC/USDT:USDT", candles_of(closes), context={"BTC": candles_of(closes)})
    assert columns_of(same)["btc_correlation"][-1] == pytest.approx(1.0)
    still = Market("ALT/USDT:USDT", candles_of(np.full(60, 5.0)), context=same.context)
    assert np.isnan(columns_of(still)["btc_correlation"]).all()


def full_market(seed, n=300):
    rng = np.random.default_rng(seed)

    def walk(count, scale=1.0):
        return 500.0 + np.cumsum(rng.normal(0, scale, count))

    funding_at = np.arange(1, n // 8, dtype=np.int64) * 8 * HOUR_MS
    days = np.arange(1, n // 24 + 1, dtype=np.int64) * DAY_MS
    close = walk(n)
    return Market(
        "ALT/USDT:USDT",
        candles_of(close),
        published={
            "funding_rate": Published(funding_at, rng.normal(1e-4, 1e-4, len(funding_at))),
            "open_interest": hourly(walk(n, 5.0)),
            "spot_close": hourly(close * (1 + rng.normal(0, 1e-3, n))),
            "exchange_reserves": Published(days, walk(len(days))),
            "exchange_netflow": Published(days, rng.normal(0, 1, len(days))),
            "long_short_ratio": hourly(np.exp(rng.normal(0, 1, n))),
            "taker_buy_share": hourly(rng.uniform(0, 1, n)),
        },
        context={"BTC": candles_of(walk(n)), "ETH": candles_of(walk(n))},
        universe={name: candles_of(walk(n // 24), "1d") for name in ("BTC", "A", "B", "C")},
    )


@given(seed=st.integers(0, 1000), n=st.integers(1, 299))
@settings(max_examples=25, deadline=None)
def test_a_prefix_of_the_market_gives_the_prefix_of_the_columns(seed, n):
    market = full_market(seed)
    assert_rows_of(columns_of(market.head(n)), columns_of(market))


def test_the_full_market_knows_every_column_in_the_end():
    x = columns_of(full_market(7))
    unknown = [name for name, values in x.items() if np.isnan(values[-1])]
    assert unknown == []
