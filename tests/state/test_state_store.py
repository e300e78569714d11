"""The state store: tables made, migrated and taken over, on SQLite and on PostgreSQL."""

from __future__ import annotations

import json
import sqlite3
import subprocess
import sys
import threading

import pytest
from sqlalchemy import Column, Float, String, Table, func, insert, inspect, select, text

from quorum.errors import QuorumError
from quorum.guards import Ledger, Reason, SqlStore, State, Transition
from quorum.state import KINDS, Json, Kind, StateError, Store, new_id, time_ms
from quorum.state.kind import METADATA
from quorum.state.migration import MIGRATIONS
from quorum.state.takeover import Takeover, copy_guards

#: A kind from outside the package: this table and the line below are all it takes.
MOODS = Table(
    "toy_moods",
    METADATA,
    new_id(),
    Column("pair", String(64), nullable=False),
    time_ms("known_at"),
    Column("mood", Float, nullable=False),
    Column("words", Json),
)
TOY = Kind("moods", (MOODS,))
ROW = {"pair": "BTC/USDT:USDT", "known_at": 1_700_000_000_123, "mood": 0.1 + 0.2, "words": ["ä"]}

#: The tables of the guards as they were before there were migrations.
FORMER_GUARDS = """
CREATE TABLE quorum_guards (bot VARCHAR(255) NOT NULL PRIMARY KEY, version INTEGER NOT NULL,
    ledger TEXT NOT NULL);
CREATE TABLE quorum_guard_events (id INTEGER NOT NULL PRIMARY KEY, bot VARCHAR(255) NOT NULL,
    at VARCHAR(40) NOT NULL, "before" VARCHAR(16) NOT NULL, "after" VARCHAR(16) NOT NULL,
    reason VARCHAR(64) NOT NULL, detail TEXT NOT NULL);
CREATE INDEX ix_quorum_guard_events_bot ON quorum_guard_events (bot);
INSERT INTO quorum_guards VALUES ('freqtrade', 7, '{"state": "halted", "peak": 101000.0}');
INSERT INTO quorum_guard_events VALUES
    (1, 'freqtrade', '2026-01-02T03:04:05+00:00', 'active', 'halted', 'emergency_shutdown', 'x');
"""


def columns(store: Store, table: str) -> dict[str, tuple[str, bool]]:
    with store.read() as connection:
        found = inspect(connection).get_columns(table)
    return {column["name"]: (str(column["type"]), column["nullable"]) for column in found}


def migrations(store: Store) -> list[tuple[str, int]]:
    chosen = select(MIGRATIONS.c.kind, MIGRATIONS.c.number)
    with store.read() as connection:
        rows = connection.execute(chosen.order_by(MIGRATIONS.c.kind, MIGRATIONS.c.number))
        return [(row.kind, row.number) for row in rows]


def write(store: Store, **values) -> None:
    with store.write() as connection:
        connection.execute(insert(MOODS).values(**{**ROW, **values}))


def count(store: Store) -> int:
    with store.read() as connection:
        return int(connection.execute(select(func.count()).select_from(MOODS)).scalar_one())


def test_a_kind_from_outside_keeps_its_rows_with_the_others(state_url):
    store = Store(state_url, kinds=(*KINDS, TOY))
    write(store)
    store.close()
    again = Store(state_url, kinds=(*KINDS, TOY))
    with again.read() as connection:
        (row,) = connection.execute(select(MOODS)).mappings()
    assert dict(row) == {"id": 1, **ROW}
    assert migrations(again) == sorted((kind.name, 1) for kind in (*KINDS, TOY))
    again.close()


def test_a_kind_that_joins_later_is_made_where_the_others_are(state_url):
    first = Store(state_url)
    ledger = SqlStore(first, "bot")
    ledger.load()
    ledger.save(Ledger(peak=5.0))
    first.close()
    store = Store(state_url, kinds=(*KINDS, TOY))
    write(store)
    assert SqlStore(store, "bot").load().peak == 5.0
    store.close()


