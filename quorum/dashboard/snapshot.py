"""Snapshot: everything a page is made of, as it was at one moment."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

from quorum.dashboard.decision import Decision
from quorum.guards import Ledger, Limit
from quorum.guards.base import Transition
from quorum.report.page.run import Run
from quorum.settings import Settings
from quorum.state import Store


@dataclass(frozen=True)
class Answer:
    """An entry that was put to the bot; ``refusal`` is None where it was accepted."""

    pair: str
    candle: datetime
    at: datetime
    refusal: str | None
    price: float | None
    stop: float | None
    target: float | None


@dataclass(frozen=True)
class Fault:
    """A part that failed on a pair and abstains since."""

    at: datetime
    pair: str
    part: str
    error: str


@dataclass(frozen=True)
class GuardStand:
    """Where the guards of a bot stand.

    Attributes
    ----------
    ledger : Ledger or None
        None where no state has been kept yet.
    limits : sequence of Limit
    changes : sequence of Transition
        The latest, newest first.
    problem : str
        Why the state could not be read, empty where it could.
    """

    ledger: Ledger | None = None
    limits: Sequence[Limit] = ()
    changes: Sequence[Transition] = ()
    problem: str = ""


@dataclass(frozen=True)
class Snapshot:
    """Everything a page is made of.

    Attributes
    ----------
    name, kind : str
        What it was read from; ``backtest``, ``dry run`` or ``live run``.
    at : datetime
        Of the newest of it, on the clock of the bot.
    written : datetime
        When that was written, on the clock of this machine: a replay's clock is another.
    live : bool
        Whether more may come.
    settings : Settings
    run : Run
        Trades and candles.
    decisions : mapping of pair to sequence of Decision
        Oldest first, the latest of each pair.
    lags : mapping of pair to sequence of float
        Seconds from the close of a candle to its analysis, oldest first.
    answers : sequence of Answer
    faults : sequence of Fault
    answered, failed : mapping of str to int
        All answers so far, ``accepted`` or the reason of a refusal, and all faults by part.
    guards : GuardStand
    store : Store or None
        The state, for reading only: what a page of its own reads of it.
    models : Path or None
        Folder of the trained models.
    backtest : Run or None
        What a bot is held against.
    supervised : Path
        Folder in which a supervisor says how its processes are.
    version : str
        Of the Quorum that journaled, empty where nothing was journaled.
    notes : sequence of str
        What a reader has to know.
    """

    name: str
    kind: str
    at: datetime
    written: datetime
    live: bool
    settings: Settings
    run: Run
    decisions: Mapping[str, Sequence[Decision]] = field(default_factory=dict)
    lags: Mapping[str, Sequence[float]] = field(default_factory=dict)
    answers: Sequence[Answer] = ()
    faults: Sequence[Fault] = ()
    answered: Mapping[str, int] = field(default_factory=dict)
    failed: Mapping[str, int] = field(default_factory=dict)
    guards: GuardStand = GuardStand()
    store: Store | None = None
    models: Path | None = None
    backtest: Run | None = None
    supervised: Path = Path("user_data")
    version: str = ""
    notes: Sequence[str] = ()

    def now(self) -> datetime:
        """Return the time on the bot's clock; of a backtest the end."""
        if not self.live:
            return self.at
        return self.at + max(timedelta(), datetime.now(UTC) - self.written)

    def latest(self) -> list[Decision]:
        """Return the newest decision of every pair."""
        return [found[-1] for _, found in sorted(self.decisions.items()) if found]
