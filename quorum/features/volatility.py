"""Volatility: true range, bands and channels."""

from __future__ import annotations

import talib
from pydantic import Field

from quorum.features.table import Features
from quorum.market import Market
from quorum.section import Section


class VolatilitySettings(Section):
    """Periods of the volatility columns."""

    atr: int = Field(14, ge=2, le=200, description="average true range [candles]")


def add_volatility(market: Market, out: Features, settings: VolatilitySettings) -> None:
    """Add ``atr`` (price) and ``atr_pct`` (fraction of the close). Lag 0."""
    c = market.candles
    atr = talib.ATR(c.high, c.low, c.close, settings.atr)
    out.add("atr", atr, scale_free=False)
    out.add("atr_pct", atr / c.close)
