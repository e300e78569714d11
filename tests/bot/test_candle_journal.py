"""CandleJournal: durable, bounded, cheap, and silent about secrets."""

from __future__ import annotations

import json
import logging
import os
import signal
import subprocess
import sys
import time
from datetime import UTC, datetime
from pathlib import Path

import pytest
from freqtrade.enums import RunMode
from journaled_bots import PAIR, PEER, Frames, JournaledBot, frames

from quorum import faults
from quorum.bot.candle_journal import candle_journal, journal_folder
from quorum.bot.desk import NO_SIGNAL
from quorum.candles import DAY_MS
from quorum.entry import Account
from quorum.errors import DataError
from quorum.faults import report_fault
from quorum.journal.files import JournalWriter, day_files
from quorum.journal.reading import read_journal
from quorum.journal.settings import JournalSettings
from quorum.settings import load_settings

FIRST = 1606
#: A writer in its own process: tells of each line once it is written.
WRITER = """
import sys
from pathlib import Path
from quorum.journal.files import JournalWriter
from quorum.journal.settings import JournalSettings
writer = JournalWriter(Path(sys.argv[1]), JournalSettings())
writer.begin(1_700_000_000_000)
for number in range(10**9):
    writer.append({"number": number, "filling": "x" * (number % 7000)})
    print(number, flush=True)
"""
DAY = 1_700_006_400_000


@pytest.fixture(scope="module")
def stored() -> Frames:
    return frames(seed=5)


@pytest.fixture
def bot(stored, tmp_path):
    bot = JournaledBot(tmp_path / "journal", stored)
    yield bot
    bot.journal.close()


def lines(folder: Path) -> list[dict]:
    return [json.loads(text) for path in day_files(folder) for text in path.open()]


# Files ------------------------------------------------------------------------------------


def test_a_killed_writer_loses_no_line_it_wrote(tmp_path):
    written = -1
    for _ in range(3):
        process = subprocess.Popen(
            [sys.executable, "-c", WRITER, str(tmp_path)], stdout=subprocess.PIPE, text=True
        )
        assert process.stdout is not None
        for told in process.stdout:
            if int(told) >= 150:
                break
        process.send_signal(signal.SIGKILL)
        rest = process.stdout.read().split()
        process.wait()
        last = int(rest[-1]) if rest and rest[-1].isdigit() else 150
        found = lines(tmp_path)
        numbers = [line["number"] for line in found]
        assert len(numbers) > written
        starts = [i for i, number in enumerate(numbers) if number == 0]
        assert numbers[starts[-1] :][: last + 1] == list(range(last + 1))
        written = len(numbers)


def test_a_line_cut_short_is_removed_and_writing_goes_on(tmp_path):
    writer = JournalWriter(tmp_path, JournalSettings())
    writer.begin(DAY)
    writer.append({"number": 1})
    writer.close()
    (path,) = day_files(tmp_path)
    with path.open("ab") as file:
        file.write(b'{"number": 2, "fil' + b"x" * 200_000)
    writer = JournalWriter(tmp_path, JournalSettings())
    writer.begin(DAY)
    writer.append({"number": 3})
    writer.close()
    assert [line["number"] for line in lines(tmp_path)] == [1, 3]


def test_a_file_without_a_whole_line_is_begun_anew(tmp_path):
    path = tmp_path / "2023-11-15.jsonl"
    path.write_bytes(b"half a line")
    writer = JournalWriter(tmp_path, JournalSettings())
    writer.begin(DAY)
    writer.close()
    assert path.read_bytes() == b""


def test_old_days_go_and_the_size_is_bounded(tmp_path):
    settings = JournalSettings(keep_days=3, max_megabytes=0.01)
    writer = JournalWriter(tmp_path, settings)
    for day in range(10):
        assert writer.begin(DAY + day * DAY_MS)
        for _ in range(4):
            assert not writer.begin(DAY + day * DAY_MS + 1000)
            writer.append({"filling": "x" * 300})
    assert len(day_files(tmp_path)) == 4
    for _ in range(100):
        writer.append({"filling": "x" * 1000})
    writer.begin(DAY + 10 * DAY_MS)
    for _ in range(100):
        writer.append({"filling": "x" * 1000})
    writer.close()
    assert sum(path.stat().st_size for path in day_files(tmp_path)) <= 10_000
    assert all(line["filling"] for line in lines(tmp_path))


def test_the_day_that_does_not_fit_is_told_once(tmp_path, caplog):
    writer = JournalWriter(tmp_path, JournalSettings(max_megabytes=0.001))
    writer.begin(DAY)
    for _ in range(5):
        writer.append({"filling": "x" * 400})
    writer.close()
    assert caplog.text.count("journal.max_megabytes") == 1
    assert len(lines(tmp_path)) == 2


def test_a_disk_that_is_full_leaves_whole_lines(tmp_path, monkeypatch):
    writer = JournalWriter(tmp_path, JournalSettings())
    writer.begin(DAY)
    writer.append({"number": 1})
    write = os.write
    monkeypatch.setattr(os, "write", lambda file, content: write(file, content[:5]))
    with pytest.raises(OSError, match="only 5 of"):
        writer.append({"number": 2})
    monkeypatch.undo()
    writer.append({"number": 3})
    writer.close()
    assert [line["number"] for line in lines(tmp_path)] == [1, 3]


