"""What an earlier Quorum kept in files of its own is taken over into the store, once each."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterable
from contextlib import closing
from pathlib import Path
from typing import NamedTuple
from urllib.parse import quote

from sqlalchemy import insert, select
from sqlalchemy.engine import Connection

from quorum.state.errors import StateError
from quorum.state.kinds.guards import GUARD_EVENTS, GUARD_LEDGERS
from quorum.state.migration import DEEDS, note_deed

TAKEN = "taken over"


class Takeover(NamedTuple):
    """One place where state was kept before.

    Attributes
    ----------
    source : Path
        File or folder; where there is none there is nothing to do. It is left as it is.
    copy : callable
        Writes what the source holds through a connection; returns what it was, for the record.
    """

    source: Path
    copy: Callable[[Connection, Path], str]


def pending(connection: Connection, takeovers: Iterable[Takeover]) -> list[Takeover]:
    """Return what is there and has not been taken over yet."""
    present = [takeover for takeover in takeovers if takeover.source.exists()]
    if not present:
        return []
    done = select(DEEDS.c.subject).where(DEEDS.c.deed == TAKEN)
    known = set(connection.execute(done).scalars())
    return [takeover for takeover in present if _subject(takeover) not in known]


def take_over(connection: Connection, takeovers: Iterable[Takeover]) -> list[str]:
    """Copy what is pending, in the caller's transaction; return what was copied from where."""
    told = []
    for takeover in pending(connection, takeovers):
        what = takeover.copy(connection, takeover.source)
        note_deed(connection, TAKEN, _subject(takeover), what)
        told.append(f"{what} from {takeover.source}")
    return told


def _subject(takeover: Takeover) -> str:
    return str(takeover.source.absolute())


def copy_guards(connection: Connection, path: Path) -> str:
    """Copy ledgers and events of the guards from a database of their own.

    Raises
    ------
    StateError
        If it cannot be read: a halt may stand in it.
    """
    try:
        with closing(sqlite3.connect(f"file:{quote(str(path))}?mode=ro", uri=True)) as file:
            file.row_factory = sqlite3.Row
            ledgers = [dict(row) for row in file.execute("SELECT * FROM quorum_guards")]
            chosen = file.execute(
                'SELECT bot, at, "before", "after", reason, detail FROM quorum_guard_events '
                "ORDER BY id"
            )
            events = [dict(row) for row in chosen]
    except sqlite3.Error as error:
        raise StateError(f"{path}: cannot be taken over: {error}") from error
    known = set(connection.execute(select(GUARD_LEDGERS.c.bot)).scalars())
    for table, rows in ((GUARD_LEDGERS, ledgers), (GUARD_EVENTS, events)):
        fresh = [row for row in rows if row["bot"] not in known]
        if fresh:
            connection.execute(insert(table), fresh)
    return f"guards of {len(ledgers)} bots, {len(events)} events"
