"""Sinks of the recorder: nothing lost, nothing twice, whatever is killed, torn or full."""

from __future__ import annotations

import errno
import json
import os
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from sqlalchemy import create_engine, text

from quorum.recorder.buffer import Buffer
from quorum.recorder.channels import BOOKS, CHANNELS, DAY_MS, GAPS, TRADES, Rows
from quorum.recorder.parquet import ParquetSink
from quorum.recorder.postgres import PostgresSink, table_of, table_statements, timescale_statements
from quorum.recorder.sink import Sink, SinkError
from quorum.recorder.writing import Writer

PAIR, PEER = "BTC/USDT:USDT", "ETH/USDT:USDT"
DAY = 20_000 * DAY_MS
#: To the year 2100.
ALWAYS = (0, 4_102_444_800_000)


def trade(number: int, pair: str = PAIR, *, received: int | None = None, day: int = DAY):
    at = day + number * 100
    return (
        pair, at, at + 7 if received is None else received, str(number), 100.0 + number, 0.1 + 0.2,
        number % 3 == 0, False,
    )  # fmt: skip


def book(number: int, pair: str = PAIR):
    at = DAY + number * 5000
    prices = [100.0 - i for i in range(20)]
    return (
        pair,
        at,
        at + 3,
        number,
        prices,
        [1.5] * 20,
        [101.0 + i for i in range(20)],
        [2.0] * 20,
    )


@pytest.fixture(params=["parquet", "postgresql"])
def sink(request, tmp_path):
    made: Sink = (
        ParquetSink(tmp_path / "flow")
        if request.param == "parquet"
        else PostgresSink(request.getfixturevalue("postgres_url"))
    )
    yield made
    made.close()


def rows_of(sink: Sink, channel=TRADES, pair: str = PAIR) -> list[tuple]:
    table = sink.read(channel, pair, *ALWAYS)
    assert table.schema == channel.schema
    return list(zip(*table.to_pydict().values(), strict=True)) if len(table) else []


def test_rows_come_back_as_they_were_written_by_pair_and_time(sink):
    sink.write({"trades": [trade(2), trade(1), trade(1, PEER)], "books": [book(1), book(0)]})
    sink.write(
        {"trades": [trade(3)], "gaps": [(PAIR, DAY, DAY, "trades", DAY + 5, "reconnect", 2)]}
    )
    assert rows_of(sink) == [trade(1), trade(2), trade(3)]
    assert rows_of(sink, pair=PEER) == [trade(1, PEER)]
    assert rows_of(sink, BOOKS) == [book(0), book(1)]
    assert rows_of(sink, GAPS) == [(PAIR, DAY, DAY, "trades", DAY + 5, "reconnect", 2)]
    start = DAY + 207
    assert sink.read(TRADES, PAIR, start, start + 100)["id"].to_pylist() == ["2"]


def test_a_row_twice_is_one_row_the_first_received(sink):
    sink.write({"trades": [trade(1), trade(1), trade(2)]})
    sink.write({"trades": [trade(1, received=DAY + 999_999), trade(3)]})
    sink.tidy(DAY + DAY_MS)
    sink.write({"trades": [trade(2, received=DAY + 999_999)]})
    sink.tidy(DAY + 2 * DAY_MS)
    assert rows_of(sink) == [trade(1), trade(2), trade(3)]


def test_days_that_are_too_old_go(sink):
    sink.keep_days = 2
    for day in range(5):
        sink.write({"trades": [trade(day, day=DAY + day * DAY_MS)]})
    sink.tidy(DAY + 4 * DAY_MS)
    assert [row[3] for row in rows_of(sink)] == ["2", "3", "4"]


def test_what_ended_and_began_again_goes_on(sink, tmp_path):
    sink.write({"trades": [trade(1)]})
    sink.close()
    sink.write({"trades": [trade(2)]})
    assert rows_of(sink) == [trade(1), trade(2)]


# Files ------------------------------------------------------------------------------------


def test_a_day_is_sealed_to_files_that_any_tool_reads(tmp_path):
    sink = ParquetSink(tmp_path)
    sink.write({"trades": [trade(1), trade(2), trade(1, PEER)]})
    sink.tidy(DAY + DAY_MS - 1)
    assert not list(tmp_path.glob("trades/*/*")), "the day is not over"
    sink.tidy(DAY + DAY_MS)
    file = tmp_path / "trades" / "BTC_USDT_USDT" / "2024-10-04.parquet"
    assert pd.read_parquet(file)["id"].tolist() == ["1", "2"]
    assert pd.read_parquet(file.parent)["id"].tolist() == ["1", "2"]
    told = json.loads((file.parent / "_2024-10-04.json").read_text())
    assert (told["rows"], told["first_received_at"]) == (2, DAY + 107)
    assert pq.ParquetFile(file).metadata.num_rows == 2
    assert not list((tmp_path / "hot").iterdir())
    assert rows_of(sink) == [trade(1), trade(2)]


