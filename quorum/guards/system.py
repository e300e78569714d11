"""Guards of the whole system: emergency shutdown and black swans (spec G3)."""

from __future__ import annotations

from typing import ClassVar

import numpy as np
import talib
from pydantic import Field

from quorum.candles import Candles
from quorum.guards.base import (
    Guard,
    GuardTier,
    Ledger,
    Limit,
    MarketFlags,
    Moment,
    Reason,
    reached,
)
from quorum.market import HOUR_MS
from quorum.typing import Bools, Floats, Ints

#: Average true range that black swans are measured in [candles].
ATR = 14


class SystemLimits(GuardTier):
    """What ends all trading, and what markets are not traded in."""

    enabled: bool = Field(True, description="whether this tier acts")
    max_drawdown: float = Field(
        5.0,
        gt=0,
        le=100,
        description="drawdown from peak equity at which all positions are closed and the guards "
        "halt until they are re-armed [%]",
    )
    worst_price: bool = Field(
        True,
        description="whether, in a backtest, open trades count at the worst price of the last "
        "closed candle for the shutdown and the drawdown rules, as a running bot sees it",
    )
    reference: str = Field(
        "BTC",
        pattern=r"^\S+$",
        description="coin whose candles tell a black swan and stale or crossed data; it need not "
        "be traded",
    )
    swan_atr: float = Field(
        8.0, gt=0, description="true range of a black swan [ATR of the candle before]"
    )
    swan_move: float = Field(10.0, gt=0, description="move of a black swan within an hour [%]")
    swan_pause: float = Field(60.0, ge=0, description="no entries after a black swan [min]")
    flatten: bool = Field(False, description="whether a black swan closes every position")
    max_age: float = Field(3.0, ge=1, description="age at which data is stale [candles]")
    # candles without trades in the window that are not yet missing data
    max_untraded: ClassVar[int] = 2
    untraded_window: ClassVar[int] = 24  # latest candles searched for missing ones [candles]
    max_jump: float = Field(
        3.0,
        gt=0,
        description="distance of the quoted price from the last close at which it is a spike, no "
        "price to enter at [ATR]",
    )
    max_errors: int = Field(5, ge=1, description="exchange errors that stop entries [errors]")
    error_window: float = Field(15.0, gt=0, description="within how long they count [min]")


class SystemGuard(Guard[SystemLimits]):
    """Halts on the drawdown from peak equity; no entries in a broken market."""

    name = "system"

    def observe(self, moment: Moment) -> Reason | None:
        """Check the drawdown first: it ends everything."""
        s, ledger, flags = self.settings, moment.ledger, moment.flags
        drawdown = ledger.drawdown
        if flags.black_swan:
            ledger.swan_until = max(ledger.swan_until, moment.now + 60 * s.swan_pause)
        if drawdown is not None and reached(drawdown, s.max_drawdown):
            return Reason.EMERGENCY_SHUTDOWN
        if flags.black_swan or moment.now < ledger.swan_until:
            return Reason.BLACK_SWAN
        if flags.crossed:
            return Reason.CROSSED_DATA
        if flags.stale:
            return Reason.STALE_DATA
        return Reason.EXCHANGE_ERRORS if flags.errors >= s.max_errors else None

    def limits(self, ledger: Ledger) -> tuple[Limit, ...]:
        """Return the limit on drawdown."""
        most = self.settings.max_drawdown
        return (Limit(self.name, "drawdown from peak", ledger.drawdown, most, "%"),)


class ReferenceMarket:
    """What the candles of the reference coin say at a time; whether it is traded or not.

    Parameters
    ----------
    time : ndarray of shape (n_candles,), int64
        Opening times, milliseconds since the epoch.
    high, low, close, atr : ndarray of shape (n_candles,)
    step : int
        Length of a candle, milliseconds.
    limits : SystemLimits
    """

    def __init__(
        self,
        time: Ints,
        prices: tuple[Floats, Floats, Floats],
        atr: Floats,
        step: int,
        limits: SystemLimits,
    ) -> None:
        high, low, close = prices
        self._time, self._step, self._max_age = time, step, limits.max_age
        self._swan = black_swans(high, low, close, atr, HOUR_MS // step, limits)
        self._crossed = crossed_candles(high, low, close)

    def flags(self, at: int, errors: int = 0) -> MarketFlags:
        """Return what is wrong with the market, ``at`` in milliseconds since the epoch."""
        opened = at - self._step
        row = int(self._time.searchsorted(opened, side="right")) - 1
        if row < 0:
            return MarketFlags(stale=True, errors=errors)
        age = (opened - int(self._time[row])) / self._step
        # A black swan is news only while its candle is the last one.
        return MarketFlags(
            black_swan=bool(self._swan[row]) and age < 1,
            stale=age >= self._max_age,
            crossed=bool(self._crossed[row]),
            errors=errors,
        )


def reference_candles(candles: Candles, limits: SystemLimits) -> ReferenceMarket:
    """Return the reference market of candles that no signals were decided on."""
    prices = candles.high, candles.low, candles.close
    return ReferenceMarket(candles.time, prices, talib.ATR(*prices, ATR), candles.step, limits)


def black_swans(
    high: Floats,
    low: Floats,
    close: Floats,
    atr: Floats,
    candles_per_hour: int,
    limits: SystemLimits,
) -> Bools:
    """Mark the candles that are a black swan (spec G3), known at their close.

    A candle is one if its true range is ``swan_atr`` times the ATR before it, or if the last
    hour (one candle where candles are longer) went ``swan_move`` percent from its opening.
    What is not known marks nothing.

    Parameters
    ----------
    high, low, close, atr : ndarray of shape (n_candles,)

    Returns
    -------
    ndarray of shape (n_candles,)
    """
    n, k = len(close), max(1, candles_per_hour)
    swan = np.zeros(n, dtype=np.bool_)
    if n < 2:
        return swan
    before = close[:-1]
    true_range = np.maximum(high[1:], before) - np.minimum(low[1:], before)
    with np.errstate(invalid="ignore", divide="ignore"):
        swan[1:] = (atr[:-1] > 0) & (true_range >= limits.swan_atr * atr[:-1])
        if n > k:
            start = close[:-k]
            top = np.lib.stride_tricks.sliding_window_view(high[1:], k).max(axis=1)
            bottom = np.lib.stride_tricks.sliding_window_view(low[1:], k).min(axis=1)
            move = np.maximum(top / start - 1, 1 - bottom / start)
            swan[k:] |= move >= limits.swan_move / 100 - 1e-12
    return swan


def crossed_candles(high: Floats, low: Floats, close: Floats) -> Bools:
    """Mark candles that contradict themselves: low over high, or a close outside of both."""
    return (low > high) | (close > high) | (close < low)
