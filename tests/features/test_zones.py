"""Order blocks, breaker blocks, fair-value gaps and balanced ranges on hand-made candles."""

from __future__ import annotations

import numpy as np
import pytest
from drawn_markets import LEVEL, Candle, market_of, mirrored, path, random_walk
from evaluations import assert_rows_of, columns_of
from hypothesis import given, settings
from hypothesis import strategies as st
from zone_markets import BALANCED, BLOCK, FALL, GAP, RISE, wave

from quorum.features.gaps import GapConstants
from quorum.features.order_blocks import OrderBlockConstants
from quorum.features.table import Features
from quorum.features.zones import ZoneConstants
from quorum.market import Market


def features(market: Market, section: ZoneConstants | None = None) -> Features:
    return columns_of(market, "volatility", "swings", "zones", zones=section)


def zones(rows: list[Candle], section: ZoneConstants | None = None) -> Features:
    return features(market_of(rows), section)


def test_bullish_order_block_is_the_last_falling_candle_before_the_break() -> None:
    x = zones(BLOCK)
    assert np.isnan(x["bull_ob_top"][-2])  # displaced, but the swing at 104.25 still stands
    assert (x["bull_ob_top"][-1], x["bull_ob_bottom"][-1]) == (99.75, 98.75)
    assert x["bull_ob_count"][-1] == 1
    assert np.isnan(x["bear_ob_top"]).all()


def test_a_break_without_displacement_leaves_no_order_block() -> None:
    creep = path(*np.arange(99.0, 106.0, 0.5))
    assert np.isnan(zones([*wave(), *RISE, *FALL, *creep])["bull_ob_top"]).all()


def test_order_block_is_tapped_once_and_then_no_longer_fresh() -> None:
    back = path(105.0, 103.0, 101.0, 99.5, 100.5, 99.5)
    x = zones([*BLOCK, *back])
    assert x["bull_ob_tap"][-5:].tolist() == [0, 0, 1, 0, 0]
    assert np.isnan(x["bull_ob_top"][-1])


def test_fresh_order_blocks_near_price_are_counted() -> None:
    x = zones([*BLOCK, *path(105.0, 103.0, 101.5)])
    assert x["bull_ob_count"][-1] == 1
    near = ZoneConstants(order_blocks=OrderBlockConstants(near=0.1))
    assert zones([*BLOCK, *path(105.0, 103.0, 101.5)], near)["bull_ob_count"][-1] == 0


def test_failed_order_block_becomes_a_bearish_breaker_until_closed_above() -> None:
    fail = path(105.0, 102.0, 99.0, 97.0)
    retest = path(97.0, 98.0, 99.0, 98.0)
    x = zones([*BLOCK, *fail, *retest])
    assert x["bear_breaker"][-4:].tolist() == [0, 0, 1, 1]
    assert x["bull_ob_tap"][-7:].tolist() == [0, 0, 1, 0, 0, 0, 0]
    through = zones([*BLOCK, *fail, *retest, *path(98.0, 101.0, 99.0)])
    assert through["bear_breaker"][-2:].tolist() == [0, 0]


def test_order_block_dies_of_old_age() -> None:
    aged = ZoneConstants(order_blocks=OrderBlockConstants(max_age=10))
    quiet = path(*[105.0 + 0.5 * (k % 2) for k in range(12)])
    top = zones([*BLOCK, *quiet], aged)["bull_ob_top"]
    assert top[-2] == 99.75
    assert np.isnan(top[-1])


def test_fair_value_gap_lies_between_the_first_high_and_the_third_low() -> None:
    x = zones(GAP)
    assert (x["bull_gap_top"][-1], x["bull_gap_bottom"][-1]) == (103.0, 101.0)
    assert np.isnan(x["bull_gap_top"][-2])
    assert x["bull_gap_fill"][-1] == 0.0


def test_fill_of_a_gap_is_tracked_and_its_middle_is_the_tap() -> None:
    shallow = (104.25, 104.5, 102.5, 104.0)
    deep = (104.0, 104.0, 101.5, 103.0)
    x = zones([*GAP, shallow, deep])
    assert x["bull_gap_fill"][-2:].tolist() == [0.25, 0.75]
    assert x["bull_gap_tap"][-2:].tolist() == [0, 1]
    again = zones([*GAP, shallow, deep, (103.0, 103.5, 101.25, 103.0)])
    assert again["bull_gap_tap"][-1] == 0


def test_filled_gap_is_gone_and_a_close_below_it_is_no_tap() -> None:
    x = zones([*GAP, (104.25, 104.5, 100.5, 100.75)])
    assert np.isnan(x["bull_gap_top"][-1])
    assert x["bull_gap_tap"][-1] == 0


def test_small_gaps_are_ignored() -> None:
    wide = ZoneConstants(gaps=GapConstants(min_size=5.0))
    assert np.isnan(zones(GAP, wide)["bull_gap_top"]).all()


def test_balanced_range_is_the_overlap_of_opposite_gaps() -> None:
    x = zones(BALANCED)
    assert (x["bull_bpr_top"][-1], x["bull_bpr_bottom"][-1]) == (102.5, 101.0)
    tapped = zones([*BALANCED, (104.25, 104.5, 101.5, 103.0)])
    assert tapped["bull_bpr_tap"][-1] == 1
    assert zones(GAP)["bull_bpr_tap"].sum() == 0


@pytest.mark.parametrize("rows", [BLOCK, [*GAP, (104.25, 104.5, 102.0, 104.0)], BALANCED])
def test_mirrored_candles_give_the_mirrored_zones(rows: list[Candle]) -> None:
    market = market_of(rows)
    assert_mirrored(features(market), features(mirrored(market)))


@settings(max_examples=10, deadline=None)
@given(st.integers(0, 10_000))
def test_mirrored_random_walk_gives_the_mirrored_zones(seed: int) -> None:
    market = market_of(random_walk(seed))
    assert_mirrored(features(market), features(mirrored(market)))


def assert_mirrored(x: Features, y: Features) -> None:
    names = [name for name in x if name.startswith("bull_")]
    assert len(names) == 14
    for name in names:
        other = name.replace("bull_", "bear_")
        value = y[other]
        if name.endswith("_top"):
            value = 2 * LEVEL - y[other.replace("_top", "_bottom")]
        elif name.endswith("_bottom"):
            value = 2 * LEVEL - y[other.replace("_bottom", "_top")]
        np.testing.assert_allclose(x[name], value, rtol=1e-9, atol=1e-12, err_msg=name)


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 10_000), st.integers(30, 500))
def test_prefix_gives_the_same_rows(seed: int, n: int) -> None:
    market = market_of(random_walk(seed))
    assert_rows_of(features(market.head(n)), features(market))


def test_rows_do_not_depend_on_where_a_long_history_starts() -> None:
    rows = random_walk(7, 2600)
    whole, late = zones(rows), zones(rows[1000:])
    for name in whole:
        np.testing.assert_allclose(late[name][1400:], whole[name][2400:], rtol=1e-9, err_msg=name)


def test_random_walks_do_have_every_kind_of_event() -> None:
    x = zones(random_walk(3, 3000))
    for name in ("bull_ob_tap", "bear_ob_tap", "bull_breaker", "bear_gap_tap", "bull_bpr_tap"):
        assert 0 < x[name].mean() < 0.2, name


def test_a_market_that_does_not_move_has_no_zones() -> None:
    x = zones([(100.0, 100.0, 100.0, 100.0)] * 60)
    assert np.isnan(x["bull_gap_top"]).all()
    assert x["bull_ob_tap"].sum() == 0
