"""Kind: the tables of one kind of state, and how they came to be what they are."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from sqlalchemy import BigInteger, Column, Integer, MetaData, Table, Text, TypeDecorator
from sqlalchemy.engine import Connection, Dialect

#: Of every table of the store.
METADATA = MetaData()
#: Brings the tables of a kind from one version to the next; runs once, in a transaction.
Migration = Callable[[Connection], None]

_WIDE = BigInteger().with_variant(Integer(), "sqlite")


@dataclass(frozen=True)
class Kind:
    """One kind of state.

    A new database gets ``tables`` as they stand in the code. One that has an older version gets
    the missing ``migrations`` instead, in order: the first brings version 1 to 2. So whoever
    alters a table appends the change that alters it where it already is.

    Attributes
    ----------
    name : str
        As the migration table knows it; never changed.
    tables : tuple of Table
        In the order in which rows may be copied: what is referred to comes first.
    migrations : tuple of callable
    """

    name: str
    tables: tuple[Table, ...]
    migrations: tuple[Migration, ...] = ()

    @property
    def version(self) -> int:
        """Number of the last migration, 1 for tables that never changed."""
        return 1 + len(self.migrations)


def new_id() -> Column[Any]:
    """Return a key column ``id`` that the database counts up: the position of a row."""
    return Column("id", _WIDE, primary_key=True, autoincrement=True)


def time_ms(name: str, *, nullable: bool = False, index: bool = False) -> Column[Any]:
    """Return a column of times, milliseconds since the epoch, UTC."""
    return Column(name, BigInteger, nullable=nullable, index=index)


class Json(TypeDecorator[Any]):
    """What JSON can hold, as text of the same bytes in every database; NaN is refused."""

    impl = Text
    cache_ok = True

    def process_bind_param(self, value: Any, dialect: Dialect) -> str | None:
        """Return the text to be stored; None is stored as NULL."""
        if value is None:
            return None
        return json.dumps(value, allow_nan=False, separators=(",", ":"))

    def process_result_value(self, value: str | None, dialect: Dialect) -> Any:
        """Return what was stored."""
        return None if value is None else json.loads(value)
