"""Chart patterns: drawn through confirmed swings, counted when a close breaks them.

Head and shoulders and its inverse, double top and bottom, ascending, descending and symmetrical
triangles, wedges, rectangles (:mod:`~quorum.features.chart_geometry`) and flags. A pattern counts
once: at the first close beyond its neckline or boundary since the swing that completes it was
confirmed, unless price has run away from the line by then. A flag needs no second swing: its
boundary is the line from the pole's end that touches the candles since, redrawn candle by candle.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numba import njit

from quorum.features.chart_geometry import (
    ASCENDING,
    CHART_PATTERNS,
    CODE,
    COLUMNS,
    EXPIRES,
    FINE,
    FLAG,
    HEIGHT,
    KNOWN,
    MOST,
    PRICE,
    ROW,
    SIDE,
    SLOPE,
    FlagGeometry,
    Geometry,
    recognise,
)
from quorum.features.limits import limits_of
from quorum.features.mirror import LONG, Prices, prices_of
from quorum.features.pattern_classes import WEAK, class_of, score_of
from quorum.features.swings import Swings
from quorum.features.table import Features
from quorum.market import Market
from quorum.typing import Floats, Ints


class FlagConstants(NamedTuple):
    """A steep pole, and the short drift against it."""

    pole: float = 5.0  # least height of the pole [ATR]
    pole_length: int = 24  # longest pole [candles]
    min_length: int = 5  # shortest flag [candles]
    max_length: int = 30  # longest flag [candles]
    min_retrace: float = 0.15  # least retracement of the pole [fraction]
    max_retrace: float = 0.5  # deepest retracement of the pole [fraction]


class ChartConstants(NamedTuple):
    """How exactly chart patterns must be drawn."""

    # patterns of the first class
    textbook: tuple[str, ...] = (
        "head_and_shoulders",
        "double",
        "ascending_triangle",
        "descending_triangle",
    )
    # patterns of the second class; all others are weak
    good: tuple[str, ...] = ("symmetrical_triangle", "wedge", "rectangle", "flag")
    fine_floor: float = 0.35  # fine quality under which a pattern is one class worse
    min_height: float = 3.0  # least height [ATR]
    full_height: float = 8.0  # height of full quality [ATR]
    min_length: int = 12  # shortest pattern [candles]
    max_length: int = 200  # longest pattern [candles]
    max_wait: int = 40  # longest wait for the break after the last swing [candles]
    prior: float = 1.3  # least move into a reversal pattern [x its height]
    equal: float = 0.2  # difference of a double's extremes [fraction of height]
    head: float = 0.15  # head beyond the shoulders [fraction of height]
    shoulders: float = 0.4  # difference of the shoulders [fraction of height]
    tilt: float = 0.4  # rise of the neckline [fraction of height]
    balance: float = 0.4  # shorter over longer shoulder in time [ratio]
    flat: float = 0.2  # change up to which a line is flat [fraction of width]
    touch: float = 0.15  # distance of a touch from its line [fraction of width]
    min_touches: int = 5  # fewest swings on the lines of a channel [swings]
    margin: float = 0.1  # close beyond the line to break it [ATR]
    run_away: float = 2.0  # close beyond the line that is too late to follow [ATR]
    failure: float = 0.5  # fall back behind the line that undoes a break [x height]
    flag: FlagConstants = FlagConstants()

    def classes(self) -> Ints:
        """Return the class by code; code 0 is no pattern."""
        classes = [class_of(name, self.textbook, self.good) for name in CHART_PATTERNS]
        return np.array([0, *classes], dtype=np.int64)


@njit(cache=True)
def _count(
    t: int, code: int, s: float, line: float, height: float, fine: float,
    g: Geometry, classes: Ints, out: Floats,
) -> None:  # fmt: skip
    """Write a broken pattern into its side's rows (score, code, target, stop) of ``out``."""
    klass = classes[code]
    if fine < g.fine_floor and klass > WEAK:
        klass -= 1
    score = score_of(klass, fine)
    row = 0 if s > 0 else 4
    if score > out[row, t]:
        out[row, t] = score
        out[row + 1, t] = code
        out[row + 2, t] = line + s * height
        out[row + 3, t] = line - s * g.failure * height


