"""``quorum state``: from one database to another without losing a row or a writer's word."""

from __future__ import annotations

import json

import pytest
from sqlalchemy import insert, select
from typer.testing import CliRunner

from quorum.cli import app
from quorum.guards import Ledger, SqlStore, State
from quorum.journal.settings import JournalSettings
from quorum.journal.writing import JournalWriter, journal_row
from quorum.state import StateError, Store
from quorum.state.kinds.guards import GUARD_EVENTS
from quorum.state.kinds.journal import JOURNAL
from quorum.state.migration import MOVED, note_deed
from quorum.state.moving import move
from quorum.state.summary import summary

ODD = {"kind": "x", "run": "r", "at": 1, "pair": "ÄÖ/USDT", "value": 0.1 + 0.2, "none": None}


def filled(url: str) -> Store:
    """Return a store with a ledger and 2,500 lines of a journal."""
    store = Store(url)
    ledger = SqlStore(store, "bot")
    ledger.load()
    ledger.save(Ledger(state=State.HALTED, peak=123.456))
    writer = JournalWriter(store, "bot", JournalSettings())
    writer.begin(1_700_000_000_000)
    for number in range(2500):
        writer._waiting.append(journal_row("bot", "2023-11-14", ODD | {"n": number}))
    writer.append(ODD)
    return store


def rows(store: Store) -> list[tuple[object, ...]]:
    with store.read() as connection:
        return [tuple(row) for row in connection.execute(select(JOURNAL).order_by(JOURNAL.c.id))]


@pytest.fixture(params=["to postgresql", "to sqlite"])
def ends(request, tmp_path, postgres_url) -> tuple[Store, Store]:
    local = f"sqlite:///{tmp_path / 'local.sqlite'}"
    one, other = (
        (local, postgres_url) if request.param == "to postgresql" else (postgres_url, local)
    )
    source, target = filled(one), Store(other)
    yield source, target
    for store in (source, target):
        store.close()


def test_everything_moves_and_writing_goes_on_at_the_other_end(ends):
    source, target = ends
    before = rows(source)
    assert {moved.table: moved.rows for moved in move(source, target)}["quorum_journal"] == 2501
    assert rows(target) == before
    assert SqlStore(target, "bot").load() == Ledger(state=State.HALTED, peak=123.456)
    with target.write() as connection:
        values = {"bot": "b", "at": "", "before": "", "after": "", "reason": "", "detail": ""}
        connection.execute(insert(GUARD_EVENTS).values(**values))
    writer = JournalWriter(target, "bot", JournalSettings())
    writer.begin(1_700_000_000_000)
    writer.append(ODD)
    assert [row[0] for row in rows(target)] == list(range(1, 2503))


def test_who_still_writes_to_the_old_place_is_told_the_new_one(ends):
    source, target = ends
    running = SqlStore(Store(source.url), "bot")
    ledger = running.load()
    move(source, target)
    ledger.peak = 999.0
    with pytest.raises(StateError, match=r"has been moved to .*: set state\.url"):
        running.save(ledger)
    assert SqlStore(target, "bot").load().peak == 123.456
    with pytest.raises(StateError, match="has been moved"):
        move(source, target)
    running.close()


def test_an_interrupted_move_can_be_repeated_and_other_state_is_not_overwritten(ends):
    source, target = ends
    move(source, target)
    again = Store(source.url)
    with again._writing() as connection:
        connection.exec_driver_sql("DELETE FROM quorum_deeds")
    with target.write() as connection:
        connection.exec_driver_sql("DELETE FROM quorum_deeds")
    assert move(source, target)[0].rows == 1, "as if the machine had stopped just before the end"
    with again._writing() as connection:
        connection.exec_driver_sql("DELETE FROM quorum_deeds")
    with target.write() as connection:
        connection.exec_driver_sql("DELETE FROM quorum_guards")
    with pytest.raises(StateError, match="holds other state already"):
        move(source, target)
    again.close()


def test_the_same_database_is_refused(state_url):
    store = filled(state_url)
    with pytest.raises(StateError, match="where the state is already"):
        move(store, Store(state_url))
    store.close()


def test_a_state_that_has_moved_is_still_read(state_url):
    store = filled(state_url)
    with store.write() as connection:
        note_deed(connection, MOVED, "elsewhere", "")
    looking = Store(state_url, readonly=True)
    assert len(rows(looking)) == 2501
    for each in (store, looking):
        each.close()


def test_the_commands_show_and_move_what_a_configuration_names(tmp_path, postgres_url):
    store = filled(f"sqlite:///{tmp_path / 'trades.quorum.sqlite'}")
    config = tmp_path / "config.json"
    config.write_text(json.dumps({"db_url": f"sqlite:///{tmp_path / 'trades.sqlite'}"}))
    shown = CliRunner().invoke(app, ["state", "show", "-c", str(config)])
    assert shown.exit_code == 0, shown.output
    assert "2,501" in shown.output
    moved = CliRunner().invoke(app, ["state", "move", "-c", str(config), "--to", postgres_url])
    assert moved.exit_code == 0, moved.output
    assert "quorum_journal: 2,501 rows" in moved.output
    target = Store(postgres_url)
    assert {row.table: row.rows for row in summary(target)}["quorum_journal"] == 2501
    again = CliRunner().invoke(app, ["state", "move", "-c", str(config), "--to", postgres_url])
    assert (again.exit_code, "has been moved" in again.output) == (1, True)
    nothing = tmp_path / "nothing.json"
    nothing.write_text(json.dumps({"db_url": f"sqlite:///{tmp_path / 'none.sqlite'}"}))
    empty = CliRunner().invoke(app, ["state", "show", "-c", str(nothing)])
    assert (empty.exit_code, "no state has been kept" in empty.output) == (1, True)
    for each in (store, target):
        each.close()