def test_a_torn_tail_is_cut_wherever_it_was_torn(tmp_path):
    sink = ParquetSink(tmp_path)
    sink.write({"trades": [trade(1)]})
    (path,) = (tmp_path / "hot").iterdir()
    one = path.stat().st_size
    sink.write({"trades": [trade(2), trade(3)]})
    sink.close()
    whole = path.read_bytes()
    for length in sorted({0, 5, one - 1, *range(one, len(whole), 37), len(whole) - 1}):
        path.write_bytes(whole[:length])
        again = ParquetSink(tmp_path)
        kept = [trade(1)] if length >= one else []
        assert rows_of(again) == kept
        again.write({"trades": [trade(4)]})
        assert rows_of(again) == [*kept, trade(4)]
        again.close()


def test_a_seal_that_was_interrupted_is_done_again(tmp_path, monkeypatch):
    sink = ParquetSink(tmp_path)
    sink.write({"trades": [trade(1), trade(1, PEER)]})
    unlink = Path.unlink

    def killed(path, *arguments, **more):
        raise OSError("killed")

    monkeypatch.setattr(Path, "unlink", killed)
    with pytest.raises(SinkError, match="killed"):
        sink.tidy(DAY + DAY_MS)
    monkeypatch.setattr(Path, "unlink", unlink)
    again = ParquetSink(tmp_path)
    assert rows_of(again) == [trade(1)], "sealed and hot at once, and still one row"
    again.tidy(DAY + DAY_MS)
    assert rows_of(again) == [trade(1)]
    assert rows_of(again, pair=PEER) == [trade(1, PEER)]


