"""Support and resistance: prices where confirmed swings of the base timeframe gather.

Highs and lows count alike, since a broken resistance is expected to hold as support. A level is
remade whenever a pivot is confirmed, from the pivots of the last ``lookback`` candles only:

1. each pivot gathers those within ``tolerance`` ATR of it;
2. a pivot with the most company in its neighbourhood is the centre of a level (of equals the
   newest), which lies at the mean price of its company;
3. of the levels with ``min_touches`` touches, the nearest one under and over the close is kept.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numba import njit

from quorum.features.series import ratio
from quorum.features.swings import Swings
from quorum.features.table import Features
from quorum.market import Market
from quorum.typing import Floats, Ints


class LevelConstants(NamedTuple):
    """What makes a level, and what makes it strong."""

    lookback: int = 500  # age of the oldest touch [candles]
    tolerance: float = 0.5  # distance of touches of one level from its centre [ATR]
    min_touches: int = 2  # fewest touches of a level [touches]
    full_touches: float = 5.0  # touches of full strength [touches]
    half_life: float = 150.0  # age of the last touch that halves recency [candles]
    full_volume: float = 2.0  # mean volume ratio at the touches of full strength [x mean]
    touch_weight: float = 0.5  # share of touches in the strength
    recency_weight: float = 0.25  # share of recency in it
    volume_weight: float = 0.25  # share of volume in it


@njit(cache=True)
def _gather(
    price: Floats, when: Ints, volume: Floats, count: int, width: float, levels: Floats
) -> int:
    """Fill ``levels`` (price, touches, last touch, mean volume) from sorted pivots."""
    first = np.empty(count, np.int64)
    last = np.empty(count, np.int64)
    lo = 0
    hi = 0
    for i in range(count):
        while price[i] - price[lo] > width:
            lo += 1
        while hi < count and price[hi] - price[i] <= width:
            hi += 1
        first[i] = lo
        last[i] = hi
    made = 0
    for i in range(count):
        own = last[i] - first[i]
        centre = True
        newest = when[i]
        total = 0.0
        traded = 0.0
        for j in range(first[i], last[i]):
            other = last[j] - first[j]
            if other > own or (other == own and (when[j], j) > (when[i], i)):
                centre = False
                break
            newest = max(newest, when[j])
            total += price[j]
            traded += volume[j]
        if centre:
            levels[made, 0] = total / own
            levels[made, 1] = own
            levels[made, 2] = newest
            levels[made, 3] = traded / own
            made += 1
    return made


@njit(cache=True)
def _forget(oldest: int, price: Floats, when: Ints, traded: Floats, count: int) -> int:
    """Drop the pivots that are too old, in place; return how many are left."""
    kept = 0
    for i in range(count):
        if when[i] > oldest:
            price[kept] = price[i]
            when[kept] = when[i]
            traded[kept] = traded[i]
            kept += 1
    return kept


@njit(cache=True)
def _insert(
    new: float, row: int, volume: Floats, price: Floats, when: Ints, traded: Floats, count: int
) -> None:
    """Insert a pivot so that the prices stay sorted, in place."""
    at = count
    while at > 0 and price[at - 1] > new:
        price[at] = price[at - 1]
        when[at] = when[at - 1]
        traded[at] = traded[at - 1]
        at -= 1
    price[at] = new
    when[at] = row
    traded[at] = volume[row] if volume[row] >= 0 else 0.0


@njit(cache=True)
def _levels(
    close: Floats, atr: Floats, volume: Floats, swings: Swings,
    lookback: int, tolerance: float, min_touches: int,
) -> Floats:  # fmt: skip
    """Return the nearest level under (rows 0-3) and over (rows 4-7) each close."""
    n = len(close)
    out = np.full((8, n), np.nan)
    price = np.empty(2 * lookback + 2)
    when = np.empty(2 * lookback + 2, np.int64)
    traded = np.empty(2 * lookback + 2)
    levels = np.empty((2 * lookback + 2, 4))
    count = 0
    made = 0
    seen = -1
    for t in range(n):
        if swings.event[t] > seen and atr[t] > 0:
            count = _forget(t - lookback, price, when, traded, count)
            while seen < swings.event[t]:
                seen += 1
                row = swings.row[seen]
                if row > t - lookback:
                    _insert(swings.price[seen], row, volume, price, when, traded, count)
                    count += 1
            made = _gather(price, when, traded, count, tolerance * atr[t], levels)
        below = -1
        above = -1
        for i in range(made):
            if levels[i, 1] < min_touches or levels[i, 2] <= t - lookback:
                continue
            if levels[i, 0] <= close[t]:
                if below < 0 or levels[i, 0] > levels[below, 0]:
                    below = i
            elif above < 0 or levels[i, 0] < levels[above, 0]:
                above = i
        if below >= 0:
            out[:4, t] = levels[below]
        if above >= 0:
            out[4:, t] = levels[above]
    return out


def add_levels(market: Market, out: Features, constants: LevelConstants) -> None:
    """Add the nearest support under and resistance over the close, from confirmed swings.

    Columns, lag that of the swings: ``support``, ``resistance`` (price, NaN if none);
    ``support_distance``, ``resistance_distance`` (from the close, ATR, never negative);
    ``support_strength``, ``resistance_strength`` (0-1 from touches, recency and volume at the
    touches, 0 if none); ``support_touches``, ``resistance_touches``. Source: spec H4.
    """
    s, c, atr = constants, market.candles, out["atr_unit"]
    swings = out.swings["base"]
    found = _levels(
        c.close, atr, out["volume_ratio"], swings, s.lookback, s.tolerance, s.min_touches
    )
    whole = s.touch_weight + s.recency_weight + s.volume_weight
    rows = np.arange(len(c))
    for name, at, side in (("support", 0, 1.0), ("resistance", 4, -1.0)):
        price, touches, newest, traded = found[at : at + 4]
        strength = (
            s.touch_weight * np.minimum(touches / s.full_touches, 1.0)
            + s.recency_weight * 0.5 ** ((rows - newest) / s.half_life)
            + s.volume_weight * np.minimum(traded / s.full_volume, 1.0)
        ) / max(whole, np.finfo(np.float64).tiny)
        distance = ratio(side * (c.close - price), atr)
        out.add(name, price, lag=swings.right, scale_free=False)
        out.add(f"{name}_distance", distance, lag=swings.right)
        out.add(f"{name}_strength", np.nan_to_num(strength), lag=swings.right)
        out.add(f"{name}_touches", np.nan_to_num(touches), lag=swings.right)
