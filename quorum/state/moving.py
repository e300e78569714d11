"""Moving the state from one database to another, whichever kind they are; nothing is lost."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

from sqlalchemy import Table, func, insert, select, text
from sqlalchemy.engine import Connection

from quorum.state.address import shown
from quorum.state.errors import StateError
from quorum.state.migration import DEEDS, MOVED, note_deed
from quorum.state.store import Store

#: Rows read and written at once.
BATCH = 1000


class Moved(NamedTuple):
    """What was copied of one table."""

    table: str
    rows: int


class _Content(NamedTuple):
    rows: int
    digest: str


def move(source: Store, target: Store) -> list[Moved]:
    """Copy all state to an empty database, and close the old one for writing.

    1. Hold the source: who writes meanwhile waits, and is refused afterwards.
    2. Copy every table in one transaction, keys included, and let the target count on from them.
    3. Read both sides again: numbers of rows and digests must be equal.
    4. Note in the source where the state is now.

    A move that was interrupted before step 4 can be repeated: a target with the same content is
    taken as copied.

    Raises
    ------
    StateError
        If both are the same database, the target holds other rows, or what was copied differs.
    """
    if source.url == target.url:
        raise StateError(f"{source}: is where the state is already")
    tables = [*(table for kind in source.kinds for table in kind.tables), DEEDS]
    with source.write() as reading:
        _hold(reading)
        contents = {table.name: _content(reading, table) for table in tables}
        with target.write() as writing:
            present = {table.name: _content(writing, table) for table in tables}
            if present != contents:
                held = [name for name, content in present.items() if content.rows]
                if held:
                    raise StateError(f"{target}: holds other state already ({', '.join(held)})")
                for table in tables:
                    _copy(reading, writing, table)
                copied = {table.name: _content(writing, table) for table in tables}
                differing = [name for name in contents if copied[name] != contents[name]]
                if differing:
                    raise StateError(f"{target}: differs after copying ({', '.join(differing)})")
        note_deed(reading, MOVED, shown(target.url), "")
    return [Moved(table.name, contents[table.name].rows) for table in tables]


def _hold(connection: Connection) -> None:
    """Keep others from writing until the end of the transaction."""
    if connection.dialect.name == "postgresql":
        # Every write looks into this table first. SQLite has one writer at a time anyway.
        connection.execute(text("LOCK TABLE quorum_deeds IN ACCESS EXCLUSIVE MODE"))


def _batches(connection: Connection, table: Table) -> Iterator[Sequence[Any]]:
    chosen = select(table).order_by(*table.primary_key.columns)
    result = connection.execute(chosen, execution_options={"yield_per": BATCH})
    yield from result.partitions()


def _content(connection: Connection, table: Table) -> _Content:
    """Return the number of rows of a table, and a digest of what is in them."""
    digest, count = hashlib.sha256(), 0
    for batch in _batches(connection, table):
        count += len(batch)
        for row in batch:
            digest.update(repr(tuple(row)).encode())
    return _Content(count, digest.hexdigest())


def _copy(reading: Connection, writing: Connection, table: Table) -> None:
    for batch in _batches(reading, table):
        writing.execute(insert(table), [dict(row._mapping) for row in batch])
    (key, *more) = table.primary_key.columns
    if writing.dialect.name == "postgresql" and not more and key.autoincrement is True:
        # Rows that came with their keys did not move the counter.
        newest = select(func.max(key)).scalar_subquery()
        counter = func.pg_get_serial_sequence(table.name, key.name)
        writing.execute(select(func.setval(counter, func.coalesce(newest, 1), newest.is_not(None))))
