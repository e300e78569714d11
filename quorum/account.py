"""What sizing and guards need to know of the account, the same in backtest and live."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True)
class OpenPosition:
    """One open trade.

    Attributes
    ----------
    direction : int
        +1 long, -1 short.
    entry, price : float
        Average entry price and last known price, quote currency.
    notional : float
        Position value at entry, quote currency.
    floating : float
        Profit if it were closed now, after fees and funding, quote currency.
    counted : bool
        Whether limits that assume a high win rate count it (spec A-3).
    """

    pair: str
    direction: int
    opened: datetime
    entry: float
    price: float
    notional: float
    floating: float
    counted: bool = True


@dataclass(frozen=True)
class ClosedPosition:
    """One closed trade; ``profit`` after all costs, quote currency; ``ratio`` of its stake.

    ``counted`` as that of :class:`OpenPosition`.
    """

    pair: str
    direction: int
    opened: datetime
    closed: datetime
    profit: float
    ratio: float
    reason: str
    counted: bool = True


@dataclass(frozen=True)
class AccountState:
    """The account at one moment.

    Attributes
    ----------
    at : datetime
        UTC; simulated time in a backtest.
    initial : float
        Balance the account began with, quote currency.
    balance : float
        Realised balance, quote currency.
    equity : float
        Balance plus the floating profit of every open trade.
    open : tuple of OpenPosition
    closed : tuple of ClosedPosition
        In order of closing, oldest first.
    worst : float or None
        Equity at the worst prices of the last closed candle, None where it is not known: live,
        where equity itself is seen all the time (spec G5).
    """

    at: datetime
    initial: float
    balance: float
    equity: float
    open: tuple[OpenPosition, ...] = ()
    closed: tuple[ClosedPosition, ...] = ()
    worst: float | None = None