def test_changes_run_once_in_order_and_reach_what_a_new_database_gets(state_url, tmp_path):
    old = Store(state_url, kinds=(TOY,))
    write(old)
    old.close()
    ran = []

    def weigh(connection):
        ran.append("weigh")
        connection.execute(text("ALTER TABLE toy_moods ADD COLUMN weight FLOAT"))

    def fill(connection):
        ran.append("fill")
        connection.execute(text("UPDATE toy_moods SET weight = 0.5"))

    newer = Kind("moods", (MOODS,), (weigh, fill))
    for _ in range(2):
        store = Store(state_url, kinds=(newer,))
        with store.read() as connection:
            assert connection.execute(text("SELECT weight FROM toy_moods")).scalar_one() == 0.5
        store.close()
    assert ran == ["weigh", "fill"]
    assert migrations(Store(state_url, kinds=(newer,))) == [("moods", n) for n in (1, 2, 3)]
    with pytest.raises(StateError, match="moods is of version 3, this Quorum knows 1: update it"):
        count(Store(state_url, kinds=(TOY,)))


def test_a_change_that_fails_leaves_the_database_as_it_was(state_url):
    old = Store(state_url, kinds=(TOY,))
    write(old)
    old.close()

    def half(connection):
        connection.execute(text("ALTER TABLE toy_moods ADD COLUMN weight FLOAT"))
        connection.execute(text("UPDATE toy_moods SET nothing = 1"))

    with pytest.raises(StateError, match="nothing"):
        count(Store(state_url, kinds=(Kind("moods", (MOODS,), (half,)),)))
    again = Store(state_url, kinds=(TOY,))
    assert "weight" not in columns(again, "toy_moods")
    assert count(again) == 1
    again.close()


def test_writes_happen_all_together_or_not_at_all(state_url):
    store = Store(state_url, kinds=(TOY,))

    def half():
        with store.write() as connection:
            connection.execute(insert(MOODS).values(**ROW))
            raise QuorumError("thought better of it")

    with pytest.raises(QuorumError, match="thought better"):
        half()
    with pytest.raises(StateError, match="cannot be written"):
        write(store, pair=None)
    assert count(store) == 0
    with pytest.raises(StateError, match="cannot be written"):
        write(store, words=[float("nan")])
    store.close()


def test_who_looks_writes_makes_and_locks_nothing(state_url):
    looking = Store(state_url, kinds=(TOY,), readonly=True)
    with pytest.raises(StateError):
        count(looking)
    store = Store(state_url, kinds=(TOY,))
    write(store)
    assert count(looking) == 1
    with pytest.raises(StateError, match="for reading only"), looking.write():
        pass
    with store.write() as connection:
        connection.execute(insert(MOODS).values(**ROW))
        assert count(looking) == 1, "what is not committed is not seen, and nobody waits"
    assert count(looking) == 2
    for one in (looking, store):
        one.close()


