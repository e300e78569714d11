"""Source: the one place through which everything that a bot left behind is read."""

from __future__ import annotations

import threading
from abc import ABC, abstractmethod
from collections import Counter, defaultdict, deque
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from time import time

import numpy as np
from sqlalchemy.engine import URL, make_url

from quorum.candles import Candles
from quorum.dashboard.decision import Decision, journaled_decision, utc
from quorum.dashboard.events import Event, EventLog, guard_event, journal_event, trade_events
from quorum.dashboard.snapshot import Answer, Fault, GuardStand, Snapshot
from quorum.errors import DataError, QuorumError
from quorum.guards import Guards, SqlStore, rearm
from quorum.guards.base import Transition
from quorum.journal.following import JournalTail
from quorum.journal.reading import Item, JournaledCandle, JournaledEntry, JournaledFault
from quorum.journal.reading import Run as Start
from quorum.report.page.database import database_run
from quorum.report.page.run import Run
from quorum.settings import Settings, load_settings
from quorum.state import StateError, Store

#: Decisions of each pair, and answers and faults, that pages look back on.
DECISIONS, ANSWERS, FAULTS = 200, 2000, 200
#: Changes of state of the guards that are shown.
CHANGES = 50


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
        self._tail = JournalTail(store, places.bot)
        self._rows: dict[str, list[tuple[int, ...]]] = defaultdict(list)
        self._history: dict[str, Candles | None] = {}
        self._recent: dict[str, deque[JournaledCandle]] = defaultdict(
            lambda: deque(maxlen=DECISIONS)
        )
        self._answers: deque[Answer] = deque(maxlen=ANSWERS)
        self._faults: deque[Fault] = deque(maxlen=FAULTS)
        self._answered: Counter[str] = Counter()
        self._failed: Counter[str] = Counter()
        self._asked: dict[tuple[str, int], str] = {}
        self._decided: dict[tuple[str, int, str | None], Decision] = {}
        self._settings: dict[str, Settings] = {}
        self._start: Start | None = None
        self._compared: list[Run | None] = []
        self._newest = 0

    def stamp(self) -> Hashable:
        """Return sizes and times of what the bot writes; servers are asked every second."""
        guards = self.places.guards
        urls = [make_url(self.places.database), *([] if guards is None else [guards.store.url])]
        return (self._tail.stamp(), *map(_database_stamp, urls))

    def read(self) -> Snapshot:
        """Read on in the journal, and the databases anew."""
        self._read_journal()
        notes: list[str] = []
        guards = self._guards()
        run = self._run(guards, notes)
        if self._tail.damaged:
            notes.append(f"{self._tail.damaged} lines of the journal cannot be read.")
        self.log.add([*map(guard_event, guards.changes), *trade_events(run)])
        capital = guards.ledger.equity if guards.ledger and guards.ledger.equity else run.capital
        at, written = self._clock(guards)
        return Snapshot(
            name=run.name,
            kind=run.kind,
            at=at,
            written=written,
            live=True,
            settings=self._settings_of(self._start),
            run=run,
            decisions={
                pair: [self._decision(candle, capital) for candle in recent]
                for pair, recent in sorted(self._recent.items())
            },
            answers=tuple(self._answers),
            faults=tuple(self._faults),
            answered=dict(self._answered),
            failed=dict(self._failed),
            guards=guards,
            store=None if self.places.guards is None else self.places.guards.store,
            models=self.places.models,
            backtest=self._backtest(),
            supervised=self.places.user_data,
            version="" if self._start is None else self._start.version,
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
        at = max(self._newest / 1000, seen)
        if not at:
            return now, now
        store = None if self.places.guards is None else self.places.guards.store
        if store is None or not store.is_local:
            return utc(1000 * at), utc(1000 * at)
        written = max(changed for changed, _ in _database_files(store.url))
        return utc(1000 * at), utc(written / 1e6)

    # Journal ------------------------------------------------------------------------------

    def _read_journal(self) -> None:
        events: list[Event] = []
        for position, item in self._tail.read():
            self._take(item)
            event = journal_event(position, item)
            if event is not None:
                events.append(event)
        self.log.add(events)

    def _take(self, item: Item) -> None:
        if isinstance(item, JournaledCandle):
            prices = [item.values[f"candle {name}"] for name in _PRICES]
            if None not in prices:
                self._rows[item.pair].append((item.time, *prices))  # type: ignore[arg-type]
            self._recent[item.pair].append(item)
            self._newest = max(self._newest, item.at)
        elif isinstance(item, JournaledEntry):
            told = item.refusal or "accepted"
            self._asked[item.pair, item.time] = told
            self._answered[told] += 1
            self._answers.append(
                Answer(
                    item.pair, utc(item.time), utc(item.at), item.refusal, item.price, item.stop,
                    item.target,
                )
            )  # fmt: skip
        elif isinstance(item, JournaledFault):
            self._failed[item.part] += 1
            self._faults.append(Fault(utc(item.at), item.pair, item.part, item.error))
        else:
            self._start = item

    def _decision(self, candle: JournaledCandle, capital: float) -> Decision:
        asked = self._asked.get((candle.pair, candle.time))
        key = (candle.pair, candle.time, asked)
        if key not in self._decided:
            if len(self._decided) > 2 * DECISIONS * max(1, len(self._recent)):
                self._decided.clear()
            settings = self._settings_of(candle.run)
            self._decided[key] = journaled_decision(candle, settings, capital, asked)
        return self._decided[key]

    def _settings_of(self, start: Start | None) -> Settings:
        """Return the settings a bot ran with; those of the configuration for another version."""
        if start is None:
            return self.places.settings
        if start.id not in self._settings:
            try:
                known = load_settings(start.settings)
            except QuorumError:
                known = self.places.settings
            self._settings[start.id] = known
        return self._settings[start.id]

    # Databases ----------------------------------------------------------------------------

    def _run(self, guards: GuardStand, notes: list[str]) -> Run:
        capital = self.places.capital
        if guards.ledger is not None and guards.ledger.initial:
            capital = guards.ledger.initial
        try:
            run = database_run(self.places.database, capital)
        except DataError as error:
            notes.append(f"Trades are not known: {error}")
            now = int(time() * 1000)
            run = Run(
                name=self.places.bot, kind="bot", trades=(), refused=None, first=now,
                last=now, timeframe=self.places.timeframe, currency="", capital=capital or 1.0,
                pairs=(), futures=True, section={},
            )  # fmt: skip
        pairs = tuple(dict.fromkeys((*self.places.pairs, *self._rows, *run.pairs)))
        candles = {pair: found for pair in pairs if (found := self._candles(pair)) is not None}
        first, last = run.first, self._newest
        if self._rows:
            first = min(first, *(rows[0][0] for rows in self._rows.values() if rows))
        refused = {told: n for told, n in self._answered.items() if told != "accepted"}
        return replace(
            run, pairs=pairs, candles=candles, first=first, last=max(last, first + 1),
            timeframe=self.places.timeframe, refused=refused,
            settings=self._settings_of(self._start),
        )  # fmt: skip

    def _candles(self, pair: str) -> Candles | None:
        """Return the candles on disk, and behind them those the bot journaled."""
        if pair not in self._history:
            self._history[pair] = self.places.history(pair)
        before, rows = self._history[pair], self._rows.get(pair)
        if not rows:
            return before
        # A candle that was journaled again, by another start of the bot, counts once.
        own = np.array(list({row[0]: row for row in rows}.values()), dtype=np.float64)
        own = own[np.argsort(own[:, 0], kind="stable")]
        if before is not None and len(before):
            kept = before.time < own[0, 0]
            old = [getattr(before, name)[kept] for name in ("time", *_PRICES)]
            own = np.vstack([np.column_stack(old), own])
        return Candles(self.places.timeframe, own[:, 0].astype(np.int64), *own[:, 1:].T)

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


_PRICES = ("open", "high", "low", "close", "volume")


def _database_stamp(parsed: URL) -> Hashable:
    if parsed.get_backend_name() != "sqlite" or not parsed.database:
        return int(time())
    return tuple(_database_files(parsed))


def _database_files(url: URL) -> list[tuple[int, int]]:
    return [_file_stamp(Path(f"{url.database}{end}")) for end in ("", "-wal")]


def _file_stamp(path: Path) -> tuple[int, int]:
    try:
        found = path.stat()
    except OSError:
        return 0, 0
    return found.st_mtime_ns, found.st_size
