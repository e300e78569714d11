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
#: The map itself, and what of it the current block has contributed.
WHOLE, FRESH = 0, 1
#: Rows of the kernel's answer: distance and mass of the nearest counting cluster per side.
BELOW, ABOVE, BELOW_MASS, ABOVE_MASS = range(4)
#: Comparisons of counts with shares that binary numbers cannot hold.
GRACE = 1e-9


@njit(cache=True)
def _open(
    held: Floats, span: Ints, low: float, high: float, mass: float, cut: int, origin: int
) -> None:
    """Add ``mass`` evenly over ``low`` to ``high`` (in bins), as far as it is under ``cut``."""
    first = math.floor(low)
    last = math.floor(high)
    end = min(last, cut - 1)
    if end < first:
        return
    density = mass / (high - low) if last > first else mass
    for i in range(first, end + 1):
        part = density * (min(high, i + 1.0) - max(low, float(i))) if last > first else mass
        held[WHOLE, i - origin] += part
        held[FRESH, i - origin] += part
    for kind in range(2):
        span[kind, 0] = min(span[kind, 0], first - origin)
        span[kind, 1] = max(span[kind, 1], end - origin)


@njit(cache=True)
def _trade(
    held: Floats,
    span: Ints,
    low: float,
    high: float,
    offset: Floats,
    mass: Floats,
    origin: int,
) -> int:
    """Take one candle into one side; return the first bin it emptied.

    Parameters
    ----------
    held : ndarray of shape (2, n_bins), float64
        Rows ``WHOLE`` and ``FRESH``.
    span : ndarray of shape (2, 2), int64
        First and last bin of each that may hold something.
    low, high : float
        In bins.
    offset, mass : ndarray of shape (n_leverages,), float64
        Way to the liquidation price in bins, and mass, per leverage.
    origin : int
        Bin of the absolute grid that is column 0.
    """
    cut = math.ceil(low - 0.5)
    for kind in range(2):
        for i in range(max(cut - origin, span[kind, 0]), span[kind, 1] + 1):
            held[kind, i] = 0.0
        span[kind, 1] = min(span[kind, 1], cut - origin - 1)
    for k in range(len(mass)):
        if mass[k] > 0:
            _open(held, span, low + offset[k], high + offset[k], mass[k], cut, origin)
    return cut - origin


@njit(cache=True)
def _turn(
    held: Floats,
    span: Ints,
    lowest: int,
    ring: Floats,
    ring_span: Ints,
    ring_id: Ints,
    finished: int,
    block: int,
    fade: float,
) -> None:
    """File the finished block of one side and sum the map anew for ``block``.

    Older blocks lose what lies at or over ``lowest``, the lowest bin emptied since. The sum runs
    from the oldest block that is left; each has decayed by ``fade`` per block.
    """
    kept, size = ring.shape
    for k in range(kept):
        ring_span[k, 1] = min(ring_span[k, 1], lowest - 1)
    slot = finished % kept
    for end in range(2):
        ring_span[slot, end] = span[FRESH, end]
    for i in range(span[FRESH, 0], span[FRESH, 1] + 1):
        ring[slot, i] = held[FRESH, i]
    for kind in range(2):
        for i in range(span[kind, 0], span[kind, 1] + 1):
            held[kind, i] = 0.0
        span[kind, 0] = size
        span[kind, 1] = -1
    for age in range(kept, 0, -1):
        k = (block - age) % kept
        lo = ring_span[k, 0]
        hi = ring_span[k, 1]
        if ring_id[k] != block - age or hi < lo:
            continue
        decay = fade**age
        for i in range(lo, hi + 1):
            held[WHOLE, i] += decay * ring[k, i]
        span[WHOLE, 0] = min(span[WHOLE, 0], lo)
        span[WHOLE, 1] = max(span[WHOLE, 1], hi)


@njit(cache=True)
def _more(held: Floats, span: Ints, mass: float) -> int:
    """Count the bins of both sides that hold more than ``mass``."""
    count = 0
    for side in range(2):
        part = held[side, WHOLE, span[side, WHOLE, 0] : span[side, WHOLE, 1] + 1]
        # Written so that it becomes vector instructions.
        for i in range(len(part)):
            count += 1 if part[i] > mass else 0
    return count


@njit(cache=True)
def _sum(held: Floats, span: Ints) -> float:
    """Sum the map, in four strands for speed."""
    a = b = c = d = 0.0
    for side in range(2):
        part = held[side, WHOLE, span[side, WHOLE, 0] : span[side, WHOLE, 1] + 1]
        even = len(part) // 4 * 4
        for i in range(0, even, 4):
            a += part[i]
            b += part[i + 1]
            c += part[i + 2]
            d += part[i + 3]
        for i in range(even, len(part)):
            a += part[i]
    return (a + b) + (c + d)


@njit(cache=True)
def _nearest(held: Floats, span: Ints, limit: float, found: Ints, guess: Floats) -> None:
    """Find per side the bin nearest to the price that counts, -1 where none does.

    A bin with no more mass than one that did not count need not be compared again, and neither
    need one with no less than one that did. ``guess`` holds the two masses of the candle before:
    they are tried first, which saves most comparisons and changes no answer.
    """
    failed = guess[0] if _more(held, span, guess[0]) >= limit else 0.0
    passed = guess[1] if _more(held, span, guess[1]) < limit else np.inf
    for side in range(2):
        found[side] = -1
        for i in range(span[side, WHOLE, 1], span[side, WHOLE, 0] - 1, -1):
            mass = held[side, WHOLE, i]
            if mass <= failed:
                continue
            if mass < passed:
                if _more(held, span, mass) >= limit:
                    failed = mass
                    continue
                passed = mass
            found[side] = i
            break
    guess[0] = failed
    guess[1] = passed


