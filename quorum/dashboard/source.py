"""Source: the one place through which everything that a bot left behind is read."""

from __future__ import annotations

import threading
from abc import ABC, abstractmethod
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from time import time

from sqlalchemy.engine import URL, make_url

from quorum.candles import Candles
from quorum.dashboard.decision import utc
from quorum.dashboard.events import EventLog, guard_event, trade_events
from quorum.dashboard.journaled import Journaled
from quorum.dashboard.snapshot import GuardStand, Snapshot
from quorum.errors import DataError
from quorum.guards import Guards, SqlStore, rearm
from quorum.guards.base import Transition
from quorum.journal.following import JournalTail
from quorum.report.page.database import database_run
from quorum.report.page.run import Run
from quorum.settings import Settings
from quorum.state import StateError, Store

#: Changes of state of the guards that are shown.
CHANGES = 50
#: Seconds after which what was written to a file can be read.
SETTLED = 1.0


class Source(ABC):
    """What pages, API and metrics read; the only writing is what a person asks for."""

    def __init__(self) -> None:
        self.log = EventLog()
        self._lock = threading.Lock()
        self._seen: Hashable = None
        self._snapshot: Snapshot | None = None

    def snapshot(self) -> Snapshot:
        """Return everything as it is now; read anew only where something was written."""
        with self._lock:
            stamp = self.stamp()
            if self._snapshot is None or stamp != self._seen:
                self._snapshot = self.read()
                self._seen = stamp
            return self._snapshot

    @abstractmethod
    def stamp(self) -> Hashable:
        """Return what changes whenever something is written; cheap."""

    def look(self) -> int:
        """Take note of new events without putting a snapshot together; return how many there are.

        A stream must not wait for what only a page needs.
        """
        with self._lock:
            self.read_on()
            return len(self.log)

    def read_on(self) -> None:
        """Read what is new into the log."""
        return

    @abstractmethod
    def read(self) -> Snapshot:
        """Read everything."""

    def resume(self, reason: str) -> Transition:
        """End a halt of the guards; raises ``StateError`` where there is none to end."""
        raise StateError("a finished backtest cannot be resumed")


@dataclass(frozen=True)
class Places:
    """Where a bot leaves what it does.

    Attributes
    ----------
    database : str
        URL of the host's trades.
    bot : str
        Name under which it keeps its state.
    guards : SqlStore or None
        For reading only, in the store that holds the journal, too; None where the state is kept in
        memory only.
    settings : Settings
        Those of the configuration; what was journaled is read with those of its time.
    timeframe : str
    pairs : sequence of str
        The whitelist.
    capital : float or None
        At the beginning, where the configuration tells.
    models : Path
        Folder of the trained models; it may not exist.
    user_data : Path
        Where a supervisor says how its processes are.
    backtest : callable
        Returns the run that this one is held against, None without any.
    history : callable
        Returns the candles of a pair from before the journal, None without any.
    """

    database: str
    bot: str
    guards: SqlStore | None
    settings: Settings
    timeframe: str
    pairs: Sequence[str]
    capital: float | None
    models: Path
    user_data: Path
    backtest: Callable[[], Run | None]
    history: Callable[[str], Candles | None]


