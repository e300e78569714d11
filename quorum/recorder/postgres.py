"""PostgreSQL: COPY into tables partitioned by day; hypertables where TimescaleDB is installed.

Rows are copied to a temporary table and inserted from there, so that a row that is there already
is passed over. Partitions and keys are by the exchange's time: that of a trade which is received
again is the same.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, ClassVar

import pyarrow as pa

from quorum.extras import extra
from quorum.recorder.channels import CHANNELS, DAY_MS, Channel, Rows
from quorum.recorder.sink import Sink, SinkError, distinct
from quorum.state import database_url, shown

if TYPE_CHECKING:
    from typing import LiteralString

    import psycopg
    from psycopg import sql

PREFIX = "quorum_flow_"
#: Seconds a server is given to answer.
PATIENCE = 5
_TYPES: dict[pa.DataType, str] = {
    pa.string(): "text",
    pa.int64(): "int8",
    pa.float64(): "float8",
    pa.bool_(): "bool",
    pa.list_(pa.float64()): "float8[]",
}


class PostgresSink(Sink):
    """Recorded rows in a PostgreSQL database.

    Parameters
    ----------
    address : str
    keep_days : int
        Age at which days go.

    Raises
    ------
    DataError, MissingLibraryError
        For an unusable address, or without the driver. The server may be started later.
    """

    waits: ClassVar[bool] = True

    def __init__(self, address: str, keep_days: int = 30) -> None:
        with extra("postgres"):
            import psycopg
        self._driver = psycopg
        url = database_url(address, "--database")
        self._shown = shown(url)
        self._address = url.set(drivername="postgresql").render_as_string(hide_password=False)
        self.keep_days = keep_days
        self._connection: psycopg.Connection[Any] | None = None
        self._partitions: set[str] = set()
        self.has_timescale = False

    def __str__(self) -> str:
        return self._shown

    def write(self, rows: Rows) -> None:
        """Copy rows in one transaction."""
        with self._transaction() as connection:
            for name, found in rows.items():
                channel = CHANNELS[name]
                for start in {row[1] // DAY_MS * DAY_MS for row in found}:
                    self._make_partition(connection, channel, start)
                _copy(connection, channel, found)

    def read(self, channel: Channel, pair: str, start: int, end: int) -> pa.Table:
        """Return rows by the time they were received."""
        names = channel.schema.names
        query = (
            f"SELECT {', '.join(names)} FROM {PREFIX}{channel.name} "
            "WHERE pair = %s AND received_at >= %s AND received_at < %s"
        )
        with self._transaction() as connection:
            found = connection.execute(query, (pair, start, end)).fetchall()
        return distinct(channel.table(found), channel)

    def tidy(self, now: int) -> None:
        """Drop the partitions that are too old; a hypertable does so by itself."""
        if self.has_timescale:
            return
        oldest = f"{_day(now - self.keep_days * DAY_MS)}"
        with self._transaction() as connection:
            for channel in CHANNELS.values():
                for name in _partitions(connection, channel):
                    if name.rsplit("_", 1)[1] < oldest:
                        connection.execute(_named("DROP TABLE {}", name))
                        self._partitions.discard(name)

    def close(self) -> None:
        """Give back the connection."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    # How ----------------------------------------------------------------------------------

    @contextmanager
    def _transaction(self) -> Iterator[psycopg.Connection[Any]]:
        """Give a connection, opened where there is none; what fails leaves none behind."""
        try:
            if self._connection is None or self._connection.closed:
                self._connection = self._driver.connect(self._address, connect_timeout=PATIENCE)
                self._partitions.clear()
                with self._connection.transaction():
                    self._make_tables(self._connection)
            with self._connection.transaction():
                yield self._connection
        except (self._driver.Error, OSError) as error:
            self.close()
            cause = " ".join(str(error).split())
            raise SinkError(f"{self}: cannot be written or read: {cause}") from error

    def _make_tables(self, connection: psycopg.Connection[Any]) -> None:
        installed = "SELECT 1 FROM pg_extension WHERE extname = 'timescaledb'"
        self.has_timescale = connection.execute(installed).fetchone() is not None
        for channel in CHANNELS.values():
            is_new = connection.execute("SELECT to_regclass(%s)", (table_of(channel),)).fetchone()
            if is_new == (None,):
                for statement in table_statements(channel, timescale=self.has_timescale):
                    connection.execute(statement)
                if self.has_timescale:
                    for statement in timescale_statements(channel, self.keep_days):
                        connection.execute(statement)

    def _make_partition(
        self, connection: psycopg.Connection[Any], channel: Channel, start: int
    ) -> None:
        name = f"{table_of(channel)}_{_day(start)}"
        if self.has_timescale or name in self._partitions:
            return
        statement = "CREATE TABLE IF NOT EXISTS {} PARTITION OF {} FOR VALUES FROM ({}) TO ({})"
        connection.execute(_named(statement, name, table_of(channel), start, start + DAY_MS))
        self._partitions.add(name)


