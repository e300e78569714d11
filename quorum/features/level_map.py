"""Level map: the nearest supports and resistances, from everything a trader draws (spec P1).

Zones come from confirmed swings; what else traders watch confirms a zone or makes one of its own:

1. whenever a pivot of the base timeframe or of 4h is confirmed, the pivots of the lookback are
   gathered: one with the most company within ``tolerance`` ATR is the centre of a zone (of equals
   the newest), which lies at the mean price of its company. Highs and lows count alike, since a
   broken resistance is expected to hold as support;
2. per candle the *marks* - volume-profile nodes, prior-day and prior-week extremes, Fibonacci
   retracements of the last confirmed impulse, round numbers - join the nearest zone within the
   tolerance. The others are gathered outward from the close and lie at their heaviest mark;
3. strength 0-1 from touches (a mark counts as a part of one), recency and volume;
4. outward from the close the zones with ``min_strength`` are taken, of two nearer to each other
   than ``separation`` the stronger one.

The map forgets what is older than its lookback, so it does not depend on where the history starts.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numba import njit
from pydantic import Field

from quorum.features.swings import Swings
from quorum.features.table import Features
from quorum.features.volume import mean_before
from quorum.features.windows import ratio
from quorum.market import Market
from quorum.section import Section
from quorum.typing import Floats, Ints

#: Timeframe whose swings are drawn beside those of the base timeframe.
HIGHER = "4h"
#: Fields of a zone in the kernels: price, edges, touches, row of the last one, volume ratio.
PRICE, LOW, HIGH, TOUCHES, NEWEST, VOLUME = range(6)
FIELDS = 6
#: Row of a touch that never happened: what is only drawn is not recent.
NEVER = -(2.0**40)
#: Zones kept per side while the nearest ones are chosen.
NEARBY = 24
#: Round numbers tried on each side of the close, nearest first.
ROUNDS = 3


class LevelMapSettings(Section):
    """What makes a zone, what makes it strong, and how many are told."""

    count: int = Field(4, ge=1, le=8, description="levels told on each side [levels]")
    lookback: int = Field(500, ge=50, le=600, description="age of the oldest touch [candles]")
    higher_lookback: int = Field(
        150, ge=10, le=600, description="age of the oldest touch of a 4h swing [4h candles]"
    )
    tolerance: float = Field(
        0.5, gt=0, le=5, description="distance of touches of one zone from its centre [ATR]"
    )
    separation: float = Field(
        1.0, ge=0, le=10, description="of two zones nearer than this the stronger is told [ATR]"
    )
    min_strength: float = Field(0.3, ge=0, le=1, description="weakest zone that is told [0-1]")
    full_touches: float = Field(5.0, gt=0, le=50, description="touches of full strength [touches]")
    half_life: float = Field(
        150.0, gt=0, le=5000, description="age of the last touch that halves recency [candles]"
    )
    full_volume: float = Field(
        2.0, gt=0, le=20, description="mean volume ratio at the touches of full strength [x mean]"
    )
    volume_mean: int = Field(
        20, ge=2, le=200, description="candles before a 4h pivot its volume is held against [4h]"
    )
    touch_weight: float = Field(0.5, ge=0, le=1, description="share of touches in the strength")
    recency_weight: float = Field(0.25, ge=0, le=1, description="share of recency in it")
    volume_weight: float = Field(0.25, ge=0, le=1, description="share of volume in it")
    point_of_control: float = Field(
        1.0, ge=0, le=10, description="weight of the point of control [touches]"
    )
    value_area: float = Field(
        0.5, ge=0, le=10, description="weight of an edge of the value area [touches]"
    )
    prior_day: float = Field(
        1.0, ge=0, le=10, description="weight of the prior day's high or low [touches]"
    )
    prior_week: float = Field(
        1.5, ge=0, le=10, description="weight of the prior week's high or low [touches]"
    )
    fibonacci: float = Field(0.5, ge=0, le=10, description="weight of a retracement [touches]")
    retracements: tuple[float, ...] = Field(
        (0.382, 0.5, 0.618, 0.786),
        max_length=8,
        description="Fibonacci retracements drawn [fraction of the impulse]",
    )
    round_number: float = Field(0.5, ge=0, le=10, description="weight of a round number [touches]")
    big_round_number: float = Field(
        1.5, ge=0, le=10, description="weight of a multiple of ten steps of the grid [touches]"
    )
    round_spacing: float = Field(
        4.0, gt=0, le=50, description="narrowest 1-2-5 grid of round numbers [ATR]"
    )


class Marks(NamedTuple):
    """What is drawn beside the swings, per candle.

    Attributes
    ----------
    price : ndarray of shape (n_candles, n_marks), float64
        NaN where there is none.
    row : ndarray of shape (n_candles, n_marks), float64
        Row at which it was last made, ``NEVER`` for what is only drawn.
    touches, volume : ndarray of shape (n_marks,), float64
        Touches it counts as, and its volume ratio.
    """

    price: Floats
    row: Floats
    touches: Floats
    volume: Floats


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
def _forget(points: Floats, count: int, t: float) -> int:
    """Drop the points that count no more, in place; return how many are left."""
    kept = 0
    for i in range(count):
        if points[i, 2] >= t:
            points[kept] = points[i]
            kept += 1
    return kept


@njit(cache=True)
def _add_new(
    points: Floats,
    count: int,
    t: float,
    first: int,
    last: int,
    price: Floats,
    row: Floats,
    until: Floats,
    volume: Floats,
) -> int:
    """Insert the pivots ``first`` to ``last``, keeping the points sorted by price."""
    for e in range(max(first, 0), last + 1):
        if until[e] < t:
            continue
        at = count
        while at > 0 and points[at - 1, 0] > price[e]:
            points[at] = points[at - 1]
            at -= 1
        points[at, 0] = price[e]
        points[at, 1] = row[e]
        points[at, 2] = until[e]
        points[at, 3] = volume[e]
        count += 1
    return count


@njit(cache=True)
def _gather(points: Floats, count: int, width: float, zones: Floats) -> int:
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
        total = 0.0
        traded = 0.0
        for j in range(first[i], last[i]):
            other = last[j] - first[j]
            later = points[j, 1] > points[i, 1] or (points[j, 1] == points[i, 1] and j > i)
            if other > own or (other == own and later):
                centre = False
                break
            newest = max(newest, points[j, 1])
            total += points[j, 0]
            traded += points[j, 3]
        if not centre:
            continue
        # Neighbouring centres can swap places when each moves to its mean: keep them sorted.
        at = made
        while at > 0 and zones[at - 1, PRICE] > total / own:
            zones[at] = zones[at - 1]
            at -= 1
        zones[at, PRICE] = total / own
        zones[at, LOW] = points[first[i], 0]
        zones[at, HIGH] = points[last[i] - 1, 0]
        zones[at, TOUCHES] = own
        zones[at, NEWEST] = newest
        zones[at, VOLUME] = traded / own
        made += 1
    return made
