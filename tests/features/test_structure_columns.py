"""Market structure on hand-made zigzags, and its causality on random ones."""

from __future__ import annotations

import numpy as np
import pytest
from drawn_markets import candles_of, line, mirrored
from evaluations import assert_rows_of, columns_of
from hypothesis import given, settings
from hypothesis import strategies as st

from quorum.candles import Candles
from quorum.features.structure import StructureConstants
from quorum.features.swings import SwingConstants
from quorum.market import Market

NARROW = SwingConstants(left=2, right=2, higher_left=2, higher_right=2)
#: Up to 110, back to 104, up to 114 (over 110), back to 108, down through it to 100.
STORY = [100, 102, 105, 110, 108, 106, 104, 106, 109, 112, 114, 112, 110, 108, 110, 112, 107, 100]


def columns(market, swings=NARROW, structure=None):
    return columns_of(market, "swings", "structure", swings=swings, structure=structure)


def random_market(seed, n=400):
    rng = np.random.default_rng(seed)
    # Whole-number prices: a reflection is exact and equal highs do occur.
    closes = 1000.0 + np.cumsum(rng.integers(-6, 7, n))
    every_fourth = candles_of(closes[3::4], "4h")
    days = candles_of(closes[23::24], "1d")
    return line(closes, higher={"4h": every_fourth, "1d": days})


def test_the_first_close_over_the_last_swing_high_is_a_break_of_structure():
    x = columns(line(STORY))
    at = STORY.index(112)
    assert x["bos_base"][at] == 1.0
    assert x["structure_trend_base"][at] == 1.0
    assert np.all(x["structure_trend_base"][8:at] == 0.0)


def test_a_swing_is_broken_only_once():
    x = columns(line(STORY))
    assert np.flatnonzero(x["bos_base"]).tolist() == [STORY.index(112)]


def test_a_close_through_the_last_low_of_an_uptrend_is_a_change_of_character():
    x = columns(line(STORY))
    at = STORY.index(107)
    assert x["choch_base"][at] == -1.0
    assert x["structure_trend_base"][at - 1] == 1.0
    assert x["structure_trend_base"][at] == -1.0
    assert x["break_age_base"][at] == 0.0
    assert x["break_age_base"][at + 1] == 1.0


def test_a_wick_through_a_swing_breaks_nothing():
    base = line(STORY[:9]).candles
    high = base.high.copy()
    high[8] = 120.0
    wicked = Candles("1h", base.time, base.open, high, base.low, base.close, base.volume)
    x = columns(Market("X/USDT:USDT", wicked))
    assert not x["bos_base"].any()


def test_a_trend_without_a_break_is_forgotten():
    flat = [112, 111] * 20
    x = columns(line(STORY[:10] + flat), structure=StructureConstants(trend_age=10))
    assert x["structure_trend_base"][10] == 1.0
    assert x["structure_trend_base"][9 + 10] == 1.0
    assert x["structure_trend_base"][9 + 11] == 0.0
    assert np.isnan(x["break_age_base"][9 + 11])


def test_an_old_swing_can_no_longer_be_broken():
    still = [109, 108.5] * 10
    broken = columns(line(STORY[:9] + still + [115]))
    forgotten = columns(line(STORY[:9] + still + [115]), structure=StructureConstants(level_age=10))
    assert broken["structure_trend_base"][-1] == 1.0
    assert forgotten["structure_trend_base"][-1] == 0.0


@pytest.mark.parametrize(
    ("close", "position"), [(107.0, 0.5), (104.0, 0.0), (110.0, 1.0), (99.0, 0.0), (140.0, 1.0)]
)
def test_range_position_runs_from_the_confirmed_low_to_the_confirmed_high(close, position):
    x = columns(line([*STORY[:9], close]))
    assert (x["dealing_range_low"][-1], x["dealing_range_high"][-1]) == (104.0, 110.0)
    assert x["range_position"][-1] == position


