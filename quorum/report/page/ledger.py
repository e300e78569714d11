"""Ledger: the closed trades of a run as arrays, one row per trade."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from quorum.report.trades import TradeRecord
from quorum.signals import MEASURED, META_MODEL
from quorum.typing import Bools, Floats, Ints

HOUR_MS = 3_600_000
WEEKDAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
#: What stands where a trade has no signal or a signal no such fact.
NOT_KNOWN = "not known"


@dataclass(frozen=True)
class Ledger:
    """Closed trades, NaN where a trade has no signal.

    Attributes
    ----------
    trades : tuple of TradeRecord
        The rows.
    opened, closed : ndarray of shape (n_trades,), int64
        Milliseconds since the epoch.
    side : ndarray of shape (n_trades,), int64
        +1 long, -1 short.
    profit, fees, funding : ndarray of shape (n_trades,), float64
        Quote currency; fees are positive where paid, funding where received.
    notional : ndarray of shape (n_trades,), float64
        Value bought or sold at the entry.
    risk, multiple : ndarray of shape (n_trades,), float64
        Loss planned at the stop, and the profit in units of it (R).
    probability, confidence : ndarray of shape (n_trades,), float64
        Of the consensus.
    promised, expected : ndarray of shape (n_trades,), float64
        Win rate that was promised, and the result after costs (R) promised with it by a
        meta-model or by what earlier signals did; no result where it is the rule of the band.
    adverse, favourable : ndarray of shape (n_trades,), float64
        Largest move against and for the trade in units of the stop distance (MAE, MFE).
    """

    trades: tuple[TradeRecord, ...]
    opened: Ints
    closed: Ints
    side: Ints
    profit: Floats
    fees: Floats
    funding: Floats
    notional: Floats
    risk: Floats
    multiple: Floats
    probability: Floats
    confidence: Floats
    promised: Floats
    expected: Floats
    adverse: Floats
    favourable: Floats

    def __len__(self) -> int:
        return len(self.trades)

    @property
    def won(self) -> Bools:
        """Whether each trade ended with a profit."""
        return np.asarray(self.profit > 0)

    @property
    def modelled(self) -> Bools:
        """Whether a meta-model made each promise."""
        return self.promised_by(META_MODEL)

    @property
    def measured(self) -> Bools:
        """Whether each promise is what earlier signals did (spec C12)."""
        return self.promised_by(MEASURED)

    def promised_by(self, who: str) -> Bools:
        """Whether each promise is that of one who makes them."""
        names = (None if t.signal is None else t.signal.promised_by for t in self.trades)
        return np.array([name == who for name in names], dtype=np.bool_)

    @property
    def hours(self) -> Floats:
        """Time each trade was held [h]."""
        return np.asarray((self.closed - self.opened) / HOUR_MS)


def ms(trade: TradeRecord) -> tuple[int, int]:
    """Return when a trade was entered and closed, -1 while it is open (milliseconds).

    The host calls a trade open from its order on; entered is when that order first filled.
    """
    entered = min((fill.at for fill in trade.fills if fill.entry), default=trade.opened)
    closed = -1 if trade.closed is None else int(trade.closed.timestamp() * 1000)
    return int(entered.timestamp() * 1000), closed


def entry_notional(trade: TradeRecord) -> float:
    """Return what was bought or sold to enter, quote currency."""
    return sum(fill.price * fill.amount for fill in trade.fills if fill.entry)


def fees_of(trade: TradeRecord) -> float:
    """Return the fees of a closed trade: what prices and funding gave beyond its profit.

    NaN where its fills do not close the position.
    """
    bought = sum(fill.amount for fill in trade.fills if fill.entry)
    sold = sum(fill.amount for fill in trade.fills if not fill.entry)
    if trade.closed is None or bought <= 0 or abs(bought - sold) > 1e-6 * bought:
        return math.nan
    moved = sum((1 if fill.entry else -1) * fill.price * fill.amount for fill in trade.fills)
    return -trade.direction * moved + trade.funding - trade.profit


def read_ledger(trades: Sequence[TradeRecord]) -> Ledger:
    """Read the closed ones of some trades, in their order."""
    rows = tuple(trade for trade in trades if trade.closed is not None)

    def floats(value: Callable[[TradeRecord], float | None]) -> Floats:
        values = (value(trade) for trade in rows)
        return np.array([math.nan if v is None else v for v in values], dtype=np.float64)

    def signalled(name: str) -> Floats:
        return floats(lambda t: None if t.signal is None else getattr(t.signal, name))

    times = np.array([ms(trade) for trade in rows], dtype=np.int64).reshape(-1, 2)
    side = np.array([trade.direction for trade in rows], dtype=np.int64)
    distance = floats(
        lambda t: None if t.signal is None else abs(t.signal.entry_price - t.signal.stop_loss)
    )
    distance[distance <= 0] = math.nan
    opened = floats(lambda t: t.open_rate)
    return Ledger(
        trades=rows,
        opened=times[:, 0],
        closed=times[:, 1],
        side=side,
        profit=floats(lambda t: t.profit),
        fees=floats(fees_of),
        funding=floats(lambda t: t.funding),
        notional=floats(entry_notional),
        risk=signalled("risk_amount"),
        multiple=floats(lambda t: t.r_multiple),
        probability=signalled("consensus_probability"),
        confidence=signalled("consensus_confidence"),
        promised=signalled("expected_win_rate"),
        expected=signalled("expected_r"),
        adverse=np.maximum((opened - floats(lambda t: t.worst)) * side / distance, 0.0),
        favourable=np.maximum((floats(lambda t: t.best) - opened) * side / distance, 0.0),
    )


def plain(text: str | None) -> str:
    """Write a code of the system in words, ``very_high`` as ``very high``."""
    return NOT_KNOWN if not text else text.replace("_", " ")


#: How trades can be grouped, by what a reader calls it; None groups need the signal.
GROUPS: dict[str, Callable[[TradeRecord], str]] = {
    "pair": lambda t: t.pair.split(":", maxsplit=1)[0],
    "side": lambda t: "long" if t.direction > 0 else "short",
    "regime": lambda t: plain(t.signal.regime if t.signal else None),
    "band": lambda t: plain(t.signal.confidence_band if t.signal else None),
    "stated band": lambda t: plain(
        (t.signal.stated_band or t.signal.confidence_band) if t.signal else None
    ),
    "quality": lambda t: plain(t.signal.signal_quality if t.signal else None),
    "entry": lambda t: plain(next((f.tag for f in t.fills if f.entry), None)),
    "exit": lambda t: plain(t.exit_reason),
    "stop": lambda t: plain(t.signal.stop_kind if t.signal else None),
    "hour": lambda t: f"{t.opened:%H}:00",
    "weekday": lambda t: WEEKDAYS[t.opened.weekday()],
    "year": lambda t: f"{t.opened:%Y}",
}


def grouped(ledger: Ledger, by: str) -> list[tuple[str, NDArray[np.int64]]]:
    """Return the rows of each group, largest first; hours, weekdays and years in their order."""
    names = [GROUPS[by](trade) for trade in ledger.trades]
    groups: dict[str, list[int]] = {}
    for row, name in enumerate(names):
        groups.setdefault(name, []).append(row)
    found = [(name, np.array(rows, dtype=np.int64)) for name, rows in groups.items()]
    if by in ("hour", "year"):
        return sorted(found)
    if by == "weekday":
        return sorted(found, key=lambda item: WEEKDAYS.index(item[0]))
    return sorted(found, key=lambda item: (-len(item[1]), item[0]))
