"""Liquidity: where stops rest, when they are run, and where price stands in the last impulse.

Stops rest beyond confirmed swings, equal lows and highs, and the last day's and week's extremes.
A *sweep* is a wick through such a level by a candle that closes back inside; each level is taken
once, whether swept or broken. The *optimal trade entry* is a deep retracement of the last
confirmed impulse leg. A *Judas swing* is a run on the range before a session in its opening
window that turns back through the session's open.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numba import njit

from quorum.features.judas import JudasConstants, add_judas
from quorum.features.mirror import LONG, SHORT, Prices, prices_of, swings_of
from quorum.features.series import changed, last_row, shifted
from quorum.features.swings import LOW, Swings
from quorum.features.table import Features
from quorum.market import Market
from quorum.typing import Bools, Floats

#: Rows of the sweep kernel's output.
POOL, LEVEL = range(2)
#: Rows of the impulse kernel's output.
DIRECTION, ORIGIN, END = range(3)


class SweepConstants(NamedTuple):
    """What counts as a pool of stops, and as a run on it."""

    levels: int = 12  # latest swings watched per side [swings]
    max_age: int = 300  # life of a level [candles]
    equal: float = 0.15  # distance of equal lows or highs to each other [ATR]
    min_depth: float = 0.05  # smallest wick through [ATR]
    day_pool: float = 2.0  # weight of the prior day's extreme [swings]
    week_pool: float = 3.0  # weight of the prior week's extreme [swings]
    volume_spike: float = 1.5  # volume of a spike [mean volume]


class ImpulseConstants(NamedTuple):
    """What makes a leg between two confirmed swings an impulse, and its entry zone."""

    min_size: float = 3.0  # smallest impulse leg [ATR]
    max_age: int = 150  # life of an impulse leg [candles]
    entry_from: float = 0.62  # optimal entry, shallow end [fraction]
    entry_to: float = 0.79  # optimal entry, deep end [fraction]


class LiquidityConstants(NamedTuple):
    """Sweeps, impulse legs and Judas swings."""

    sweep: SweepConstants = SweepConstants()
    impulse: ImpulseConstants = ImpulseConstants()
    judas: JudasConstants = JudasConstants()


@njit(cache=True)
def _sweeps(
    low: Floats, close: Floats, atr: Floats, swings: Swings,
    levels: int, max_age: int, equal: float, min_depth: float,
) -> Floats:  # fmt: skip
    """Runs on swing lows: swings in the pool taken, and the outermost of them (price)."""
    n = len(close)
    out = np.zeros((2, n))
    out[LEVEL] = np.nan
    level = np.full(levels, np.nan)
    born = np.zeros(levels, np.int64)
    oldest = 0
    seen = -1
    for t in range(n):
        outermost = np.nan
        for k in range(levels):
            if t - born[k] > max_age:
                level[k] = np.nan
            deep_enough = level[k] - low[t] >= min_depth * atr[t]
            if deep_enough and close[t] > level[k] and not outermost <= level[k]:
                outermost = level[k]
        if not np.isnan(outermost):
            out[LEVEL, t] = outermost
            for k in range(levels):
                if level[k] - outermost <= equal * atr[t]:
                    out[POOL, t] += level[k] >= outermost
        for k in range(levels):
            if level[k] - low[t] >= min_depth * atr[t] or close[t] < level[k]:
                level[k] = np.nan
        while seen < swings.event[t]:
            seen += 1
            if swings.kind[seen] == LOW:
                level[oldest] = swings.price[seen]
                born[oldest] = swings.row[seen]
                oldest = (oldest + 1) % levels
    return out


def _sweep_of(prices: Prices, atr: Floats, level: Floats, constants: SweepConstants) -> Bools:
    """Whether each candle sweeps the level given for it.

    The level must have been left alone for ``max_age`` candles since it was set, as far back as
    that: a bounded memory instead of a flag that would depend on where the history starts.
    """
    rows = np.arange(len(level))
    since = rows - last_row(changed(level))
    deep_enough = (level - prices.low) / atr >= constants.min_depth
    taken_before = np.append(-1, last_row(deep_enough | (prices.close < level)))[:-1]
    untouched = rows - taken_before > np.minimum(since, constants.max_age)
    swept: Bools = (prices.close > level) & deep_enough & untouched
    return swept


def _prior(market: Market, timeframe: str, side: int) -> Floats:
    """Low (``SHORT``: reflected high) of the last period closed before each candle opened."""
    higher = market.higher.get(timeframe)
    aligned = np.full(len(market), np.nan)
    if higher is not None:
        aligned = higher.align(prices_of(higher.candles, side).low)
    # What closed together with the candle was no level yet while it traded.
    return shifted(aligned, 1)


def _add_sweeps(market: Market, out: Features, constants: SweepConstants) -> None:
    """Add the sweeps of both sides, in columns named after the level that is run."""
    swings = out.swings["base"]
    # Unknown where the market stands still: no wick has a depth then.
    atr = out["atr_unit"]
    for name, side in (("low", LONG), ("high", SHORT)):
        prices = prices_of(market.candles, side)
        pool, outermost = _sweeps(
            prices.low, prices.close, atr, swings_of(swings, side),
            constants.levels, constants.max_age, constants.equal, constants.min_depth,
        )  # fmt: skip
        for timeframe, period, weight in (
            ("1d", "day", constants.day_pool),
            ("1w", "week", constants.week_pool),
        ):
            level = _prior(market, timeframe, side)
            swept = _sweep_of(prices, atr, level, constants)
            pool = pool + weight * swept
            outermost = np.where(swept, np.fmin(outermost, level), outermost)
            out.add(f"prior_{period}_{name}", side * level, scale_free=False)
        depth = np.where(np.isnan(outermost), 0.0, (outermost - prices.low) / atr)
        out.add(f"sweep_{name}", depth, lag=swings.right)
        out.add(f"sweep_{name}_pool", pool, lag=swings.right)
        out.add(f"sweep_{name}_level", side * outermost, lag=swings.right, scale_free=False)
    spike = out["volume_ratio"] >= constants.volume_spike
    out.add("volume_spike", np.where(np.isnan(out["volume_ratio"]), np.nan, spike))


@njit(cache=True)
def _impulses(close: Floats, atr: Floats, swings: Swings, min_size: float, max_age: int) -> Floats:
    """Last impulse leg per candle: direction, origin and end price; void once origin is lost."""
    event, row, price, chain = swings.event, swings.row, swings.price, swings.chain
    n = len(close)
    out = np.full((3, n), np.nan)
    out[DIRECTION] = 0.0
    origin = -1
    end = -1
    void = False
    last = -1
    for t in range(n):
        if event[t] >= 0 and event[t] != last:
            last = event[t]
            # The newest leg that broke the swing before it; if that was none, the one before.
            for leg in range(2):
                a, b, c = chain[last, leg], chain[last, leg + 1], chain[last, leg + 2]
                if c < 0:
                    break
                size = price[a] - price[b]
                broke = size * (price[a] - price[c]) > 0
                if broke and abs(size) >= min_size * atr[row[a]]:
                    if a != end or b != origin:
                        origin, end, void = b, a, False
                        for j in range(max(row[a], t - max_age), t):
                            void = void or (close[j] - price[b]) * size < 0
                    break
        if end < 0 or t - row[end] > max_age:
            continue
        side = 1.0 if price[end] > price[origin] else -1.0
        void = void or side * (close[t] - price[origin]) < 0
        if not void:
            out[DIRECTION, t] = side
            out[ORIGIN, t] = price[origin]
            out[END, t] = price[end]
    return out


def _add_impulse(market: Market, out: Features, constants: ImpulseConstants) -> None:
    """Add the last impulse leg, where price stands in it, and entries into its deep part."""
    swings, candles = out.swings["base"], market.candles
    atr, close = out["atr_unit"], prices_of(candles, LONG).close
    direction, origin, end = _impulses(close, atr, swings, constants.min_size, constants.max_age)
    size = end - origin
    long = direction > 0
    # How deep the wick came, and where the close stands: 0 at the leg's end, 1 at its origin.
    deepest = (end - np.where(long, candles.low, candles.high)) / size
    retracement = (end - close) / size
    reached = (deepest >= constants.entry_from) & (retracement <= constants.entry_to)
    entry = np.where(reached & (retracement > 0), direction, 0.0)
    out.add("impulse", direction, lag=swings.right)
    out.add("impulse_size", np.abs(size) / atr, lag=swings.right)
    out.add("impulse_origin", origin, lag=swings.right, scale_free=False)
    out.add("retracement", retracement, lag=swings.right)
    out.add("retracement_deepest", deepest, lag=swings.right)
    out.add("premium", np.where(long, 1.0 - retracement, retracement), lag=swings.right)
    out.add("optimal_entry", entry, lag=swings.right)


def add_liquidity(market: Market, out: Features, constants: LiquidityConstants) -> None:
    """Add sweeps, the last impulse leg and Judas swings (spec H5).

    Columns: ``sweep_low`` / ``sweep_high`` (depth of the wick through the outermost level taken,
    ATR, 0 where none), ``sweep_low_pool`` (swings at the level; the prior day's and week's extreme
    count more), ``sweep_low_level`` (price), ``prior_day_low``, ``prior_week_low`` and their highs
    (price, UTC days and weeks), ``volume_spike`` (0/1); ``impulse`` (+1/-1 direction of the last
    confirmed impulse leg, 0 none), ``impulse_size`` (ATR), ``impulse_origin`` (price),
    ``retracement`` (of the close: 0 at the leg's end, 1 at its origin), ``retracement_deepest``
    (of the wick), ``premium`` (of the close: 0 at the leg's low, 1 at its high), ``optimal_entry``
    (+1/-1 where the wick reached the entry zone and the close held it); ``judas_long``,
    ``judas_short`` (see :mod:`quorum.features.judas`). Lag of swing levels: that of ``swings``.
    """
    _add_sweeps(market, out, constants.sweep)
    _add_impulse(market, out, constants.impulse)
    add_judas(market, out, constants.judas)