class BotSource(Source):
    """A bot in dry-run or live trading, running or not."""

    def __init__(self, places: Places) -> None:
        super().__init__()
        self.places = places
        store = None if places.guards is None else places.guards.store
        self._journal = Journaled(
            JournalTail(store, places.bot), places.timeframe, places.settings, places.history
        )
        self._traded: tuple[Hashable, Run, list[str]] | None = None
        self._compared: list[Run | None] = []
        self._stand = GuardStand()

    def stamp(self) -> Hashable:
        """Return sizes and times of what the bot writes; a server is asked."""
        guards = self.places.guards
        trades = _database_stamp(make_url(self.places.database))
        if guards is None:
            return trades
        return trades, self._journal.tail.stamp(), _database_stamp(guards.store.url)

    def read_on(self) -> None:
        """Read on in the journal, and the trades where any was written."""
        self.log.add(self._journal.read_on())
        self._trades()
        self._stand = self._guards()
        self.log.add([*map(guard_event, self._stand.changes)])

    def read(self) -> Snapshot:
        """Put everything together."""
        self.read_on()
        journal, guards = self._journal, self._stand
        run, notes = self._run(guards)
        if journal.tail.damaged:
            notes.append(f"{journal.tail.damaged} lines of the journal cannot be read.")
        capital = guards.ledger.equity if guards.ledger and guards.ledger.equity else run.capital
        at, written = self._clock(guards)
        return Snapshot(
            name=run.name,
            kind=run.kind,
            at=at,
            written=written,
            live=True,
            settings=journal.settings(),
            run=run,
            decisions=journal.decisions(capital),
            lags=journal.lags(),
            answers=tuple(journal.answers),
            faults=tuple(journal.faults),
            answered=dict(journal.answered),
            failed=dict(journal.failed),
            guards=guards,
            store=None if self.places.guards is None else self.places.guards.store,
            models=self.places.models,
            backtest=self._backtest(),
            supervised=self.places.user_data,
            version="" if journal.start is None else journal.start.version,
            notes=(*run.notes, *notes),
        )

    def resume(self, reason: str) -> Transition:
        """End a halt of the guards."""
        guards = self.places.guards
        if guards is None or not guards.store.exists():
            raise StateError("no state of the guards is kept")
        # What pages are made from is opened for reading only.
        return rearm(SqlStore(Store(guards.store.url), guards.bot), reason)

    def _backtest(self) -> Run | None:
        """Return what this run is held against; read once."""
        if not self._compared:
            self._compared.append(self.places.backtest())
        return self._compared[0]

    def _clock(self, guards: GuardStand) -> tuple[datetime, datetime]:
        """Return when the bot last wrote, on its own clock and on this machine's."""
        now = datetime.now(UTC)
        seen = 0.0 if guards.ledger is None else guards.ledger.last_at or 0.0
        at = max(self._journal.newest / 1000, seen)
        if not at:
            return now, now
        store = None if self.places.guards is None else self.places.guards.store
        if store is None or not store.is_local:
            return utc(1000 * at), utc(1000 * at)
        written = max(changed for changed, _ in _database_files(store.url))
        return utc(1000 * at), utc(written / 1e6)

    # Databases ----------------------------------------------------------------------------

    def _trades(self) -> tuple[Run, list[str]]:
        """Return the trades, read anew where any was written, and what is wrong with them."""
        stamp = _database_stamp(make_url(self.places.database))
        if self._traded is None or self._traded[0] != stamp:
            notes: list[str] = []
            try:
                run = database_run(self.places.database, self.places.capital)
            except DataError as error:
                notes.append(f"Trades are not known: {error}")
                run = _nothing_traded(self.places)
            self._traded = (stamp, run, notes)
            self.log.add(list(trade_events(run)))
        return self._traded[1], list(self._traded[2])

    def _run(self, guards: GuardStand) -> tuple[Run, list[str]]:
        """Return the run with the candles that were journaled, and what is wrong with it."""
        run, notes = self._trades()
        journal = self._journal
        pairs = tuple(dict.fromkeys((*self.places.pairs, *journal.pairs, *run.pairs)))
        known = {pair: journal.candles(pair) for pair in pairs}
        candles = {pair: series for pair, series in known.items() if series is not None}
        first = run.first if journal.first is None else min(run.first, journal.first)
        begun = guards.ledger.initial if guards.ledger is not None else None
        found = replace(
            run,
            pairs=pairs,
            candles=candles,
            first=first,
            last=max(journal.newest, first + 1),
            timeframe=self.places.timeframe,
            capital=begun or run.capital,
            refused={told: n for told, n in journal.answered.items() if told != "accepted"},
            settings=journal.settings(),
        )
        return found, notes

    def _guards(self) -> GuardStand:
        store = self.places.guards
        if store is None:
            return GuardStand(problem="The state of the guards is kept in memory only.")
        if not store.store.exists():
            return GuardStand(problem="The guards have kept no state yet.")
        try:
            ledger = store.load()
            if ledger is None:
                return GuardStand(problem="The guards have kept no state yet.")
            guards = Guards(self.places.settings.guards, store)
            guards.ledger = ledger
            return GuardStand(ledger, guards.limits(), store.events(CHANGES))
        except StateError as error:
            return GuardStand(problem=str(error))


def _nothing_traded(places: Places) -> Run:
    """Return a run of a bot whose trades cannot be read."""
    now = int(time() * 1000)
    return Run(
        name=places.bot, kind="bot", trades=(), refused=None, first=now, last=now,
        timeframe=places.timeframe, currency="", capital=places.capital or 1.0, pairs=(),
        futures=True, section={},
    )  # fmt: skip


def _database_stamp(parsed: URL) -> Hashable:
    """Return what changes when a database is written; of a server every second.

    A file changes before what was written can be read: it is looked at again until that is over.
    """
    now = time()
    if parsed.get_backend_name() != "sqlite" or not parsed.database:
        return int(now)
    files = _database_files(parsed)
    fresh = now - max(changed for changed, _ in files) / 1e9 < SETTLED
    return (*files, int(now / (SETTLED / 2)) if fresh else 0)


def _database_files(url: URL) -> list[tuple[int, int]]:
    return [_file_stamp(Path(f"{url.database}{end}")) for end in ("", "-wal")]


def _file_stamp(path: Path) -> tuple[int, int]:
    try:
        found = path.stat()
    except OSError:
        return 0, 0
    return found.st_mtime_ns, found.st_size
