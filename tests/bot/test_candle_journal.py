"""CandleJournal: durable, bounded, cheap, and silent about secrets."""

from __future__ import annotations

import json
import logging
import signal
import sqlite3
import subprocess
import sys
import time
from contextlib import closing
from datetime import UTC, datetime

import pytest
from freqtrade.enums import RunMode
from journaled_bots import BOT, PAIR, PEER, Frames, JournaledBot, frames
from sqlalchemy import func, select, update

from quorum import faults
from quorum.bot.candle_journal import candle_journal
from quorum.bot.desk import NO_SIGNAL
from quorum.bot.state_store import takeovers
from quorum.candles import DAY_MS
from quorum.entry import Account
from quorum.errors import DataError
from quorum.faults import report_fault
from quorum.journal.reading import read_journal
from quorum.journal.settings import JournalSettings
from quorum.journal.writing import JournalWriter
from quorum.settings import load_settings
from quorum.state import StateError, Store
from quorum.state.kinds.journal import JOURNAL
from quorum.state.migration import DEEDS

FIRST = 1606
#: A writer in its own process: tells of each line once it is written.
WRITER = """
import sys
from quorum.journal.settings import JournalSettings
from quorum.journal.writing import JournalWriter
from quorum.journal.writing import JournalWriter
from quorum.state import Store
writer = JournalWriter(Store(sys.argv[1]), "bot", JournalSettings())
writer.begin(1_700_000_000_000)
for number in range(10**9):
    line = {"kind": "x", "run": "r", "at": 0, "number": number, "filling": "x" * (number % 7000)}
    writer.append(line)
    print(number, flush=True)
"""
DAY = 1_700_006_400_000


@pytest.fixture(scope="module")
def stored() -> Frames:
    return frames(seed=5)


@pytest.fixture
def bot(stored, tmp_path):
    bot = JournaledBot(f"sqlite:///{tmp_path / 'bot.sqlite'}", stored)
    yield bot
    bot.journal.close()


def lines(store: Store, bot: str = "bot") -> list[dict]:
    chosen = select(JOURNAL.c.body).where(JOURNAL.c.bot == bot).order_by(JOURNAL.c.id)
    with store.read() as connection:
        return [json.loads(body) for body in connection.execute(chosen).scalars()]


def days(store: Store, bot: str = "bot") -> list[str]:
    chosen = select(JOURNAL.c.day).where(JOURNAL.c.bot == bot).distinct()
    with store.read() as connection:
        return list(connection.execute(chosen.order_by(JOURNAL.c.day)).scalars())


def line(number: int, filling: str = "") -> dict:
    return {"kind": "x", "run": "r", "at": 0, "number": number, "filling": filling}


def numbers(store: Store) -> list[int]:
    return [found["number"] for found in lines(store)]


# Rows -------------------------------------------------------------------------------------


