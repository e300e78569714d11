from __future__ import annotations

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from pattern_markets import RANGE, drawn, mirrored, patterns_of

from quorum.features.levels import LevelConstants, add_levels
from quorum.features.table import Features
from quorum.market import Market

COLUMNS = ("", "_distance", "_strength", "_touches")


def test_lows_at_one_price_make_a_support_under_the_close() -> None:
    x = patterns_of(drawn(RANGE))
    assert x["support"][-1] == pytest.approx(99.7, abs=0.05)
    assert x["support_touches"][-1] == 2
    assert x["support_distance"][-1] == pytest.approx((101 - x["support"][-1]) / x["atr"][-1])
    assert 0.4 < x["support_strength"][-1] < 1.0


def test_highs_at_one_price_make_a_resistance_over_the_close() -> None:
    x = patterns_of(drawn([*RANGE[:-1], (100, 9), (107, 6)]))
    assert x["resistance"][-1] == pytest.approx(108.3, abs=0.05)
    assert x["resistance_touches"][-1] == 2
    assert 0 < x["resistance_distance"][-1] < 2


def test_a_level_is_unknown_until_its_second_touch_is_confirmed() -> None:
    market = drawn([(106, 0), (90, 12), (108, 9), (90, 9), (99, 9)])
    x = patterns_of(market)
    second_low = len(market) - 9 - 1
    known = np.isfinite(x["support"]) & (np.abs(x["support"] - 89.7) < 0.1)
    assert int(np.argmax(known)) == second_low + 5


def test_a_broken_resistance_becomes_the_support() -> None:
    legs = [(95, 0), (100, 7), (94, 8), (100, 8), (94, 8), (104, 10)]
    x = patterns_of(drawn(legs))
    assert x["support"][-1] == pytest.approx(100.3, abs=0.05)


def test_more_touches_make_a_stronger_level() -> None:
    twice = patterns_of(drawn([*RANGE[:-1], (103, 6)]))
    thrice = patterns_of(drawn([*RANGE[:-1], (100, 9), (108, 9), (103, 6)]))
    assert thrice["support_touches"][-1] == twice["support_touches"][-1] + 1
    assert thrice["support_strength"][-1] > twice["support_strength"][-1]


def test_a_level_is_forgotten_after_the_lookback() -> None:
    far = [(103.0, 10), (130.0, 30), *[(130.0 + 3 * (-1) ** k, 7) for k in range(80)]]
    x = patterns_of(drawn([*RANGE[:-1], *far]))
    old = np.abs(x["support"] - 99.7) < 0.1
    last_low = 29 + sum(c for _, c in RANGE[:4])
    assert old.any()
    assert not old[last_low + LevelConstants().lookback + 1 :].any()


def test_the_mirror_image_swaps_support_and_resistance() -> None:
    market = drawn(RANGE)
    a, b = patterns_of(market), patterns_of(mirrored(market))
    assert_allclose(a["support"], 220 - b["resistance"])
    for name in COLUMNS[1:]:
        assert_allclose(a[f"support{name}"], b[f"resistance{name}"], atol=1e-9)


def test_levels_never_change_as_candles_arrive(market: Market) -> None:
    market = market.head(1500)
    whole = patterns_of(market)
    for n in (3, 40, 333, 801, 1202):
        part = patterns_of(market.head(n))
        for side in ("support", "resistance"):
            for name in COLUMNS:
                assert_array_equal(whole[side + name][:n], part[side + name])


def test_a_market_without_swings_has_no_levels() -> None:
    flat = drawn([(100, 0), (100, 3)]).head(8)
    x = patterns_of(flat)
    assert np.isnan(x["support"]).all()
    assert (x["support_strength"] == 0).all()


def test_min_touches_decides_what_a_level_is() -> None:
    market = drawn(RANGE)
    x = patterns_of(market)
    out = Features(len(market))
    for name in ("atr_unit", "volume_ratio"):
        out.add(name, x[name])
    out.swings["base"] = x.swings["base"]
    add_levels(market, out, LevelConstants(min_touches=3))
    assert not (np.abs(out["support"][-1] - 99.7) < 0.1)
