"""Liquidation map (spec L1): clusters where they belong, decayed, cleared, and forgotten."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from evaluations import varied
from hypothesis import given, settings
from hypothesis import strategies as st
from liquidation_markets import burst, columns_of, mirrored, path_market, row_of
from markets import candle_frame

from quorum.context.liquidation import LiquidationSettings, liquidation_price, opened
from quorum.market import HOUR_MS, Frames, Market, Published, build_market

MARGIN = 0.005
#: The middle of a bin lies within half a bin of what is in it.
HALF_BIN = 0.00126
ONE = {"leverages": ((25.0, 1.0),), "top_share": 1.0}


def random_market(n: int, seed: int, timeframe: str = "1h") -> Market:
    frame = candle_frame(n, seed=seed, timeframe=timeframe)
    frame["volume"] *= 10.0 ** np.random.default_rng(seed).integers(-3, 3, n)
    interest = 1e4 * np.exp(np.cumsum(0.01 * np.random.default_rng(seed).standard_normal(n)))
    oi = frame.assign(open_interest_amount=interest)
    return build_market("SOL/USDT:USDT", timeframe, Frames(frame, open_interest=oi))


@pytest.mark.parametrize("leverage", [100.0, 50.0, 25.0, 10.0, 5.0])
def test_a_volume_burst_leaves_one_cluster_per_side_at_the_liquidation_prices(leverage):
    row = row_of(columns_of(burst([100.0] * 5), leverages=((leverage, 1.0),)))
    long_at = (1 - 1 / leverage) / (1 - MARGIN)
    short_at = (1 + 1 / leverage) / (1 + MARGIN)
    assert row["liquidation_below"] == pytest.approx(1 - long_at, abs=HALF_BIN)
    assert row["liquidation_above"] == pytest.approx(short_at - 1, abs=short_at * HALF_BIN)
    assert row["liquidation_below_mass"] == row["liquidation_above_mass"] == 0.5


def test_leverages_share_the_volume_by_their_weights():
    # As the price falls, it clears the longs of one leverage after the other.
    prices = [100.0, 100.0, 99.0, 97.5, 95.0, 85.0]
    x = columns_of(burst(prices), top_share=1.0)
    weights = np.array([0.10, 0.15, 0.25, 0.30, 0.20])
    left = 1.0 + weights[::-1].cumsum()[::-1]
    np.testing.assert_allclose(x["liquidation_below_mass"][1:], weights / left)


def test_a_burst_spread_over_a_range_leaves_a_cluster_as_wide():
    market = burst([100.0] * 2, low={0: 99.0}, high={0: 101.0})
    row = row_of(columns_of(market, **ONE))
    # The nearest of nine bins: liquidated where the longs opened at 101 are.
    nearest = 1 - 1.01 * 0.96 / (1 - MARGIN)
    assert row["liquidation_below"] == pytest.approx(nearest, abs=2 * HALF_BIN)
    assert row["liquidation_below_mass"] < 0.5 / 7


def test_a_contribution_is_half_as_large_after_its_half_life():
    prices = [100.0] * 30 + [103.0] * 10
    volumes = np.zeros(40)
    volumes[[0, 30]] = 500.0
    x = columns_of(path_market(prices, volumes), half_life=30, **ONE)
    assert x["liquidation_below_mass"][29] == pytest.approx(0.5)
    # The new cluster weighs 1, the old one 1/2, and as much on the other side.
    assert x["liquidation_below_mass"][30] == pytest.approx(1 / 3)
    assert x["liquidation_below_mass"][-1] == pytest.approx(1 / 3)


def test_a_cluster_is_cleared_once_price_has_traded_through_it():
    # Longs of 25x opened at 100 are liquidated at 96.5.
    spared = columns_of(burst([100.0] * 6, low={3: 96.8}), **ONE)
    assert np.isfinite(spared["liquidation_below"]).all()
    x = columns_of(burst([100.0] * 6, low={3: 96.2}), **ONE)
    assert np.isfinite(x["liquidation_below"][:3]).all()
    assert np.isnan(x["liquidation_below"][3:]).all()
    assert (x["liquidation_below_mass"][3:] == 0).all()
    # The shorts above are untouched and now the whole map.
    assert (x["liquidation_above_mass"][3:] == 1).all()


def test_shorts_are_cleared_by_a_rise():
    x = columns_of(burst([100.0] * 6, high={3: 103.8}), **ONE)
    assert np.isnan(x["liquidation_above"][3:]).all()
    assert (x["liquidation_below_mass"][3:] == 1).all()


@pytest.mark.parametrize("crash", [20, 24, 40])
def test_what_was_cleared_stays_so_when_the_blocks_are_summed_anew(crash):
    market = burst([100.0] * 150, low={crash: 90.0})
    x = columns_of(market, max_age=144, **ONE)
    assert np.isnan(x["liquidation_below"][crash:]).all()
    assert (x["liquidation_above_mass"][crash:144] == 1).all()


def test_positions_opened_after_the_fall_are_not_cleared_by_it():
    prices = [100.0, 90.0, 90.0]
    x = columns_of(path_market(prices, [10.0, 0.0, 10.0]), **ONE)
    assert np.isnan(x["liquidation_below"][1])
    assert x["liquidation_below"][2] == pytest.approx(1 - 0.96 / (1 - MARGIN), abs=HALF_BIN)


def test_what_would_be_liquidated_inside_the_opening_candle_counts_as_liquidated():
    market = burst([100.0] * 3, low={0: 90.0}, high={0: 110.0})
    x = columns_of(market, leverages=((100.0, 1.0),), top_share=1.0)
    assert (x["liquidation_below"] >= 0.10 - HALF_BIN).all()
    assert (x["liquidation_above"] >= 0.10 - HALF_BIN).all()


def test_a_contribution_ends_with_its_block_at_the_hard_age():
    x = columns_of(burst([100.0] * 120), max_age=72, **ONE)
    known = np.isfinite(x["liquidation_below_mass"])
    assert known[:96].all()
    assert not known[96:].any()


def test_only_the_top_decile_of_the_bins_counts():
    # Twenty bins with mass that shrinks as the price rises, so that the heaviest is the farthest.
    prices = np.append(90.0 * 1.003 ** np.arange(20), 90.0 * 1.003**20)
    volumes = np.append(np.arange(30.0, 10.0, -1.0), 0.0)
    x = columns_of(path_market(prices, volumes), leverages=((10.0, 1.0),), half_life=5000)
    # Of forty bins, twenty per side, four count: the two oldest bursts. Of eight, the four.
    wide = columns_of(
        path_market(prices, volumes), leverages=((10.0, 1.0),), half_life=5000, top_share=0.2
    )
    for columns, burst_number in ((x, 1), (wide, 3)):
        expected = 1 - prices[burst_number] * 0.9 / (1 - MARGIN) / prices[-1]
        assert columns["liquidation_below"][-1] == pytest.approx(expected, abs=HALF_BIN)


def test_the_map_is_unknown_without_volume_and_before_enough_of_it():
    silent = columns_of(path_market([100.0] * 50, np.zeros(50)))
    assert all(np.isnan(values).all() for values in silent.values())
    x = columns_of(path_market([100.0] * 50, np.ones(50)), min_candles=20)
    known = np.isfinite(x["liquidation_below_mass"])
    assert known.tolist() == [False] * 19 + [True] * 31


def test_a_market_that_stopped_trading_is_unknown_until_it_has_traded_enough_again():
    volumes = np.array([1.0] * 48 + [0.0] * 120 + [1.0] * 24)
    x = columns_of(path_market([100.0] * 192, volumes), max_age=72, min_candles=12)
    known = np.isfinite(x["liquidation_below_mass"])
    # The last block that traded is forgotten with row 120; twelve candles have traded by 179.
    assert known[11:120].all()
    assert not known[120:179].any()
    assert known[179:].all()


def test_a_market_without_candles_or_with_one_does_not_crash():
    empty = columns_of(path_market([], []))
    assert all(len(values) == 0 for values in empty.values())
    assert len(columns_of(burst([100.0]))["liquidation_below"]) == 1


def test_a_gap_in_the_candles_ages_the_map_by_its_length():
    market = burst([100.0] * 40)
    early, late = np.arange(20), np.arange(20) + 2000
    time = np.concatenate([early, late]) * HOUR_MS
    volume = market.candles.volume.copy()
    volume[30] = 1000.0
    market = replace(market, candles=replace(market.candles, time=time, volume=volume))
    x = columns_of(market, **ONE)
    known = np.isfinite(x["liquidation_below_mass"])
    assert known[:20].all()
    assert not known[20:30].any()
    assert known[30:].all()
    # What traded before the gap does not help the map to be known.
    assert not np.isfinite(columns_of(market, **ONE, min_candles=2)["liquidation_below"]).any()


def test_rising_open_interest_makes_a_cluster_heavier_and_falling_lighter():
    volumes = np.zeros(12)
    volumes[[3, 8]] = 100.0
    prices = [100.0] * 8 + [103.0] * 4

    def share(after: float) -> float:
        interest = np.array([500.0] * 8 + [after] * 4)
        known = Published((np.arange(12, dtype=np.int64) + 1) * HOUR_MS, interest)
        market = path_market(prices, volumes, published={"open_interest": known})
        return row_of(columns_of(market, half_life=5000, **ONE))["liquidation_below_mass"]

    assert share(500) == pytest.approx(1 / 4, rel=1e-3)
    # All of the volume opened positions; none of it did.
    assert share(600) == pytest.approx(1 / 3, rel=1e-3)
    assert share(400) == pytest.approx(1 / 2, rel=1e-3)


def reference(market: Market, t: int, s: LiquidationSettings) -> list[dict[int, float]]:
    """Sum the map at row ``t`` from its definition; bins of the short side with turned sign."""
    c = market.candles
    mass = opened(c.volume, market.open_interest, 4 if c.timeframe == "15m" else 1)
    hour = c.time // c.step
    maps: list[dict[int, float]] = [{}, {}]
    for side, sign in enumerate((1, -1)):
        low, high = np.log(c.low) * sign / s.bin, np.log(c.high) * sign / s.bin
        low, high = np.minimum(low, high), np.maximum(low, high)
        cut = np.ceil(low - 0.5)
        for opened_at in range(t + 1):
            blocks = hour[t] // 24 - hour[opened_at] // 24
            if blocks > s.max_age // 24:
                continue
            alive_under = cut[opened_at : t + 1].min()
            decay = 0.5 ** ((hour[t] - hour[opened_at]) / s.half_life)
            for leverage, weight in s.leverages:
                shift = np.log(liquidation_price(1.0, leverage, sign, s.maintenance_margin))
                a, b = (edge[opened_at] + sign * shift / s.bin for edge in (low, high))
                for i in range(int(np.floor(a)), int(np.floor(b)) + 1):
                    if i < alive_under and mass[opened_at] > 0:
                        part = (min(b, i + 1) - max(a, i)) / (b - a)
                        gain = mass[opened_at] * decay * weight * part
                        maps[side][i] = maps[side].get(i, 0.0) + gain
    return maps


@settings(max_examples=25, deadline=None)
@given(
    st.integers(0, 1000),
    st.floats(5.0, 100.0),
    st.sampled_from([0.05, 0.1, 0.3]),
    st.sampled_from(["1h", "4h", "15m"]),
)
def test_the_map_is_what_its_definition_says(seed, half_life, share, timeframe):
    market = random_market(170, seed, timeframe)
    changes = {"half_life": half_life, "top_share": share, "max_age": 72, "bin": 0.005}
    x = columns_of(market, **changes)
    s = varied(LiquidationSettings, min_candles=1, **changes)
    for t in (3, *range(20, 170, 10), 169):
        maps = reference(market, t, s)
        masses = np.array([m for one in maps for m in one.values()])
        limit = share * len(masses) - 1e-9
        place = np.log(market.candles.close[t]) / s.bin
        for one, sign, name in zip(maps, (1, -1), ("below", "above"), strict=True):
            distance = x[f"liquidation_{name}"][t]
            gap = -np.log(1 - distance) if sign > 0 else np.log(1 + distance)
            found = None if np.isnan(distance) else round(sign * place - gap / s.bin - 0.5)
            if found is not None:
                got = x[f"liquidation_{name}_mass"][t]
                assert got == pytest.approx(one[found] / masses.sum(), rel=1e-6)
                assert (masses > one[found] * (1 + 1e-9)).sum() < limit
            nearer = [m for i, m in one.items() if found is None or i > found]
            assert all((masses > m * (1 - 1e-9)).sum() >= limit for m in nearer)


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 1000), st.integers(1, 399), st.sampled_from(["1h", "4h", "15m"]))
def test_a_prefix_of_the_market_gives_the_prefix_of_the_map(seed, n, timeframe):
    market = random_market(400, seed, timeframe)
    whole, part = columns_of(market), columns_of(market.head(n))
    for name, values in part.items():
        np.testing.assert_array_equal(values, whole[name][:n], err_msg=name)


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 1000), st.integers(1, 200), st.sampled_from(["1h", "4h", "15m"]))
def test_the_map_does_not_remember_what_is_older_than_its_hard_age(seed, start, timeframe):
    market = random_market(500, seed, timeframe)
    changes = {"max_age": 96, "min_candles": 24}
    whole, late = columns_of(market, **changes), columns_of(market.since(start), **changes)
    settled = 24 * (96 // 24 + 2)
    for name, values in late.items():
        np.testing.assert_array_equal(
            values[settled:], whole[name][start + settled :], err_msg=name
        )


@pytest.mark.parametrize("max_age", [720, 1344])
def test_a_history_of_1400_candles_gives_the_same_map_to_the_last_bit(max_age):
    market = random_market(3000, 5)
    changes = {"max_age": max_age, "min_candles": max_age // 4}
    whole = columns_of(market, **changes)
    for start in (1, 700, 1577):
        late = columns_of(market.since(start), **changes)
        for name, values in late.items():
            assert np.isfinite(values[1399:]).any()
            np.testing.assert_array_equal(values[1399:], whole[name][start + 1399 :])


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 1000), st.integers(-20, 20))
def test_the_map_does_not_depend_on_the_unit_of_volume(seed, power):
    market = random_market(200, seed)
    c = market.candles
    plain = Market(market.pair, c)
    scaled_candles = type(c)(
        c.timeframe, c.time, c.open, c.high, c.low, c.close, c.volume * 2.0**power
    )
    scaled = columns_of(Market(market.pair, scaled_candles))
    for name, values in columns_of(plain).items():
        np.testing.assert_array_equal(values, scaled[name], err_msg=name)


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 1000))
def test_the_mirrored_market_has_the_mirrored_map(seed):
    # Without maintenance margin 1/p of a long's liquidation price is nearly that of a short's.
    market = random_market(300, seed)
    equal = {"leverages": ((1e4, 1.0),), "maintenance_margin": 0.0, "bin": 0.005}
    x, y = columns_of(market, **equal), columns_of(mirrored(market), **equal)
    below, above = x["liquidation_below"], y["liquidation_above"]
    same = np.isclose(1 / (1 - below) - 1, above, rtol=1e-6, equal_nan=True)
    assert same.mean() > 0.95


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 1000))
def test_clusters_lie_on_their_side_and_masses_are_shares(seed):
    x = columns_of(random_market(300, seed))
    below, above = x["liquidation_below"], x["liquidation_above"]
    assert ((below > 0) & (below < 1) | np.isnan(below)).all()
    assert ((above > 0) | np.isnan(above)).all()
    for name in ("below", "above"):
        mass, distance = x[f"liquidation_{name}_mass"], x[f"liquidation_{name}"]
        assert ((mass >= 0) & (mass <= 1)).all()
        np.testing.assert_array_equal(mass > 0, np.isfinite(distance))
    assert (x["liquidation_below_mass"] + x["liquidation_above_mass"] <= 1 + 1e-12).all()
    # Something always is in the top decile.
    assert (np.isfinite(below) | np.isfinite(above)).all()