def test_a_killed_writer_loses_no_line_it_wrote(state_url):
    process = subprocess.Popen(
        [sys.executable, "-c", WRITER, state_url], stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    for told in process.stdout:
        if int(told) >= 100:
            break
    process.send_signal(signal.SIGKILL)
    rest = process.stdout.read().split()
    process.wait()
    last = int(rest[-1]) if rest and rest[-1].isdigit() else 100
    store = Store(state_url)
    found = numbers(store)
    assert found == list(range(len(found)))
    assert len(found) in (last + 1, last + 2)
    store.close()


def test_lines_wait_while_the_store_cannot_be_written(tmp_path, monkeypatch):
    monkeypatch.setattr("quorum.state.store.PATIENCE", 0.05)
    monkeypatch.setattr("quorum.journal.writing.MOST_WAITING", 3)
    path = tmp_path / "state.sqlite"
    store = Store(f"sqlite:///{path}")
    writer = JournalWriter(store, "bot", JournalSettings())
    writer.begin(DAY)
    writer.append(line(0))
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN EXCLUSIVE")
        with pytest.raises(StateError, match="locked"):
            writer.append(line(1))
        began = time.monotonic()
        for number in range(2, 100):
            writer.append(line(number))
        assert time.monotonic() - began < 1.0, "a store that is locked is not tried at every line"
        assert writer.is_behind
        other.execute("ROLLBACK")
    monkeypatch.setattr("quorum.journal.writing.RETRY", 0.0)
    writer._retry_at = 0.0
    writer.append(line(100))
    assert not writer.is_behind
    assert numbers(store)[0] == 0
    assert numbers(store)[-3:] == [98, 99, 100]


def test_old_days_go_and_the_size_is_bounded(state_url):
    settings = JournalSettings(keep_days=3, max_megabytes=0.01)
    store = Store(state_url)
    writer = JournalWriter(store, "bot", settings)
    other = JournalWriter(store, "other", settings)
    other.begin(DAY)
    other.append(line(0))
    for day in range(10):
        assert writer.begin(DAY + day * DAY_MS)
        for number in range(4):
            assert not writer.begin(DAY + day * DAY_MS + 1000)
            writer.append(line(number, "x" * 300))
    assert len(days(store)) == 4
    for number in range(100):
        writer.append(line(number, "x" * 1000))
    writer.begin(DAY + 10 * DAY_MS)
    for number in range(100):
        writer.append(line(number, "x" * 1000))
    assert sum(len(json.dumps(found)) for found in lines(store)) <= 10_000
    assert len(lines(store, "other")) == 1, "what another bot journals is its own"
    writer.close()


def test_the_day_that_does_not_fit_is_told_once(tmp_path, caplog):
    store = Store(f"sqlite:///{tmp_path / 'state.sqlite'}")
    writer = JournalWriter(store, "bot", JournalSettings(max_megabytes=0.001))
    writer.begin(DAY)
    for number in range(5):
        writer.append(line(number, "x" * 400))
    assert caplog.text.count("journal.max_megabytes") == 1
    assert len(lines(store)) == 2


def test_a_journal_of_another_format_and_none_are_refused(bot, tmp_path):
    with pytest.raises(DataError, match="no journal of 'freqtrade'"):
        read_journal(Store(f"sqlite:///{tmp_path / 'empty.sqlite'}"), BOT)
    store = bot.run(range(FIRST, FIRST + 1))
    with store.write() as connection:
        newer = func.replace(JOURNAL.c.body, '"format":1', '"format":9')
        connection.execute(update(JOURNAL).values(body=newer))
    with pytest.raises(DataError, match=r"journal 1: format 9, this Quorum reads 1"):
        read_journal(store, BOT)


def test_a_journal_of_files_is_taken_over_line_by_line(bot, tmp_path, state_url):
    store = bot.run(range(FIRST, FIRST + 3))
    folder = tmp_path / "quorum_journal" / "tradesv3.dryrun"
    folder.mkdir(parents=True)
    whole = lines(store, BOT)
    texts = [json.dumps(found, separators=(",", ":")) for found in whole]
    (folder / "2024-03-07.jsonl").write_text("\n".join(texts) + '\n{"kind":"can')
    (folder / "notes.txt").write_text("not a day")
    config = {"user_data_dir": str(tmp_path), "db_url": "sqlite:///tradesv3.dryrun.sqlite"}
    taken = Store(state_url, takeovers=takeovers(config))
    assert lines(taken, BOT) == whole
    assert read_journal(taken, BOT).candles == read_journal(store, BOT).candles
    again = Store(state_url, takeovers=takeovers(config))
    assert lines(again, BOT) == whole, "once"
    with again.read() as connection:
        (detail,) = connection.execute(select(DEEDS.c.detail)).scalars()
    assert detail == f"a journal of {len(whole)} lines (1 could not be read)"
    for each in (taken, again):
        each.close()


# What is journaled ------------------------------------------------------------------------


def test_each_candle_is_journaled_once_and_each_day_says_what_the_bot_runs_with(bot):
    midnight = 1608
    rows = range(midnight - 2, midnight + 2)
    for row in rows:
        for pair in (PAIR, PEER):
            bot.close_candle(row, pair)
            bot.close_candle(row, pair)
    bot.journal.close()
    found = lines(bot.store, BOT)
    assert [line["kind"] for line in found if line["kind"] != "candle"] == ["run", "run"]
    assert days(bot.store, BOT) == ["2024-03-07", "2024-03-08"]
    journal = read_journal(bot.store, BOT)
    assert len(journal.runs) == 1
    assert len(journal.candles) == 2 * len(rows)
    assert {candle.pair for candle in journal.candles} == {PAIR, PEER}
    only = read_journal(bot.store, BOT, pairs={PEER}, since=journal.candles[2].time)
    assert len(only.candles) == len(rows) - 1


def test_settings_that_move_begin_another_run(bot):
    bot.close_candle(FIRST)
    bot.desk.settings = load_settings({"weights": {"ict": 0.3}})
    bot.close_candle(FIRST + 1)
    bot.journal.close()
    first, second = read_journal(bot.store, BOT).runs
    assert first.settings == {}
    assert second.settings == {"weights": {"ict": 0.3}}
    assert first.digest != second.digest


def test_entries_are_journaled_with_their_refusal_once_per_answer(stored, tmp_path):
    settings = load_settings({"consensus": {"quorum": 1, "quorum_share": 0.01, "gate": 0.0}})
    bot = JournaledBot(tmp_path, stored, settings)
    row = FIRST
    while True:
        bot.close_candle(row)
        table = bot.desk.tables[PAIR]
        if table.entry[-1]:
            break
        row += 1
    at = datetime.fromtimestamp(int(table.time[-1]) / 1000 + 3601, tz=UTC)
    price = float(table.columns["close"][-1])
    for answer in ("day_loss", None, None):
        bot.desk.vetoes.clear()
        quoted = bot.desk.quote(PAIR, at, price, Account(1e5))
        assert quoted is not None
        bot.desk._pending[PAIR] = quoted.model_copy(update={"veto": None})
        bot.desk.confirm(PAIR, lambda signal, answer=answer: answer)
    bot.desk._pending.clear()
    bot.desk.confirm(PAIR)
    bot.journal.close()
    entries = read_journal(bot.store, BOT).entries
    assert [entry.refusal for entry in entries] == ["day_loss", None, NO_SIGNAL]
    assert (entries[0].price, entries[0].stop) == (price, quoted.stop_loss)
    assert entries[0].time == int(table.time[-1])
    assert entries[2].price is None


def test_what_fails_is_journaled_and_a_new_journal_listens_alone(
    bot, stored, tmp_path, monkeypatch
):
    monkeypatch.setattr(faults, "_reported", set())
    earlier = JournaledBot(f"sqlite:///{tmp_path / 'earlier.sqlite'}", stored)
    earlier.journal.listen()
    bot.journal.listen()
    report_fault("head ict", PAIR, ValueError("with a secret"))
    bot.close_candle(FIRST)
    bot.journal.close()
    (fault,) = read_journal(bot.store, BOT).faults
    assert (fault.part, fault.pair, fault.error) == ("head ict", PAIR, "ValueError")
    assert "secret" not in json.dumps(lines(bot.store, BOT))
    assert lines(earlier.store, BOT) == []


def test_a_journal_that_cannot_be_written_stops_nothing_and_is_told_once(stored, tmp_path, caplog):
    (tmp_path / "file").write_text("in the way")
    bot = JournaledBot(tmp_path / "file", stored)
    caplog.set_level(logging.ERROR)
    for row in (FIRST, FIRST + 1):
        bot.close_candle(row)
    assert len(bot.desk.tables[PAIR].time)
    assert caplog.text.count("The candle journal cannot be written") == 1


# Which bot --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("config", "name"),
    [
        ({"dry_run": True}, "tradesv3.dryrun"),
        ({"dry_run": False}, "tradesv3"),
        ({"db_url": "sqlite:////data/bots/My First.sqlite"}, "My_First"),
        ({"db_url": "sqlite://", "bot_name": "../quorum 2"}, "_quorum_2"),
        ({"db_url": "postgresql+psycopg://u:p@db/x", "bot_name": "alpha"}, "alpha"),
    ],
)
def test_the_former_journal_of_a_bot_is_found_by_its_database(config, name, tmp_path):
    former = takeovers({"user_data_dir": tmp_path, **config})[-1]
    assert former.source == tmp_path / "quorum_journal" / name


