"""Marks: prices that are drawn rather than touched, and how they join the zones they lie at."""

from __future__ import annotations

import math
from typing import NamedTuple

from numba import njit

from quorum.features.level_zones import (
    HIGH,
    LOW,
    NEARBY,
    NEWEST,
    PRICE,
    TOUCHES,
    VOLUME,
    copy_row,
)
from quorum.typing import Floats

#: Row of a touch that never happened: what is only drawn is not recent.
NEVER = -(2.0**40)
#: Round numbers drawn: two small ones and a big one on each side of the close.
ROUNDS = 6


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


@njit(cache=True)
def _grid(atr: float, spacing: float) -> tuple[float, float]:
    """Return the narrowest step 1, 2 or 5 x 10^k not under ``spacing`` ATR, as a quotient.

    A quotient of whole numbers, so that multiples of 0.1 are the decimals themselves.
    """
    wanted = spacing * atr
    exponent = math.floor(math.log10(wanted))
    power = 10.0 ** abs(exponent)
    over, under = (power, 1.0) if exponent >= 0 else (1.0, power)
    for factor in (1.0, 2.0, 5.0):
        if factor * over / under >= wanted:
            return factor * over, under
    return 10.0 * over, under


@njit(cache=True, inline="always")
def _zone_at(prices: Floats, count: int, price: float, width: float) -> int:
    """Return which of the sorted prices is nearest to a price, -1 if none is within ``width``."""
    above = 0
    # Counting them all, up to a fixed end, has no branch to mispredict: faster than a bisection.
    for i in range(2 * NEARBY):
        above += 1 if prices[i] < price else 0
    best = above
    if above == count or (above > 0 and price - prices[above - 1] < prices[above] - price):
        best = above - 1
    return best if best >= 0 and abs(prices[best] - price) <= width else -1


@njit(cache=True, inline="always")
def place_mark(
    price: float,
    touches: float,
    newest: float,
    volume: float,
    width: float,
    near: Floats,
    prices: Floats,
    count: int,
    lone: Floats,
    queued: int,
) -> int:
    """Let a mark join the zone it lies at, else queue it by price; return how many are queued."""
    zone = _zone_at(prices, count, price, width)
    if zone >= 0:
        _absorb(near, zone, price, price, touches, newest, volume)
        return queued
    at = queued
    while at > 0 and lone[at - 1, PRICE] > price:
        copy_row(lone, at, lone, at - 1)
        at -= 1
    lone[at, PRICE] = price
    lone[at, LOW] = price
    lone[at, HIGH] = price
    lone[at, TOUCHES] = touches
    lone[at, NEWEST] = newest
    lone[at, VOLUME] = volume
    return queued + 1


@njit(cache=True)
def _absorb(
    zones: Floats, i: int, low: float, high: float, touches: float, newest: float, volume: float
) -> None:
    """Add a mark to a zone; the zone stays where it is."""
    zones[i, LOW] = min(zones[i, LOW], low)
    zones[i, HIGH] = max(zones[i, HIGH], high)
    zones[i, TOUCHES] += touches
    zones[i, NEWEST] = max(zones[i, NEWEST], newest)
    zones[i, VOLUME] = max(zones[i, VOLUME], volume)


@njit(cache=True)
def round_numbers(close: float, atr: float, spacing: float, out: Floats) -> None:
    """Fill ``out`` with the round numbers around the close, NaN for none.

    The first ``ROUNDS - 2`` places are for small ones, the last two for the nearest big one on
    each side, however far away (every tenth is big, zero is none).
    """
    over, under = _grid(atr, spacing)
    steps = math.floor(close * under / over)
    tens = math.floor(steps / 10.0)
    for i in range(ROUNDS - 2):
        k = steps - (ROUNDS - 2) // 2 + 1 + i
        plain = k > 0 and k != 10 * tens and k != 10 * tens + 10
        out[i] = k * over / under if plain else math.nan
    out[ROUNDS - 2] = 10 * tens * over / under if tens > 0 else math.nan
    out[ROUNDS - 1] = (10 * tens + 10) * over / under


@njit(cache=True)
def merge_marks(lone: Floats, first: int, stop: int, step: int, width: float) -> int:
    """Merge queued marks outward from the close, in place, each group at its heaviest mark.

    Rows ``first`` to ``stop`` (exclusive, by ``step``) become ``first``, ``first + step``, ...;
    returns the row after the last group.
    """
    end = first
    heaviest = 0.0
    anchor = 0.0
    i = first
    while i != stop:
        touches = lone[i, TOUCHES]
        price = lone[i, PRICE]
        if end != first and abs(price - anchor) <= width:
            at = end - step
            _absorb(lone, at, price, price, touches, lone[i, NEWEST], lone[i, VOLUME])
            if touches > heaviest:
                heaviest = touches
                lone[at, PRICE] = price
        else:
            anchor = price
            heaviest = touches
            copy_row(lone, end, lone, i)
            end += step
        i += step
    return end
