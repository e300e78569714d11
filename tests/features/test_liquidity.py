"""Sweeps, impulse legs and Judas swings on hand-made candles."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from drawn_markets import LEVEL, Candle, legs, market_of, mirrored, path, random_walk
from evaluations import assert_rows_of, columns_of
from hypothesis import given, settings
from hypothesis import strategies as st

from quorum.features.liquidity import LiquidityConstants, SweepConstants
from quorum.features.table import Features
from quorum.market import Market

FAMILIES = ("volatility", "swings", "volume", "sessions", "liquidity")


def features(market: Market, section: LiquidityConstants | None = None) -> Features:
    return columns_of(market, *FAMILIES, liquidity=section)


def liquidity(rows: list[Candle], section: LiquidityConstants | None = None) -> Features:
    return features(market_of(rows), section)


#: Down to a swing low (wick 95.75), up, and back to just above it.
TO_THE_LOW = legs(100.0, 104.0, 96.0, 101.0, 96.5)
HUNT = (96.5, 96.75, 95.0, 96.5)


def test_wick_through_a_swing_low_that_closes_back_inside_is_a_sweep() -> None:
    x = liquidity([*TO_THE_LOW, HUNT])
    assert x["sweep_low_level"][-1] == 95.75
    assert x["sweep_low"][-1] == pytest.approx(0.75 / x["atr"][-1])
    assert x["sweep_low_pool"][-1] == 1
    assert x["sweep_low"][:-1].sum() == 0
    assert x["sweep_high"].sum() == 0


def test_close_beyond_the_level_is_a_break_and_no_sweep() -> None:
    x = liquidity([*TO_THE_LOW, (96.5, 96.75, 95.0, 95.25)])
    assert x["sweep_low"][-1] == 0


def test_a_level_is_taken_only_once() -> None:
    x = liquidity([*TO_THE_LOW, HUNT, (96.5, 97.0, 95.25, 96.5)])
    assert x["sweep_low"][-2] > 0
    assert x["sweep_low"][-1] == 0


def test_equal_lows_are_one_larger_pool() -> None:
    rows = [*legs(100.0, 104.0, 96.0, 101.0, 96.0, 101.0, 96.5), HUNT]
    assert liquidity(rows)["sweep_low_pool"][-1] == 2


def test_swing_low_is_no_level_before_it_is_confirmed() -> None:
    # Four candles after the low: a lag of five leaves it unconfirmed.
    early = [*legs(100.0, 104.0, 96.0, 98.0), (98.0, 98.25, 95.0, 97.0)]
    assert liquidity(early)["sweep_low"][-1] == 0
    late = [*legs(100.0, 104.0, 96.0, 98.5), (98.5, 98.75, 95.0, 97.0)]
    assert liquidity(late)["sweep_low"][-1] > 0


def test_levels_die_of_old_age() -> None:
    young = LiquidityConstants(sweep=SweepConstants(max_age=10))
    assert liquidity([*TO_THE_LOW, HUNT], young)["sweep_low"][-1] == 0


def test_prior_day_low_is_a_level_from_the_next_day_on() -> None:
    # A fall through day one whose low stands at its very end, where no swing is confirmed.
    first = path(*np.linspace(106.0, 100.0, 25))
    rows = [*first, (100.0, 100.5, 99.0, 100.25), (100.25, 100.5, 98.5, 100.25)]
    x = features(market_of(rows, daily=True))
    assert np.isnan(x["prior_day_low"][23])  # the day closes together with this candle
    assert x["prior_day_low"][24] == 99.75
    assert x["sweep_low"][24] == pytest.approx(0.75 / x["atr"][24])
    assert x["sweep_low_pool"][24] == 2.0
    assert x["sweep_low"][25] == 0  # taken
    assert features(market_of(rows))["sweep_low"][24] == 0  # no daily candles: no level


def test_volume_spike_compares_with_the_candles_before() -> None:
    market = market_of(TO_THE_LOW)
    volume = np.append(market.candles.volume[:-1], 2.0)
    x = features(replace(market, candles=replace(market.candles, volume=volume)))
    assert x["volume_spike"][-2:].tolist() == [0, 1]
    assert np.isnan(x["volume_spike"][:20]).all()


#: An impulse from 95.75 to 112.25 that broke the high before it.
IMPULSE = legs(97.0, 104.0, 96.0, 112.0, step=1.0)


def test_deep_retracement_of_an_impulse_is_the_optimal_entry() -> None:
    # 0.62 of the leg stands at 112.25 - 0.62 * 16.5 = 102.02: the wick of 101.75 reaches it.
    x = liquidity([*IMPULSE, *legs(112.0, 101.0, step=1.0)])
    assert x["impulse"][-1] == 1
    assert x["impulse_origin"][-1] == 95.75
    assert x["retracement"][-1] == pytest.approx((112.25 - 101.0) / 16.5)
    assert x["premium"][-1] == pytest.approx((101.0 - 95.75) / 16.5)
    assert x["optimal_entry"][-3:].tolist() == [0, 1, 1]


def test_shallow_or_lost_retracements_are_no_entry() -> None:
    assert liquidity([*IMPULSE, *legs(112.0, 104.0, step=1.0)])["optimal_entry"].sum() == 0
    deep = liquidity([*IMPULSE, *legs(112.0, 98.0, step=1.0)])
    assert deep["optimal_entry"][-1] == 0


def test_impulse_is_void_once_a_candle_closes_beyond_its_origin() -> None:
    x = liquidity([*IMPULSE, *legs(112.0, 95.0, 101.0, step=1.0)])
    after = x["impulse"][-6:]
    assert 1 not in after


def test_leg_that_breaks_nothing_is_no_impulse() -> None:
    x = liquidity([*legs(104.0, 98.0, 116.0, 96.0, 108.0, 101.0, step=1.0)])
    assert x["impulse"][-1] == -1  # the fall from 116 broke the low; the bounce broke nothing


def day(prices: dict[int, Candle]) -> list[Candle]:
    """Two winter days of hourly UTC candles, flat in 99.5-100.5, with some replaced."""
    rows = [(100.0, 100.5, 99.5, 100.0)] * 48
    for hour, candle in prices.items():
        rows[24 + hour] = candle
    return rows


# Winter: Asian session 01-05 UTC, London from 07, New York from 13.
LONDON_RUN = {
    7: (100.0, 100.25, 98.5, 99.0),
    8: (99.0, 101.0, 98.75, 100.75),
}


def test_run_below_the_asian_range_reversed_through_the_london_open_is_a_judas_swing() -> None:
    x = liquidity(day(LONDON_RUN))
    assert np.flatnonzero(x["judas_long"]).tolist() == [24 + 8]
    assert x["judas_long"][32] == pytest.approx(1.0 / x["atr"][32])
    assert x["judas_short"].sum() == 0


def test_run_in_new_york_must_take_the_whole_night_range() -> None:
    run = {13: (100.0, 100.25, 99.0, 99.25), 14: (99.25, 100.5, 99.25, 100.25)}
    assert liquidity(day(run))["judas_long"][24 + 14] > 0
    deeper_night = {9: (100.0, 100.25, 98.0, 100.0), **run}
    assert liquidity(day(deeper_night))["judas_long"][24 + 14] == 0


def test_late_runs_and_late_reversals_are_no_judas_swing() -> None:
    late_run = {9: LONDON_RUN[7], 10: LONDON_RUN[8]}
    assert liquidity(day(late_run))["judas_long"].sum() == 0
    low = (99.0, 99.5, 98.75, 99.0)
    late_reversal = {7: LONDON_RUN[7], 8: low, 9: low, 10: low, 11: LONDON_RUN[8]}
    assert liquidity(day(late_reversal))["judas_long"].sum() == 0


def test_runs_on_both_sides_of_the_range_say_nothing() -> None:
    both = {7: (100.0, 102.0, 98.5, 99.75), 8: (99.75, 101.0, 98.75, 100.25)}
    x = liquidity(day(both))
    assert x["judas_long"].sum() + x["judas_short"].sum() == 0


@pytest.mark.parametrize(
    "rows",
    [[*TO_THE_LOW, HUNT], [*IMPULSE, *legs(112.0, 101.0, step=1.0)], day(LONDON_RUN)],
)
def test_mirrored_candles_give_the_mirrored_readings(rows: list[Candle]) -> None:
    market = market_of(rows)
    assert_mirrored(features(market), features(mirrored(market)))


@settings(max_examples=10, deadline=None)
@given(st.integers(0, 10_000))
def test_mirrored_random_walk_gives_the_mirrored_readings(seed: int) -> None:
    market = market_of(random_walk(seed), daily=True)
    assert_mirrored(features(market), features(mirrored(market)))


def assert_mirrored(x: Features, y: Features) -> None:
    pairs = {
        "sweep_low": y["sweep_high"],
        "sweep_low_pool": y["sweep_high_pool"],
        "sweep_low_level": 2 * LEVEL - y["sweep_high_level"],
        "prior_day_low": 2 * LEVEL - y["prior_day_high"],
        "impulse": -y["impulse"],
        "impulse_origin": 2 * LEVEL - y["impulse_origin"],
        "retracement": y["retracement"],
        "premium": 1 - y["premium"],
        "optimal_entry": -y["optimal_entry"],
        "judas_long": y["judas_short"],
    }
    for name, value in pairs.items():
        np.testing.assert_allclose(x[name], value, rtol=1e-9, atol=1e-9, err_msg=name)


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 10_000), st.integers(30, 500))
def test_prefix_gives_the_same_rows(seed: int, n: int) -> None:
    market = market_of(random_walk(seed), daily=True)
    assert_rows_of(features(market.head(n)), features(market))


def test_rows_do_not_depend_on_where_a_long_history_starts() -> None:
    rows = random_walk(11, 2600)
    whole = features(market_of(rows, "2024-01-15", daily=True))
    # 42 days later, so that both histories consist of whole days.
    late = features(market_of(rows[1008:], "2024-02-26", daily=True))
    for name in whole:
        np.testing.assert_allclose(late[name][1400:], whole[name][2408:], rtol=1e-9, err_msg=name)


def test_a_market_that_does_not_move_has_no_sweeps_and_no_impulse() -> None:
    x = liquidity([(100.0, 100.0, 100.0, 100.0)] * 60)
    assert x["sweep_low"].sum() + x["sweep_high"].sum() == 0
    assert np.isnan(x["premium"]).all()
