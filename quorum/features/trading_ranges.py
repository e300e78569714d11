"""Trading ranges: support and resistance touched in turn, as known at each confirmed swing.

A range is read off the alternating swing sequence of one confirmation and the candles up to it,
nothing else, so it needs no memory: the same swings give the same range wherever the history
starts. Price lines are in the quote currency.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numba import njit

from quorum.features.swings import Swings
from quorum.typing import Floats


class RangeConstants(NamedTuple):
    """What counts as a trading range."""

    min_swings: int = 4  # fewest alternating swings (touches of both edges) [swings]
    max_swings: int = 12  # most swings looked at [swings]
    tolerance: float = 0.3  # distance of a swing from its edge [of the width]
    inside: float = 0.9  # least share of closes between the edges [fraction]
    min_width: float = 2.5  # narrowest range [ATR]
    max_width: float = 12.0  # widest range [ATR]
    min_length: int = 24  # shortest range [candles]
    max_length: int = 300  # longest range [candles]
    trend_lookback: int = 60  # candles before the range that tell its trend [candles]


#: Rows of the result: edges, first candle, swings in it, preceding trend and tilt in widths.
TOP, BOTTOM, START, TOUCHES, TREND, TILT = range(6)
ROWS = 6


@njit(cache=True)
def _edge(prices: Floats) -> float:
    """Return the lowest price; of three or more, the second lowest.

    One shakeout must not redraw the support it broke.
    """
    lowest, second = np.inf, np.inf
    for price in prices:
        if price < lowest:
            lowest, second = price, lowest
        elif price < second:
            second = price
    return lowest if len(prices) < 3 else second


@njit(cache=True)
def _preceding_trend(close: Floats, start: int, lookback: int, middle: float) -> float:
    """Return how far the range lies above the mean close before it (price); 0 if unknown."""
    if start < lookback:
        return 0.0
    total = 0.0
    for j in range(start - lookback, start):
        total += close[j]
    return middle - total / lookback


@njit(cache=True)
def _closes_inside(close: Floats, start: int, end: int, bottom: float, top: float) -> float:
    count = 0
    for j in range(start, end + 1):
        if bottom <= close[j] <= top:
            count += 1
    return count / (end + 1 - start)


@njit(cache=True)
def _ranges(close: Floats, atr: Floats, swings: Swings, limits: RangeConstants) -> Floats:
    """Return per confirmation the longest range its newest swings form, NaN where none."""
    chain, price, row, kind = swings.chain, swings.price, swings.row, swings.kind
    m = len(price)
    out = np.full((ROWS, m), np.nan)
    highs = np.empty(limits.max_swings)
    lows = np.empty(limits.max_swings)
    for e in range(m):
        now = swings.confirmed[e]
        n_high, n_low = 0, 0
        for k in range(limits.max_swings):
            swing = chain[e, k]
            if swing < 0 or now - row[swing] > limits.max_length:
                break
            if kind[swing] > 0:
                highs[n_high] = price[swing]
                n_high += 1
            else:
                lows[n_low] = price[swing]
                n_low += 1
            if k + 1 < limits.min_swings:
                continue
            top, bottom = -_edge(-highs[:n_high]), _edge(lows[:n_low])
            width = top - bottom
            off = 0.0
            for j in range(n_high):
                off = max(off, abs(highs[j] - top))
            for j in range(n_low):
                off = max(off, abs(lows[j] - bottom))
            if off > limits.tolerance * width or width > limits.max_width * atr[now]:
                break
            start = row[swing]
            if now - start < limits.min_length or not width > limits.min_width * atr[now]:
                continue
            if _closes_inside(close, start, now, bottom, top) < limits.inside:
                continue
            middle = (top + bottom) / 2
            trend = _preceding_trend(close, start, limits.trend_lookback, middle) / width
            tilt = highs[0] + lows[0] - highs[n_high - 1] - lows[n_low - 1]
            out[TOP, e], out[BOTTOM, e], out[START, e] = top, bottom, start
            out[TOUCHES, e], out[TREND, e], out[TILT, e] = k + 1, trend, tilt / (2 * width)
    return out


def find_ranges(close: Floats, atr: Floats, swings: Swings, constants: RangeConstants) -> Floats:
    """Find the trading range known at each confirmed swing.

    Parameters
    ----------
    close, atr : ndarray of shape (n_candles,)
    swings : Swings
        Of the same candles.
    constants : RangeConstants

    Returns
    -------
    ndarray of shape (6, n_pivots)
        Rows ``TOP``, ``BOTTOM`` (price), ``START`` (candle of the first swing), ``TOUCHES``
        (swings), ``TREND`` (widths the range lies above the mean close before it) and ``TILT``
        (widths its swings rose from the first pair to the last); NaN where there is no range.
    """
    return _ranges(close, atr, swings, constants)
