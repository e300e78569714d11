"""Migrations: one table that knows which version of every kind a database holds."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping, Sequence

from sqlalchemy import Column, Integer, MetaData, String, Table, Text, func, insert, inspect, select
from sqlalchemy.engine import Connection

from quorum.state.errors import StateError
from quorum.state.kind import Kind, time_ms

#: Rows are never changed: ``number`` of ``kind`` has been applied.
_METADATA = MetaData()
MIGRATIONS = Table(
    "quorum_migrations",
    _METADATA,
    Column("kind", String(64), primary_key=True),
    Column("number", Integer, primary_key=True),
    time_ms("at"),
)
#: What happened to the store as a whole, once each: files taken over, and where it moved to.
DEEDS = Table(
    "quorum_deeds",
    _METADATA,
    Column("deed", String(16), primary_key=True),
    Column("subject", String(1024), primary_key=True),
    Column("detail", Text, nullable=False),
    time_ms("at"),
)
MOVED = "moved"
#: Locks the tables of one PostgreSQL database against a second migration ("quorum").
_ADVISORY_LOCK = 0x71756F72756D


def versions(connection: Connection) -> dict[str, int]:
    """Return the version of every kind in a database, empty for a new one."""
    if not inspect(connection).has_table(MIGRATIONS.name):
        return {}
    newest = select(MIGRATIONS.c.kind, func.max(MIGRATIONS.c.number)).group_by(MIGRATIONS.c.kind)
    return {kind: number for kind, number in connection.execute(newest)}


def refuse_newer(found: Mapping[str, int], kinds: Iterable[Kind]) -> None:
    """Raise ``StateError`` where a database is ahead of this code."""
    for kind in kinds:
        if found.get(kind.name, 0) > kind.version:
            raise StateError(
                f"{kind.name} is of version {found[kind.name]}, this Quorum knows "
                f"{kind.version}: update it"
            )


def is_current(found: Mapping[str, int], kinds: Iterable[Kind]) -> bool:
    """Whether nothing is left to migrate."""
    return all(found.get(kind.name) == kind.version for kind in kinds)


def migrate(connection: Connection, kinds: Sequence[Kind]) -> None:
    """Bring every kind of a database to the version of this code.

    1. Wait for whoever migrates the same database.
    2. A kind that is new gets its tables; tables of before there were migrations are version 1.
    3. The migrations that are missing run in order, each noted once it has run.

    Runs in the caller's transaction: it happens whole or not at all.

    Raises
    ------
    StateError
        If the database was written by a newer Quorum.
    """
    if connection.dialect.name == "postgresql":
        connection.execute(select(func.pg_advisory_xact_lock(_ADVISORY_LOCK)))
    _METADATA.create_all(connection)
    found = versions(connection)
    refuse_newer(found, kinds)
    for kind in kinds:
        applied = found.get(kind.name, 0)
        if applied == 0:
            is_old = inspect(connection).has_table(kind.tables[0].name)
            for table in kind.tables:
                table.create(connection, checkfirst=True)
            applied = 1 if is_old else kind.version
            for number in range(1, applied + 1):
                _note(connection, kind, number)
        for number in range(applied + 1, kind.version + 1):
            kind.migrations[number - 2](connection)
            _note(connection, kind, number)


def note_deed(connection: Connection, deed: str, subject: str, detail: str) -> None:
    """Note what happened to the store as a whole."""
    at = time.time_ns() // 1_000_000
    row = {"deed": deed, "subject": subject, "detail": detail, "at": at}
    connection.execute(insert(DEEDS).values(**row))


def _note(connection: Connection, kind: Kind, number: int) -> None:
    values = {"kind": kind.name, "number": number, "at": time.time_ns() // 1_000_000}
    connection.execute(insert(MIGRATIONS).values(**values))