def table_of(channel: Channel) -> str:
    """Return the table of a channel."""
    return f"{PREFIX}{channel.name}"


def table_statements(channel: Channel, *, timescale: bool) -> list[str]:
    """Return what makes the table of a channel; a hypertable has no partitions of its own."""
    name = table_of(channel)
    columns = ", ".join(f"{f.name} {_TYPES[f.type]} NOT NULL" for f in channel.schema)
    partition = "" if timescale else " PARTITION BY RANGE (exchange_at)"
    key = ", ".join(channel.identity)
    return [
        f"CREATE TABLE {name} ({columns}, PRIMARY KEY ({key})){partition}",
        f"CREATE INDEX {name}_received ON {name} (pair, received_at)",
    ]


def timescale_statements(channel: Channel, keep_days: int) -> list[str]:
    """Return what makes a table a hypertable: a chunk a day, compressed after a week."""
    name = table_of(channel)
    now = "quorum_flow_now"
    return [
        f"CREATE OR REPLACE FUNCTION {now}() RETURNS int8 LANGUAGE sql STABLE AS "
        "'SELECT (extract(epoch FROM now()) * 1000)::int8'",
        f"SELECT create_hypertable('{name}', 'exchange_at', chunk_time_interval => {DAY_MS})",
        f"SELECT set_integer_now_func('{name}', '{now}')",
        f"ALTER TABLE {name} SET (timescaledb.compress, timescaledb.compress_segmentby = 'pair')",
        f"SELECT add_compression_policy('{name}', compress_after => int8 '{7 * DAY_MS}')",
        f"SELECT add_retention_policy('{name}', drop_after => int8 '{keep_days * DAY_MS}')",
    ]


def _copy(
    connection: psycopg.Connection[Any], channel: Channel, rows: list[tuple[Any, ...]]
) -> None:
    name, waiting = table_of(channel), f"waiting_{channel.name}"
    temporary = "CREATE TEMPORARY TABLE IF NOT EXISTS {} (LIKE {}) ON COMMIT DELETE ROWS"
    connection.execute(_named(temporary, waiting, name))
    into = _named("COPY {} FROM STDIN (FORMAT BINARY)", waiting)
    with connection.cursor().copy(into) as copy:
        copy.set_types([_TYPES[f.type] for f in channel.schema])
        for row in rows:
            copy.write_row(row)
    kept = "INSERT INTO {} SELECT * FROM {} ON CONFLICT DO NOTHING"
    connection.execute(_named(kept, name, waiting))


def _named(statement: LiteralString, *parts: str | int) -> sql.Composed:
    """Put names of tables, and numbers, into a statement that takes no parameters there."""
    from psycopg import sql

    filled = (sql.Literal(p) if isinstance(p, int) else sql.Identifier(p) for p in parts)
    return sql.SQL(statement).format(*filled)


def _partitions(connection: psycopg.Connection[Any], channel: Channel) -> list[str]:
    query = "SELECT inhrelid::regclass::text FROM pg_inherits WHERE inhparent = %s::regclass"
    return [name for (name,) in connection.execute(query, (table_of(channel),)).fetchall()]


def _day(at: int) -> str:
    return datetime.fromtimestamp(at / 1000, tz=UTC).strftime("%Y%m%d")
