"""Channels: what is recorded, with the columns of a row."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import pyarrow as pa

#: Rows by channel, each a tuple in the order of the channel's columns.
Rows = dict[str, list[tuple[Any, ...]]]

DAY_MS = 86_400_000
_HEAD = (("pair", pa.string()), ("exchange_at", pa.int64()), ("received_at", pa.int64()))


@dataclass(frozen=True)
class Channel:
    """One kind of row.

    Attributes
    ----------
    name : str
    columns : tuple of (name, type)
        Beside ``pair``, ``exchange_at`` and ``received_at`` (ms since the epoch, UTC).
    key : tuple of str
        What makes a row of a pair one row, beside ``exchange_at``: received twice, it is kept once.
    goes_first : bool
        Whether rows are given up where not all can be kept.
    """

    name: str
    columns: tuple[tuple[str, pa.DataType], ...]
    key: tuple[str, ...] = ()
    goes_first: bool = False

    @property
    def schema(self) -> pa.Schema:
        """Of a table of rows."""
        return pa.schema([*_HEAD, *self.columns])

    @property
    def identity(self) -> tuple[str, ...]:
        """The columns that make a row one row."""
        return ("pair", "exchange_at", *self.key)

    def table(self, rows: Iterable[tuple[Any, ...]]) -> pa.Table:
        """Return rows as a table."""
        schema = self.schema
        columns = list(zip(*rows, strict=True)) or [()] * len(schema)
        arrays = [pa.array(v, type=f.type) for v, f in zip(columns, schema, strict=True)]
        return pa.Table.from_arrays(arrays, schema=schema)


_LEVELS = pa.list_(pa.float64())

TRADES = Channel(
    "trades",
    (
        ("id", pa.string()),
        ("price", pa.float64()),
        ("amount", pa.float64()),  # base currency
        ("taker_buys", pa.bool_()),
        ("backfilled", pa.bool_()),  # asked for after a gap
    ),
    key=("id",),
)
BOOKS = Channel(
    "books",
    (
        ("nonce", pa.int64()),
        ("bid_price", _LEVELS),  # best first
        ("bid_size", _LEVELS),
        ("ask_price", _LEVELS),
        ("ask_size", _LEVELS),
    ),
    key=("nonce",),
    goes_first=True,
)
LIQUIDATIONS = Channel(
    "liquidations",
    (
        ("price", pa.float64()),
        ("amount", pa.float64()),  # base currency
        ("of_longs", pa.bool_()),
    ),
    key=("price", "amount", "of_longs"),
)
MARKS = Channel(
    "marks",
    (("mark", pa.float64()), ("index", pa.float64()), ("funding_rate", pa.float64())),
    goes_first=True,
)
INTEREST = Channel("interest", (("amount", pa.float64()), ("value", pa.float64())))
RATIOS = Channel("ratios", (("long_short_ratio", pa.float64()),))
#: From ``exchange_at`` to ``ended_at`` rows of a channel are missing: ``lost`` many, where known.
GAPS = Channel(
    "gaps",
    (
        ("channel", pa.string()),
        ("ended_at", pa.int64()),
        ("reason", pa.string()),
        ("lost", pa.int64()),
    ),
    key=("channel", "reason"),
)

CHANNELS: Mapping[str, Channel] = {
    channel.name: channel
    for channel in (TRADES, BOOKS, LIQUIDATIONS, MARKS, INTEREST, RATIOS, GAPS)
}


def day_of(at: int) -> str:
    """Return the UTC day of a time in milliseconds."""
    return datetime.fromtimestamp(at / 1000, tz=UTC).date().isoformat()


def day_start(day: str) -> int:
    """Return when a UTC day begins, milliseconds."""
    return int(datetime.fromisoformat(day).replace(tzinfo=UTC).timestamp() * 1000)


def folder_of(pair: str) -> str:
    """Return the name of a pair's folder, as the host writes pairs in file names."""
    return pair.replace("/", "_").replace(":", "_")