def test_several_that_start_at_once_make_the_tables_once(state_url):
    problems = []
    barrier = threading.Barrier(4)

    def start(number):
        store = Store(state_url, kinds=(*KINDS, TOY), patience=20.0)
        barrier.wait()
        try:
            for _ in range(25):
                write(store, mood=float(number))
        except QuorumError as error:
            problems.append(error)
        finally:
            store.close()

    threads = [threading.Thread(target=start, args=(n,)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert problems == []
    store = Store(state_url, kinds=(TOY,))
    assert count(store) == 100
    store.close()


WRITER = """
import sys
from sqlalchemy import insert
from quorum.state import Store
from quorum.state.kinds.guards import GUARD_EVENTS
store = Store(sys.argv[1], patience=20.0)
for number in range(10**9):
    with store.write() as connection:
        values = dict(bot=sys.argv[2], at="", before="", after="", reason="", detail=str(number))
        connection.execute(insert(GUARD_EVENTS).values(**values))
    print(number, flush=True)
"""


def test_processes_killed_while_they_write_lose_nothing_they_told_of(state_url):
    writers = [
        subprocess.Popen(
            [sys.executable, "-c", WRITER, state_url, name], stdout=subprocess.PIPE, text=True
        )
        for name in ("bot", "trainer")
    ]
    told = {}
    for writer in writers:
        for line in writer.stdout:
            if int(line) >= 40:
                break
    for writer, name in zip(writers, ("bot", "trainer"), strict=True):
        writer.kill()
        rest = writer.stdout.read().split()
        writer.wait()
        told[name] = int(rest[-1]) if rest else 40
    store = Store(state_url)
    with store.read() as connection:
        for name, last in told.items():
            rows = connection.execute(
                text("SELECT detail FROM quorum_guard_events WHERE bot = :bot ORDER BY id"),
                {"bot": name},
            ).scalars()
            numbers = [int(number) for number in rows]
            assert numbers[: last + 1] == list(range(last + 1))
            assert len(numbers) in (last + 1, last + 2), "one may be written and not yet told"
    store.close()


def test_a_database_of_the_guards_alone_is_adopted_where_it_is(tmp_path):
    path = tmp_path / "own.sqlite"
    with sqlite3.connect(path) as file:
        file.executescript(FORMER_GUARDS)
    store = Store(f"sqlite:///{path}")
    ledger = SqlStore(store, "freqtrade").load()
    assert (ledger.state, ledger.peak) == (State.HALTED, 101_000.0)
    assert ("guards", 1) in migrations(store)
    fresh = Store(f"sqlite:///{tmp_path / 'fresh.sqlite'}")
    for table in ("quorum_guards", "quorum_guard_events"):
        assert columns(store, table) == columns(fresh, table)


def test_the_guards_of_an_earlier_version_are_taken_over_once_and_left_where_they_are(
    state_url, tmp_path
):
    path = tmp_path / "trades.guards.sqlite"
    with sqlite3.connect(path) as file:
        file.executescript(FORMER_GUARDS)
    before = path.read_bytes()
    former = Takeover(path, copy_guards)
    store = Store(state_url, takeovers=[former])
    kept = SqlStore(store, "freqtrade")
    ledger = kept.load()
    assert (ledger.state, ledger.peak) == (State.HALTED, 101_000.0)
    (event,) = kept.events()
    assert (event.reason, event.detail) == (Reason.EMERGENCY_SHUTDOWN, "x")
    ledger.state = State.ACTIVE
    kept.save(ledger, [Transition(event.at, State.HALTED, State.ACTIVE, Reason.REARMED, "seen")])
    again = SqlStore(Store(state_url, takeovers=[former]), "freqtrade")
    assert again.load().state is State.ACTIVE, "what came after the takeover stands"
    assert len(again.events()) == 2
    assert path.read_bytes() == before
    for one in (kept, again):
        one.close()


def test_former_guards_that_cannot_be_read_are_not_passed_over(state_url, tmp_path):
    path = tmp_path / "trades.guards.sqlite"
    path.write_bytes(b"a halt may stand in here " * 50)
    store = SqlStore(Store(state_url, takeovers=[Takeover(path, copy_guards)]), "freqtrade")
    with pytest.raises(StateError, match=r"trades\.guards\.sqlite: cannot be taken over"):
        store.load()
    path.unlink()
    assert store.load() is None
    store.close()


def test_a_server_that_does_not_answer_is_named_without_its_password():
    store = Store("postgresql://me:secret@127.0.0.1:9/none")
    with pytest.raises(StateError, match=r"//me:\*\*\*@127.0.0.1:9/none: cannot be read") as caught:
        count(store)
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize("url", ["mysql://host/db", "nonsense"])
def test_an_address_of_another_kind_is_refused(url):
    with pytest.raises(QuorumError):
        count(Store(url))


def test_what_is_kept_as_json_comes_back_as_it_was(state_url):
    store = Store(state_url, kinds=(TOY,))
    words = {"b": [1, 2.5, None, "ü"], "a": {"nested": True}}
    write(store, words=words)
    with store.read() as connection:
        (found,) = connection.execute(select(MOODS.c.words)).scalars()
    assert json.dumps(found) == json.dumps(words)
    store.close()
