"""Liquidation map: where leveraged positions would be liquidated, and which clusters count.

The map is a pair of histograms over log price: long positions that would be liquidated under
the price, short positions over it. Their bins lie on an absolute grid, bin *i* covers
``[i, i + 1) * width`` and stands for its middle.

1. The positions opened in a candle are spread evenly over its range (in log price) and, by
   leverage, moved to the price at which they would be liquidated.
2. Every candle lets the whole map decay.
3. A bin whose middle price has traded through is emptied. The order of trades inside a candle
   is not known: what would be liquidated inside the range of the candle that opened it is held
   to have been.
4. Contributions are kept in blocks of ``BLOCK`` candles that begin at fixed times. A block is
   forgotten whole, after a fixed number of blocks.
5. A cluster is a bin. It counts when fewer than the top share of the non-empty bins of the
   whole map, both sides, hold more mass.

At every block's beginning the map is summed anew from the blocks that are left, oldest first, and
within a block it only grows and is emptied. So it is the same sequence of sums wherever the
history began, and equal to the last bit once the first block has been forgotten.

The short side is worked as the long side of the mirror image, log price with its sign turned.
"""

from __future__ import annotations

import math

import numpy as np
from numba import njit

from quorum.typing import Floats, Ints

#: Candles per block of contributions that are forgotten together.
BLOCK = 24
LONG, SHORT = 0, 1
#: Rows of the kernel's answer: distance and mass of the nearest counting cluster per side.
BELOW, ABOVE, BELOW_MASS, ABOVE_MASS = range(4)
#: Comparisons of counts with shares that binary numbers cannot hold.
GRACE = 1e-9


@njit(cache=True)
def _open(
    total: Floats,
    fresh: Floats,
    span: Ints,
    fresh_span: Ints,
    low: float,
    high: float,
    mass: float,
    cut: int,
    origin: int,
) -> None:
    """Add ``mass`` evenly over ``low`` to ``high`` (in bins), as far as it is under ``cut``."""
    first = math.floor(low)
    last = math.floor(high)
    end = min(last, cut - 1)
    if end < first:
        return
    density = mass / (high - low) if last > first else mass
    for i in range(first, end + 1):
        part = min(high, i + 1.0) - max(low, float(i)) if last > first else 1.0
        total[i - origin] += density * part
        fresh[i - origin] += density * part
    for bounds in (span, fresh_span):
        bounds[0] = min(bounds[0], first - origin)
        bounds[1] = max(bounds[1], end - origin)


@njit(cache=True)
def _empty(held: Floats, span: Ints, cut: int) -> None:
    """Empty the bins from ``cut`` up."""
    for i in range(max(cut, span[0]), span[1] + 1):
        held[i] = 0.0
    span[1] = min(span[1], cut - 1)


@njit(cache=True)
def _more(total: Floats, span: Ints, mass: float) -> int:
    """Count the bins of both sides that hold more than ``mass``."""
    count = 0
    for side in range(2):
        for held in total[side, span[side, 0] : span[side, 1] + 1]:
            count += held > mass
    return count


@njit(cache=True)
def _sum(total: Floats, span: Ints) -> float:
    """Sum the map, in four strands for speed."""
    a = b = c = d = 0.0
    for side in range(2):
        held = total[side, span[side, 0] : span[side, 1] + 1]
        whole = len(held) // 4 * 4
        for i in range(0, whole, 4):
            a += held[i]
            b += held[i + 1]
            c += held[i + 2]
            d += held[i + 3]
        for i in range(whole, len(held)):
            a += held[i]
    return (a + b) + (c + d)


@njit(cache=True)
def _nearest(total: Floats, span: Ints, limit: float, found: Ints) -> None:
    """Find per side the bin nearest to the price that counts, -1 where none does.

    A bin with no more mass than one that did not count need not be compared again, and neither
    need one with no less than one that did.
    """
    failed = 0.0
    passed = np.inf
    for side in range(2):
        found[side] = -1
        for i in range(span[side, 1], span[side, 0] - 1, -1):
            mass = total[side, i]
            if mass <= failed:
                continue
            if mass < passed:
                if _more(total, span, mass) >= limit:
                    failed = mass
                    continue
                passed = mass
            found[side] = i
            break


@njit(cache=True)
def _remember(
    fresh: Floats,
    fresh_span: Ints,
    lowest_cut: Ints,
    ring: Floats,
    ring_span: Ints,
    slot: int,
) -> None:
    """File the finished block and empty in the older ones what has traded through since."""
    for side in range(2):
        for k in range(len(ring)):
            ring_span[k, side, 1] = min(ring_span[k, side, 1], lowest_cut[side] - 1)
        lo = fresh_span[side, 0]
        hi = fresh_span[side, 1]
        ring[slot, side, lo : hi + 1] = fresh[side, lo : hi + 1]
        ring_span[slot, side, 0] = lo
        ring_span[slot, side, 1] = hi
        fresh[side, lo : hi + 1] = 0.0


