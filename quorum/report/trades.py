"""TradeRecord: one trade of a backtest or a database with the signal it was opened on."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from quorum.entry import Signal
from quorum.funnel import Funnel

#: The strategy, and what a strategy derived from it is not called.
STRATEGY = "Quorum"


@dataclass(frozen=True)
class Fill:
    """One filled order of a trade.

    Attributes
    ----------
    at : datetime
    price, amount : float
        Quote currency, base currency.
    entry : bool
    tag : str
        The host's order tag: ``ladder_1``, ``stop_loss`` ...
    order : str
        The exchange's number of the order, empty where it is not known.
    """

    at: datetime
    price: float
    amount: float
    entry: bool
    tag: str
    order: str = ""


@dataclass(frozen=True)
class TradeRecord:
    """One trade.

    Attributes
    ----------
    profit : float
        After all costs, quote currency.
    profit_ratio : float
        Of the stake.
    best, worst : float
        Extreme prices while it was open, seen from its side.
    signal : Signal or None
        None where the journal does not know the trade.
    stop : float or None
        Where its stop stands, None where that is not known.
    """

    pair: str
    direction: int
    opened: datetime
    closed: datetime | None
    open_rate: float
    close_rate: float | None
    profit: float
    profit_ratio: float
    funding: float
    best: float
    worst: float
    exit_reason: str
    fills: tuple[Fill, ...]
    signal: Signal | None
    stop: float | None = None

    @property
    def r_multiple(self) -> float | None:
        """Profit as a multiple of what was risked at the stop, after costs."""
        if self.signal is None or self.signal.risk_amount <= 0:
            return None
        return self.profit / self.signal.risk_amount


#: Beginnings of the tags of fills at a take-profit level; the last level is the host's ROI.
LEVEL_TAGS = ("ladder_", "roi")


def filled_at_once(trade: TradeRecord) -> float:
    """Return what levels brought that filled in the candle of the entry, quote currency.

    Before fees. A candle does not tell whether its extreme came before or after the entry: such a
    fill may never have been. A backtest dates both by the opening of their candle; of a bot, whose
    fills have their own moments, it is 0.
    """
    entered = [fill.at for fill in trade.fills if fill.entry]
    if not entered:
        return 0.0
    return sum(
        trade.direction * (fill.price - trade.open_rate) * fill.amount
        for fill in trade.fills
        if not fill.entry
        and fill.at <= max(entered)
        and (fill.tag or trade.exit_reason).startswith(LEVEL_TAGS)
    )


@dataclass(frozen=True)
class Results:
    """The trades of one run and what was refused.

    Attributes
    ----------
    name : str
        File or database they were read from.
    refused : mapping of reason code to count, or None
        None where no journal was kept.
    strategy : str
        Whose they are: Quorum or a strategy derived from it.
    funnel : Funnel or None
        What came how far on the way to these trades, None where it was not kept.
    """

    name: str
    trades: tuple[TradeRecord, ...]
    refused: Mapping[str, int] | None
    strategy: str = STRATEGY
    funnel: Funnel | None = None
