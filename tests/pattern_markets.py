"""Hand-drawn markets with patterns in them, for the tests of levels, patterns and rules."""

from __future__ import annotations

from itertools import pairwise

import drawn_markets
import numpy as np
from drawn_markets import Candle, market_of
from evaluations import columns_of

from quorum.features.table import Features
from quorum.market import Market

LEVEL = 110.0
#: Turning points as (price, candles to get there); the walk starts at the first price.
Legs = list[tuple[float, int]]


def walk(legs: Legs, wick: float = 0.3) -> list[Candle]:
    """Walk straight from turning point to turning point, each candle opening at the last close."""
    closes = [legs[0][0]]
    for price, candles in legs[1:]:
        closes += list(np.linspace(closes[-1], price, candles + 1)[1:])
    return [(a, max(a, b) + wick, min(a, b) - wick, b) for a, b in pairwise(closes)]


def drawn(legs: Legs, then: tuple[Candle, ...] = (), volume: float = 1.0) -> Market:
    """Draw a quiet lead-in, the legs and then single candles, the last with ``volume``.

    The lead-in comes from the side the first leg goes to, so that it starts from a swing.
    """
    first = legs[0][0]
    quiet = first + (4.0 if legs[1][0] > first else -4.0)
    lead: Legs = [(quiet, 0), *((quiet + 0.6 * (-1) ** k, 3) for k in range(9)), (first, 8)]
    candles = walk(lead + legs[1:]) + list(then)
    return market_of(candles, volume={-1: volume})


def mirrored(market: Market) -> Market:
    """Reflect prices about the middle of the drawings."""
    return drawn_markets.mirrored(market, LEVEL)


def patterns_of(market: Market) -> Features:
    """Compute the columns the rules head reads."""
    families = ("volatility", "swings", "volume", "levels", "candlesticks", "chart_patterns")
    return columns_of(market, *families)


#: Down into 100 twice, and on the way down to it again.
RANGE: Legs = [(106, 0), (100, 9), (108, 9), (100, 9), (108, 9), (101, 8)]
HAMMER: Candle = (100.9, 101.1, 99.2, 101.05)
CHARTS: dict[str, tuple[str, int, Legs]] = {
    "double bottom": ("double", 1, [(125, 0), (100, 20), (112, 10), (100.5, 10), (116, 12)]),
    "inverse head and shoulders": (
        "head_and_shoulders",
        1,
        [(130, 0), (106, 16), (114, 8), (100, 12), (114.5, 12), (106.5, 8), (119, 12)],
    ),
    "ascending triangle": (
        "ascending_triangle",
        1,
        [(95, 0), (110, 14), (99, 10), (110, 9), (103, 7), (110, 7), (106, 6), (113, 8)],
    ),
    "symmetrical triangle": (
        "symmetrical_triangle",
        1,
        [(95, 0), (112, 14), (98, 10), (109.5, 8), (100.5, 8), (107, 7), (103, 6), (112, 8)],
    ),
    "falling wedge": (
        "wedge",
        1,
        [(105, 0), (120, 14), (108, 8), (113.5, 8), (104, 8), (107.3, 7), (101, 7), (110, 9)],
    ),
    "rectangle": (
        "rectangle",
        1,
        [(97, 0), (110, 13), (100, 8), (110, 8), (100, 8), (110, 8), (100, 8), (114, 12)],
    ),
    "bull flag": ("flag", 1, [(100, 0), (125, 9), (119, 10), (130, 5)]),
}
