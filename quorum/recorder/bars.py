"""Minute bars of order flow: what features read, kept for ever (spec R-3).

One definition for rows from files, from a database and from a recorder that runs: the rows of a
minute by the time they were received, each once, in the same order, give the same bits.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from quorum.recorder.channels import (
    BOOKS,
    DAY_MS,
    LIQUIDATIONS,
    TRADES,
    Channel,
    Rows,
    day_of,
    folder_of,
)
from quorum.recorder.sink import Sink, SinkError, between, distinct
from quorum.typing import Floats, Ints

MINUTE_MS = 60_000
#: A bar is known so long after its minute has ended: a bot whose candle closes on that very minute
#: may have looked before it was written, so no backtest sees it then either.
DELAY_MS = 5_000
GRACE_MS = 2_000
FOLDER = "bars"
#: Distance from the middle within which depth is summed.
NEAR, FAR = 0.0010, 0.0025
_READ: tuple[Channel, ...] = (TRADES, BOOKS, LIQUIDATIONS)

SCHEMA = pa.schema(
    [
        ("known_at", pa.int64()),
        ("buy_volume", pa.float64()),  # of takers, base currency
        ("sell_volume", pa.float64()),
        ("trades", pa.float64()),
        ("largest", pa.float64()),  # trade, base currency
        ("spread", pa.float64()),  # fraction of the middle; from here on NaN without a book
        ("bid_depth_near", pa.float64()),  # quote currency within 10 bp
        ("ask_depth_near", pa.float64()),
        ("bid_depth_far", pa.float64()),  # within 25 bp
        ("ask_depth_far", pa.float64()),
        ("imbalance", pa.float64()),  # of ten levels, -1 all asks to 1 all bids
        ("microprice", pa.float64()),  # over the middle, fraction
        ("longs_liquidated", pa.float64()),  # quote currency
        ("shorts_liquidated", pa.float64()),
    ]
)


def minute_bars(trades: pa.Table, books: pa.Table, liquidations: pa.Table) -> pa.Table:
    """Return a bar per minute in which anything was received of a pair.

    Parameters
    ----------
    trades, books, liquidations : Table
        Of one pair, each row once, by the time they were received.

    Returns
    -------
    Table with the columns of :data:`SCHEMA`
        A minute without a trade, while books came, has a bar with no volume; one in which nothing
        was received has none.
    """
    minutes = np.unique(np.concatenate([_minutes(trades), _minutes(books)]))
    amount, buys = _column(trades, "amount"), _column(trades, "taker_buys")
    row = np.searchsorted(minutes, _minutes(trades))
    kept = np.isin(_minutes(liquidations), minutes)
    hit = np.searchsorted(minutes, _minutes(liquidations)[kept])
    value = (_column(liquidations, "price") * _column(liquidations, "amount"))[kept]
    longs = _column(liquidations, "of_longs")[kept]
    n = len(minutes)
    largest = np.zeros(n)
    np.maximum.at(largest, row, amount)
    columns = {
        "known_at": (minutes + 1) * MINUTE_MS + DELAY_MS,
        "buy_volume": _sums(row, amount * buys, n),
        "sell_volume": _sums(row, amount * (1.0 - buys), n),
        "trades": _sums(row, np.ones(len(row)), n),
        "largest": largest,
        **_books(books, np.searchsorted(minutes, _minutes(books)), n),
        "longs_liquidated": _sums(hit, value * longs, n),
        "shorts_liquidated": _sums(hit, value * (1.0 - longs), n),
    }
    return pa.table([columns[name] for name in SCHEMA.names], schema=SCHEMA)


def bars_between(sink: Sink, pair: str, start: int, end: int) -> pa.Table:
    """Return the bars of the whole minutes received in [start, end), from recorded rows."""
    start, end = -(-start // MINUTE_MS) * MINUTE_MS, end // MINUTE_MS * MINUTE_MS
    return minute_bars(*(sink.read(channel, pair, start, end) for channel in _READ))


class BarWriter:
    """Makes bars of what a recorder receives, a file per pair and day.

    Parameters
    ----------
    folder : Path
        Of the recorder.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder / FOLDER
        self._written = 0
        self._waiting: dict[str, list[tuple[object, ...]]] = {c.name: [] for c in _READ}

    def resume(self, sink: Sink, pairs: Sequence[str], now: int) -> None:
        """Make the bars of today, and of yesterday, from what was recorded before a restart."""
        this_minute = now // MINUTE_MS * MINUTE_MS
        for pair in pairs:
            for start in (now // DAY_MS * DAY_MS - DAY_MS, now // DAY_MS * DAY_MS):
                bars = bars_between(sink, pair, start, min(start + DAY_MS, this_minute))
                self._add(pair, bars)
            for channel in _READ:
                rows = sink.read(channel, pair, this_minute, this_minute + MINUTE_MS)
                self._waiting[channel.name] += zip(*rows.to_pydict().values(), strict=True)

    def add(self, rows: Rows) -> None:
        """Take note of rows that were received."""
        for name, waiting in self._waiting.items():
            waiting += rows.get(name, ())

    def write(self, now: int) -> None:
        """Write the bars of every minute that has ended a while ago; raises ``SinkError``."""
        # What was received in a minute may still be on its way from the streams' thread.
        end = (now - GRACE_MS) // MINUTE_MS * MINUTE_MS
        if end == self._written:
            return
        self._written = end
        ended: dict[str, list[tuple[object, ...]]] = {}
        for name, rows in self._waiting.items():
            ended[name] = [row for row in rows if row[2] < end]  # type: ignore[operator]
            self._waiting[name] = [row for row in rows if row[2] >= end]  # type: ignore[operator]
        pairs = sorted({str(row[0]) for rows in ended.values() for row in rows})
        tables = [(channel, channel.table(ended[channel.name])) for channel in _READ]
        for pair in pairs:
            own = [distinct(between(table, pair, 0, end), channel) for channel, table in tables]
            self._add(pair, minute_bars(*own))

    def _add(self, pair: str, bars: pa.Table) -> None:
        """Put bars into the files of their days; a minute that is there already stays."""
        minutes = bars["known_at"].to_numpy() - DELAY_MS - MINUTE_MS
        days = np.array([day_of(at) for at in minutes.tolist()], dtype=object)
        for day in sorted(set(days.tolist())):
            path = self.folder / folder_of(pair) / f"{day}.parquet"
            fresh = bars.filter(pa.array(days == day))
            try:
                path.parent.mkdir(parents=True, exist_ok=True)
                if path.is_file():
                    known = pq.read_table(path, schema=SCHEMA)
                    new = ~np.isin(fresh["known_at"].to_numpy(), known["known_at"].to_numpy())
                    fresh = pa.concat_tables([known, fresh.filter(pa.array(new))])
                written = path.with_name(f".{path.name}.{os.getpid()}")
                pq.write_table(fresh.sort_by("known_at"), written)
                written.replace(path)
            except OSError as error:
                raise SinkError(f"{path}: cannot be written: {error.strerror or error}") from error


def read_bars(folder: Path, pair_folder: str) -> pa.Table:
    """Return all bars of a pair, by its folder's name."""
    files = sorted((folder / FOLDER / pair_folder).glob("*.parquet"))
    return pa.concat_tables(
        [SCHEMA.empty_table(), *(pq.read_table(path, schema=SCHEMA) for path in files)]
    )


def _books(books: pa.Table, row: Ints, n: int) -> dict[str, Floats]:
    """Return the means of what each book shows, per minute."""
    names = ("bid_price", "bid_size", "ask_price", "ask_size")
    levels = {name: books[name].to_pylist() for name in names}
    shown = np.full((len(books), 7), np.nan)
    for number in range(len(books)):
        sides = [np.array(levels[name][number]) for name in names]
        if len(sides[0]) and len(sides[2]):
            shown[number] = _shown(*sides)
    count = np.maximum(_sums(row, np.ones(len(row)), n), 1e-300)
    told = ("spread", "bid_depth_near", "ask_depth_near", "bid_depth_far", "ask_depth_far")
    means = {}
    for place, name in enumerate((*told, "imbalance", "microprice")):
        mean = _sums(row, shown[:, place], n) / count
        means[name] = np.where(count >= 1, mean, np.nan)
    return means


def _shown(bid: Floats, bid_size: Floats, ask: Floats, ask_size: Floats) -> Floats:
    middle = (bid[0] + ask[0]) / 2
    near_bid, near_ask = bid >= middle * (1 - NEAR), ask <= middle * (1 + NEAR)
    far_bid, far_ask = bid >= middle * (1 - FAR), ask <= middle * (1 + FAR)
    bids, asks = bid_size[:10].sum(), ask_size[:10].sum()
    micro = (bid[0] * ask_size[0] + ask[0] * bid_size[0]) / (bid_size[0] + ask_size[0])
    return np.array(
        [
            (ask[0] - bid[0]) / middle,
            (bid * bid_size)[near_bid].sum(),
            (ask * ask_size)[near_ask].sum(),
            (bid * bid_size)[far_bid].sum(),
            (ask * ask_size)[far_ask].sum(),
            (bids - asks) / (bids + asks),
            micro / middle - 1.0,
        ]
    )


def _minutes(table: pa.Table) -> Ints:
    received: Ints = table["received_at"].to_numpy().astype(np.int64)
    return received // MINUTE_MS


def _column(table: pa.Table, name: str) -> Floats:
    values: Floats = table[name].to_numpy(zero_copy_only=False).astype(np.float64)
    return values


def _sums(row: Ints, values: Floats, n: int) -> Floats:
    sums: Floats = np.bincount(row, weights=values, minlength=n).astype(np.float64)
    return sums
