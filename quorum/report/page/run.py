"""Run: everything the page is made from, whatever it was read from."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import numpy as np
from pydantic import Field

from quorum.candles import Candles
from quorum.funnel import Funnel
from quorum.report.trades import TradeRecord
from quorum.section import Section
from quorum.settings import Settings
from quorum.signals import SignalTable


class PageSettings(Section):
    """How the page judges, and how much of each trade it shows."""

    level: float = Field(0.95, ge=0.5, le=0.999, description="confidence of intervals [share]")
    runs: int = Field(1000, ge=100, le=100_000, description="bootstrap samples [runs]")
    min_trades: int = Field(30, ge=2, le=1000, description="fewer are too few to judge [trades]")
    min_votes: int = Field(
        100, ge=1, le=100_000, description="votes of a head; fewer say nothing of it [votes]"
    )
    min_days: int = Field(30, ge=2, le=3650, description="fewer are too few to judge [days]")
    beats_random: float = Field(
        0.95, ge=0.5, le=1, description="random runs to beat for skill in timing [share]"
    )
    deflated: float = Field(
        0.95, ge=0.5, le=1, description="deflated Sharpe that is beyond the luck of many trials"
    )
    horizons: tuple[int, ...] = Field(
        (4, 24, 72), description="forward returns that votes are held against [candles]"
    )
    before: int = Field(36, ge=1, le=500, description="candles drawn before a trade [candles]")
    after: int = Field(18, ge=1, le=500, description="candles drawn after a trade [candles]")
    longest: int = Field(
        240, ge=20, le=5000, description="candles of a trade drawn at most [candles]"
    )
    fits: float = Field(
        0.99, ge=0, le=1, description="entries that must lie in their candle [share]"
    )


@dataclass(frozen=True)
class Run:
    """A backtest, dry run or live run.

    Attributes
    ----------
    name : str
        File or database it was read from.
    kind : {"backtest", "dry run", "live run"}
    trades : tuple of TradeRecord
        In order of opening; those of a bot may be open still.
    refused : mapping of reason code to count, or None
        None where no journal was kept.
    first, last : int
        Span, milliseconds since the epoch.
    timeframe, currency : str
    capital : float
        At the beginning, quote currency.
    pairs : tuple of str
        What it could trade.
    futures : bool
    section : mapping
        The ``quorum`` section it ran with.
    candles : mapping of pair to Candles
        Those of the span and the history before it; absent where there are none.
    tables : mapping of pair to SignalTable
        Votes and signals of every candle; absent where they were not computed.
    settings : Settings
    notes : tuple of str
        What a reader has to know of the data.
    funnel : Funnel or None
        What came how far on the way to the trades, None where it was not kept.
    """

    name: str
    kind: str
    trades: tuple[TradeRecord, ...]
    refused: Mapping[str, int] | None
    first: int
    last: int
    timeframe: str
    currency: str
    capital: float
    pairs: tuple[str, ...]
    futures: bool
    section: Mapping[str, Any]
    candles: Mapping[str, Candles] = field(default_factory=dict)
    tables: Mapping[str, SignalTable] = field(default_factory=dict)
    settings: Settings = field(default_factory=Settings)
    notes: tuple[str, ...] = ()
    funnel: Funnel | None = None

    @cached_property
    def closed(self) -> tuple[TradeRecord, ...]:
        """The trades that have ended."""
        return tuple(trade for trade in self.trades if trade.closed is not None)

    def noting(self, *notes: str) -> Run:
        """Return the run with more notes."""
        return replace(self, notes=(*self.notes, *notes))


def ordered(trades: tuple[TradeRecord, ...]) -> tuple[TradeRecord, ...]:
    """Return trades in order of opening, as ``quorum card`` counts them."""
    return tuple(sorted(trades, key=lambda t: (t.opened, t.pair)))


def entries_inside(run: Run, candles: Mapping[str, Candles]) -> tuple[int, int]:
    """Count the entries whose price lies in the candle they happened in, and all that have one.

    Candles of another market, or of another recording, do not hold the run's prices; entries in
    candles that are missing, or have no volume, are not counted.
    """
    inside = known = 0
    for trade in run.trades:
        series = candles.get(trade.pair)
        fill = next((fill for fill in trade.fills if fill.entry), None)
        if series is None or len(series) == 0 or fill is None:
            continue
        at = int(fill.at.timestamp() * 1000)
        row = int(np.searchsorted(series.time, at, side="right")) - 1
        if row < 0 or at - series.time[row] >= series.step or series.volume[row] == 0:
            continue
        known += 1
        # Prices are rounded to the exchange's tick.
        room = 1e-3 * fill.price
        inside += bool(series.low[row] - room <= fill.price <= series.high[row] + room)
    return inside, known
