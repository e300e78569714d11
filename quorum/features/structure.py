"""Market structure: breaks of confirmed swings, the trend they leave, and the dealing range.

A *break of structure* (BOS) is the first close beyond the last confirmed swing in the direction
of the trend, a *change of character* (CHoCH) the first close beyond it against the trend; the
trend of a timeframe is the direction of its last break. Which swings stand is read from the
alternating sequence as known at the candle, so nothing is redrawn later. Every state forgets:
a level or a break that is older than its limit counts no more, so that a live bot with a short
history and a backtest with a long one see the same.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numba import njit

from quorum.candles import Candles, timeframe_ms
from quorum.features.mirror import LONG, prices_of
from quorum.features.series import ratio
from quorum.features.swings import Swings
from quorum.features.table import Features
from quorum.market import Market
from quorum.typing import Floats

#: Timeframes the columns exist for; the columns of an absent one are NaN.
STRUCTURE_TIMEFRAMES = ("base", "4h", "1d", "1w")
#: What the kernels give, in their order: breaks are known at once, ranges with their swings.
BREAK_COLUMNS = ("structure_trend", "bos", "choch", "break_age", "break_kind")
#: Kinds of a break: of structure, with the trend; of character, against it.
BREAK, CHANGE = 1, 2
RANGE_COLUMNS = ("dealing_range_high", "dealing_range_low")
COLUMNS = (*BREAK_COLUMNS, *RANGE_COLUMNS)


class StructureConstants(NamedTuple):
    """How long structure is remembered."""

    level_age: int = 250  # oldest swing that can still be broken [candles]
    trend_age: int = 250  # after this long without a break there is no trend [candles]
    weekly_level_age: int = 52  # the same on 1w, where a live bot has 200 candles [candles]
    weekly_trend_age: int = 52  # the same on 1w [candles]


def range_suffix(timeframe: str, chosen: str = "next") -> str:
    """Return what the range columns of a timeframe end on.

    Parameters
    ----------
    timeframe : str
        The base timeframe.
    chosen : str, default "next"
        ``"next"`` for the next longer timeframe, or one of ``STRUCTURE_TIMEFRAMES``; one that is
        not longer than the base timeframe is the base timeframe.
    """
    base = timeframe_ms(timeframe)
    longer = [name for name in STRUCTURE_TIMEFRAMES[1:] if timeframe_ms(name) > base]
    if chosen == "next":
        return f"_{longer[0]}"
    return f"_{chosen}" if chosen in longer else ""


@njit(cache=True)
def _breaks(
    close: Floats, swings: Swings, level_age: int, trend_age: int
) -> tuple[Floats, Floats, Floats, Floats, Floats]:
    """Trend (+1, 0, -1), BOS and CHoCH (+1 / -1 where they happen), age and kind of the last."""
    n = len(close)
    trends = np.full(n, np.nan)
    bos = np.zeros(n)
    choch = np.zeros(n)
    ages = np.full(n, np.nan)
    kinds = np.full(n, np.nan)
    kind = 0
    broken = np.full(2, -1, np.int64)
    trend = 0
    broke_at = 0
    for t in range(n):
        if trend != 0 and t - broke_at > trend_age:
            trend = 0
        e = swings.event[t]
        if e >= 0 and swings.chain[e, 1] >= 0:
            # The two newest swings of the sequence are its last high and its last low.
            for j in range(2):
                swing = swings.chain[e, j]
                side = swings.kind[swing]
                slot = (side + 1) // 2
                fresh = swing != broken[slot] and t - swings.row[swing] <= level_age
                if fresh and side * (close[t] - swings.price[swing]) > 0:
                    broken[slot] = swing
                    if trend == -side:
                        choch[t] = side
                        kind = CHANGE
                    else:
                        bos[t] = side
                        kind = BREAK
                    trend = side
                    broke_at = t
            trends[t] = trend
        if trend != 0:
            ages[t] = t - broke_at
            kinds[t] = kind
    return trends, bos, choch, ages, kinds


@njit(cache=True)
def _dealing_range(swings: Swings, level_age: int) -> tuple[Floats, Floats]:
    """High and low of the range between the newest swings, per candle (price)."""
    n = len(swings.event)
    high = np.full(n, np.nan)
    low = np.full(n, np.nan)
    price = swings.price
    for t in range(n):
        e = swings.event[t]
        if e < 0 or swings.chain[e, 1] < 0:
            continue
        newest = swings.chain[e, 0]
        # After a run without a pivot the last swing on the other side can lie on the wrong side
        # of the newest one: the range then ends at the last older swing that does not.
        for j in range(1, swings.chain.shape[1], 2):
            other = swings.chain[e, j]
            if other < 0 or t - swings.row[other] > level_age:
                break
            if swings.kind[newest] * (price[newest] - price[other]) > 0:
                high[t] = max(price[newest], price[other])
                low[t] = min(price[newest], price[other])
                break
    return high, low


def _columns_of(
    candles: Candles, swings: Swings, constants: StructureConstants
) -> dict[str, Floats]:
    """Return the columns of one timeframe on its own candles."""
    weekly = candles.timeframe == "1w"
    level_age = constants.weekly_level_age if weekly else constants.level_age
    trend_age = constants.weekly_trend_age if weekly else constants.trend_age
    close = prices_of(candles, LONG).close
    columns = (*_breaks(close, swings, level_age, trend_age), *_dealing_range(swings, level_age))
    return dict(zip(COLUMNS, columns, strict=True))


def position_in_range(close: Floats, low: Floats, high: Floats) -> Floats:
    """Return where the close stands in a range: 0 at or under its low, 1 at or over its high."""
    return np.clip(ratio(close - low, high - low), 0.0, 1.0)


def add_structure(market: Market, out: Features, constants: StructureConstants) -> None:
    """Add market structure per timeframe (``<tf>``: base, 4h, 1d, 1w).

    Columns: ``structure_trend_<tf>`` (+1 / -1 by the last break, 0 without a recent one),
    ``bos_<tf>``, ``choch_<tf>`` (+1 / -1 at the candle that closed beyond the swing, else 0; a
    higher timeframe's stays until its next candle closes), ``break_age_<tf>`` (candles of the
    timeframe since the break), ``break_kind_<tf>`` (``BREAK`` or ``CHANGE``),
    ``dealing_range_high_<tf>``, ``dealing_range_low_<tf>`` (prices) and ``range_position_<tf>``
    (0-1: the *base* close in that range, spec Z1). The base timeframe's range goes without
    suffix: ``range_position``, ``dealing_range_high``, ``dealing_range_low``.

    A break is known at the close that makes it (lag 0), but the swing it breaks only ``right``
    candles after its pivot; the range's lag is that of the swings. Values of a higher timeframe
    are seen once its candle has closed.
    """
    for timeframe in STRUCTURE_TIMEFRAMES:
        swings, higher = out.swings.get(timeframe), market.higher.get(timeframe)
        if swings is None:
            columns = {name: np.full(len(market), np.nan) for name in COLUMNS}
        elif higher is None:
            columns = _columns_of(market.candles, swings, constants)
        else:
            own = _columns_of(higher.candles, swings, constants)
            columns = {name: higher.align(values) for name, values in own.items()}
        lag = swings.right if swings is not None else 0
        for name in BREAK_COLUMNS:
            out.add(f"{name}_{timeframe}", columns[name])
        suffix = "" if timeframe == "base" else f"_{timeframe}"
        for name in RANGE_COLUMNS:
            out.add(f"{name}{suffix}", columns[name], lag=lag, scale_free=False)
        high, low = (columns[name] for name in RANGE_COLUMNS)
        position = position_in_range(market.candles.close, low, high)
        out.add(f"range_position{suffix}", position, lag=lag)
