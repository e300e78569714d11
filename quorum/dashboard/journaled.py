"""What a bot has journaled, kept as pages need it: read on, never read again."""

from __future__ import annotations

from collections import Counter, defaultdict, deque
from collections.abc import Callable, Iterator, Sequence
from typing import overload

import numpy as np

from quorum.candles import PRICES, Candles, timeframe_ms
from quorum.dashboard.decision import Decision, journaled_decision, utc
from quorum.dashboard.events import Event, journal_event
from quorum.dashboard.snapshot import Answer, Fault
from quorum.errors import QuorumError
from quorum.journal.following import JournalTail
from quorum.journal.reading import Item, JournaledCandle, JournaledEntry, JournaledFault
from quorum.journal.reading import Run as Start
from quorum.settings import Settings, load_settings

#: Decisions of each pair, answers and faults, that pages look back on.
DECISIONS, ANSWERS, FAULTS = 200, 2000, 200
_COLUMNS = (*PRICES, "volume")


class Decisions(Sequence[Decision]):
    """The decisions of a pair, oldest first; each is described when somebody looks at it."""

    def __init__(
        self, candles: Sequence[JournaledCandle], describe: Callable[[JournaledCandle], Decision]
    ) -> None:
        self._candles = candles
        self._describe = describe

    def __len__(self) -> int:
        return len(self._candles)

    @overload
    def __getitem__(self, place: int) -> Decision: ...
    @overload
    def __getitem__(self, place: slice) -> list[Decision]: ...
    def __getitem__(self, place: int | slice) -> Decision | list[Decision]:
        if isinstance(place, slice):
            return [self._describe(candle) for candle in self._candles[place]]
        return self._describe(self._candles[place])

    def __iter__(self) -> Iterator[Decision]:
        return map(self._describe, self._candles)


class Journaled:
    """The journal of a bot as far as it has been read.

    Parameters
    ----------
    tail : JournalTail
    timeframe : str
    settings : Settings
        For what was journaled by a version whose settings cannot be read any more.
    history : callable
        Returns the candles of a pair from before the journal, None without any.

    Attributes
    ----------
    answers, faults : deque
        The latest.
    answered, failed : Counter
        All answers by what was said, all faults by part.
    start : Run or None
        The last start of the bot.
    newest : int
        When the newest candle was analysed, ms; 0 without any.
    """

    def __init__(
        self,
        tail: JournalTail,
        timeframe: str,
        settings: Settings,
        history: Callable[[str], Candles | None],
    ) -> None:
        self.tail = tail
        self.answers: deque[Answer] = deque(maxlen=ANSWERS)
        self.faults: deque[Fault] = deque(maxlen=FAULTS)
        self.answered: Counter[str] = Counter()
        self.failed: Counter[str] = Counter()
        self.start: Start | None = None
        self.newest = 0
        self._timeframe = timeframe
        self._fallback = settings
        self._read_history = history
        self._history: dict[str, Candles | None] = {}
        self._rows: dict[str, dict[int, tuple[float, ...]]] = defaultdict(dict)
        self._candles: dict[str, tuple[int, Candles]] = {}
        self._recent: dict[str, deque[JournaledCandle]] = defaultdict(
            lambda: deque(maxlen=DECISIONS)
        )
        self._asked: dict[tuple[str, int], str] = {}
        self._decided: dict[tuple[str, int, str | None], Decision] = {}
        self._settings: dict[str, Settings] = {}

    @property
    def pairs(self) -> tuple[str, ...]:
        """Every pair that was journaled."""
        return tuple(sorted(self._recent))

    @property
    def first(self) -> int | None:
        """Opening of the first candle, ms; None without any."""
        return min((next(iter(rows)) for rows in self._rows.values() if rows), default=None)

    def read_on(self) -> list[Event]:
        """Read what is new, and return its events."""
        events: list[Event] = []
        for position, item in self.tail.read():
            self._take(item)
            event = journal_event(position, item)
            if event is not None:
                events.append(event)
        return events

    def _take(self, item: Item) -> None:
        if isinstance(item, JournaledCandle):
            prices = [item.values[f"candle {name}"] for name in _COLUMNS]
            known = [float(price) for price in prices if price is not None]
            if len(known) == len(prices):
                # A candle that another start of the bot journals again counts once.
                self._rows[item.pair][item.time] = tuple(known)
            self._recent[item.pair].append(item)
            self.newest = max(self.newest, item.at)
        elif isinstance(item, JournaledEntry):
            told = item.refusal or "accepted"
            self._asked[item.pair, item.time] = told
            self.answered[told] += 1
            wanted = (item.price, item.stop, item.target)
            self.answers.append(
                Answer(item.pair, utc(item.time), utc(item.at), item.refusal, *wanted)
            )
        elif isinstance(item, JournaledFault):
            self.failed[item.part] += 1
            self.faults.append(Fault(utc(item.at), item.pair, item.part, item.error))
        else:
            self.start = item

    def settings(self) -> Settings:
        """Return the settings the bot runs with."""
        return self._settings_of(self.start)

    def _settings_of(self, start: Start | None) -> Settings:
        if start is None:
            return self._fallback
        if start.id not in self._settings:
            try:
                known = load_settings(start.settings)
            except QuorumError:
                known = self._fallback  # Those of another version.
            self._settings[start.id] = known
        return self._settings[start.id]

    def decisions(self, capital: float) -> dict[str, Decisions]:
        """Return the latest decisions of every pair; ``capital`` is what a signal is sized for."""

        def describe(candle: JournaledCandle) -> Decision:
            return self._decision(candle, capital)

        return {pair: Decisions(tuple(self._recent[pair]), describe) for pair in self.pairs}

    def _decision(self, candle: JournaledCandle, capital: float) -> Decision:
        asked = self._asked.get((candle.pair, candle.time))
        key = (candle.pair, candle.time, asked)
        found = self._decided.get(key)
        if found is None:
            settings = self._settings_of(candle.run)
            found = self._decided[key] = journaled_decision(candle, settings, capital, asked)
            if len(self._decided) > 2 * DECISIONS * len(self._recent):
                # The oldest goes; another page may be taking it out at the same time.
                self._decided.pop(next(iter(tuple(self._decided))), None)
        return found

    def lags(self) -> dict[str, list[float]]:
        """Return by pair the seconds from the close of a candle to its analysis, oldest first."""
        step = timeframe_ms(self._timeframe)
        return {
            pair: [(candle.at - candle.time - step) / 1000 for candle in tuple(recent)]
            for pair, recent in self._recent.items()
        }

    def candles(self, pair: str) -> Candles | None:
        """Return the candles on disk, and behind them those the bot journaled."""
        if pair not in self._history:
            self._history[pair] = self._read_history(pair)
        before, rows = self._history[pair], self._rows.get(pair)
        if not rows:
            return before
        kept = self._candles.get(pair)
        if kept is None or kept[0] != len(rows):
            kept = self._candles[pair] = (len(rows), self._joined(before, rows))
        return kept[1]

    def _joined(self, before: Candles | None, rows: dict[int, tuple[float, ...]]) -> Candles:
        own = np.array([(time, *prices) for time, prices in rows.items()], dtype=np.float64)
        own = own[np.argsort(own[:, 0], kind="stable")]
        if before is not None and len(before):
            kept = before.time < own[0, 0]
            old = [getattr(before, name)[kept] for name in ("time", *_COLUMNS)]
            own = np.vstack([np.column_stack(old), own])
        return Candles(self._timeframe, own[:, 0].astype(np.int64), *own[:, 1:].T)
