"""What a store holds, in numbers."""

from __future__ import annotations

from typing import NamedTuple

from sqlalchemy import func, select

from quorum.state.store import Store


class Held(NamedTuple):
    """How much of one table there is."""

    kind: str
    version: int
    table: str
    rows: int


def summary(store: Store) -> list[Held]:
    """Return version and number of rows of every table; raises ``StateError``."""
    with store.read() as connection:
        return [
            Held(kind.name, kind.version, table.name, connection.scalar(counted) or 0)
            for kind in store.kinds
            for table in kind.tables
            for counted in [select(func.count()).select_from(table)]
        ]