@njit(cache=True)
def _breaks(
    close: Floats, atr: Floats, swings: Swings, g: Geometry, classes: Ints, out: Floats
) -> None:
    """Count the first close beyond each pattern's line, in place."""
    rows = np.empty((MOST, COLUMNS))
    # Last break per pattern and side; triangles, wedges and rectangles are one family of lines.
    broken = np.full((ASCENDING + 1, 2), -1)
    made = 0
    seen = -1
    for t in range(len(close)):
        if swings.event[t] != seen:
            seen = swings.event[t]
            made = recognise(swings, seen, atr, g, rows)
        if not atr[t] > 0:
            continue
        for k in range(made):
            r = rows[k]
            s = r[SIDE]
            line = r[PRICE] + r[SLOPE] * (t - r[ROW])
            beyond = s * (close[t] - line) / atr[t]
            if beyond <= g.margin or beyond > g.run_away or t > r[EXPIRES]:
                continue
            first = True
            j = t - 1
            while first and j >= r[KNOWN]:
                depth = s * (close[j] - r[PRICE] - r[SLOPE] * (j - r[ROW]))
                # Earlier broken, or so deep behind the line that the pattern is void.
                first = depth <= g.margin * atr[j] and depth >= -r[HEIGHT]
                j -= 1
            code = int(r[CODE])
            family = min(code, ASCENDING)
            row = 0 if s > 0 else 1
            # A swing older than the last break only redraws what is broken already.
            if first and broken[family, row] < r[KNOWN] - swings.right:
                broken[family, row] = t
                _count(t, code, s, line, r[HEIGHT], r[FINE], g, classes, out)


@njit(cache=True)
def _flags(
    prices: Prices, atr: Floats, swings: Swings,
    f: FlagGeometry, g: Geometry, classes: Ints, out: Floats,
) -> None:  # fmt: skip
    """Count the closes that break out of a flag in the direction of its pole, in place."""
    high, low, close = prices.high, prices.low, prices.close
    live, top, at = False, -1, 0
    s, end, height, quality, slope, extreme = 0.0, 0.0, 0.0, 0.0, -np.inf, 0.0
    for t in range(len(close)):
        first, e = t, swings.event[t]
        if e >= 0 and swings.chain[e, 0] != top and swings.chain[e, 1] >= 0:
            top, start = swings.chain[e, 0], swings.chain[e, 1]
            unit = atr[swings.row[start]]
            rise = swings.kind[top] * (swings.price[top] - swings.price[start])
            length = swings.row[top] - swings.row[start]
            # A swing against the pole leaves the flag as it is: it may be its own low.
            if rise >= f.pole * unit and length <= f.pole_length:
                live, s, height = True, 1.0 * swings.kind[top], rise
                at, end = swings.row[top], swings.price[top]
                quality = min(1.0, rise / (2.0 * f.pole * unit))
                slope, extreme, first = -np.inf, end, at + 1
        if not live:
            continue
        for j in range(first, t + 1):
            line = end + s * slope * (j - at)
            retrace = s * (end - extreme) / height
            if j == t and j - at >= f.min_length and retrace >= f.min_retrace and atr[t] > 0:
                beyond = s * (close[t] - line) / atr[t]
                if slope <= 0 and g.margin < beyond <= g.run_away:
                    fine = 0.5 * (quality + 1.0 - retrace / f.max_retrace)
                    _count(t, FLAG, s, line, height, fine, g, classes, out)
                    live = False
            slope = max(slope, (s * (high[j] if s > 0 else low[j]) - s * end) / (j - at))
            extreme = min(extreme, low[j]) if s > 0 else max(extreme, high[j])
            deep = s * (end - extreme) > f.max_retrace * height
            if deep or slope > 0 or j - at >= f.max_length:
                live = False


def add_chart_patterns(market: Market, out: Features, constants: ChartConstants) -> None:
    """Add the strongest chart pattern broken upwards and downwards at each candle.

    Columns, lag that of the swings behind the last swing, 0 behind the break: ``chart_bull``,
    ``chart_bear``: 0 no break, else the class (1 weak, 2 good, 3 textbook) plus the fine quality
    0-1 from symmetry, height and touches; ``chart_bull_code``, ``chart_bear_code`` (number in
    ``CHART_PATTERNS``, 0 none); ``chart_bull_target``, ``chart_bear_target`` (measured move,
    price); ``chart_bull_stop``, ``chart_bear_stop`` (close that undoes the break, price).
    """
    s, swings, atr = constants, out.swings["base"], out["atr_unit"]
    prices = prices_of(market.candles, LONG)
    g, f = limits_of(Geometry, s), limits_of(FlagGeometry, s.flag)
    found = np.full((8, len(market)), np.nan)
    found[[0, 1, 4, 5]] = 0.0
    _breaks(prices.close, atr, swings, g, s.classes(), found)
    _flags(prices, atr, swings, f, g, s.classes(), found)
    for at, side in ((0, "bull"), (4, "bear")):
        score, code, target, stop = found[at : at + 4]
        out.add(f"chart_{side}", score, lag=swings.right)
        out.add(f"chart_{side}_code", code, lag=swings.right, scale_free=False)
        out.add(f"chart_{side}_target", target, lag=swings.right, scale_free=False)
        out.add(f"chart_{side}_stop", stop, lag=swings.right, scale_free=False)
