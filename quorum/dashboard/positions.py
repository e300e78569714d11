"""Positions: what is open, what it is worth, and how far its stop and levels are."""

from __future__ import annotations

from datetime import datetime

from pydantic import BaseModel, ConfigDict

from quorum.playbooks import PLAYBOOKS
from quorum.report.page.run import Run
from quorum.report.trades import TradeRecord

#: What opens trades where no playbook of its own does.
CONSENSUS = "consensus"


class Position(BaseModel):
    """One open trade; amounts in the quote currency, ``price`` the close of the last candle.

    ``floating`` is what would be gained if it were closed at that price, before fees, with what
    levels have paid out already; ``r_multiple`` the same in units of the risk at the entry.
    """

    model_config = ConfigDict(frozen=True)

    number: int
    pair: str
    side: str
    opened: datetime
    entry: float
    amount: float
    price: float
    value: float
    floating: float
    r_multiple: float | None
    stop: float | None
    levels: tuple[float, ...]
    tag: str
    playbook: str


def playbook_of(trade: TradeRecord) -> str:
    """Return the playbook that opened a trade, by the tag of its first order."""
    first = next((fill.tag for fill in trade.fills if fill.entry), "")
    named = (playbook.name for playbook in PLAYBOOKS if first.startswith(playbook.name))
    return next(named, CONSENSUS)


def open_positions(run: Run) -> list[Position]:
    """Return what is open, oldest first; numbers are those of ``quorum card``."""
    return [
        _position(run, number, trade)
        for number, trade in enumerate(run.trades, start=1)
        if trade.closed is None
    ]


def _position(run: Run, number: int, trade: TradeRecord) -> Position:
    candles = run.candles.get(trade.pair)
    price = float(candles.close[-1]) if candles is not None and len(candles) else trade.open_rate
    bought = sum(fill.amount for fill in trade.fills if fill.entry)
    held = bought - sum(fill.amount for fill in trade.fills if not fill.entry)
    paid = sum(fill.amount * fill.price * (1 if fill.entry else -1) for fill in trade.fills)
    floating = trade.direction * (held * price - paid) + trade.funding
    signal = trade.signal
    risk = 0.0 if signal is None else abs(trade.open_rate - signal.stop_loss) * bought
    first = next((fill for fill in trade.fills if fill.entry), None)
    return Position(
        number=number,
        pair=trade.pair,
        side="long" if trade.direction > 0 else "short",
        opened=trade.opened,
        entry=trade.open_rate,
        amount=held,
        price=price,
        value=held * price,
        floating=floating,
        r_multiple=floating / risk if risk > 0 else None,
        stop=trade.stop if trade.stop is not None else signal and signal.stop_loss,
        levels=() if signal is None else signal.ladder,
        tag="" if first is None else first.tag,
        playbook=playbook_of(trade),
    )