@pytest.mark.parametrize(
    ("mode", "journals"),
    [
        (RunMode.DRY_RUN, True),
        (RunMode.LIVE, True),
        (RunMode.BACKTEST, False),
        (RunMode.HYPEROPT, False),
        (RunMode.PLOT, False),
    ],
)
def test_only_a_running_bot_keeps_a_journal(mode, journals, tmp_path):
    url = f"sqlite:///{tmp_path / 'trades.sqlite'}"
    config = {"user_data_dir": tmp_path, "runmode": mode, "timeframe": "1h", "db_url": url}
    journal = candle_journal(config, load_settings(None), 1400, None)
    assert (journal is not None) == journals
    if journal is not None:
        journal.close()
    assert not (tmp_path / "trades.quorum.sqlite").exists()


def test_a_journal_holds_no_secret(stored, tmp_path):
    settings = load_settings(
        {
            "state": {"url": "postgresql+psycopg://me:hush@127.0.0.1/x"},
            "guards": {"preset": "off"},
            "weights": {"ict": 0.3},
        }
    )
    store = JournaledBot(tmp_path, stored, settings).run(range(FIRST, FIRST + 1))
    assert "hush" not in json.dumps(lines(store, BOT))
    assert (tmp_path / "state.sqlite").stat().st_mode & 0o007 == 0
