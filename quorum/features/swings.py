"""Confirmed swings: pivots counted when they are known, not when they are drawn.

A pivot high is a candle whose high is above the ``left`` highs before it and not below the
``right`` highs after it; it is *confirmed* at the close of the ``right``-th candle after it.
The list of pivots only ever grows. What can change as candles arrive is which of them form the
alternating sequence high - low - high ...: of two highs in a row the more extreme one stands.
Therefore every confirmation stores its own snapshot of that sequence (``chain``), and a reader
at candle *t* takes the snapshot of the last confirmation at or before *t*.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numba import njit

from quorum.typing import Bools, Floats, Ints

if TYPE_CHECKING:
    from quorum.candles import Candles
    from quorum.features.table import Features
    from quorum.market import Market

#: Swings of the alternating sequence kept per snapshot, newest first.
CHAIN = 12
HIGH, LOW = 1, -1


class SwingConstants(NamedTuple):
    """How far a pivot must stand out."""

    left: int = 5  # candles before a pivot it must exceed [candles]
    right: int = 5  # candles after it, the lag [candles]
    higher_left: int = 3  # the same on 4h, 1d, 1w [candles]
    higher_right: int = 3  # the same on 4h, 1d, 1w [candles]
    near_count: int = 12  # recent swings searched for the nearest one [swings]


class Swings(NamedTuple):
    """Confirmed pivots of one timeframe in the order of their confirmation.

    Kernels take it as it is.

    Attributes
    ----------
    row, confirmed : ndarray of shape (n_pivots,), int64
        Row of the pivot candle, and row of the candle whose close confirmed it.
    price : ndarray of shape (n_pivots,), float64
        The pivot's high or low.
    kind : ndarray of shape (n_pivots,), int64
        ``HIGH`` (+1) or ``LOW`` (-1).
    chain : ndarray of shape (n_pivots, CHAIN), int64
        Per confirmation the alternating sequence as then known: pivot numbers, newest first,
        -1 where there are no more.
    event : ndarray of shape (n_candles,), int64
        Number of the last pivot confirmed at or before each candle, -1 where none.
    right : int
        The confirmation lag in candles of this timeframe.
    """

    row: Ints
    confirmed: Ints
    price: Floats
    kind: Ints
    chain: Ints
    event: Ints
    right: int

    def known_at(self, rows: Ints) -> Ints:
        """Return the last pivot confirmed by each of ``rows`` (candles; -1 for none yet)."""
        if not len(self.event):
            return np.full(len(rows), -1, dtype=np.int64)
        return np.where(rows >= 0, self.event[np.maximum(rows, 0)], -1)

    def at_least(self, count: int) -> Bools:
        """Whether the alternating sequence has ``count`` swings, per candle."""
        if not len(self.chain):
            return np.zeros(len(self.event), dtype=np.bool_)
        oldest = self.chain[np.maximum(self.event, 0), count - 1]
        known: Bools = (self.event >= 0) & (oldest >= 0)
        return known


@njit(cache=True)
def _pivots(
    high: Floats, low: Floats, rising: Bools, left: int, right: int
) -> tuple[Ints, Ints, Ints]:
    """Row and kind of each pivot, and per candle the last one confirmed by then (-1 none)."""
    n = len(high)
    index = np.empty(2 * n, np.int64)
    kind = np.empty(2 * n, np.int64)
    event = np.full(n, -1, np.int64)
    m = 0
    for t in range(left + right, n):
        p = t - right
        is_high = True
        is_low = True
        for j in range(p - left, p):
            if high[j] >= high[p]:
                is_high = False
            if low[j] <= low[p]:
                is_low = False
        if is_high or is_low:
            for j in range(p + 1, t + 1):
                if high[j] > high[p]:
                    is_high = False
                if low[j] < low[p]:
                    is_low = False
        # A candle that is both: a rising one was low first, a falling one high first.
        for turn in range(2):
            high_now = (turn == 1) == rising[p]
            if is_high if high_now else is_low:
                index[m] = p
                kind[m] = 1 if high_now else -1
                m += 1
        event[t] = m - 1
    return index[:m].copy(), kind[:m].copy(), event


@njit(cache=True)
def _chains(price: Floats, kind: Ints, depth: int) -> Ints:
    """Alternating sequence after each confirmation, newest first; see :class:`Swings`."""
    m = len(price)
    chain = np.full((m, depth), -1, np.int64)
    for e in range(m):
        if e == 0:
            chain[0, 0] = 0
            continue
        top = chain[e - 1, 0]
        turned = 1 if kind[top] != kind[e] else 0
        for j in range(turned, depth):
            chain[e, j] = chain[e - 1, j - turned]
        if turned or kind[e] * (price[e] - price[top]) >= 0:
            chain[e, 0] = e
    return chain


def find_swings(candles: Candles, left: int, right: int) -> Swings:
    """Find the confirmed pivots of ``candles``; confirmation lag ``right`` candles."""
    row, kind, event = _pivots(candles.high, candles.low, candles.close > candles.open, left, right)
    price = np.where(kind == HIGH, candles.high[row], candles.low[row])
    return Swings(
        row=row,
        confirmed=row + right,
        price=price,
        kind=kind,
        chain=_chains(price, kind, CHAIN),
        event=event,
        right=right,
    )


@njit(cache=True)
def _last_of_kind(swings: Swings, wanted: int) -> tuple[Floats, Floats]:
    """Price of the last confirmed pivot of a kind, and candles since it, per candle."""
    n = len(swings.event)
    prices = np.full(n, np.nan)
    ages = np.full(n, np.nan)
    last = -1
    seen = -1
    for t in range(n):
        while seen < swings.event[t]:
            seen += 1
            if swings.kind[seen] == wanted:
                last = seen
        if last >= 0:
            prices[t] = swings.price[last]
            ages[t] = t - swings.row[last]
    return prices, ages


@njit(cache=True)
def _nearest(close: Floats, swings: Swings, wanted: int, count: int) -> Floats:
    """Nearest of the last ``count`` pivots of a kind that lie beyond each close (price)."""
    n = len(close)
    out = np.full(n, np.nan)
    for t in range(n):
        found = 0
        e = swings.event[t]
        while e >= 0 and found < count:
            if swings.kind[e] == wanted:
                found += 1
                price = swings.price[e]
                beyond = wanted * (price - close[t]) > 0
                if beyond and (np.isnan(out[t]) or wanted * (price - out[t]) < 0):
                    out[t] = price
            e -= 1
    return out


def add_swings(market: Market, out: Features, constants: SwingConstants) -> None:
    """Add the confirmed swings of every timeframe and the base timeframe's swing columns.

    Columns: ``swing_high``, ``swing_low`` (price of the last confirmed one),
    ``swing_high_age``, ``swing_low_age`` (candles since the pivot), ``swing_high_near``,
    ``swing_low_near`` (nearest recent swing above / below the close). Lag: ``right``.
    """
    swings = find_swings(market.candles, constants.left, constants.right)
    out.swings["base"] = swings
    for timeframe, higher in market.higher.items():
        out.swings[timeframe] = find_swings(
            higher.candles, constants.higher_left, constants.higher_right
        )
    for name, kind in (("high", HIGH), ("low", LOW)):
        price, age = _last_of_kind(swings, kind)
        out.add(f"swing_{name}", price, lag=constants.right, scale_free=False)
        out.add(f"swing_{name}_age", age, lag=constants.right)
        near = _nearest(market.candles.close, swings, kind, constants.near_count)
        out.add(f"swing_{name}_near", near, lag=constants.right, scale_free=False)
