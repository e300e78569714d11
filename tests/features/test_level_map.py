"""The level map on hand-drawn markets, and its causality."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from markets import full_market
from numpy.testing import assert_allclose, assert_array_equal
from pattern_markets import RANGE, drawn, mirrored

from quorum.candles import Candles, timeframe_ms
from quorum.features.level_map import LEVEL_COLUMNS, LevelMapConstants, add_level_map
from quorum.features.structure import StructureConstants, add_structure
from quorum.features.swings import SwingConstants, add_swings
from quorum.features.table import Features
from quorum.features.volatility import VolatilityConstants, add_volatility
from quorum.features.volume import VolumeConstants, add_volume
from quorum.features.volume_profile import VolumeProfileConstants, add_volume_profile
from quorum.market import HigherTimeframe, Market

#: Swings alone: no mark weighs anything.
SWINGS = LevelMapConstants(
    point_of_control=0,
    value_area=0,
    prior_day=0,
    prior_week=0,
    fibonacci=0,
    round_number=0,
    big_round_number=0,
    min_strength=0.0,
)
#: Days of nothing.
FLAT_DAYS = [(100.0, 0), *((100.0 + 0.4 * (-1) ** k, 3) for k in range(100))]


def map_of(market: Market, own: LevelMapConstants | None = None) -> Features:
    out = Features(len(market))
    add_volatility(market, out, VolatilityConstants())
    add_swings(market, out, SwingConstants())
    add_volume(market, out, VolumeConstants())
    add_volume_profile(market, out, VolumeProfileConstants())
    add_structure(market, out, StructureConstants())
    add_level_map(market, out, own or LevelMapConstants())
    return out


def told(x: Features, side: str, row: int = -1) -> list[float]:
    prices = [x[f"{side}_{i}"][row] for i in range(1, 5)]
    return [float(p) for p in prices if np.isfinite(p)]


def with_higher(market: Market, timeframe: str, bars: list[tuple[float, float]]) -> Market:
    """Give the market higher candles (high, low), the last one closing with its last candle."""
    step = timeframe_ms(timeframe)
    high, low = (np.array(side) for side in zip(*bars, strict=True))
    end = int(market.close_time[-1])
    time = end - step * np.arange(len(bars), 0, -1)
    middle = (high + low) / 2
    candles = Candles(timeframe, time, middle, high, low, middle, np.ones(len(bars)))
    row = np.searchsorted(candles.close_time, market.close_time, side="right") - 1
    higher = HigherTimeframe(candles, row.astype(np.int64))
    return replace(market, higher={**market.higher, timeframe: higher})


def test_the_turns_of_a_range_are_its_support_and_resistance() -> None:
    x = map_of(drawn([*RANGE, (108, 9), (103, 6)]), SWINGS)
    # The floor; the weaker low at 100.7 is too near to it to be a level of its own.
    assert told(x, "support") == [pytest.approx(99.7)]
    assert any(p == pytest.approx(108.3) for p in told(x, "resistance"))


def test_the_edge_of_a_zone_is_its_outermost_touch() -> None:
    x = map_of(drawn([(106, 0), (100, 9), (108, 9), (100.5, 9), (108, 9), (104, 6)]), SWINGS)
    at = 1 + int(np.argmin([abs(p - 100) for p in told(x, "support")]))
    assert x[f"support_edge_{at}"][-1] == pytest.approx(99.7)
    assert x[f"support_{at}"][-1] == pytest.approx(99.95)


def test_a_broken_resistance_becomes_the_support() -> None:
    x = map_of(drawn([(95, 0), (100, 7), (94, 8), (100, 8), (94, 8), (104, 10)]), SWINGS)
    assert told(x, "support")[0] == pytest.approx(100.3, abs=0.05)


def test_another_touch_makes_a_level_stronger() -> None:
    twice = map_of(drawn([*RANGE[:-1], (103, 6)]), SWINGS)
    thrice = map_of(drawn([*RANGE[:-1], (100, 9), (108, 9), (103, 6)]), SWINGS)
    strength = [x["support_strength_1"][-1] for x in (twice, thrice)]
    assert strength[1] > strength[0] + 0.04


def test_volume_at_the_touches_makes_a_level_stronger() -> None:
    market = drawn([*RANGE[:-1], (103, 6)])
    c = market.candles
    busy = replace(market, candles=replace(c, volume=np.where(c.low < 100, 4.0, 1.0)))
    quiet, loud = map_of(market, SWINGS), map_of(busy, SWINGS)
    assert loud["support_strength_1"][-1] > quiet["support_strength_1"][-1]


def test_a_touch_counts_only_once_its_swing_is_confirmed() -> None:
    market = drawn([(106, 0), (90, 12), (104, 9)])
    x = map_of(market, SWINGS)
    low = len(market) - 9 - 1
    known = np.abs(x["support_1"] - 89.7) < 0.1
    assert int(np.argmax(known)) == low + SwingConstants().right


def test_an_old_level_fades_and_is_forgotten() -> None:
    away = [(130.0 + 3 * (-1) ** k, 7) for k in range(80)]
    market = drawn([*RANGE[:-1], (103.0, 10), (130.0, 30), *away])
    x = map_of(market, SWINGS)
    near = np.column_stack([np.abs(x[f"support_{i}"] - 99.7) < 0.1 for i in range(1, 5)])
    strength = np.column_stack([x[f"support_strength_{i}"] for i in range(1, 5)])
    rows = np.flatnonzero(near.any(axis=1))
    # Two candles in a row share the low; the first one is the pivot.
    last_low = np.flatnonzero(market.candles.low < 99.75)[-2]
    assert rows[-1] == last_low + SWINGS.lookback
    ages = strength[near]
    assert ages[-1] < ages[len(ages) // 2]


def test_levels_are_sorted_outward_apart_and_on_their_side(market: Market) -> None:
    x = map_of(market)
    close, atr = market.candles.close, x["atr"]
    for side, sign in (("support", -1), ("resistance", 1)):
        before = close
        for i in range(1, 5):
            price = x[f"{side}_{i}"]
            there = np.isfinite(price)
            assert there[600:].mean() > 0.3
            gap = 0.0 if i == 1 else atr[there]
            assert (sign * (price - before)[there] >= gap - 1e-9).all()
            assert (sign * (x[f"{side}_edge_{i}"] - price)[there] >= -1e-9).all()
            strength = x[f"{side}_strength_{i}"]
            assert ((strength > 0) == there).all()
            assert (strength <= 1 + 1e-12).all()
            before = price


def test_of_two_close_levels_the_stronger_one_is_told() -> None:
    legs = [(106, 0), (100, 9), (107, 9), (100, 9), (107, 9), (100.9, 9), (106, 9)]
    apart = map_of(drawn(legs), replace_settings(SWINGS, tolerance=0.2, separation=0.0))
    merged = map_of(drawn(legs), replace_settings(SWINGS, tolerance=0.2, separation=3.0))
    assert any(p == pytest.approx(100.6) for p in told(apart, "support"))
    assert not any(p == pytest.approx(100.6) for p in told(merged, "support"))
    assert any(p == pytest.approx(99.7, abs=0.1) for p in told(merged, "support"))


def replace_settings(base: LevelMapConstants, **changes: float) -> LevelMapConstants:
    return LevelMapConstants(**{**base._asdict(), **changes})


def test_the_prior_day_and_week_are_levels_once_they_have_closed() -> None:
    market = drawn(FLAT_DAYS)
    days = with_higher(market, "1d", [(107.0, 93.0)] * 3 + [(110.0, 90.0)])
    weeks = with_higher(market, "1w", [(115.0, 85.0)])
    only = {"point_of_control": 0.0, "value_area": 0.0, "fibonacci": 0.0}
    own = replace_settings(LevelMapConstants(), **only, round_number=0.0, big_round_number=0.0)
    x = map_of(days, own)
    assert 110.0 in told(x, "resistance")
    assert 90.0 in told(x, "support")
    assert 107.0 in told(x, "resistance", -2)
    assert 110.0 not in told(x, "resistance", -2)
    assert 107.0 not in told(x, "resistance")
    assert 115.0 in told(map_of(weeks, own), "resistance")


def test_a_big_round_number_is_a_level_where_nothing_else_is() -> None:
    x = map_of(drawn([(70.0, 0), (98.0, 60)]))
    assert told(x, "resistance")[0] == 100.0
    plain = map_of(
        drawn([(70.0, 0), (98.0, 60)]), replace_settings(LevelMapConstants(), big_round_number=0.0)
    )
    assert told(plain, "resistance") == []


def test_round_numbers_follow_the_scale_of_the_price() -> None:
    market = drawn([(70.0, 0), (98.0, 60)])
    for scale, level in ((1e-4, 0.01), (1e3, 100_000.0)):
        c = market.candles
        scaled = replace(
            market,
            candles=replace(
                c,
                open=c.open * scale,
                high=c.high * scale,
                low=c.low * scale,
                close=c.close * scale,
            ),
        )
        assert told(map_of(scaled), "resistance")[0] == level


def test_retracements_of_the_last_impulse_are_drawn_from_its_end() -> None:
    market = drawn([(100, 0), (100, 3), (120, 30), (117, 6)])
    fib = replace_settings(SWINGS, fibonacci=1.0, separation=0.2, tolerance=0.05)
    x = map_of(market, fib)
    low, high = x["dealing_range_low"][-1], x["dealing_range_high"][-1]
    assert high == pytest.approx(120.3)
    wanted = high - 0.382 * (high - low)
    assert any(p == pytest.approx(wanted) for p in told(x, "support"))


def test_a_mark_at_a_zone_strengthens_it_without_moving_it() -> None:
    market = drawn([*RANGE[:-1], (103, 6)])
    plain = map_of(market, SWINGS)
    marked = map_of(market, replace_settings(SWINGS, big_round_number=5.0))
    assert told(marked, "support")[0] == told(plain, "support")[0]
    assert marked["support_strength_1"][-1] > plain["support_strength_1"][-1] + 0.2


def test_4h_swings_touch_the_zones_of_the_base_timeframe() -> None:
    market = drawn([*RANGE[:-1], (103, 6)])
    bars = [(105.0, 103.0)] * 25 + [(104.0, 99.7)] + [(105.0, 103.0)] * 5
    both = with_higher(market, "4h", bars)
    plain, more = map_of(market, SWINGS), map_of(both, SWINGS)
    assert more["support_strength_1"][-1] > plain["support_strength_1"][-1] + 0.03


def test_the_mirror_image_swaps_supports_and_resistances() -> None:
    # Around 110: a price and its image add up to 220, the grid's tens map onto each other. The
    # profile is left out, its bins lie on a grid of log prices.
    own = replace_settings(LevelMapConstants(), point_of_control=0.0, value_area=0.0)
    own = replace_settings(own, big_round_number=0.0, round_number=0.0)
    market = drawn([*RANGE, (108, 9), (103, 6)])
    a, b = map_of(market, own), map_of(mirrored(market), own)
    for i in range(1, 5):
        for what in ("", "_edge"):
            assert_allclose(a[f"support{what}_{i}"], 220 - b[f"resistance{what}_{i}"])
        assert_allclose(a[f"support_strength_{i}"], b[f"resistance_strength_{i}"], atol=1e-9)


def test_the_map_never_changes_as_candles_arrive(market: Market) -> None:
    whole = map_of(market)
    for n in (3, 40, 333, 801, 1202, 1777):
        part = map_of(market.head(n))
        for name in LEVEL_COLUMNS:
            assert_array_equal(whole[name][:n], part[name])


@settings(max_examples=8, deadline=None)
@given(st.integers(0, 10_000), st.integers(250, 699))
def test_no_prefix_of_any_market_knows_the_future(seed: int, n: int) -> None:
    market = full_market(700, seed=seed)
    whole, part = map_of(market), map_of(market.head(n))
    for name in LEVEL_COLUMNS:
        assert_array_equal(whole[name][:n], part[name])


def test_the_map_does_not_depend_on_where_the_history_starts() -> None:
    market = full_market(2600, seed=5)
    whole = map_of(market)
    for start in (3, 500, 1100):
        late = map_of(market.since(start))
        for name in LEVEL_COLUMNS:
            assert_allclose(late[name][1400:], whole[name][start + 1400 :], rtol=1e-9, err_msg=name)


@pytest.mark.parametrize("missing", ["4h", "1d", "1w"])
def test_an_absent_timeframe_takes_away_only_its_levels(market: Market, missing: str) -> None:
    market = market.head(900)
    higher = {tf: h for tf, h in market.higher.items() if tf != missing}
    x = map_of(replace(market, higher=higher))
    assert np.isfinite(x["support_1"][600:]).mean() > 0.8


def test_a_market_without_volume_still_has_levels(market: Market) -> None:
    market = market.head(900)
    silent = replace(market.candles, volume=np.zeros(900))
    x = map_of(replace(market, candles=silent))
    assert np.isfinite(x["support_1"][600:]).mean() > 0.8


def test_a_market_too_short_for_an_atr_has_no_levels(market: Market) -> None:
    x = map_of(market.head(10))
    for name in LEVEL_COLUMNS:
        if "strength" in name:
            assert (x[name] == 0).all()
        else:
            assert np.isnan(x[name]).all()


def test_every_column_is_declared_with_its_lag(market: Market) -> None:
    x = map_of(market.head(300))
    for name in LEVEL_COLUMNS:
        assert x.columns[name].lag == SwingConstants().right
        assert not x.columns[name].scale_free, "round numbers count"
