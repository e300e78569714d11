"""Markets made by hand or at random, candle by candle, and their mirror images."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pandas as pd

from quorum.candles import Candles, timeframe_ms
from quorum.market import Frames, HigherTimeframe, Market, build_market

#: Open, high, low, close.
Candle = tuple[float, float, float, float]
COLUMNS = ("open", "high", "low", "close", "volume")
#: Prices of :func:`random_walk` and of most drawn candles are multiples of 1/64 well below twice
#: this level: reflecting them about it is exact.
LEVEL = 512.0


def market_of(
    rows: Sequence[tuple[float, ...]],
    start: str | pd.Timestamp = "2024-01-15",
    *,
    volume: float | Mapping[int, float] = 1.0,
    daily: bool = False,
) -> Market:
    """Return an hourly market of candles with, as a fifth number, their volume, or without.

    ``volume`` is that of candles without one; a mapping names rows (-1 the last) that differ from
    1. ``daily`` adds the 1d candles.
    """
    frame = pd.DataFrame([row[:4] for row in rows], columns=COLUMNS[:4], dtype=np.float64)
    frame["date"] = pd.date_range(start, periods=len(rows), freq="1h", tz="UTC")
    frame["volume"] = 1.0 if isinstance(volume, Mapping) else volume
    if rows and len(rows[0]) == len(COLUMNS):
        frame["volume"] = [row[4] for row in rows]
    for row, value in volume.items() if isinstance(volume, Mapping) else ():
        frame.loc[len(rows) + row if row < 0 else row, "volume"] = value
    higher = {}
    if daily:
        rules = {"open": "first", "high": "max", "low": "min", "close": "last", "volume": "sum"}
        higher["1d"] = frame.groupby(frame["date"].dt.floor("1D")).agg(rules).reset_index()
    return build_market("X/USDT:USDT", "1h", Frames(frame, higher))


def candles_of(
    closes: Sequence[float] | np.ndarray, timeframe: str = "1h", *, start: int = 0, wick: float = 0
) -> Candles:
    """Return candles that open at the close before, with wicks of one length on both sides."""
    close = np.asarray(closes, dtype=np.float64)
    opened = np.concatenate([close[:1], close[:-1]])
    time = start + np.arange(len(close), dtype=np.int64) * timeframe_ms(timeframe)
    high, low = np.maximum(opened, close) + wick, np.minimum(opened, close) - wick
    return Candles(timeframe, time, opened, high, low, close, np.ones(len(close)))


def line(
    closes: Sequence[float] | np.ndarray,
    *,
    wick: float = 0,
    higher: Mapping[str, Candles] | None = None,
) -> Market:
    """Return a market of :func:`candles_of`, with candles of higher timeframes aligned to it."""
    base = candles_of(closes, wick=wick)
    aligned = {}
    for timeframe, candles in (higher or {}).items():
        row = np.searchsorted(candles.close_time, base.close_time, side="right").astype(np.int64)
        aligned[timeframe] = HigherTimeframe(candles, row - 1)
    return Market("X/USDT:USDT", base, higher=aligned)


def path(*closes: float) -> list[Candle]:
    """Candles from close to close with wicks of 0.25 on both sides."""
    return [(o, max(o, c) + 0.25, min(o, c) - 0.25, c) for o, c in pairwise(closes)]


def legs(*points: float, step: float = 0.5) -> list[Candle]:
    """Candles along straight legs between turning points."""
    closes = [points[0]]
    for a, b in pairwise(points):
        closes += np.linspace(a, b, int(abs(b - a) / step) + 1)[1:].tolist()
    return path(*closes)


def random_walk(seed: int, n: int = 500) -> list[Candle]:
    """Candles of a random walk from :data:`LEVEL` in ticks of 1/64."""
    rng = np.random.default_rng(seed)
    ticks = np.cumsum(rng.laplace(0.0, 24.0, n + 1).round()) + LEVEL * 64
    wicks = rng.integers(0, 48, (2, n))
    o, c = ticks[:-1] / 64, ticks[1:] / 64
    high, low = np.maximum(o, c) + wicks[0] / 64, np.minimum(o, c) - wicks[1] / 64
    return list(zip(o.tolist(), high.tolist(), low.tolist(), c.tolist(), strict=True))


def mirrored_candles(c: Candles, level: float) -> Candles:
    """Reflect prices about ``level``: what rose falls."""
    around = 2.0 * level
    return replace(
        c, open=around - c.open, high=around - c.low, low=around - c.high, close=around - c.close
    )


def mirrored(market: Market, level: float = LEVEL) -> Market:
    """Reflect the candles of a market, of every timeframe, and its taker flow."""
    return replace(
        market,
        candles=mirrored_candles(market.candles, level),
        higher={
            timeframe: replace(higher, candles=mirrored_candles(higher.candles, level))
            for timeframe, higher in market.higher.items()
        },
        taker_delta=None if market.taker_delta is None else -market.taker_delta,
    )
