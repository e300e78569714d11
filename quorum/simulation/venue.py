"""Venue: what trading costs, and which prices and amounts an exchange takes."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from quorum.candles import Candles
from quorum.errors import DataError
from quorum.market import FUNDING_FILED_MS, Market
from quorum.typing import Floats

#: The host's default ``amount_reserve_percent``, as a factor.
HOST_RESERVE = 1.05


@dataclass(frozen=True)
class Venue:
    """Costs and rules of one market; the defaults are those of a backtest without rounding.

    Attributes
    ----------
    fee : float
        Per side, fraction of the value.
    slippage : float
        What a fill at the market loses beyond its price, fraction of the value; a limit order
        loses nothing. The host's backtests know none.
    tick : float
        Smallest increment of prices, quote currency; 0 rounds nothing.
    lot : float
        Smallest increment of amounts, base currency; 0 rounds nothing.
    min_order : float
        Smallest order, quote currency.
    funding : ndarray of shape (n_candles,), float64 or None
        What a long pays when each candle opens, quote currency per unit; None for nothing.
    """

    fee: float = 0.0005
    slippage: float = 0.0
    tick: float = 0.0
    lot: float = 0.0
    min_order: float = 0.0
    funding: Floats | None = None

    def __post_init__(self) -> None:
        for name in ("fee", "slippage", "tick", "lot", "min_order"):
            value = getattr(self, name)
            if not (np.isfinite(value) and (value >= 0 or name == "fee")):
                raise DataError(f"venue: {name} = {value!r} must be a number not under 0")

    def rounded(self, prices: Floats) -> Floats:
        """Return prices on the tick next to them."""
        if self.tick == 0:
            return prices
        rounded: Floats = np.round(np.round(prices / self.tick) * self.tick, 10)
        return rounded

    def rounded_stop(self, prices: Floats, direction: Floats) -> Floats:
        """Return stops on the tick nearer to the entry, as the host has them."""
        if self.tick == 0:
            return prices
        ticks = prices / self.tick
        nearer = np.where(direction > 0, np.ceil(ticks - 1e-9), np.floor(ticks + 1e-9))
        rounded: Floats = np.round(nearer * self.tick, 10)
        return rounded

    def lots(self, notional: Floats, prices: Floats) -> Floats:
        """Return the whole lots in positions of a value, 0 where lots are not known."""
        if self.lot == 0:
            return np.zeros(len(prices))
        whole: Floats = np.floor(notional / prices / self.lot + 1e-6)
        return whole

    def smallest(self, prices: Floats) -> Floats:
        """Return the smallest position value that may be ordered at a price, quote currency.

        One lot at least, with what the host keeps in reserve for a price that moves meanwhile.
        """
        smallest: Floats = np.maximum(self.min_order, HOST_RESERVE * self.lot * prices)
        return smallest


def funding_paid(market: Market) -> Floats | None:
    """Return what a long pays when each candle opens, quote currency per unit.

    The rate that settles within a candle's first minute times the price at its opening; None
    where the market has no funding.
    """
    series = market.published.get("funding_rate")
    if series is None:
        return None
    return settled(series.known_at - FUNDING_FILED_MS, series.value, market.candles)


def settled(at: np.ndarray, rate: Floats, candles: Candles) -> Floats:
    """Return the funding of every candle from the rates and the times they settle at."""
    paid = np.zeros(len(candles))
    row = np.searchsorted(candles.time, at, side="right") - 1
    within = (row >= 0) & (at < candles.time[np.maximum(row, 0)] + candles.step)
    np.add.at(paid, row[within], rate[within])
    return paid * candles.open