def test_a_range_whose_low_lies_over_the_last_high_ends_at_an_older_high():
    # A high at 140, a low at 100, a high at 110; then highs rise without a pivot while the lows
    # make one at 120: over the last swing high, so the range ends at the 140 before it.
    highs = [130, 135, 140, 130, 120, 108, 106, 108, 110, 109, 109, 121, 127, 128, 129, 130, 131]
    lows = [125, 130, 135, 120, 110, 102, 100, 104, 106, 107, 108, 118, 124, 122, 120, 123, 124]
    base = candles_of(np.add(highs, lows) / 2.0)
    candles = Candles(
        "1h",
        base.time,
        base.close,
        np.asarray(highs, dtype=np.float64),
        np.asarray(lows, dtype=np.float64),
        base.close,
        base.volume,
    )
    x = columns(Market("X/USDT:USDT", candles))
    swings = x.swings["base"]
    assert swings.price[swings.chain[-1, :2]].tolist() == [120.0, 110.0]
    assert (x["dealing_range_low"][-1], x["dealing_range_high"][-1]) == (120.0, 140.0)


def test_a_higher_timeframe_is_seen_only_after_its_candle_closed():
    fours = candles_of(STORY, "4h")
    hours = np.repeat(np.asarray(STORY, dtype=np.float64), 4)
    x = columns(line(hours, higher={"4h": fours}))
    breaks = STORY.index(112)
    # The 4h candle opens at base row 36 and closes with base row 39.
    assert np.all(x["bos_4h"][: breaks * 4 + 3][4:] == 0.0)
    assert np.all(x["bos_4h"][breaks * 4 + 3 : breaks * 4 + 7] == 1.0)
    assert x["bos_4h"][breaks * 4 + 7] == 0.0


def test_an_absent_timeframe_has_nan_columns():
    x = columns(line(STORY))
    for name in ("structure_trend_1w", "bos_1w", "range_position_1w", "dealing_range_low_1w"):
        assert np.isnan(x[name]).all()


@pytest.mark.parametrize("n", [1, 2, 5, 11])
def test_too_short_a_history_has_no_structure(n):
    x = columns(line(STORY[:n]), swings=SwingConstants())
    assert np.isnan(x["structure_trend_base"]).all()
    assert np.isnan(x["range_position"]).all()


@given(seed=st.integers(0, 10_000))
@settings(max_examples=15, deadline=None)
def test_the_mirror_image_has_the_opposite_structure(seed):
    market = random_market(seed)
    x, y = columns(market), columns(mirrored(market, 1000.0))
    for timeframe in ("base", "4h", "1d"):
        for name in ("structure_trend", "bos", "choch"):
            column = f"{name}_{timeframe}"
            np.testing.assert_array_equal(x[column], -y[column])
    np.testing.assert_allclose(x["range_position"], 1.0 - y["range_position"], atol=1e-12)
    assert np.any(x["structure_trend_base"] == 1) or np.any(x["structure_trend_base"] == -1)


@given(seed=st.integers(0, 10_000), n=st.integers(1, 399))
@settings(max_examples=25, deadline=None)
def test_a_prefix_of_the_candles_gives_the_prefix_of_the_columns(seed, n):
    market = random_market(seed)
    assert_rows_of(columns(market.head(n)), columns(market))


@given(seed=st.integers(0, 10_000))
@settings(max_examples=8, deadline=None)
def test_structure_does_not_depend_on_where_the_history_starts(seed):
    rng = np.random.default_rng(seed)
    closes = 5000.0 + np.cumsum(rng.integers(-6, 7, 3000))
    whole, part = columns(line(closes)), columns(line(closes[-1600:]))
    for name in ("structure_trend_base", "bos_base", "choch_base", "range_position"):
        np.testing.assert_array_equal(part[name][1400:], whole[name][-200:], err_msg=name)
