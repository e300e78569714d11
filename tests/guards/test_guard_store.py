"""The durable state of the guards: restarts, crashes, locked and unwritable databases."""

from __future__ import annotations

import logging
import sqlite3
from contextlib import contextmanager

import pytest
from guard_accounts import HOUR, START, account, answer, guards, running

from quorum.errors import QuorumError
from quorum.guards import Reason, SqlStore, State, rearm
from quorum.guards.base import Ledger
from quorum.state import StateError


@pytest.fixture
def url(tmp_path):
    return f"sqlite:///{tmp_path / 'bot.quorum.sqlite'}"


def restarted(url, **settings):
    """Return guards as a new process has them."""
    return guards(SqlStore(url), **settings)


@contextmanager
def locked(url):
    """Hold the database as another writing process does."""
    connection = sqlite3.connect(url.removeprefix("sqlite:///"), isolation_level=None)
    connection.execute("BEGIN EXCLUSIVE")
    try:
        yield
    finally:
        connection.execute("ROLLBACK")
        connection.close()


@pytest.fixture(autouse=True)
def hurried(monkeypatch):
    monkeypatch.setattr("quorum.state.store.PATIENCE", 0.05)


def test_everything_that_is_remembered_survives_a_restart_in_mid_day(url):
    machine = restarted(url)
    machine.observe(account(100_000.0))
    machine.observe(account(101_000.0, START + HOUR))
    again = restarted(url)
    reason = answer(again, account(97_000.0, START + 2 * HOUR))
    assert reason is Reason.DAILY_LOSS, "of the opening equity before the restart"
    assert (again.ledger.day_open, again.ledger.peak) == (100_000.0, 101_000.0)
    third = restarted(url)
    assert answer(third, account(99_000.0, START + 3 * HOUR)) is Reason.DAILY_LOSS
    assert vars(third.ledger).keys() == vars(Ledger()).keys()


def test_a_pause_and_its_count_survive_a_restart(url):
    from guard_accounts import done

    losses = tuple(
        done(START + i * HOUR, -1.0, pair=f"P{i}/USDT:USDT", reason="time_stop") for i in range(3)
    )
    restarted(url).observe(account(at=START + HOUR, closed=losses[:2]))
    last = account(at=START + 2 * HOUR, closed=losses)
    assert answer(restarted(url), last) is Reason.LOSS_STREAK
    later = account(at=START + 10 * HOUR, closed=losses)
    assert answer(restarted(url), later) is Reason.LOSS_STREAK


def test_a_halt_is_on_disk_before_a_position_is_closed_and_survives_the_crash(url):
    machine = restarted(url)
    machine.observe(account())
    trade = running(START, floating=-6000.0)
    machine.observe(account(94_000.0, START + HOUR, opened=(trade,)))
    assert machine.closing is Reason.EMERGENCY_SHUTDOWN
    # The process dies here, before the host has sent a closing order.
    kept = SqlStore(url).load()
    assert kept is not None
    assert kept.state is State.HALTED
    again = restarted(url)
    again.observe(account(100_000.0, START + 2 * HOUR, opened=(trade,)))
    assert again.closing is Reason.EMERGENCY_SHUTDOWN


def test_while_a_halt_cannot_be_written_no_position_is_closed_and_none_is_opened(url, caplog):
    machine = restarted(url)
    machine.observe(account())
    with locked(url), caplog.at_level(logging.ERROR):
        for minutes in (60, 61, 62):
            machine.observe(account(94_000.0, START + minutes * HOUR / 60))
            assert machine.state is State.HALTED
            assert machine.closing is None
            assert answer(machine, account(94_000.0, START + 63 * HOUR / 60)) is not None
    assert caplog.text.count("database is locked") == 1
    machine.observe(account(94_000.0, START + 2 * HOUR))
    assert machine.closing is Reason.EMERGENCY_SHUTDOWN
    kept = SqlStore(url)
    assert kept.load().state is State.HALTED
    assert [(e.before, e.after) for e in kept.events()] == [(State.ACTIVE, State.HALTED)]


def test_a_crash_before_the_write_leaves_a_bot_that_finds_out_again(url):
    machine = restarted(url)
    machine.observe(account())
    with locked(url):
        machine.observe(account(94_000.0, START + HOUR))
    again = restarted(url)
    again.observe(account(94_000.0, START + 2 * HOUR))
    assert again.closing is Reason.EMERGENCY_SHUTDOWN


def test_a_halt_is_known_although_another_process_writes_just_then(url):
    first = restarted(url)
    first.observe(account())
    first.observe(account(94_000.0, START + HOUR))
    machine = restarted(url)
    with locked(url):
        reason = answer(machine, account(100_000.0, START + 2 * HOUR))
        assert reason is Reason.EMERGENCY_SHUTDOWN


