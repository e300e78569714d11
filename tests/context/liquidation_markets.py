"""Hand-made paths for the liquidation map."""

from __future__ import annotations

import numpy as np
from evaluations import varied

from quorum.candles import Candles, timeframe_ms
from quorum.context.liquidation import Liquidation, LiquidationSettings
from quorum.market import Market
from quorum.typing import Floats

PAIR = "SOL/USDT:USDT"


def path_market(prices, volumes, *, low=None, high=None, timeframe="1h", start=0, published=None):
    """Return a market of candles that open and close at ``prices``; wicks by row."""
    close = np.asarray(prices, dtype=np.float64)
    lows, highs = close.copy(), close.copy()
    for row, price in (low or {}).items():
        lows[row] = price
    for row, price in (high or {}).items():
        highs[row] = price
    time = (start + np.arange(len(close), dtype=np.int64)) * timeframe_ms(timeframe)
    volume = np.asarray(volumes, dtype=np.float64)
    candles = Candles(timeframe, time, close, highs, lows, close, volume)
    return Market(PAIR, candles, published=published or {})


def burst(prices, *, at=0, **wicks):
    """Return a market that trades at row ``at`` only."""
    volumes = np.zeros(len(prices))
    volumes[at] = 1000.0
    return path_market(prices, volumes, **wicks)


def adjuster(**changes) -> Liquidation:
    """Return the adjuster with a map that is known from its first volume on."""
    return Liquidation(varied(LiquidationSettings, **{"min_candles": 1, **changes}))


def columns_of(market: Market, **changes) -> dict[str, Floats]:
    # It reads the market alone.
    return adjuster(**changes).columns(market, None)


def row_of(columns: dict[str, Floats], row: int = -1) -> dict[str, float]:
    return {name: float(values[row]) for name, values in columns.items()}


def mirrored(market: Market) -> Market:
    """Return the market of the reciprocal price."""
    c = market.candles
    flipped = Candles(c.timeframe, c.time, 1 / c.open, 1 / c.low, 1 / c.high, 1 / c.close, c.volume)
    return Market(market.pair, flipped, published=market.published)
