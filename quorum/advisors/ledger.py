"""Ledger: every question and answer, chained so that an edit shows, in the state (spec A5).

Readers read narrow rows whose hashes they check as they go; the texts of prompts and answers are
kept apart and checked by :meth:`Ledger.verify` and by an export.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterable, Iterator, Sequence
from enum import Enum
from pathlib import Path
from threading import Lock
from typing import Any, NamedTuple

from sqlalchemy import Text, cast, delete, func, insert, select
from sqlalchemy.engine import Connection

from quorum.advisors.record import ANSWERED, FINAL, Record, digest
from quorum.errors import DataError
from quorum.state import Store
from quorum.state.kinds.advice import ADVICE, RESERVED, TEXTS

#: Hash before the first record.
BEGINNING = "0" * 64
DAY_MS = 86_400_000
#: Costs are kept in millionths of a US dollar.
MILLION = 1_000_000
#: Stands between the fields of a row where it is hashed.
_BETWEEN = "\x1f"
#: Columns that a hash covers, in this order.
_COVERED = (
    "record", "question", "kind", "provider", "model", "role", "pair", "candle", "asked_at",
    "known_at", "cut_off", "status", "numbers", "tokens", "cost", "detail",
)  # fmt: skip
#: Fields of a record that are kept as texts of their own.
_TEXTS = ("system", "user", "raw")
_NEWEST = select(ADVICE.c.hash).order_by(ADVICE.c.id.desc()).limit(1)
#: Fields of a record that are columns, by column.
_COLUMNS = {"record": "id"} | {
    name: name for name in _COVERED if name not in ("record", "numbers", "tokens", "cost", "detail")
}


class Row(NamedTuple):
    """A narrow record as text; ``numbers`` is JSON by pair, ``cut_off`` may be empty."""

    id: int
    hash: str
    record: str
    question: str
    kind: str
    provider: str
    model: str
    role: str
    pair: str
    candle: str
    asked_at: str
    known_at: str
    cut_off: str
    status: str
    numbers: str
    tokens: str
    cost: str
    detail: str


#: A row as the text that its hash covers, put together by the database.
_LINE = sum(
    (_BETWEEN + func.coalesce(cast(ADVICE.c[name], Text), "") for name in _COVERED[1:]),
    cast(ADVICE.c[_COVERED[0]], Text) + "",
)


class Reservation(Enum):
    """What came of the wish to ask."""

    MADE = "made"
    NO_BUDGET = "no budget"
    UNDER_WAY = "under way"


class Spent(NamedTuple):
    """What a day has cost: tokens, and US dollars."""

    tokens: int
    cost: float


class Ledger:
    """The ledger in one state store.

    Parameters
    ----------
    store : Store
    """

    def __init__(self, store: Store) -> None:
        self.store = store
        # Threads of one writer take turns; they need not wait for the database to say so.
        self._writing = Lock()

    # Reading ------------------------------------------------------------------------------

    def rows(self, after: int = 0, last: str = BEGINNING) -> list[Row]:
        """Return the records after one, checked against the hash of that one.

        Raises
        ------
        DataError
            Naming the record that was changed, added or taken out.
        """
        if not self.store.exists():
            return []
        where = select(ADVICE.c.id, ADVICE.c.hash, _LINE).where(ADVICE.c.id > after)
        with self.store.read() as connection:
            # The driver's own rows: a hundred thousand of them are read at every start.
            cursor = connection.execute(where.order_by(ADVICE.c.id)).cursor
            found = cursor.fetchall() if cursor is not None else []
        rows = []
        for number, hashed, line in found:
            if digest(last, line) != hashed:
                raise DataError(
                    f"{self.store}: record {number} of the advisors' ledger was changed, or one "
                    "before it: restore it from an export"
                )
            last = hashed
            rows.append(Row(number, hashed, *line.split(_BETWEEN)))
        return rows

    def head(self) -> str:
        """Return the hash of the newest record: it stands for the whole ledger."""
        if not self.store.exists():
            return BEGINNING
        with self.store.read() as connection:
            return str(connection.execute(_NEWEST).scalar() or BEGINNING)

    def records(self, rows: Iterable[Row]) -> Iterator[Record]:
        """Return whole records, their texts checked.

        Raises
        ------
        DataError
            Naming the record whose text was changed.
        """
        with self.store.read() as connection:
            for row in rows:
                yield self._record(connection, row.id)

    def verify(self) -> int:
        """Check every record with its texts; return how many there are."""
        return sum(1 for _ in self.records(self.rows()))

    def _record(self, connection: Connection, number: int) -> Record:
        row = connection.execute(select(ADVICE).where(ADVICE.c.id == number)).one()
        values: dict[str, Any] = json.loads(self._text(connection, number, "detail", row.detail))
        for name in _TEXTS:
            values[name] = self._text(connection, number, name, values[name])
        values |= {field: getattr(row, column) for column, field in _COLUMNS.items()}
        return Record.model_validate({**values, "numbers": json.loads(row.numbers)})

    def _text(self, connection: Connection, number: int, name: str, key: str) -> str:
        text = connection.execute(select(TEXTS.c.text).where(TEXTS.c.digest == key)).scalar()
        if text is None or digest(text) != key:
            raise DataError(
                f"{self.store}: the {name} text of record {number} of the advisors' ledger was "
                "changed: restore it from an export"
            )
        return str(text)

    def finished(self, questions: Sequence[str]) -> set[str]:
        """Return those of some questions that are not to be asked again."""
        where = select(ADVICE.c.question).where(
            ADVICE.c.question.in_(list(questions)), ADVICE.c.status.in_(sorted(FINAL))
        )
        with self.store.read() as connection:
            return {row.question for row in connection.execute(where)}

    def spent(self, at: int) -> Spent:
        """Return what the UTC day of a moment has cost so far, with what is reserved."""
        with self.store.read() as connection:
            return _spent(connection, at)

    # Writing ------------------------------------------------------------------------------

    def reserve(
        self, question: str, at: int, tokens: int, cost: float, limit: Spent, detail: str = "{}"
    ) -> Reservation:
        """Reserve what a call may cost, in one step with the look at what the day has left.

        Parameters
        ----------
        question : str
        at : int
            By the market's clock, milliseconds since the epoch: budgets are of UTC days.
        tokens : int
        cost : float
            US dollars.
        limit : Spent
            Budget of a day.
        detail : str
            What is needed to say that the question was lost.
        """
        with self._writing, self.store.write() as connection:
            where = select(RESERVED.c.question).where(RESERVED.c.question == question)
            if connection.execute(where).first():
                return Reservation.UNDER_WAY
            spent = _spent(connection, at)
            if spent.tokens + tokens > limit.tokens or spent.cost + cost > limit.cost:
                return Reservation.NO_BUDGET
            values = {"question": question, "asked_at": at, "tokens": tokens, "detail": detail}
            values |= {"cost": round(cost * MILLION), "since": time.time_ns() // MILLION}
            connection.execute(insert(RESERVED).values(**values))
        return Reservation.MADE

    def append(self, record: Record) -> int | None:
        """Add a record and give back what was reserved for it; what returns is on disk.

        Returns
        -------
        int or None
            Its number; None where the same question has been answered before: the first stands.
        """
        with self._writing, self.store.write() as connection:
            connection.execute(delete(RESERVED).where(RESERVED.c.question == record.question))
            if record.status in FINAL and _stands(connection, record):
                return None
            return _append(connection, record)

    def release(self, question: str) -> None:
        """Give back what was reserved for a question that was not asked."""
        with self._writing, self.store.write() as connection:
            connection.execute(delete(RESERVED).where(RESERVED.c.question == question))

    def under_way(self, before: int) -> dict[str, str]:
        """Return the detail of what was reserved before a moment of the real clock [ms]."""
        where = select(RESERVED.c.question, RESERVED.c.detail).where(RESERVED.c.since < before)
        with self.store.read() as connection:
            return {row.question: str(row.detail) for row in connection.execute(where)}

    # Sharing ------------------------------------------------------------------------------

    def export(self, path: Path) -> int:
        """Write every record as one line of JSON; return how many there are."""
        count = 0
        with path.open("w", encoding="utf-8") as stream:
            for record in self.records(self.rows()):
                stream.write(record.model_dump_json() + "\n")
                count += 1
        return count

    def take_in(self, path: Path) -> int:
        """Add the records of an export that are not there yet; return how many were.

        Raises
        ------
        DataError
            Naming the line that is no record.
        """
        if not path.is_file():
            raise DataError(f"{path}: no such file")
        self.rows()
        added = 0
        with path.open(encoding="utf-8") as stream, self._writing, self.store.write() as connection:
            for number, line in enumerate(stream, start=1):
                try:
                    record = Record.model_validate_json(line)
                except ValueError as error:
                    raise DataError(f"{path}: line {number} is no record of a ledger") from error
                if not _stands(connection, record):
                    _append(connection, record)
                    added += 1
        return added


def _spent(connection: Connection, at: int) -> Spent:
    day = at // DAY_MS * DAY_MS
    tokens, cost = 0, 0.0
    for table in (ADVICE, RESERVED):
        c = table.c
        sums = select(func.sum(c.tokens), func.sum(c.cost))
        row = connection.execute(sums.where(c.asked_at >= day, c.asked_at < day + DAY_MS)).one()
        tokens, cost = tokens + int(row[0] or 0), cost + int(row[1] or 0) / MILLION
    return Spent(tokens, cost)


def _stands(connection: Connection, record: Record) -> bool:
    """Whether a record is there already, or the question has an answer that stands."""
    c = ADVICE.c
    same = (c.question == record.question) & (c.status == record.status)
    found = [select(c.id).where(same, c.known_at == record.known_at)]
    if record.status in FINAL:
        final = c.status.in_(sorted(FINAL))
        found.append(select(c.id).where(c.question == record.question, final))
        found.append(select(c.id).where(c.record == record.id, c.status == ANSWERED))
    return any(connection.execute(where.limit(1)).first() for where in found)


def _keep(connection: Connection, text: str) -> str:
    """Keep a text once, and return its digest."""
    key = digest(text)
    if not connection.execute(select(TEXTS.c.digest).where(TEXTS.c.digest == key)).first():
        connection.execute(insert(TEXTS).values(digest=key, text=text))
    return key


def _append(connection: Connection, record: Record) -> int:
    values = record.model_dump(mode="json")
    values |= {name: _keep(connection, values[name]) for name in _TEXTS}
    columns = {column: values.pop(field) for column, field in _COLUMNS.items()}
    columns["numbers"] = json.dumps(values.pop("numbers"), separators=(",", ":"))
    columns["cost"] = round(record.cost * MILLION)
    columns["tokens"] = record.tokens
    columns["detail"] = _keep(connection, json.dumps(values, separators=(",", ":")))
    previous = str(connection.execute(_NEWEST).scalar() or BEGINNING)
    told = ["" if columns[name] is None else str(columns[name]) for name in _COVERED]
    columns |= {"previous": previous, "hash": digest(previous, *told)}
    result = connection.execute(insert(ADVICE).values(**columns))
    number = result.inserted_primary_key
    return int(number[0]) if number is not None else 0
