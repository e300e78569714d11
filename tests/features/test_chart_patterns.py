from __future__ import annotations

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from pattern_markets import CHARTS, Legs, drawn, mirrored, patterns_of

from quorum.features.chart_geometry import CHART_PATTERNS
from quorum.features.chart_patterns import ChartConstants
from quorum.market import Market

COLUMNS = tuple(
    f"chart_{s}{c}" for s in ("bull", "bear") for c in ("", "_code", "_target", "_stop")
)
#: What a pattern is called in the mirror, where that differs.
MIRROR = {"ascending_triangle": "descending_triangle"}


def code(name: str) -> int:
    return CHART_PATTERNS.index(name) + 1


@pytest.mark.parametrize("title", CHARTS)
def test_a_drawn_pattern_counts_once_when_the_close_breaks_it(title: str) -> None:
    name, _, legs = CHARTS[title]
    x = patterns_of(drawn(legs))
    rows = np.flatnonzero(x["chart_bull_code"] == code(name))
    assert len(rows) == 1
    assert rows[0] >= len(x["atr"]) - legs[-1][1]
    assert x["chart_bull_target"][rows[0]] > x["chart_bull_stop"][rows[0]]


@pytest.mark.parametrize("title", CHARTS)
def test_the_mirror_image_breaks_the_other_way_at_the_same_candle(title: str) -> None:
    name, _, legs = CHARTS[title]
    market = drawn(legs)
    x, y = patterns_of(market), patterns_of(mirrored(market))
    rows = np.flatnonzero(x["chart_bull_code"] == code(name))
    assert_array_equal(rows, np.flatnonzero(y["chart_bear_code"] == code(MIRROR.get(name, name))))
    assert_allclose(x["chart_bull"], y["chart_bear"])
    assert_allclose(x["chart_bull_target"], 220 - y["chart_bear_target"])


def test_a_double_bottom_breaks_at_its_neckline_and_projects_its_height() -> None:
    legs = CHARTS["double bottom"][2]
    market = drawn(legs)
    x = patterns_of(market)
    row = int(np.flatnonzero(x["chart_bull_code"] == code("double"))[0])
    neck, bottom = 112.3, (99.7 + 100.2) / 2
    close = market.candles.close
    assert close[row] > neck >= close[row - 1] - 0.1 * x["atr"][row - 1]
    assert x["chart_bull_target"][row] == pytest.approx(neck + neck - bottom)
    assert x["chart_bull_stop"][row] == pytest.approx(neck - 0.5 * (neck - bottom))
    assert 3 <= x["chart_bull"][row] < 4


@pytest.mark.parametrize(
    ("why", "legs"),
    [
        ("bottoms apart", [(125, 0), (100, 20), (112, 10), (105, 10), (116, 12)]),
        ("nothing to reverse", [(104, 0), (100, 8), (112, 10), (100.5, 10), (116, 12)]),
        ("neckline unbroken", [(125, 0), (100, 20), (112, 10), (100.5, 10), (111, 12)]),
        ("bottoms gave way", [(125, 0), (100, 20), (112, 10), (100.5, 10), (106, 6), (85, 9)]),
    ],
)
def test_two_lows_are_no_double_bottom_if(why: str, legs: Legs) -> None:
    x = patterns_of(drawn(legs))
    assert not (x["chart_bull_code"] == code("double")).any(), why


def test_a_head_inside_the_shoulders_is_no_head() -> None:
    legs: Legs = [(130, 0), (103, 16), (114, 8), (102.5, 9), (114.5, 9), (103, 8), (119, 12)]
    x = patterns_of(drawn(legs))
    assert not (x["chart_bull_code"] == code("head_and_shoulders")).any()


def test_a_pole_given_back_by_more_than_half_is_no_flag() -> None:
    x = patterns_of(drawn([(100, 0), (125, 9), (108, 10), (130, 9)]))
    assert not (x["chart_bull_code"] == code("flag")).any()


def test_chart_patterns_never_change_as_candles_arrive(market: Market) -> None:
    whole = patterns_of(market)
    assert (whole["chart_bull"] > 0).any()
    assert (whole["chart_bear"] > 0).any()
    for n in (7, 60, 512, 1100, 1777):
        part = patterns_of(market.head(n))
        for name in COLUMNS:
            assert_array_equal(whole[name][:n], part[name])


def test_every_pattern_is_in_one_class() -> None:
    s = ChartConstants()
    assert sorted((*s.textbook, *s.good)) == sorted(CHART_PATTERNS)
