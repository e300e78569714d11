from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from markets import full_market
from numpy.testing import assert_array_equal
from pattern_markets import Candle, drawn, mirrored, patterns_of

from quorum.features.candlestick_table import NAMES, PATTERNS, candlestick_name
from quorum.features.candlesticks import CandlestickConstants
from quorum.market import Market

COLUMNS = tuple(f"candlestick_{s}{c}" for s in ("bull", "bear") for c in ("", "_code"))
FALL = [(112, 0), (101, 10)]
RISE = [(90, 0), (101, 10)]
BULLISH: dict[str, tuple[Candle, ...]] = {
    "hammer": ((101.0, 101.25, 98.2, 101.2),),
    "engulfing": ((100.9, 101.0, 100.2, 100.4), (100.3, 102.4, 100.1, 102.3)),
    "three_outside": (
        (100.9, 101.0, 100.2, 100.4),
        (100.3, 102.4, 100.1, 102.3),
        (102.3, 103.6, 102.2, 103.5),
    ),
    "piercing": ((101.0, 101.1, 98.4, 98.5), (98.2, 100.6, 98.0, 100.5)),
    "morning_star": (
        (101.0, 101.1, 98.4, 98.5),
        (98.5, 98.7, 97.8, 98.4),
        (98.4, 100.7, 98.3, 100.6),
    ),
    "three_white_soldiers": (
        (101.0, 103.05, 100.9, 103.0),
        (102.0, 105.05, 101.9, 105.0),
        (104.0, 107.05, 103.9, 107.0),
    ),
    "harami": ((101.0, 101.1, 97.9, 98.0), (98.8, 99.4, 98.6, 99.3)),
}


@pytest.mark.parametrize("name", BULLISH)
def test_a_drawn_pattern_is_found_after_a_fall_and_its_mirror_after_a_rise(name: str) -> None:
    market = drawn(FALL, BULLISH[name])
    up, down = patterns_of(market), patterns_of(mirrored(market))
    klass = CandlestickConstants().class_of(name)
    assert candlestick_name(int(up["candlestick_bull_code"][-1]), 1) == name
    assert int(up["candlestick_bull"][-1]) == klass
    assert int(down["candlestick_bear"][-1]) == klass
    assert down["candlestick_bear"][-1] == pytest.approx(up["candlestick_bull"][-1])


@pytest.mark.parametrize("name", ["hammer", "engulfing", "piercing", "morning_star"])
def test_a_reversal_pattern_without_a_fall_to_reverse_is_nothing(name: str) -> None:
    x = patterns_of(drawn(RISE, BULLISH[name]))
    assert candlestick_name(int(x["candlestick_bull_code"][-1]), 1) != name
    assert x["candlestick_bull"][-1] < 3


def test_the_hammer_upside_down_is_called_a_shooting_star() -> None:
    x = patterns_of(mirrored(drawn(FALL, BULLISH["hammer"])))
    assert candlestick_name(int(x["candlestick_bear_code"][-1]), -1) == "shooting_star"


def test_a_doji_speaks_against_the_prior_move() -> None:
    doji: tuple[Candle, ...] = ((101.0, 101.6, 100.4, 101.02),)
    fallen = patterns_of(drawn(FALL, doji))
    market = drawn(FALL, doji)
    risen = patterns_of(mirrored(market))
    assert fallen["candlestick_bull"][-1] >= 1
    assert fallen["candlestick_bear"][-1] == 0
    assert risen["candlestick_bear"][-1] >= 1
    assert risen["candlestick_bull"][-1] == 0


def test_a_gravestone_after_a_rise_is_bearish_whatever_its_sign_in_talib() -> None:
    x = patterns_of(drawn(RISE, ((101.0, 104.0, 100.99, 101.0),)))
    assert x["candlestick_bear"][-1] >= 2
    assert x["candlestick_bull"][-1] < 2


def test_a_candle_without_range_is_no_pattern() -> None:
    x = patterns_of(drawn(FALL, ((101.0, 101.0, 101.0, 101.0),)))
    assert x["candlestick_bull"][-1] == 0
    assert x["candlestick_bear"][-1] == 0


def test_the_table_holds_the_61_patterns_of_talib_once_each() -> None:
    assert len(PATTERNS) == 61
    assert len(set(NAMES)) == 61
    assert len({p.function for p in PATTERNS}) == 61


def test_every_classed_pattern_is_known_and_in_one_class() -> None:
    s = CandlestickConstants()
    assert set(s.textbook).isdisjoint(s.good)
    assert {*s.textbook, *s.good, *s.by_trend, *s.inverted} <= set(NAMES)


@given(st.integers(15, 1500))
@settings(max_examples=8, deadline=None)
def test_patterns_never_change_as_candles_arrive(n: int) -> None:
    market = full_market(1500)
    whole, part = patterns_of(market), patterns_of(market.head(n))
    for name in COLUMNS:
        assert_array_equal(whole[name][:n], part[name])


def test_patterns_do_not_depend_on_where_the_history_starts(market: Market) -> None:
    whole = patterns_of(market)
    c = market.candles
    late = type(c)(
        c.timeframe,
        c.time[300:],
        c.open[300:],
        c.high[300:],
        c.low[300:],
        c.close[300:],
        c.volume[300:],
    )
    part = patterns_of(Market(market.pair, late))
    for name in COLUMNS:
        np.testing.assert_allclose(whole[name][700:], part[name][400:], atol=1e-9)
        assert whole[name][700:].any()
