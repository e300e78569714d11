"""Book: the ledger as a reader sees it - which answers count, as arrays by pair (spec A6)."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable
from typing import NamedTuple

import numpy as np

from quorum.advisors.ledger import BEGINNING, Ledger, Row
from quorum.advisors.record import ANSWERED
from quorum.advisors.settings import AdvisorSettings
from quorum.answers import HOUR_MS, KINDS, Answers, AnswerTable
from quorum.candles import timeframe_ms

#: Days after a model's cut-off before which its answers about the past count as remembered.
MARGIN_MS = 60 * 24 * HOUR_MS


class Usable(NamedTuple):
    """Since when an answer counts, or why it does not.

    Attributes
    ----------
    known_at : int or None
        None where it is refused.
    why : str
        ``live``, ``retrospective``, ``refused``: asked afterwards, and not admitted;
        ``contaminated``: asked afterwards of a model that may have read what came of it.
    """

    known_at: int | None
    why: str


class Entry(NamedTuple):
    """One answer that counts; its numbers are read when they are needed."""

    known_at: int
    candle: int
    advisor: int
    numbers: str


def usable(row: Row, step: int, *, retrospective: bool) -> Usable:
    """Tell since when an answer counts for readers with candles of ``step`` milliseconds.

    Live is what was asked within one candle of its own, or within the hour. What was asked
    afterwards counts as if it had been asked then: it is known one candle later.
    """
    candle, asked_at = int(row.candle), int(row.asked_at)
    if asked_at - candle <= max(step, HOUR_MS):
        return Usable(int(row.known_at), "live")
    if not row.cut_off or candle < int(row.cut_off) + MARGIN_MS:
        return Usable(None, "contaminated")
    if not retrospective:
        return Usable(None, "refused")
    return Usable(candle + step, "retrospective")


class AnswerBook:
    """What may be used of a ledger; tails it, so that a candle reads only what is new.

    Parameters
    ----------
    ledger : Ledger
    settings : AdvisorSettings
    timeframe : str
        Base timeframe of the reader.

    Attributes
    ----------
    coverage : Counter
        Answers by whether they count; see :class:`Usable`.
    """

    def __init__(self, ledger: Ledger, settings: AdvisorSettings, timeframe: str) -> None:
        self._ledger: Ledger | None = ledger
        self._settings = settings
        self._step = timeframe_ms(timeframe)
        self._last, self._hash = 0, BEGINNING
        self._told: dict[str, dict[str, list[Entry]]] = {}
        self._advisors: dict[str, int] = {}
        self._cache: dict[str, tuple[int, Answers]] = {}
        self.coverage: Counter[str] = Counter()

    def refresh(self) -> None:
        """Read what was added to the ledger since the last time.

        Raises
        ------
        DataError
            If a record was changed.
        """
        rows = [] if self._ledger is None else self._ledger.rows(self._last, self._hash)
        if rows:
            self._take(rows)
            self._last, self._hash = rows[-1].id, rows[-1].hash

    def close(self) -> None:
        """Read no more; what has been read stays, and can go to other processes."""
        if self._ledger is not None:
            self._ledger.store.close()
        self._ledger = None

    def answers(self, pair: str) -> Answers:
        """Return everything usable about a pair, as of the last :meth:`refresh`."""
        cached = self._cache.get(pair)
        if cached is None or cached[0] != self._last:
            tables = {}
            for kind, entries in {**self._told.get("", {}), **self._told.get(pair, {})}.items():
                table = _table(entries, pair, len(KINDS[kind].fields))
                if len(table):
                    tables[kind] = table
            answers = Answers(tuple(self._advisors), tables, self._settings.trust_uncalibrated)
            cached = self._cache[pair] = (self._last, answers)
        return cached[1]

    def _take(self, rows: Iterable[Row]) -> None:
        for row in rows:
            if row.status != ANSWERED or row.kind not in KINDS:
                continue
            since = usable(row, self._step, retrospective=self._settings.retrospective)
            self.coverage[since.why] += 1
            if since.known_at is None:
                continue
            name = row.model
            if row.kind != "skill":
                name = f"{row.provider} {row.model} {row.role}"
            advisor = self._advisors.setdefault(name, len(self._advisors))
            kinds = self._told.setdefault(row.pair, {})
            entry = Entry(since.known_at, int(row.candle), advisor, row.numbers)
            kinds.setdefault(row.kind, []).append(entry)


def _table(entries: list[Entry], pair: str, fields: int) -> AnswerTable:
    """Return what entries say of a pair, in the order in which it became known."""
    found = []
    for entry in sorted(entries, key=lambda entry: entry.known_at):
        told = json.loads(entry.numbers)
        numbers = told.get(pair, told.get(""))
        if numbers is not None:
            read = [np.nan if value is None else value for value in numbers]
            found.append((entry.known_at, entry.candle, entry.advisor, read))
    known, candle, advisor = (
        np.array([row[part] for row in found], dtype=np.int64) for part in range(3)
    )
    values = np.array([row[3] for row in found], dtype=np.float64).reshape(-1, fields)
    return AnswerTable(known, candle, advisor, values)
