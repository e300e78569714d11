"""The dashboard of a bot: what it journals is on the pages, in the API and in the stream."""

from __future__ import annotations

import threading
import time
from datetime import UTC, datetime

import httpx
import pytest
from journaled_bots import BOT, PAIR, PEER, STARTUP, JournaledBot, frames
from served import WITH_TOKEN, client, server
from sqlalchemy import func, insert, update

from quorum.dashboard import events
from quorum.dashboard.events import Event, EventLog
from quorum.dashboard.source import BotSource, Places
from quorum.entry import Signal
from quorum.guards import Ledger, Reason, SqlStore, State
from quorum.journal.writing import journal_row
from quorum.settings import Settings, load_settings
from quorum.state import Store
from quorum.state.kinds.journal import JOURNAL


@pytest.fixture(scope="module")
def stored():
    return frames()


@pytest.fixture
def bot(tmp_path, stored) -> JournaledBot:
    return JournaledBot(f"sqlite:///{tmp_path / 'state.sqlite'}", stored)


@pytest.fixture
def source(tmp_path, bot) -> BotSource:
    state = f"sqlite:///{tmp_path / 'state.sqlite'}"
    return BotSource(
        Places(
            database=f"sqlite:///{tmp_path / 'trades.sqlite'}",
            bot=BOT,
            guards=SqlStore(Store(state, readonly=True), BOT),
            settings=Settings(),
            timeframe="1h",
            pairs=(PAIR, PEER),
            capital=1000.0,
            models=tmp_path / "models",
            user_data=tmp_path,
            backtest=lambda: None,
            history=lambda pair: None,
        )
    )


def test_before_a_bot_has_run_the_pages_say_so(source):
    with client(source) as found:
        assert "No candle has been journaled yet" in found.get("/").text
        for path in ("/trades", "/portfolio", "/guards", "/performance", "/health"):
            assert found.get(path).status_code == 200, path
        assert "there is no such database file" in found.get("/health").text
        assert found.get("/api/v1/health").json()["healthy"] is False


def test_a_decision_is_what_the_bot_decided(source, bot):
    bot.run(range(STARTUP, STARTUP + 3))
    (table,) = bot.desk.tables.values()
    with client(source) as found:
        (decision,) = found.get("/api/v1/decisions").json()
    assert decision["pair"] == PAIR
    assert decision["close"] == table.columns["close"][-1]
    assert decision["confidence"] == table.consensus.confidence[-1]
    assert decision["votes_needed"] >= 4
    told = {vote["head"]: vote for vote in decision["votes"]}
    for h, head in enumerate(table.votes.heads):
        assert told[head]["direction"] == table.votes.direction[-1, h]
        assert told[head]["probability"] == table.votes.probability[-1, h]
        assert told[head]["available"] == table.votes.available[-1, h]


def test_signals_have_every_field_of_the_record(source, bot, stored):
    easy = {"quorum": 1, "quorum_share": 0.1, "min_confidence": 0.3, "gate": 0.3, "medium": 0.3}
    rows = range(STARTUP, STARTUP + 20)
    JournaledBot(bot.store.url, stored, load_settings({"consensus": easy})).run(rows)
    with client(source) as found:
        decisions = found.get(f"/api/v1/decisions?pair={PAIR}&limit=200").json()
    assert len(decisions) == len(rows)
    signals = [d["signal"] for d in decisions if d["signal"]]
    assert signals, "the market gives some"
    for signal in signals:
        assert set(signal) == {*Signal.model_fields, *Signal.model_computed_fields}
    for decision in decisions:
        veto = decision["signal"] and decision["signal"]["veto"]
        assert (decision["missing"] == []) == (decision["signal"] is not None and not veto)


def test_answers_of_the_bot_are_told_with_their_reasons(source, bot):
    for row in range(STARTUP, STARTUP + 2):
        bot.close_candle(row)
    bot.journal.entry(PAIR, None, "loss_streak")
    with client(source) as found:
        (newest, *_) = found.get("/api/v1/events/recent").json()
        assert (newest["kind"], newest["text"]) == ("answer", "entry refused: loss_streak")
        assert found.get("/api/v1/decisions").json()[0]["asked"] == "loss_streak"
        assert "loss streak" in found.get("/guards").text


def test_what_is_written_while_pages_are_open_is_read_on(source, bot):
    bot.run(range(STARTUP, STARTUP + 2))
    with client(source) as found:
        before = found.get("/api/v1/events/recent").json()
        bot.run(range(STARTUP + 2, STARTUP + 4))
        bot.run(range(STARTUP + 2, STARTUP + 4), PEER)
        after = found.get("/api/v1/events/recent").json()
        assert len(after) == len(before) + 4
        assert after[-len(before) :] == before
        assert {d["pair"] for d in found.get("/api/v1/decisions").json()} == {PAIR, PEER}


