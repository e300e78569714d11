"""Risk: the guards over one account and one market, the same live, in backtests and simulated."""

from __future__ import annotations

from quorum.risk.engine import RiskEngine
from quorum.risk.market import LastCloses, MarketView, prices_of

__all__ = ["LastCloses", "MarketView", "RiskEngine", "prices_of"]
