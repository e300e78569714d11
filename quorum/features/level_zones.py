"""Zones of support and resistance from confirmed pivots: kernels of the level map.

All rows are times counted in base candles, so that pivots of two timeframes age alike.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numba import njit

from quorum.typing import Floats, Ints

#: Fields of a zone in the kernels: price, edges, touches, row of the last one, volume ratio,
#: last row at which it counts.
PRICE, LOW, HIGH, TOUCHES, NEWEST, VOLUME, UNTIL = range(7)
FIELDS = 7
#: Zones kept per side while the nearest ones are chosen.
NEARBY = 12


class Pivots(NamedTuple):
    """Confirmed pivots of one timeframe on the rows of the base timeframe.

    Attributes
    ----------
    price, row, until, volume : ndarray of shape (n_pivots,), float64
        Price, base row at which the pivot candle ended, last base row at which it counts, and
        the volume ratio of its candle (0 where unknown).
    event : ndarray of shape (n_candles,), int64
        Per base candle the number of the last pivot known, -1 for none.
    """

    price: Floats
    row: Floats
    until: Floats
    volume: Floats
    event: Ints


@njit(cache=True)
def copy_row(target: Floats, i: int, source: Floats, j: int) -> None:
    """Copy one row; an assignment of slices costs several times as much."""
    for k in range(FIELDS):
        target[i, k] = source[j, k]


@njit(cache=True)
def forget(points: Floats, count: int, t: float) -> int:
    """Drop the points that count no more, in place; return how many are left."""
    kept = 0
    for i in range(count):
        if points[i, 2] >= t:
            copy_row(points, kept, points, i)
            kept += 1
    return kept


@njit(cache=True)
def add_pivots(
    points: Floats,
    count: int,
    t: float,
    seen: int,
    last: int,
    pivots: Pivots,
) -> int:
    """Insert the pivots after ``seen`` to ``last``, keeping the points sorted by price."""
    for e in range(seen + 1, last + 1):
        if pivots.until[e] < t:
            continue
        at = count
        while at > 0 and points[at - 1, 0] > pivots.price[e]:
            copy_row(points, at, points, at - 1)
            at -= 1
        points[at, 0] = pivots.price[e]
        points[at, 1] = pivots.row[e]
        points[at, 2] = pivots.until[e]
        points[at, 3] = pivots.volume[e]
        count += 1
    return count


@njit(cache=True)
def gather_zones(points: Floats, count: int, width: float, zones: Floats) -> int:
    """Fill ``zones`` from points sorted by price; return how many there are."""
    first = np.empty(count, np.int64)
    last = np.empty(count, np.int64)
    lo = 0
    hi = 0
    for i in range(count):
        while points[i, 0] - points[lo, 0] > width:
            lo += 1
        while hi < count and points[hi, 0] - points[i, 0] <= width:
            hi += 1
        first[i] = lo
        last[i] = hi
    made = 0
    for i in range(count):
        own = last[i] - first[i]
        centre = True
        newest = points[i, 1]
        until = points[i, 2]
        total = 0.0
        traded = 0.0
        for j in range(first[i], last[i]):
            other = last[j] - first[j]
            later = points[j, 1] > points[i, 1] or (points[j, 1] == points[i, 1] and j > i)
            if other > own or (other == own and later):
                centre = False
                break
            newest = max(newest, points[j, 1])
            until = max(until, points[j, 2])
            total += points[j, 0]
            traded += points[j, 3]
        if not centre:
            continue
        # Neighbouring centres can swap places when each moves to its mean: keep them sorted.
        at = made
        while at > 0 and zones[at - 1, PRICE] > total / own:
            copy_row(zones, at, zones, at - 1)
            at -= 1
        zones[at, PRICE] = total / own
        zones[at, LOW] = points[first[i], 0]
        zones[at, HIGH] = points[last[i] - 1, 0]
        zones[at, TOUCHES] = own
        zones[at, NEWEST] = newest
        zones[at, VOLUME] = traded / own
        zones[at, UNTIL] = until
        made += 1
    return made


@njit(cache=True)
def zones_around(
    zones: Floats, made: int, split: int, close: float, t: float, near: Floats, prices: Floats
) -> tuple[int, int, int]:
    """Copy the zones near the close and their prices (infinite beyond the last), still sorted.

    ``split`` is where the close was found among the zones before. Returns where it is now, how
    many zones were copied, and how many of these lie under the close.
    """
    split = min(split, made)
    while split > 0 and zones[split - 1, PRICE] > close:
        split -= 1
    while split < made and zones[split, PRICE] <= close:
        split += 1
    count = 0
    under = 0
    for i in range(max(split - NEARBY, 0), min(split + NEARBY, made)):
        if zones[i, UNTIL] >= t:
            copy_row(near, count, zones, i)
            prices[count] = zones[i, PRICE]
            count += 1
            under += i < split
    prices[count:] = np.inf
    return split, count, under
