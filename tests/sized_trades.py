"""Trades to be sized by the elite method: the worked example, and variations of it."""

from __future__ import annotations

import math
from dataclasses import replace
from datetime import UTC, datetime

import numpy as np

from quorum.account import AccountState, ClosedPosition, OpenPosition
from quorum.sizing import Size, SizeRequest, SizingSettings, sizing_method

DAY = datetime(2024, 3, 1, tzinfo=UTC)
BTC, ETH, SOL = "BTC/USDT:USDT", "ETH/USDT:USDT", "SOL/USDT:USDT"
#: Nothing is capped but by the test itself.
UNCAPPED = {"max_percent": 100.0, "elite": {"caps": {"pair": 1000, "concentration": 10_000}}}


def _basis() -> tuple[np.ndarray, np.ndarray]:
    """Return two returns series with mean 0, equal spread and a correlation of exactly 0."""
    rng = np.random.default_rng(11)
    q, _ = np.linalg.qr(np.column_stack([np.ones(720), rng.normal(size=(720, 2))]))
    return 0.01 * q[:, 1], 0.01 * q[:, 2]


OWN, OTHER = _basis()


def peer(rho: float) -> np.ndarray:
    """Return the returns of a pair whose correlation with ``OWN`` is ``rho``."""
    return rho * OWN + math.sqrt(1 - rho**2) * OTHER


def trades_of(win_rate: float, sharpe: float, count: int = 10) -> tuple[ClosedPosition, ...]:
    """Return closed trades with exactly this win rate and Sharpe ratio."""
    wins = round(win_rate * count)
    won = np.arange(count) < wins
    spread = math.sqrt(count / (count - 1) * win_rate * (1 - win_rate))
    # win_rate x - (1 - win_rate) y = sharpe spread (x + y), with x = .02.
    loss = 0.02 * (win_rate - sharpe * spread) / (1 - win_rate + sharpe * spread)
    ratios = np.where(won, 0.02, -loss)
    return tuple(ClosedPosition(ETH, 1, DAY, DAY, 1000 * r, float(r), "target") for r in ratios)


def position(pair: str = ETH, direction: int = 1, notional: float = 15_000.0) -> OpenPosition:
    return OpenPosition(pair, direction, DAY, 2500.0, 2500.0, notional, 0.0)


def account(equity: float = 180_791.0, **changes) -> AccountState:
    return AccountState(DAY, equity, equity, equity, **changes)


#: The worked example: stop 450 under 43,250; what is open is correlated at .35.
EXAMPLE = SizeRequest(
    confidence=0.75,
    entry=43_250.0,
    stop=42_800.0,
    capital=180_791.0,
    pair=BTC,
    direction=1,
    risk_reward=3.0,
    account=account(open=(position(),), closed=trades_of(0.60, 0.85)),
    returns=OWN,
    peers={ETH: peer(0.35)},
    headroom=4000.0,
)
#: The same with nothing open and nothing closed.
ALONE = replace(EXAMPLE, account=account(), peers={}, headroom=math.inf)


def size(request: SizeRequest, **settings) -> Size:
    return sizing_method(SizingSettings(method="elite", **settings)).size(request)


def with_open(*open_: OpenPosition, request: SizeRequest = ALONE, **peers) -> SizeRequest:
    return replace(request, account=account(open=open_), peers=peers)