@njit(cache=True)
def _rebuild(
    total: Floats, span: Ints, ring: Floats, ring_span: Ints, ring_id: Ints, block: int, fade: float
) -> None:
    """Sum the blocks that are left, oldest first, each decayed to the start of ``block``."""
    kept = len(ring)
    for side in range(2):
        total[side, span[side, 0] : span[side, 1] + 1] = 0.0
        span[side, 0] = total.shape[1]
        span[side, 1] = -1
        for age in range(kept, 0, -1):
            k = (block - age) % kept
            lo = ring_span[k, side, 0]
            hi = ring_span[k, side, 1]
            if ring_id[k] != block - age or hi < lo:
                continue
            decay = fade**age
            for i in range(lo, hi + 1):
                total[side, i] += decay * ring[k, side, i]
            span[side, 0] = min(span[side, 0], lo)
            span[side, 1] = max(span[side, 1], hi)


@njit(cache=True)
def _traded(ring_id: Ints, ring_count: Ints, block: int) -> int:
    """Count the traded candles of the blocks that are left."""
    count = 0
    for k in range(len(ring_id)):
        if block - len(ring_id) <= ring_id[k] < block:
            count += ring_count[k]
    return count


@njit(cache=True)
def _answer(
    out: Floats,
    t: int,
    close: Floats,
    width: float,
    total: Floats,
    span: Ints,
    origin: Ints,
    top_share: float,
) -> None:
    """Write row ``t``: distance and share of the nearest counting cluster of each side."""
    whole = _sum(total, span)
    if whole <= 0:
        return
    found = np.empty(2, np.int64)
    _nearest(total, span, top_share * _more(total, span, 0.0) - GRACE, found)
    for side in range(2):
        out[BELOW_MASS + side, t] = 0.0
        if found[side] < 0:
            continue
        gap = width * (close[side, t] - (origin[side] + found[side] + 0.5))
        out[BELOW + side, t] = 1.0 - math.exp(-gap) if side == LONG else math.exp(gap) - 1.0
        out[BELOW_MASS + side, t] = total[side, found[side]] / whole


@njit(cache=True)
def map_clusters(
    low: Floats,
    high: Floats,
    close: Floats,
    mass: Floats,
    tick: Ints,
    offset: Floats,
    weight: Floats,
    width: float,
    fade: float,
    kept: int,
    top_share: float,
    min_candles: int,
) -> Floats:
    """Follow the map candle by candle; lag 0.

    Parameters
    ----------
    low, high, close : ndarray of shape (2, n_candles), float64
        Log prices in bins; row ``SHORT`` with the sign (and so high and low) turned.
    mass : ndarray of shape (n_candles,), float64
        Volume of the positions opened per side.
    tick : ndarray of shape (n_candles,), int64
        Number of the candle since the epoch.
    offset : ndarray of shape (2, n_leverages), float64
        From the price of opening to that of liquidation, in bins; all negative.
    weight : ndarray of shape (n_leverages,), float64
    width : float
        Width of a bin in log price.
    fade : float
        What one candle leaves of the map, 0-1.
    kept : int
        Blocks kept beside the current one.
    top_share : float
        Share of the non-empty bins that count.
    min_candles : int
        Traded candles before the map is known.

    Returns
    -------
    ndarray of shape (4, n_candles), float64
        ``BELOW``, ``ABOVE``: distance as a fraction of the close, NaN where no cluster counts;
        ``BELOW_MASS``, ``ABOVE_MASS``: its share of the map, 0 where none counts, NaN where the
        map is not known.
    """
    n = len(mass)
    out = np.full((4, n), np.nan)
    origin = np.empty(2, np.int64)
    size = 1
    for side in range(2):
        origin[side] = math.floor(low[side].min() + offset[side].min())
        size = max(size, math.floor(high[side].max() + offset[side].max()) - origin[side] + 1)
    total = np.zeros((2, size))
    fresh = np.zeros((2, size))
    ring = np.empty((kept, 2, size))
    span = np.empty((2, 2), np.int64)
    span[:, 0], span[:, 1] = size, -1
    fresh_span = span.copy()
    ring_span = np.full((kept, 2, 2), -1)
    ring_id = np.full(kept, -1)
    ring_count = np.zeros(kept, np.int64)
    lowest_cut = np.full(2, size)
    block = tick[0] // BLOCK
    count = 0
    older = 0
    for t in range(n):
        if tick[t] // BLOCK != block:
            _remember(fresh, fresh_span, lowest_cut, ring, ring_span, block % kept)
            ring_id[block % kept] = block
            ring_count[block % kept] = count
            block = tick[t] // BLOCK
            _rebuild(total, span, ring, ring_span, ring_id, block, fade**BLOCK)
            older = _traded(ring_id, ring_count, block)
            fresh_span[:, 0], fresh_span[:, 1] = size, -1
            lowest_cut[:] = size
            count = 0
        count += mass[t] > 0
        # The map grows instead of decaying: only proportions matter.
        grown = mass[t] * fade ** -float(tick[t] - block * BLOCK)
        for side in range(2):
            cut = math.ceil(low[side, t] - 0.5)
            _empty(total[side], span[side], cut - origin[side])
            _empty(fresh[side], fresh_span[side], cut - origin[side])
            lowest_cut[side] = min(lowest_cut[side], cut - origin[side])
            if grown > 0:
                for k in range(len(weight)):
                    _open(
                        total[side],
                        fresh[side],
                        span[side],
                        fresh_span[side],
                        low[side, t] + offset[side, k],
                        high[side, t] + offset[side, k],
                        grown * weight[k],
                        cut,
                        origin[side],
                    )
        if older + count >= min_candles:
            _answer(out, t, close, width, total, span, origin, top_share)
    return out
