"""Fair-value gaps and balanced price ranges: prices that were traded by one side only.

A bullish gap opens at candle *t* when its low stays above the high of candle *t - 2*. It is
followed until price has traded through all of it. A bullish balanced price range is the overlap
of a bullish gap with a bearish one shortly before it: both sides have delivered there. The
bearish side is the mirror image.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numba import njit

from quorum.features.mirror import LONG, SHORT, Prices, edges, prices_of
from quorum.features.table import Features
from quorum.market import Market
from quorum.typing import Floats, Ints

#: Rows of the kernel's output: the nearest gap, the tap of a gap, of a balanced range.
TOP, BOTTOM, FILL, TAP, BALANCED_TOP, BALANCED_BOTTOM, BALANCED_TAP = range(7)


class GapConstants(NamedTuple):
    """What makes a fair-value gap or a balanced price range, and how long it counts."""

    min_size: float = 0.25  # smallest gap [ATR]
    min_balanced: float = 0.1  # smallest balanced range [ATR]
    balanced_span: int = 20  # candles between the two gaps of a balanced range [candles]
    encroachment: float = 0.5  # how far into the gap price must come to tap it [fraction]
    max_age: int = 200  # life of a gap or range [candles]
    slots: int = 8  # latest gaps followed per side [gaps]
    balanced_slots: int = 4  # latest ranges followed [ranges]


@njit(cache=True)
def _fill(
    low: float, close: float, t: int, max_age: int, enough: float,
    top: Floats, bottom: Floats, born: Ints, fill: Floats,
) -> bool:  # fmt: skip
    """Let one candle trade into the zones; tell whether one was tapped. Dead zones: born < 0."""
    tapped = False
    for k in range(len(born)):
        if born[k] < 0:
            continue
        if t - born[k] > max_age:
            born[k] = -1
            continue
        share = (top[k] - low) / (top[k] - bottom[k])
        if share > fill[k]:
            if fill[k] < enough <= share and close >= bottom[k]:
                tapped = True
            fill[k] = min(share, 1.0)
        if fill[k] >= 1.0:
            born[k] = -1
    return tapped


@njit(cache=True)
def _overlap(high: Floats, low: Floats, t: int, span: int, smallest: float) -> tuple[float, float]:
    """Overlap of the bullish gap of candle ``t`` with the latest bearish gap before it."""
    for j in range(t - 1, max(t - span, 2) - 1, -1):
        # The bearish gap of candle j lies between its high and the low two candles before.
        if low[j - 2] > high[j] and low[j - 2] - high[j] >= smallest:
            top = min(low[t], low[j - 2])
            bottom = max(high[t - 2], high[j])
            if top > bottom:
                return top, bottom
    return np.nan, np.nan


@njit(cache=True)
def _gaps(
    prices: Prices, atr: Floats, min_size: float, min_balanced: float,
    span: int, enough: float, max_age: int, slots: int, balanced_slots: int,
) -> Floats:  # fmt: skip
    """Nearest bullish gap and balanced range, and whether one was tapped, per candle."""
    high, low, close = prices.high, prices.low, prices.close
    n = len(close)
    out = np.zeros((7, n))
    out[:3] = np.nan
    out[4:6] = np.nan
    top, bottom, fill = np.zeros(slots), np.zeros(slots), np.zeros(slots)
    born = np.full(slots, -1, np.int64)
    b_top, b_bottom = np.zeros(balanced_slots), np.zeros(balanced_slots)
    b_fill = np.zeros(balanced_slots)
    b_born = np.full(balanced_slots, -1, np.int64)
    oldest = 0
    b_oldest = 0
    for t in range(2, n):
        out[TAP, t] = _fill(low[t], close[t], t, max_age, enough, top, bottom, born, fill)
        out[BALANCED_TAP, t] = _fill(
            low[t], close[t], t, max_age, enough, b_top, b_bottom, b_born, b_fill
        )
        if low[t] - high[t - 2] >= min_size * atr[t] and low[t] > high[t - 2]:
            top[oldest], bottom[oldest] = low[t], high[t - 2]
            fill[oldest], born[oldest] = 0.0, t
            oldest = (oldest + 1) % slots
            upper, lower = _overlap(high, low, t, span, min_size * atr[t])
            if upper - lower >= min_balanced * atr[t]:
                b_top[b_oldest], b_bottom[b_oldest] = upper, lower
                b_fill[b_oldest], b_born[b_oldest] = 0.0, t
                b_oldest = (b_oldest + 1) % balanced_slots
        for k in range(slots):
            if born[k] >= 0 and not out[TOP, t] >= top[k]:
                out[TOP, t], out[BOTTOM, t], out[FILL, t] = top[k], bottom[k], fill[k]
        for k in range(balanced_slots):
            if b_born[k] >= 0 and not out[BALANCED_TOP, t] >= b_top[k]:
                out[BALANCED_TOP, t], out[BALANCED_BOTTOM, t] = b_top[k], b_bottom[k]
    return out


def add_gaps(market: Market, out: Features, constants: GapConstants) -> None:
    """Add fair-value gaps and balanced price ranges (spec H5), for ``bull`` and ``bear``.

    Columns: ``bull_gap_top``, ``bull_gap_bottom`` (nearest gap not yet filled, price, NaN if
    none), ``bull_gap_distance`` (from its near edge to the close, ATR), ``bull_gap_fill``
    (fraction traded back), ``bull_gap_tap`` (1 where the candle first came ``encroachment`` deep
    into a gap and did not close through it), ``bull_bpr_top``, ``bull_bpr_bottom``,
    ``bull_bpr_tap`` (the same for balanced ranges). A gap is known at the close of its third
    candle: lag 1 from the candle that left it.
    """
    close = market.candles.close
    # Unknown where the market stands still: there are no gaps then.
    atr = out["atr_unit"]
    for name, side in (("bull", LONG), ("bear", SHORT)):
        found = _gaps(
            prices_of(market.candles, side), atr, constants.min_size, constants.min_balanced,
            constants.balanced_span, constants.encroachment, constants.max_age, constants.slots,
            constants.balanced_slots,
        )  # fmt: skip
        top, bottom = edges(found[TOP], found[BOTTOM], side)
        near_edge = top if side == LONG else bottom
        out.add(f"{name}_gap_top", top, lag=1, scale_free=False)
        out.add(f"{name}_gap_bottom", bottom, lag=1, scale_free=False)
        out.add(f"{name}_gap_distance", side * (close - near_edge) / atr, lag=1)
        out.add(f"{name}_gap_fill", found[FILL], lag=1)
        out.add(f"{name}_gap_tap", found[TAP], lag=1)
        top, bottom = edges(found[BALANCED_TOP], found[BALANCED_BOTTOM], side)
        out.add(f"{name}_bpr_top", top, lag=1, scale_free=False)
        out.add(f"{name}_bpr_bottom", bottom, lag=1, scale_free=False)
        out.add(f"{name}_bpr_tap", found[BALANCED_TAP], lag=1)