def test_lines_that_cannot_be_read_are_told_and_the_rest_is_read(bot):
    folder = bot.run(range(FIRST, FIRST + 2))
    (path,) = day_files(folder)
    whole = path.read_text()
    path.write_text("not json\n[]\n" + whole + '{"kind":"candle"}\n{"kind":"can')
    journal = read_journal(folder)
    assert len(journal.candles) == 2
    assert [where.rsplit(":", 1)[1] for where in journal.damaged] == ["1", "2", "6"]


def test_a_folder_without_journal_and_another_format_are_refused(bot, tmp_path):
    with pytest.raises(DataError, match="no journal"):
        read_journal(tmp_path / "nothing")
    folder = bot.run(range(FIRST, FIRST + 1))
    (path,) = day_files(folder)
    path.write_text(path.read_text().replace('"format":1', '"format":9'))
    with pytest.raises(DataError, match=r"jsonl:1: format 9, this Quorum reads 1"):
        read_journal(folder)


# What is journaled ------------------------------------------------------------------------


def test_each_candle_is_journaled_once_and_each_day_says_what_the_bot_runs_with(bot):
    midnight = 1608
    rows = range(midnight - 2, midnight + 2)
    for row in rows:
        for pair in (PAIR, PEER):
            bot.close_candle(row, pair)
            bot.close_candle(row, pair)
    bot.journal.close()
    found = lines(bot.journal.folder)
    assert [line["kind"] for line in found if line["kind"] != "candle"] == ["run", "run"]
    assert [path.name for path in day_files(bot.journal.folder)] == [
        "2024-03-07.jsonl",
        "2024-03-08.jsonl",
    ]
    journal = read_journal(bot.journal.folder)
    assert len(journal.runs) == 1
    assert len(journal.candles) == 2 * len(rows)
    assert {candle.pair for candle in journal.candles} == {PAIR, PEER}
    only = read_journal(bot.journal.folder, pairs={PEER}, since=journal.candles[2].time)
    assert len(only.candles) == len(rows) - 1


def test_settings_that_move_begin_another_run(bot):
    bot.close_candle(FIRST)
    bot.desk.settings = load_settings({"weights": {"ict": 0.3}})
    bot.close_candle(FIRST + 1)
    bot.journal.close()
    first, second = read_journal(bot.journal.folder).runs
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
    entries = read_journal(tmp_path).entries
    assert [entry.refusal for entry in entries] == ["day_loss", None, NO_SIGNAL]
    assert (entries[0].price, entries[0].stop) == (price, quoted.stop_loss)
    assert entries[0].time == int(table.time[-1])
    assert entries[2].price is None


def test_what_fails_is_journaled_and_a_new_journal_listens_alone(
    bot, stored, tmp_path, monkeypatch
):
    monkeypatch.setattr(faults, "_reported", set())
    earlier = JournaledBot(tmp_path / "earlier", stored)
    earlier.journal.listen()
    bot.journal.listen()
    report_fault("head ict", PAIR, ValueError("with a secret"))
    bot.close_candle(FIRST)
    bot.journal.close()
    (fault,) = read_journal(bot.journal.folder).faults
    assert (fault.part, fault.pair, fault.error) == ("head ict", PAIR, "ValueError")
    assert "secret" not in json.dumps(lines(bot.journal.folder))
    assert not day_files(earlier.journal.folder)


def test_a_journal_that_cannot_be_written_stops_nothing_and_is_told_once(stored, tmp_path, caplog):
    (tmp_path / "file").write_text("in the way")
    bot = JournaledBot(tmp_path / "file" / "journal", stored)
    caplog.set_level(logging.ERROR)
    for row in (FIRST, FIRST + 1):
        bot.close_candle(row)
    assert len(bot.desk.tables[PAIR].time)
    assert caplog.text.count("The candle journal cannot be written") == 1


def test_a_candle_costs_less_than_two_milliseconds(bot):
    costs = []
    candle, saw = bot.journal.candle, bot.journal.saw

    def timed(call):
        def run(*arguments):
            # Of this thread: others may have the machine meanwhile.
            began = time.thread_time()
            call(*arguments)
            costs[-1] += time.thread_time() - began

        return run

    bot.journal.saw, bot.journal.candle = timed(saw), timed(candle)
    for row in range(FIRST, FIRST + 8):
        costs.append(0.0)
        bot.close_candle(row)
    assert all(costs)
    assert sorted(costs)[len(costs) // 2] < 0.002


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
def test_bots_with_different_databases_have_different_journals(config, name, tmp_path):
    folder = journal_folder({"user_data_dir": tmp_path, **config})
    assert folder.parent == tmp_path / "quorum_journal"
    assert folder.name == name


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
    config = {"user_data_dir": tmp_path, "runmode": mode, "timeframe": "1h"}
    journal = candle_journal(config, load_settings(None), 1400, None)
    assert (journal is not None) == journals
    if journal is not None:
        journal.close()
    assert not (tmp_path / "quorum_journal").exists()


def test_a_journal_holds_no_secret(stored, tmp_path):
    settings = load_settings(
        {"guards": {"database": "postgresql+psycopg://me:hush@127.0.0.1/x", "preset": "off"}}
    )
    folder = JournaledBot(tmp_path, stored, settings).run(range(FIRST, FIRST + 1))
    (path,) = day_files(folder)
    assert "hush" not in path.read_text()
    assert path.stat().st_mode & 0o007 == 0
