"""Load of the recorder: messages a second per sink beside raw writing, and memory over time.

Run: ``python benchmarks/recorder.py [--seconds 20] [--rate 20000] [--database postgresql://...]``
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
import pyarrow as pa
import pyarrow.parquet as pq

from quorum.recorder.buffer import Buffer
from quorum.recorder.channels import BOOKS, TRADES, Rows
from quorum.recorder.parquet import ParquetSink
from quorum.recorder.postgres import PostgresSink
from quorum.recorder.sink import Sink
from quorum.recorder.writing import FLUSH, Writer

PAIRS = [f"C{number}/USDT:USDT" for number in range(10)]
BATCH = 10_000


def messages(start: int, count: int, first: int = 0) -> Iterator[tuple[str, tuple[Any, ...]]]:
    """Yield channel and row: 49 trades to a book of 20 levels."""
    levels = [100.0 + 0.1 * i for i in range(20)]
    for number in range(first, first + count):
        pair, at = PAIRS[number % 10], start + number // 20
        if number % 50 == 0:
            yield "books", (pair, at, at + 5, number, levels, levels, levels, levels)
        else:
            yield "trades", (pair, at, at + 5, str(number), 100.0, 0.5, number % 2 == 0, False)


def batches(start: int, seconds: float) -> Iterator[Rows]:
    first, ends = 0, time.perf_counter() + seconds
    while time.perf_counter() < ends:
        rows: Rows = {}
        for channel, row in messages(start, BATCH, first):
            rows.setdefault(channel, []).append(row)
        first += BATCH
        yield rows


def fastest(write: Callable[[Rows], None], seconds: float) -> float:
    """Return rows a second that a writer takes, without the making of them."""
    spent, count = 0.0, 0
    for rows in batches(int(time.time() * 1000), seconds):
        began = time.perf_counter()
        write(rows)
        spent += time.perf_counter() - began
        count += BATCH
    return count / spent


def raw_parquet(folder: Path) -> Callable[[Rows], None]:
    writer = pq.ParquetWriter(folder / "raw.parquet", TRADES.schema, compression="zstd")
    books = pq.ParquetWriter(folder / "books.parquet", BOOKS.schema, compression="zstd")

    def write(rows: Rows) -> None:
        writer.write_table(TRADES.table(rows["trades"]))
        books.write_table(BOOKS.table(rows["books"]))

    return write


def raw_copy(address: str) -> Callable[[Rows], None]:
    import psycopg

    connection = psycopg.connect(address.replace("+psycopg", ""), autocommit=True)
    for channel in (TRADES, BOOKS):
        kinds = {
            pa.string(): "text",
            pa.int64(): "int8",
            pa.float64(): "float8",
            pa.bool_(): "bool",
        }
        columns = ", ".join(f"{f.name} {kinds.get(f.type, 'float8[]')}" for f in channel.schema)
        connection.execute(f"CREATE TABLE raw_{channel.name} ({columns})")

    def write(rows: Rows) -> None:
        for name, found in rows.items():
            with connection.cursor().copy(f"COPY raw_{name} FROM STDIN (FORMAT BINARY)") as copy:
                schema = {"trades": TRADES, "books": BOOKS}[name].schema
                copy.set_types([kinds.get(f.type, "float8[]") for f in schema])
                for row in found:
                    copy.write_row(row)

    return write


def sustained(sink: Sink, rate: int, seconds: float) -> None:
    """Feed a writer at a rate, as the streams do, and tell lag, processor and memory."""
    buffer = Buffer()
    writer, process = Writer(buffer, [sink]), psutil.Process()
    began, used, first = time.perf_counter(), process.cpu_times(), 0
    longest, memory = 0.0, []
    while (passed := time.perf_counter() - began) < seconds:
        due = round(passed * rate)
        for channel, row in messages(int(time.time() * 1000) - first // 20, due - first, first):
            buffer.put(channel, row)
        first = due
        before = time.perf_counter()
        writer.flush()
        longest = max(longest, time.perf_counter() - before)
        memory.append(process.memory_info().rss / 1e6)
        time.sleep(max(0.0, FLUSH - (time.perf_counter() - before)))
    writer.flush()
    spent = process.cpu_times()
    cores = (spent.user + spent.system - used.user - used.system) / (time.perf_counter() - began)
    quarter = max(1, len(memory) // 4)
    print(
        f"  {rate:,} messages/s for {seconds:g} s: {writer.written:,} written, {cores:.2f} cores, "
        f"longest flush {longest:.2f} s, memory {max(memory[:quarter]):.0f} MB in the first "
        "quarter, "
        f"{max(memory[-quarter:]):.0f} MB in the last"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=20.0)
    parser.add_argument("--rate", type=int, default=20_000, help="sustained, to files")
    parser.add_argument("--database", help="PostgreSQL to write to")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        print("files")
        print(f"  raw Parquet {fastest(raw_parquet(root), given.seconds / 2):,.0f} rows/s")
        sink: Sink = ParquetSink(root / "flow")
        print(f"  sink {fastest(sink.write, given.seconds / 2):,.0f} rows/s")
        sustained(sink, given.rate, given.seconds)
        sink.close()
        if given.database:
            print("PostgreSQL")
            print(f"  raw COPY {fastest(raw_copy(given.database), given.seconds / 2):,.0f} rows/s")
            sink = PostgresSink(given.database)
            print(f"  sink {fastest(sink.write, given.seconds / 2):,.0f} rows/s")
            sustained(sink, given.rate // 2, given.seconds)
            sink.close()


if __name__ == "__main__":
    main()