def test_a_database_that_is_locked_at_the_start_refuses_entries_until_it_is_read(url):
    first = restarted(url)
    first.observe(account())
    first.observe(account(94_000.0, START + HOUR))
    first.store.close()
    with sqlite3.connect(url.removeprefix("sqlite:///")) as old:
        # As an earlier Quorum left it: whoever writes locks out those who read.
        assert old.execute("PRAGMA journal_mode = DELETE").fetchone() == ("delete",)
    machine = restarted(url)
    with locked(url):
        reason = answer(machine, account(100_000.0, START + 2 * HOUR))
        assert reason is Reason.STORE_UNAVAILABLE
        assert "locked" in machine.fault[1]
    assert answer(machine, account(100_000.0, START + 2 * HOUR)) is Reason.EMERGENCY_SHUTDOWN


def test_a_database_that_cannot_be_written_refuses_entries_with_a_clear_message(tmp_path, caplog):
    machine = restarted(f"sqlite:///{tmp_path / 'no such folder' / 'bot.sqlite'}")
    with caplog.at_level(logging.ERROR):
        assert answer(machine, account()) is Reason.STORE_UNAVAILABLE
    assert "Guards refuse all entries" in caplog.text
    assert "unable to open database file" in caplog.text
    assert "no such folder" in caplog.text


def test_a_file_that_is_no_database_refuses_entries(tmp_path):
    path = tmp_path / "bot.sqlite"
    path.write_bytes(b"this is no database, but long enough to look at " * 20)
    assert answer(restarted(f"sqlite:///{path}"), account()) is Reason.STORE_UNAVAILABLE


def test_a_ledger_that_cannot_be_understood_refuses_entries(url):
    restarted(url).observe(account())
    with sqlite3.connect(url.removeprefix("sqlite:///")) as connection:
        connection.execute("""UPDATE quorum_guards SET ledger = '{"state": "asleep"}'""")
    assert answer(restarted(url), account(at=START + HOUR)) is Reason.STORE_UNAVAILABLE


def test_a_ledger_of_another_version_is_read_as_far_as_it_is_known(url):
    restarted(url).observe(account())
    with sqlite3.connect(url.removeprefix("sqlite:///")) as connection:
        connection.execute("""UPDATE quorum_guards SET ledger = '{"peak": 2e5, "new": 1}'""")
    machine = restarted(url)
    machine.observe(account(100_000.0, START + HOUR))
    assert machine.closing is Reason.EMERGENCY_SHUTDOWN


def test_a_person_re_arms_a_running_bot_from_another_process_and_it_can_trip_again(url):
    machine = restarted(url)
    machine.observe(account())
    machine.observe(account(94_000.0, START + HOUR))
    change = rearm(SqlStore(url), "checked the exchange")
    assert (change.after, change.detail) == (State.ACTIVE, "checked the exchange")
    machine.observe(account(94_000.0, START + 24 * HOUR))
    assert machine.state is State.ACTIVE
    assert machine.closing is None
    machine.observe(account(89_300.0, START + 25 * HOUR))
    assert machine.closing is Reason.EMERGENCY_SHUTDOWN
    reasons = [(e.reason, e.after) for e in SqlStore(url).events()]
    assert reasons == [
        (Reason.EMERGENCY_SHUTDOWN, State.HALTED),
        (Reason.REARMED, State.ACTIVE),
        (Reason.EMERGENCY_SHUTDOWN, State.HALTED),
    ]


def test_re_arming_needs_a_halt_and_a_reason(url):
    with pytest.raises(StateError, match="no state yet"):
        rearm(SqlStore(url), "why not")
    machine = restarted(url)
    machine.observe(account())
    with pytest.raises(StateError, match="the state is active"):
        rearm(SqlStore(url), "why not")
    machine.observe(account(94_000.0, START + HOUR))
    with pytest.raises(StateError, match="needs a reason"):
        rearm(SqlStore(url), "  ")
    assert SqlStore(url).load().state is State.HALTED


def test_a_halt_by_another_process_is_taken_over_at_the_next_write(url):
    one, two = restarted(url), restarted(url)
    one.observe(account())
    two.observe(account())
    two.observe(account(94_000.0, START + HOUR))
    one.observe(account(101_000.0, START + HOUR))
    assert one.state is State.HALTED
    assert one.closing is Reason.EMERGENCY_SHUTDOWN


def test_bots_of_different_names_share_a_database_without_knowing_each_other(url):
    one, two = guards(SqlStore(url, "one")), guards(SqlStore(url, "two"))
    one.observe(account())
    one.observe(account(94_000.0, START + HOUR))
    assert answer(two, account(at=START + HOUR)) is None
    assert SqlStore(url, "two").events() == []


def test_time_alone_is_written_once_a_minute(url):
    machine = restarted(url)
    machine.observe(account())
    for seconds in (20, 40, 59):
        machine.observe(account(at=START + seconds * HOUR / 3600))
        assert SqlStore(url).load().last_at == START.timestamp()
    machine.observe(account(at=START + HOUR / 60))
    assert SqlStore(url).load().last_at == START.timestamp() + 60


@pytest.mark.parametrize(
    ("url", "what"), [("nonsense", r"state\.url"), ("nosuch://host/db", "nosuch://host/db")]
)
def test_a_url_that_is_none_is_named(url, what):
    with pytest.raises(QuorumError, match=what):
        SqlStore(url)


def test_passwords_are_not_shown():
    assert str(SqlStore("postgresql://me:secret@host/db")).endswith("//me:***@host/db")