def test_who_comes_back_to_a_new_server_is_told_what_was_missed(source, bot):
    bot.run(range(STARTUP, STARTUP + 3))
    source.snapshot()
    last = source.log.latest(1)[0].id
    bot.run(range(STARTUP + 3, STARTUP + 6))
    again = BotSource(source.places)
    again.snapshot()
    missed = again.log.since(last)
    assert missed is not None
    assert [e.id for e in missed[-3:]] == [e.id for e in again.log.latest(3)[::-1]]
    assert again.log.since("journal:0") is None


def test_a_line_that_cannot_be_read_is_passed_over_and_said(source, bot):
    bot.run(range(STARTUP, STARTUP + 2))
    source.snapshot()
    row = journal_row(BOT, "2024-01-01", {"kind": "candle", "run": "none", "at": 0})
    with bot.store.write() as connection:
        for body in (row["body"], "not json"):
            connection.execute(insert(JOURNAL).values({**row, "body": body}))
    snapshot = source.snapshot()
    assert any("2 lines of the journal cannot be read" in note for note in snapshot.notes)
    assert len(snapshot.decisions[PAIR]) == 2


def test_a_halt_is_shown_and_ended_with_a_reason_from_the_page(source, bot):
    store = SqlStore(Store(source.places.guards.store.url), BOT)
    store.load()
    store.save(
        Ledger(state=State.HALTED, reason=Reason.EMERGENCY_SHUTDOWN, equity=900.0, peak=1000.0,
               initial=1000.0, last_at=1.7e9, since=1.7e9)
    )  # fmt: skip
    with client(source) as found:
        page = found.get("/guards").text
        assert "The guards are halted" in page
        assert "resume trading" in page
        told = found.post("/guards/resume", data={"reason": " "})
        assert "reason" in told.headers["location"]
        assert found.get("/api/v1/guards").json()["state"] == "halted"
        assert found.post("/guards/resume", data={"reason": "the feed is back"}).status_code == 303
        guards = found.get("/api/v1/guards").json()
        assert guards["state"] == "active"
        assert guards["changes"][0]["detail"] == "the feed is back"
        assert found.post("/api/v1/guards/resume", json={"reason": "again"}).status_code == 409


def test_another_format_of_the_journal_is_refused_by_name(source, bot):
    bot.run(range(STARTUP, STARTUP + 1))
    with bot.store.write() as connection:
        newer = func.replace(JOURNAL.c.body, '"format":1', '"format":99')
        connection.execute(update(JOURNAL).values(body=newer))
    with client(source) as found:
        answer = found.get("/")
        assert answer.status_code == 503
        assert "format 99" in answer.text


def test_the_log_of_events_loses_none_and_keeps_no_more_than_it_may(monkeypatch):
    monkeypatch.setattr(events, "KEPT", 5)
    log = EventLog()
    at = datetime(2024, 1, 1, tzinfo=UTC)
    made = [Event(id=str(n), kind="fault", at=at, pair="", text="") for n in range(8)]
    told, place = log.after(0)
    assert (told, place) == ([], 0)
    log.add(made[:3])
    told, place = log.after(place)
    assert [e.id for e in told] == ["0", "1", "2"]
    log.add([*made[2:4], made[3]])
    told, place = log.after(place)
    assert [e.id for e in told] == ["3"]
    assert log.after(place) == ([], place)
    log.add(made[4:])
    assert [e.id for e in log.after(0)[0]] == ["3", "4", "5", "6", "7"]
    assert log.after(place)[1] == len(log) == 8


def test_streams_are_told_what_came_while_the_last_was_sent(source, bot):
    """Every line of a burst reaches every stream: none waits for the next sign of life."""
    bot.run(range(STARTUP, STARTUP + 1))
    with server(source) as url:
        told: list[list[str]] = [[], []]
        streams = [threading.Thread(target=follow, args=(url, 6, found)) for found in told]
        for stream in streams:
            stream.start()
        time.sleep(1.0)
        bot.run(range(STARTUP + 1, STARTUP + 4))
        bot.run(range(STARTUP + 1, STARTUP + 4), PEER)
        for stream in streams:
            stream.join(10)
        assert [len(found) for found in told] == [6, 6]
        assert told[0] == told[1]


def follow(url: str, count: int, found: list[str]) -> None:
    with httpx.stream("GET", f"{url}/api/v1/events", headers=WITH_TOKEN, timeout=12) as stream:
        for line in stream.iter_lines():
            if line.startswith("id:"):
                found.append(line)
            if len(found) == count:
                return
