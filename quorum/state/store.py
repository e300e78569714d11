"""Store: one database, its tables brought up to date at first use."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import quote

from sqlalchemy import Engine, create_engine, event, select
from sqlalchemy.engine import URL, Connection
from sqlalchemy.exc import ArgumentError, SQLAlchemyError

from quorum.state.address import database_url, shown
from quorum.state.errors import StateError
from quorum.state.kind import Kind
from quorum.state.kinds import KINDS
from quorum.state.migration import (
    DEEDS,
    MOVED,
    is_current,
    migrate,
    refuse_newer,
    versions,
)
from quorum.state.takeover import Takeover, pending, take_over

logger = logging.getLogger(__name__)

#: Seconds to wait for a database that another process has locked.
PATIENCE = 1.0
#: Seconds a server is given to answer at all.
CONNECT_TIMEOUT = 5
#: Bytes of a write-ahead log that is kept after a checkpoint.
LOG_LIMIT = 16_000_000
_WRITES = "quorum_writes"


class Store:
    """The state in one database. Nothing is opened before the first use.

    Parameters
    ----------
    url : str or URL
        For example ``sqlite:///bot.quorum.sqlite`` or ``postgresql://user@host/name``.
    kinds : sequence of Kind
    takeovers : sequence of Takeover
        What an earlier Quorum kept elsewhere; copied at first use.
    readonly : bool
        For those who only look: nothing is made, migrated or locked.
    patience : float, default=PATIENCE
        Seconds to wait for a lock of another process.

    Raises
    ------
    StateError
        If the URL cannot be used at all.
    """

    def __init__(
        self,
        url: str | URL,
        *,
        kinds: Sequence[Kind] = KINDS,
        takeovers: Sequence[Takeover] = (),
        readonly: bool = False,
        patience: float | None = None,
    ) -> None:
        self.url = database_url(url, "state.url") if isinstance(url, str) else url
        self.kinds = tuple(kinds)
        self._takeovers = tuple(takeovers)
        self.readonly = readonly
        self._ready = False
        try:
            self._engine = _engine(
                self.url, PATIENCE if patience is None else patience, readonly=readonly
            )
        except (ArgumentError, SQLAlchemyError) as error:
            raise StateError(f"{self}: no usable database address ({error})") from error
        except ImportError as error:
            raise StateError(
                f"{self}: {error.name or error} is not installed: "
                'pip install "freqtrade-quorum[postgres]"'
            ) from error

    def __str__(self) -> str:
        return shown(self.url)

    @property
    def is_local(self) -> bool:
        """Whether it is a SQLite file."""
        return self.url.get_backend_name() == "sqlite"

    def exists(self) -> bool:
        """Whether there is something to read; looking must not create a file."""
        return not self.is_local or Path(str(self.url.database)).is_file()

    @contextmanager
    def read(self) -> Iterator[Connection]:
        """Give a connection that sees one moment of the database.

        Raises
        ------
        StateError
            If it cannot be read, or was written by a newer Quorum.
        """
        with self._explained("read"):
            self._prepare()
            with self._reading() as connection:
                yield connection

    @contextmanager
    def write(self) -> Iterator[Connection]:
        """Give a connection whose writes happen all together, or not at all.

        What this returns from is on disk.

        Raises
        ------
        StateError
            If it cannot be written, or has been moved elsewhere.
        """
        if self.readonly:
            raise StateError(f"{self}: opened for reading only")
        with self._explained("written"):
            self._prepare()
            with self._writing() as connection:
                try:
                    self._refuse_moved(connection)
                except StateError as error:
                    raise StateError(f"{self}: {error}") from error
                yield connection

    def close(self) -> None:
        """Give back the connections."""
        self._engine.dispose()

    # How ----------------------------------------------------------------------------------

    @contextmanager
    def _reading(self) -> Iterator[Connection]:
        engine = self._engine
        if not self.is_local:
            engine = engine.execution_options(isolation_level="REPEATABLE READ")
        with engine.begin() as connection:
            yield connection

    @contextmanager
    def _writing(self) -> Iterator[Connection]:
        with self._engine.execution_options(**{_WRITES: True}).begin() as connection:
            yield connection

    def _prepare(self) -> None:
        """Make or migrate the tables, once per process; raise for what cannot be used.

        1. Look without locking: nearly always there is nothing to do.
        2. Else make, migrate and take over in one transaction.
        """
        if self._ready:
            return
        if not self.readonly:
            self._make_private()
        with self._engine.begin() as connection:
            found = versions(connection)
            current = is_current(found, self.kinds)
            waiting = pending(connection, self._takeovers) if current else []
        try:
            refuse_newer(found, self.kinds)
            if self.readonly and not current:
                raise StateError("not made or migrated yet: start the bot once")
            if not self.readonly and (waiting or not current):
                self._bring_up(is_new=not found)
        except StateError as error:
            raise StateError(f"{self}: {error}") from error
        self._ready = True

    def _make_private(self) -> None:
        """Make a new file so that others of the machine may not read what is kept."""
        if self.is_local and self.url.database and not self.exists():
            path = Path(self.url.database)
            if path.parent.is_dir():
                path.touch(mode=0o640)

    def _bring_up(self, *, is_new: bool) -> None:
        with self._writing() as connection:
            if not is_new:
                self._refuse_moved(connection)
            migrate(connection, self.kinds)
            for what in take_over(connection, self._takeovers):
                logger.info("%s: took over %s, which is no longer needed", self, what)

    def _refuse_moved(self, connection: Connection) -> None:
        where = select(DEEDS.c.subject).where(DEEDS.c.deed == MOVED)
        target = connection.execute(where).scalar()
        if target is not None:
            raise StateError(f"the state has been moved to {target}: set state.url to that")

    @contextmanager
    def _explained(self, doing: str) -> Iterator[None]:
        """Say of which database it is that it cannot be read or written, and why."""
        try:
            yield
        except (SQLAlchemyError, OSError) as error:
            cause = " ".join(str(getattr(error, "orig", None) or error).split())
            if self.url.password:
                cause = cause.replace(str(self.url.password), "***")
            raise StateError(f"{self}: cannot be {doing}: {cause}") from error


def _engine(url: URL, patience: float, *, readonly: bool) -> Engine:
    if url.get_backend_name() == "sqlite":
        if readonly and url.database:
            file = f"file:{quote(str(Path(url.database).absolute()))}"
            url = url.set(database=file, query={"mode": "ro", "uri": "true"})
        engine = create_engine(url, connect_args={"timeout": patience})
        event.listen(engine, "connect", partial(_open_sqlite, readonly=readonly))
        event.listen(engine, "begin", _begin_sqlite)
        return engine
    if url.get_backend_name() != "postgresql":
        raise ArgumentError(f"{url.get_backend_name()} is neither sqlite nor postgresql")
    arguments = {"connect_timeout": CONNECT_TIMEOUT}
    engine = create_engine(url, pool_pre_ping=True, connect_args=arguments)
    event.listen(engine, "connect", partial(_open_postgres, patience=patience, readonly=readonly))
    return engine


def _open_sqlite(connection: Any, _: Any, *, readonly: bool) -> None:
    """Readers and one writer at a time side by side; a commit is on disk when it returns."""
    # The driver's own idea of when a transaction begins is a hindrance: see _begin_sqlite.
    connection.isolation_level = None
    pragmas = ["PRAGMA foreign_keys = ON"]
    if not readonly:
        pragmas += [
            "PRAGMA journal_mode = WAL",
            "PRAGMA synchronous = FULL",
            f"PRAGMA journal_size_limit = {LOG_LIMIT}",
        ]
    for pragma in pragmas:
        connection.execute(pragma)


def _begin_sqlite(connection: Connection) -> None:
    """Take the write lock at the beginning of what writes: waiting for it later is refused."""
    writes = connection.get_execution_options().get(_WRITES, False)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")


def _open_postgres(connection: Any, _: Any, *, patience: float, readonly: bool) -> None:
    """Wait no longer for a lock than a bot can."""
    connection.autocommit = True
    with connection.cursor() as cursor:
        timeout = str(round(patience * 1000))
        cursor.execute("SELECT set_config('lock_timeout', %s, false)", (timeout,))
        if readonly:
            cursor.execute("SET default_transaction_read_only = on")
    connection.autocommit = False