@njit(cache=True)
def _answer(
    out: Floats,
    close: Floats,
    width: float,
    held: Floats,
    span: Ints,
    origin: Ints,
    share: float,
    guess: Floats,
) -> None:
    """Write one row: distance and mass of the nearest counting cluster of each side."""
    whole = _sum(held, span)
    if whole <= 0:
        return
    found = np.empty(2, np.int64)
    _nearest(held, span, share * _more(held, span, 0.0) - GRACE, found, guess)
    for side in range(2):
        out[BELOW_MASS + side] = 0.0
        if found[side] < 0:
            continue
        gap = width * (close[side] - (origin[side] + found[side] + 0.5))
        out[BELOW + side] = 1.0 - math.exp(-gap) if side == LONG else math.exp(gap) - 1.0
        out[BELOW_MASS + side] = held[side, WHOLE, found[side]] / whole


@njit(cache=True)
def _follow(
    path: Floats,
    mass: Floats,
    tick: Ints,
    offset: Floats,
    weight: Floats,
    origin: Ints,
    size: int,
    width: float,
    fade: float,
    kept: int,
    top_share: float,
    min_candles: int,
) -> Floats:
    out = np.full((len(mass), 4), np.nan)
    held = np.zeros((2, 2, size))
    span = np.empty((2, 2, 2), np.int64)
    span[:, :, 0], span[:, :, 1] = size, -1
    ring = np.empty((2, kept, size))
    ring_span = np.zeros((2, kept, 2), np.int64)
    # No block that is asked for.
    ring_id = np.full(kept, -(2**62))
    ring_traded = np.zeros(kept, np.int64)
    lowest = np.full(2, size)
    guess = np.zeros(2)
    older = traded = 0
    last = tick[0] // BLOCK
    for t in range(len(mass)):
        block = tick[t] // BLOCK
        if block != last:
            ring_id[last % kept] = last
            ring_traded[last % kept] = traded
            for side in range(2):
                part = held[side], span[side], lowest[side], ring[side], ring_span[side]
                _turn(*part, ring_id, last, block, fade**BLOCK)
            older = traded = 0
            for k in range(kept):
                older += ring_traded[k] if ring_id[k] >= block - kept else 0
            lowest[:] = size
            last = block
        traded += mass[t] > 0
        # The map grows instead of decaying: only proportions matter.
        grown = mass[t] * fade ** -float(tick[t] - block * BLOCK) * weight
        for side in range(2):
            low, high = path[side, 0, t], path[side, 1, t]
            cut = _trade(held[side], span[side], low, high, offset[side], grown, origin[side])
            lowest[side] = min(lowest[side], cut)
        if older + traded >= min_candles:
            _answer(out[t], path[:, 2, t], width, held, span, origin, top_share, guess)
    return out


def follow_map(
    price: Floats,
    mass: Floats,
    tick: Ints,
    offset: Floats,
    weight: Floats,
    width: float,
    half_life: float,
    kept: int,
    top_share: float,
    min_candles: int,
) -> Floats:
    """Follow the map candle by candle; lag 0.

    Parameters
    ----------
    price : ndarray of shape (3, n_candles), float64
        Low, high, close in the quote currency.
    mass : ndarray of shape (n_candles,), float64
        Volume of the positions opened per side.
    tick : ndarray of shape (n_candles,), int64
        Number of the candle since the epoch.
    offset : ndarray of shape (2, n_leverages), float64
        Log distance from the price of opening to that of liquidation, positive; long and short.
    weight : ndarray of shape (n_leverages,), float64
    width : float
        Width of a bin in log price.
    half_life : float
        Candles after which half of a contribution is left.
    kept : int
        Blocks kept beside the current one.
    top_share : float
        Share of the non-empty bins that count.
    min_candles : int
        Candles that opened positions, in the kept blocks, for the map to be known.

    Returns
    -------
    ndarray of shape (4, n_candles), float64
        ``BELOW``, ``ABOVE``: distance as a fraction of the close, NaN where no cluster counts;
        ``BELOW_MASS``, ``ABOVE_MASS``: its share of the map, 0 where none counts, NaN where the
        map is not known.
    """
    if price.shape[1] == 0:
        return np.empty((4, 0))
    low, high, close = np.log(price) / width
    # The short side is the long side of the mirror image.
    path = np.array([[low, high, close], [-high, -low, -close]])
    down = -offset / width
    origin = np.floor(path[:, 0].min(axis=1) + down.min(axis=1)).astype(np.int64)
    top = np.floor(path[:, 1].max(axis=1) + down.max(axis=1)).astype(np.int64)
    rows = _follow(
        path,
        mass,
        tick,
        down,
        weight,
        origin,
        int((top - origin).max()) + 1,
        width,
        0.5 ** (1.0 / half_life),
        kept,
        top_share,
        min_candles,
    )
    return np.ascontiguousarray(rows.T)
