"""Order blocks and breaker blocks: where the move that broke structure started.

A bullish order block is the last falling candle before a displacement (a candle with a large
body) whose leg closes above the last confirmed swing high. It is *fresh* until price comes back
to it, *tapped* from then on, and *failed* once a candle closes below it: then it is a bearish
breaker block, resistance from below, until a candle closes above it. The bearish side is the
mirror image.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numba import njit

from quorum.features.mirror import LONG, SHORT, Prices, edges, prices_of, swings_of
from quorum.features.swings import HIGH, Swings
from quorum.features.table import Features
from quorum.market import Market
from quorum.typing import Floats, Ints

EMPTY, FRESH, TAPPED, FAILED = 0, 1, 2, 3
#: Rows of the kernel's output.
TOP, BOTTOM, COUNT, TAP, BREAKER = range(5)


class OrderBlockConstants(NamedTuple):
    """What makes an order block, and how long it counts."""

    displacement: float = 1.0  # body of the candle that displaces price [ATR]
    search: int = 20  # longest leg from the block to the break [candles]
    max_age: int = 300  # life of a block, and again of its breaker [candles]
    slots: int = 8  # latest blocks followed per side [blocks]
    near: float = 5.0  # distance within which fresh blocks are counted [ATR]


@njit(cache=True)
def _block_candle(prices: Prices, t: int, start: int, body: float) -> int:
    """Last falling candle before the largest rising one of the leg that closes at ``t``."""
    lowest = t
    for j in range(start, t):
        if prices.low[j] < prices.low[lowest]:
            lowest = j
    largest = body
    push = -1
    for j in range(lowest, t + 1):
        if prices.close[j] - prices.open[j] >= largest:
            largest = prices.close[j] - prices.open[j]
            push = j
    for j in range(push - 1, start - 1, -1):
        if prices.close[j] < prices.open[j]:
            return j
    return -1


@njit(cache=True)
def _follow(
    high: float, low: float, close: float, t: int, max_age: int,
    top: Floats, bottom: Floats, born: Ints, state: Ints,
) -> tuple[bool, bool]:  # fmt: skip
    """Move every block on by one candle; tell whether one was tapped, or a breaker reached."""
    tapped = False
    reached = False
    for k in range(len(state)):
        if state[k] != EMPTY and t - born[k] > max_age:
            state[k] = EMPTY
        elif state[k] == FAILED:
            if close > top[k]:
                state[k] = EMPTY
            elif high >= bottom[k]:
                reached = True
        elif state[k] != EMPTY:
            if close < bottom[k]:
                state[k] = FAILED
                born[k] = t
            elif low <= top[k]:
                tapped = tapped or state[k] == FRESH
                state[k] = TAPPED
    return tapped, reached


@njit(cache=True)
def _order_blocks(
    prices: Prices, atr: Floats, swings: Swings,
    displacement: float, search: int, max_age: int, slots: int, near: float,
) -> Floats:  # fmt: skip
    """Nearest fresh bullish block, the count of them, and whether one was met, per candle."""
    high, low, close = prices.high, prices.low, prices.close
    n = len(close)
    out = np.zeros((5, n))
    out[:2] = np.nan
    top, bottom = np.zeros(slots), np.zeros(slots)
    born, state = np.zeros(slots, np.int64), np.zeros(slots, np.int64)
    oldest = 0
    seen = -1
    swing = -1
    for t in range(n):
        tapped, reached = _follow(high[t], low[t], close[t], t, max_age, top, bottom, born, state)
        out[TAP, t] = tapped
        out[BREAKER, t] = reached
        while seen < swings.event[t]:
            seen += 1
            if swings.kind[seen] == HIGH:
                swing = seen
        if swing >= 0 and t - swings.row[swing] <= max_age and close[t] > swings.price[swing]:
            start = max(swings.row[swing], t - search, 0)
            j = _block_candle(prices, t, start, displacement * atr[t])
            swing = -1
            if j >= 0 and close[t] > high[j]:
                top[oldest], bottom[oldest] = high[j], low[j]
                born[oldest], state[oldest] = t, FRESH
                oldest = (oldest + 1) % slots
        for k in range(slots):
            if state[k] == FRESH:
                if not out[TOP, t] >= top[k]:
                    out[TOP, t] = top[k]
                    out[BOTTOM, t] = bottom[k]
                if close[t] - top[k] <= near * atr[t]:
                    out[COUNT, t] += 1
    return out


def add_order_blocks(market: Market, out: Features, constants: OrderBlockConstants) -> None:
    """Add order and breaker blocks (spec H5, H8), for ``bull`` and ``bear``.

    Columns: ``bull_ob_top``, ``bull_ob_bottom`` (nearest fresh block, price, NaN if none),
    ``bull_ob_distance`` (from its near edge to the close, ATR), ``bull_ob_count`` (fresh blocks
    near price), ``bull_ob_tap`` (1 where the candle came back to a fresh block and did not close
    through it) and ``bull_breaker`` (1 where it met a live breaker block and did not close
    through it). A block is known at the close that breaks the swing; the swing has the lag of
    ``swings``.
    """
    swings = out.swings["base"]
    close = market.candles.close
    # Unknown where the market stands still: nothing is displaced then.
    atr = out["atr_unit"]
    breakers: dict[str, Floats] = {}
    for name, opposite, side in (("bull", "bear", LONG), ("bear", "bull", SHORT)):
        found = _order_blocks(
            prices_of(market.candles, side), atr, swings_of(swings, side), constants.displacement,
            constants.search, constants.max_age, constants.slots, constants.near,
        )  # fmt: skip
        top, bottom = edges(found[TOP], found[BOTTOM], side)
        near_edge = top if side == LONG else bottom
        out.add(f"{name}_ob_top", top, lag=swings.right, scale_free=False)
        out.add(f"{name}_ob_bottom", bottom, lag=swings.right, scale_free=False)
        out.add(f"{name}_ob_distance", side * (close - near_edge) / atr, lag=swings.right)
        out.add(f"{name}_ob_count", found[COUNT], lag=swings.right)
        out.add(f"{name}_ob_tap", found[TAP], lag=swings.right)
        # A failed bullish block stands in the way of price from below: a bearish breaker.
        breakers[opposite] = found[BREAKER]
    out.add("bull_breaker", breakers["bull"], lag=swings.right)
    out.add("bear_breaker", breakers["bear"], lag=swings.right)
