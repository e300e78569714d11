"""Events: what happened to a bot, in order, as a stream tells it (spec U1, U3)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from typing import Literal

from pydantic import BaseModel, ConfigDict

from quorum.dashboard.decision import utc
from quorum.guards.base import Transition
from quorum.journal.reading import Item, JournaledCandle, JournaledEntry, JournaledFault
from quorum.report.page.run import Run
from quorum.report.trades import Fill, TradeRecord

#: Events kept for who comes back; who was away longer reads the pages anew.
KEPT = 20_000
#: What is told again to who comes back: a fill may be known later than what followed it.
OVERLAP = timedelta(minutes=10)
SIDE = {1: "long", -1: "short", 0: "flat"}


class TradeAlert(BaseModel):
    """One filled order of a trade, as the stream and a webhook tell it.

    ``filled_amount`` is base currency, ``average_price``, ``value``, ``risk_amount`` and
    ``profit`` quote currency; ``profit`` and ``r_multiple`` are of the whole trade once it has
    ended. What is not known is null.
    """

    model_config = ConfigDict(frozen=True)

    action: Literal["entry", "partial_exit", "exit"]
    order_id: str
    pair: str
    side: Literal["long", "short"]
    filled_at: datetime
    filled_amount: float
    average_price: float
    value: float
    tag: str
    stop_loss: float | None
    take_profit: tuple[float, ...]
    risk_reward: float | None
    risk_amount: float | None
    quality: str | None
    profit: float | None
    profit_ratio: float | None
    r_multiple: float | None
    exit_reason: str | None


class Event(BaseModel):
    """One thing that happened; ``id`` is unique and where a stream goes on from."""

    model_config = ConfigDict(frozen=True)

    id: str
    kind: Literal["candle", "answer", "trade", "guards", "fault"]
    at: datetime
    pair: str
    text: str
    trade: TradeAlert | None = None


def journal_event(position: str, item: Item) -> Event | None:
    """Return the event of one line of the journal, None for a start of the bot."""
    if isinstance(item, JournaledCandle):
        entry = item.values.get("signal entry") or 0
        said = f"signal {SIDE[int(entry)]}" if entry else "no signal"
        return _event(position, "candle", item.at, item.pair, f"candle closed, {said}")
    if isinstance(item, JournaledEntry):
        said = "entry accepted" if item.refusal is None else f"entry refused: {item.refusal}"
        return _event(position, "answer", item.at, item.pair, said)
    if isinstance(item, JournaledFault):
        return _event(position, "fault", item.at, item.pair, f"{item.part} failed: {item.error}")
    return None


def _event(
    position: str, kind: Literal["candle", "answer", "fault"], at: int, pair: str, text: str
) -> Event:
    return Event(id=position, kind=kind, at=utc(at), pair=pair, text=text)


def guard_event(change: Transition) -> Event:
    """Return the event of a change of state of the guards."""
    reason = f" ({change.reason})" if change.reason else ""
    text = f"{change.before} to {change.after}{reason}: {change.detail}"
    return Event(
        id=f"guards:{change.at.timestamp():.6f}", kind="guards", at=change.at, pair="", text=text
    )


def trade_events(run: Run) -> Iterator[Event]:
    """Yield an event per filled order, trade by trade."""
    for trade in run.trades:
        for number, (fill, alert) in enumerate(zip(trade.fills, trade_alerts(trade), strict=True)):
            money = "" if alert.profit is None else f", profit {alert.profit:+.2f}"
            text = (
                f"{alert.action.replace('_', ' ')} {alert.side}: {fill.amount:g} at "
                f"{fill.price:g}{money}"
            )
            key = fill.order or f"{trade.pair}:{number}"
            yield Event(
                id=f"order:{key}:{trade.opened.timestamp():.0f}:{fill.amount:g}",
                kind="trade", at=fill.at, pair=trade.pair, text=text, trade=alert,
            )  # fmt: skip


def trade_alerts(trade: TradeRecord) -> list[TradeAlert]:
    """Return an alert per filled order of a trade."""
    last = len(trade.fills) - 1
    return [_alert(trade, fill, last=n == last) for n, fill in enumerate(trade.fills)]


def _alert(trade: TradeRecord, fill: Fill, *, last: bool) -> TradeAlert:
    signal, ended = trade.signal, trade.closed is not None and last and not fill.entry
    return TradeAlert(
        action="entry" if fill.entry else "exit" if ended else "partial_exit",
        order_id=fill.order,
        pair=trade.pair,
        side="long" if trade.direction > 0 else "short",
        filled_at=fill.at,
        filled_amount=fill.amount,
        average_price=fill.price,
        value=fill.amount * fill.price,
        tag=fill.tag,
        stop_loss=trade.stop if trade.stop is not None else signal and signal.stop_loss,
        take_profit=() if signal is None else signal.ladder,
        risk_reward=None if signal is None else signal.risk_reward_ratio,
        risk_amount=None if signal is None else signal.risk_amount,
        quality=None if signal is None else signal.signal_quality,
        profit=trade.profit if ended else None,
        profit_ratio=trade.profit_ratio if ended else None,
        r_multiple=trade.r_multiple if ended else None,
        exit_reason=trade.exit_reason if ended else None,
    )


class EventLog:
    """The events of a bot in the order in which they became known."""

    def __init__(self) -> None:
        self._events: list[Event] = []
        self._known: set[str] = set()
        self._dropped = 0

    def add(self, events: Sequence[Event]) -> list[Event]:
        """Take what is new of some events, by time; return it."""
        fresh = {e.id: e for e in events if e.id not in self._known}
        new = sorted(fresh.values(), key=lambda e: e.at)
        self._known |= fresh.keys()
        self._events += new
        if len(self._events) > KEPT:
            self._dropped += len(self._events) - KEPT
            del self._events[:-KEPT]
        return new

    def __len__(self) -> int:
        return self._dropped + len(self._events)

    def latest(self, count: int) -> list[Event]:
        """Return the newest events, newest first."""
        return self._events[: -count - 1 : -1]

    def after(self, number: int) -> tuple[list[Event], int]:
        """Return the events behind the first ``number``, and how many there are with them."""
        fresh = self._events[max(0, number - self._dropped) :]
        return fresh, max(number, self._dropped) + len(fresh)

    def since(self, event_id: str) -> list[Event] | None:
        """Return what came after an event and shortly before it, None where it is not known.

        At least once: what comes twice has the same id.
        """
        for place in range(len(self._events) - 1, -1, -1):
            if self._events[place].id == event_id:
                edge = self._events[place].at - OVERLAP
                before = [e for e in self._events[:place] if e.at >= edge]
                return [*before, *self._events[place + 1 :]]
        return None
