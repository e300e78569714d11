"""Geometry of chart patterns: which ones the last confirmed swings could be.

Every function reads pivots of the alternating swing sequence, newest first, and writes what it
recognises as a row of :data:`COLUMNS`: a boundary line, the side on which a close beyond it
confirms the pattern, its height for the measured move, and how well it is drawn. Prices are
multiplied by the side, so that each rule is written once, for the rising pattern.
Source: spec H4; Edwards and Magee, *Technical Analysis of Stock Trends*; Bulkowski,
*Encyclopedia of Chart Patterns*.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numba import njit

from quorum.features.swings import Swings
from quorum.typing import Floats, Ints

#: Codes of the chart patterns, in the order of :data:`CHART_PATTERNS`.
HEAD_AND_SHOULDERS, DOUBLE, ASCENDING, DESCENDING, SYMMETRICAL, WEDGE, RECTANGLE, FLAG = range(1, 9)
CHART_PATTERNS = (
    "head_and_shoulders",
    "double",
    "ascending_triangle",
    "descending_triangle",
    "symmetrical_triangle",
    "wedge",
    "rectangle",
    "flag",
)
#: Columns of a recognised pattern: code, side (+1: a close above the line confirms it), the
#: line's slope, row and price, the height, the fine quality, the row it was known in and the last
#: row it may break in.
CODE, SIDE, SLOPE, ROW, PRICE, HEIGHT, FINE, KNOWN, EXPIRES = range(9)
COLUMNS = 9
#: Most patterns recognised at once: two doubles, two heads, one channel that breaks both ways.
MOST = 6


class Geometry(NamedTuple):
    """Tolerances of the rules; see :class:`~quorum.features.chart_patterns.ChartConstants`."""

    min_height: float
    full_height: float
    min_length: int
    max_length: int
    max_wait: int
    prior: float
    equal: float
    head: float
    shoulders: float
    tilt: float
    balance: float
    flat: float
    touch: float
    min_touches: int
    fine_floor: float
    margin: float
    run_away: float
    failure: float


class FlagGeometry(NamedTuple):
    """Rules of a flag; see :class:`~quorum.features.chart_patterns.FlagConstants`."""

    pole: float
    pole_length: int
    min_length: int
    max_length: int
    min_retrace: float
    max_retrace: float


@njit(cache=True)
def _balance(a: float, b: float) -> float:
    """Return how alike two lengths are, 0-1."""
    return min(a, b) / max(a, b) if max(a, b) > 0 else 0.0


@njit(cache=True)
def _double(o: int, s: float, x: Ints, y: Floats, atr: float, g: Geometry, row: Floats) -> bool:
    """Recognise a double bottom (s = 1) or top: two equal extremes after a move into them."""
    height = s * (y[o + 1] - 0.5 * (y[o] + y[o + 2]))
    length = x[o] - x[o + 2]
    apart = abs(y[o] - y[o + 2])
    if height < g.min_height * atr or apart > g.equal * height:
        return False
    if length < g.min_length or length > g.max_length:
        return False
    if s * (y[o + 3] - y[o + 2]) < g.prior * height:
        return False
    row[CODE] = DOUBLE
    row[SIDE] = s
    row[SLOPE] = 0.0
    row[ROW] = x[o + 1]
    row[PRICE] = y[o + 1]
    row[HEIGHT] = height
    alike = 1.0 - apart / (g.equal * height)
    legs = _balance(x[o] - x[o + 1], x[o + 1] - x[o + 2])
    row[FINE] = (alike + min(1.0, height / (g.full_height * atr)) + legs) / 3.0
    row[EXPIRES] = x[o] + g.max_wait
    return True


@njit(cache=True)
def _head(o: int, s: float, x: Ints, y: Floats, atr: float, g: Geometry, row: Floats) -> bool:
    """Recognise head and shoulders (s = -1) or its inverse, broken through the neckline."""
    slope = (y[o + 1] - y[o + 3]) / (x[o + 1] - x[o + 3])
    neck = y[o + 3] + slope * (x[o + 2] - x[o + 3])
    height = s * (neck - y[o + 2])
    length = x[o] - x[o + 4]
    if height < g.min_height * atr or length < g.min_length or length > g.max_length:
        return False
    beyond = min(s * (y[o] - y[o + 2]), s * (y[o + 4] - y[o + 2]))
    apart = abs(y[o] - y[o + 4])
    tilt = abs(y[o + 1] - y[o + 3])
    if beyond < g.head * height or apart > g.shoulders * height or tilt > g.tilt * height:
        return False
    sides = _balance(x[o] - x[o + 2], x[o + 2] - x[o + 4])
    if sides < g.balance or s * (y[o + 5] - y[o + 2]) < g.prior * height:
        return False
    row[CODE] = HEAD_AND_SHOULDERS
    row[SIDE] = s
    row[SLOPE] = slope
    row[ROW] = x[o + 3]
    row[PRICE] = y[o + 3]
    row[HEIGHT] = height
    alike = 1.0 - 0.5 * apart / (g.shoulders * height) - 0.5 * tilt / (g.tilt * height)
    row[FINE] = (alike + min(1.0, height / (g.full_height * atr)) + sides) / 3.0
    row[EXPIRES] = x[o] + g.max_wait
    return True


@njit(cache=True)
def _channel_code(upper: float, lower: float, flat: float) -> tuple[int, float]:
    """Name two lines by their change over the pattern, in start widths; and its side (0: both)."""
    if abs(upper) <= flat and abs(lower) <= flat:
        return RECTANGLE, 0.0
    if abs(upper) <= flat and lower > flat:
        return ASCENDING, 0.0
    if abs(lower) <= flat and upper < -flat:
        return DESCENDING, 0.0
    if upper < -flat and lower > flat:
        return SYMMETRICAL, 0.0
    # Both lines lean the same way and meet: the break comes against the lean.
    if upper > flat and lower - upper > flat:
        return WEDGE, -1.0
    if lower < -flat and lower - upper > flat:
        return WEDGE, 1.0
    return 0, 0.0


@njit(cache=True)
def _touches(
    x: Ints, y: Floats, count: int, kind: int, up: Floats, lo: Floats, slack: float
) -> int:
    """Count the pivots, newest first, that lie on their line; stop at the first that does not."""
    touches = 0
    for k in range(count):
        line = up if (k % 2 == 0) == (kind > 0) else lo
        if abs(y[k] - (line[1] + line[0] * (x[k] - x[0]))) > slack:
            break
        touches += 1
    return touches


@njit(cache=True)
def _channel(
    kind: int, x: Ints, y: Floats, count: int, atr: float, g: Geometry, rows: Floats
) -> int:
    """Recognise a triangle, wedge or rectangle; one row per side it may break through."""
    a = 0 if kind > 0 else 1
    b = 1 - a
    up = np.empty(2)
    lo = np.empty(2)
    # Lines as slope and price at the newest pivot's row.
    up[0] = (y[a] - y[a + 2]) / (x[a] - x[a + 2])
    up[1] = y[a] + up[0] * (x[0] - x[a])
    lo[0] = (y[b] - y[b + 2]) / (x[b] - x[b + 2])
    lo[1] = y[b] + lo[0] * (x[0] - x[b])
    length = x[0] - x[3]
    width = up[1] - lo[1] - (up[0] - lo[0]) * length
    ends = up[1] - lo[1]
    if width < g.min_height * atr or ends <= 0:
        return 0
    code, only = _channel_code(up[0] * length / width, lo[0] * length / width, g.flat)
    if code == 0:
        return 0
    touches = _touches(x, y, count, kind, up, lo, g.touch * width)
    whole = x[0] - x[touches - 1]
    if touches < g.min_touches or whole < g.min_length or whole > g.max_length:
        return 0
    expires = x[0] + g.max_wait
    if up[0] < lo[0]:
        expires = min(expires, x[0] + ends / (lo[0] - up[0]))
    spacing = _balance(x[0] - x[1], x[1] - x[2]) + _balance(x[1] - x[2], x[2] - x[3])
    fine = min(1.0, width / (g.full_height * atr)) + 0.5 * spacing
    fine = (fine + min(1.0, (touches - 3.0) / 3.0)) / 3.0
    made = 0
    for side in (1.0, -1.0):
        if only != 0.0 and side != only:
            continue
        # A flat side is broken in the direction of the triangle; the other way it has failed.
        against = (code == ASCENDING and side < 0) or (code == DESCENDING and side > 0)
        rows[made, CODE] = code
        rows[made, SIDE] = side
        rows[made, SLOPE] = up[0] if side > 0 else lo[0]
        rows[made, ROW] = x[0]
        rows[made, PRICE] = up[1] if side > 0 else lo[1]
        rows[made, HEIGHT] = width
        rows[made, FINE] = 0.5 * fine if against else fine
        rows[made, EXPIRES] = expires
        made += 1
    return made


@njit(cache=True)
def recognise(swings: Swings, event: int, atr: Floats, g: Geometry, rows: Floats) -> int:
    """Fill ``rows`` with the patterns the swings known at ``event`` form; return their number."""
    chain = swings.chain[event]
    x = swings.row[chain]
    y = swings.price[chain]
    count = 0
    while count < len(chain) and chain[count] >= 0:
        count += 1
    made = 0
    for o in range(2):
        # The newest pivot may already be the answer to the pattern's last extreme.
        if count >= o + 4:
            start = made
            side = -1.0 * swings.kind[chain[o]]
            unit = atr[x[o]]
            if unit > 0:
                made += _double(o, side, x, y, unit, g, rows[made])
                if count >= o + 6:
                    made += _head(o, side, x, y, unit, g, rows[made])
            for k in range(start, made):
                rows[k, KNOWN] = x[o] + swings.right
    if count >= 4 and atr[x[0]] > 0:
        start = made
        made += _channel(swings.kind[chain[0]], x, y, count, atr[x[0]], g, rows[made:])
        for k in range(start, made):
            rows[k, KNOWN] = x[0] + swings.right
    return made