def test_a_full_disk_ends_the_recording_with_its_message_and_leaves_whole_rows(
    tmp_path, monkeypatch
):
    sink = ParquetSink(tmp_path)
    sink.write({"trades": [trade(1)]})
    write = os.write
    full = OSError(errno.ENOSPC, "No space left on device")

    def half(file, data):
        write(file, data[: len(data) // 2])
        if len(data) > 10_000:
            raise full
        return len(data) // 2

    monkeypatch.setattr(os, "write", half)
    writer = Writer(Buffer(), [sink], lambda: DAY)
    writer.buffer.put("trades", trade(2))
    with pytest.raises(SinkError, match="cannot be written"):
        writer.flush()
    monkeypatch.undo()
    assert rows_of(ParquetSink(tmp_path)) == [trade(1)]


KILLED = """
import sys
from pathlib import Path
sys.path.insert(0, sys.argv[1])
from test_recorder_sinks import trade
from quorum.recorder.parquet import ParquetSink
from quorum.recorder.postgres import PostgresSink
where = sys.argv[2]
sink = PostgresSink(where) if where.startswith("postgresql") else ParquetSink(Path(where))
for number in range(10**6):
    sink.write({"trades": [trade(number * 20 + i) for i in range(20)]})
    print(number, flush=True)
"""


@pytest.mark.parametrize("kind", ["parquet", "postgresql"])
def test_a_killed_recorder_loses_nothing_it_has_written(kind, request, tmp_path):
    where = str(tmp_path) if kind == "parquet" else request.getfixturevalue("postgres_url")
    process = subprocess.Popen(
        [sys.executable, "-c", KILLED, str(Path(__file__).parent), where],
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    for told in process.stdout:
        if int(told) >= 30:
            break
    process.kill()
    rest = process.stdout.read().split()
    process.wait()
    last = int(rest[-1]) if rest else 30
    sink = ParquetSink(tmp_path) if kind == "parquet" else PostgresSink(where)
    found = [int(row[3]) for row in rows_of(sink)]
    assert found == list(range(len(found)))
    assert len(found) >= (last + 1) * 20
    sink.close()


# Database ---------------------------------------------------------------------------------


def test_a_database_that_restarts_is_waited_for_and_nothing_is_lost(postgres_url, tmp_path, caplog):
    database, files = PostgresSink(postgres_url), ParquetSink(tmp_path)
    writer = Writer(Buffer(), [files, database], lambda: DAY)
    writer.buffer.put("trades", trade(1))
    writer.flush()
    name = postgres_url.split("?", 1)[0].rsplit("/", 1)[1]
    engine = create_engine(postgres_url.replace(f"/{name}?", "/postgres?"))
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as admin:
        admin.execute(text(f"ALTER DATABASE {name} ALLOW_CONNECTIONS false"))
        admin.execute(
            text("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = :name"),
            {"name": name},
        )
        for number in (2, 3):
            writer.buffer.put("trades", trade(number))
            writer.flush()
        admin.execute(text(f"ALTER DATABASE {name} ALLOW_CONNECTIONS true"))
    engine.dispose()
    assert len(rows_of(files)) == 3, "files are written meanwhile"
    writer.buffer.put("trades", trade(4))
    writer.flush()
    assert rows_of(database) == [trade(n) for n in (1, 2, 3, 4)]
    assert caplog.text.count("Recording waits for the database") == 1
    database.close()


def test_tables_are_partitioned_by_day(postgres_url):
    sink = PostgresSink(postgres_url)
    sink.write({"trades": [trade(1), trade(2, day=DAY + DAY_MS)]})
    engine = create_engine(postgres_url)
    with engine.connect() as connection:
        found = connection.execute(text("SELECT count(*) FROM quorum_flow_trades_20241004"))
        assert found.scalar_one() == 1
    engine.dispose()
    sink.close()


def test_statements_for_timescale_are_sql_although_it_is_not_installed_here(postgres_url):
    """The server's own parser reads them; what they call is not there to be run."""
    engine = create_engine(postgres_url)
    with engine.begin() as connection:
        for channel in CHANNELS.values():
            for statement in (
                *table_statements(channel, timescale=True),
                *timescale_statements(channel, 30),
            ):
                call = statement.replace("SELECT create", "PERFORM create", 1)
                call = call.replace("SELECT set_", "PERFORM set_").replace(
                    "SELECT add", "PERFORM add"
                )
                connection.exec_driver_sql(
                    f"DO $body$ BEGIN IF false THEN {call}; END IF; END $body$"
                )
            assert table_of(channel).startswith("quorum_flow_")
    with pytest.raises(Exception, match="syntax error"), engine.begin() as connection:
        connection.exec_driver_sql("DO $$ BEGIN IF false THEN ALTER TABL x; END IF; END $$")
    engine.dispose()


# Buffer -----------------------------------------------------------------------------------


def test_books_are_given_up_before_trades_and_it_is_told():
    buffer = Buffer(capacity=4)
    for number in range(4):
        buffer.put("books", book(number))
    for number in range(3):
        buffer.put("trades", trade(number))
    buffer.put("books", book(9))
    rows: Rows = buffer.take()
    assert rows["trades"] == [trade(n) for n in range(3)]
    assert len(rows["books"]) == 1
    (gap,) = rows["gaps"]
    assert (gap[0], gap[3], gap[5], gap[6]) == (PAIR, "books", "overflow", 4)
    assert buffer.take() == {}


def test_rows_that_could_not_be_written_come_first_and_within_the_capacity():
    buffer = Buffer(capacity=3)
    buffer.put("trades", trade(3))
    buffer.add({"trades": [trade(1), trade(2)], "books": [book(1)]}, first=True)
    rows = buffer.take()
    assert rows["trades"] == [trade(1), trade(2), trade(3)]
    assert rows["books"] == []
    assert [gap[6] for gap in rows["gaps"]] == [1]


def test_an_empty_folder_gives_empty_tables(tmp_path):
    table = ParquetSink(tmp_path).read(TRADES, PAIR, *ALWAYS)
    assert table.schema == TRADES.schema
    assert isinstance(table, pa.Table)
    assert len(table) == 0


def test_a_clock_that_jumps_back_over_midnight_loses_and_doubles_nothing(sink):
    rows = [trade(n) for n in range(10)]
    later = [trade(n, received=DAY + DAY_MS + n) for n in range(10, 20)]
    back = [trade(n, received=DAY + DAY_MS - n) for n in range(15, 30)]
    sink.write({"trades": rows})
    sink.write({"trades": later})
    sink.tidy(DAY + DAY_MS + 5000)
    sink.write({"trades": back})
    assert sorted(int(row[3]) for row in rows_of(sink)) == list(range(30))
    sink.tidy(DAY + DAY_MS - 5000)
    sink.tidy(DAY + 2 * DAY_MS)
    assert sorted(int(row[3]) for row in rows_of(sink)) == list(range(30))
