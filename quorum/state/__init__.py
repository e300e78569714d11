"""State: what a bot and the writers beside it keep, in one database (spec R-1).

SQLite by default, PostgreSQL by address, through the same code. A *kind* of state is one file of
:mod:`quorum.state.kinds` with its tables, and one line in its registry; :class:`Store` opens a
database, makes or migrates the tables of every kind, and hands out connections.

::

    store = Store("sqlite:///bot.quorum.sqlite")
    with store.write() as connection:
        connection.execute(insert(GUARD_EVENTS).values(...))
"""

from __future__ import annotations

from quorum.state.address import database_url, shown
from quorum.state.errors import StateError
from quorum.state.kind import Json, Kind, Migration, new_id, time_ms
from quorum.state.kinds import KINDS
from quorum.state.store import Store

__all__ = [
    "KINDS",
    "Json",
    "Kind",
    "Migration",
    "StateError",
    "Store",
    "database_url",
    "new_id",
    "shown",
    "time_ms",
]
