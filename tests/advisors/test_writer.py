"""The writer: a budget that holds, nothing asked twice, every silence with its reason."""

from __future__ import annotations

import threading
from dataclasses import replace

import numpy as np
import pytest
from markets import full_market
from typer.testing import CliRunner

from quorum.advisors.book import AnswerBook
from quorum.advisors.fact_store import FactStore
from quorum.advisors.facts import FactReader
from quorum.advisors.keys import key_of, make_clients
from quorum.advisors.ledger import Ledger
from quorum.advisors.models import SIMULATED
from quorum.advisors.providers import Failure
from quorum.advisors.record import ANSWERED, LOST
from quorum.advisors.schedule import follow, past, refuse_remembered
from quorum.advisors.settings import AdvisorSettings
from quorum.advisors.simulated import Fault, ProviderServer
from quorum.advisors.skill import TOGETHER, measure, opinions, settle
from quorum.advisors.writer import Clock, MarketClock, Writer, due_at
from quorum.answers import HOUR_MS
from quorum.cli import app
from quorum.errors import SettingsError
from quorum.pipeline import evaluate
from quorum.settings import Settings
from quorum.state import Store

MARKET = full_market(1700)
DAY = 24 * HOUR_MS


@pytest.fixture(scope="module")
def reader():
    return FactReader(evaluate(MARKET, Settings()))


@pytest.fixture
def store(tmp_path):
    opened = Store(f"sqlite:///{tmp_path / 'state.sqlite'}", patience=60)
    yield opened
    opened.close()


@pytest.fixture
def server():
    with ProviderServer(slow=2.0, retry_after=0.01) as serving:
        yield serving


def row_of(hour: int) -> int:
    """Return the last row that closes at an hour of the day."""
    return int(np.flatnonzero(MARKET.close_time % DAY == hour * HOUR_MS)[-1])


def writer(store, server, clock=None, **settings) -> Writer:
    chosen = AdvisorSettings(**settings)
    clients = make_clients(chosen, {}, server.url)
    for client in clients.values():
        client.wait = lambda seconds: False
    return Writer(Ledger(store), chosen, clients, clock or MarketClock())


def statuses(store):
    return [row.status for row in Ledger(store).rows()]


def ask(asking: Writer, reader: FactReader, hour: int = 4) -> int:
    facts = [reader.at(row_of(hour))]
    return asking.ask(due_at(asking.settings, facts, anonymous=True))


def test_each_advisor_is_asked_what_is_due_once(store, server, reader):
    asking = writer(store, server)
    assert ask(asking, reader, hour=4) == 3, "timeframes alone"
    assert ask(asking, reader, hour=4) == 0
    assert ask(asking, reader, hour=0) == 12, "all four questions"
    assert ask(writer(store, server), reader, hour=0) == 0, "nor by a writer that starts anew"
    assert server.calls.total() == 15
    assert statuses(store) == [ANSWERED] * 15
    assert Ledger(store).verify() == 15


def test_a_record_holds_what_was_asked_answered_and_paid(store, server, reader):
    price = {"gpt-5.6-terra": (1.0, 2.0)}
    asking = writer(store, server, prices=price)
    ask(asking, reader)
    for record in Ledger(store).records(Ledger(store).rows()):
        assert record.model == SIMULATED + record.model_asked
        assert record.anonymous
        assert record.pair == MARKET.pair
        assert record.candle == MARKET.close_time[row_of(4)]
        assert record.asked_at - record.candle == 1000
        assert record.inputs == ((f"facts:{MARKET.pair}", record.candle),)
        assert 0 < record.tokens_in < 1500
        assert record.tokens_out > 0
        assert record.cost == 0.0, "simulated"
        assert record.parsed["1d"]["direction"] in ("bullish", "bearish", "neutral")
        assert record.raw


SILENT = [
    (Fault.REFUSAL, Failure.REFUSED),
    (Fault.TRUNCATED, Failure.TRUNCATED),
    (Fault.INVALID_JSON, Failure.NOT_JSON),
    (Fault.WRONG_SCHEMA, Failure.WRONG_SCHEMA),
    (Fault.UNAUTHORIZED, Failure.UNAUTHORIZED),
    (Fault.ENDLESS, Failure.TOO_LONG),
]


@pytest.mark.parametrize(("fault", "status"), SILENT)
def test_silence_has_a_reason_and_is_not_rolled_again(store, server, reader, fault, status):
    asking = writer(store, server)
    server.plan("anthropic", fault)
    ask(asking, reader)
    silent = [r for r in Ledger(store).rows() if r.status != ANSWERED]
    assert [(r.provider, r.status) for r in silent] == [("anthropic", status)]
    asking.monotonic = lambda: 1e9
    again = ask(asking, reader)
    assert again == (status is Failure.UNAUTHORIZED), "only the service's own failure"


def test_what_the_service_could_not_do_is_asked_again_while_it_is_live(store, server, reader):
    asking = writer(store, server)
    server.plan("gemini", *[Fault.SERVER_ERROR] * 3)
    ask(asking, reader)
    assert sorted(statuses(store)) == [ANSWERED, ANSWERED, "server_error"]
    assert ask(asking, reader) == 0, "not at once"
    asking.monotonic = lambda: 1e9
    assert ask(asking, reader) == 1
    assert sorted(statuses(store)) == [ANSWERED] * 3 + ["server_error"]


def test_a_spent_budget_is_silence_and_said_once(store, server, reader, caplog):
    asking = writer(store, server, tokens_per_day=6000)
    ask(asking, reader, hour=0)
    told = statuses(store)
    assert told.count("budget") > 5
    assert told.count(ANSWERED) >= 1
    spent = Ledger(store).spent(int(MARKET.close_time[row_of(0)]))
    assert spent.tokens <= 6000
    assert ask(asking, reader, hour=0) == 0
    assert caplog.text.count("budget of 6000 tokens") <= 3, "once for each provider"


def test_an_unknown_price_counts_as_the_dearest(store, server, reader):
    members = [{"provider": "openai", "model": "nobody-knows", "role": "technician"}]
    asking = writer(store, server, members=members, money_per_day=0.04)
    assert ask(asking, reader) == 1
    assert statuses(store) == ["budget"], "3000 tokens at $15 a million and the prompt"


def test_a_question_whose_writer_died_is_lost_and_not_asked_again(store, server, reader):
    asking = writer(store, server)
    facts = [reader.at(row_of(4))]
    due = next(iter(due_at(asking.settings, facts, anonymous=True)))
    asking.clients[due.member.name].ask = lambda model, prompt: 1 / 0
    with pytest.raises(ZeroDivisionError):
        asking.ask([due])
    assert statuses(store) == []
    assert Ledger(store).spent(due.rendered.candle).tokens > 3000, "it may have been paid for"
    after = writer(store, server)
    assert after.ask([due]) == 0, "it may still come back"
    import quorum.advisors.writer as module

    module_limit, module.LOST_AFTER = module.LOST_AFTER, -1000
    try:
        assert after.settle_lost() == 1
    finally:
        module.LOST_AFTER = module_limit
    assert statuses(store) == [LOST]
    assert after.ask([due]) == 0
    assert server.calls.total() == 0


def test_a_writer_told_to_stop_finishes_what_is_under_way(store, server, reader):
    asking = writer(store, server)
    server.answers = lambda asked: asking.stopping.set() or "{}"
    ask(asking, reader, hour=0)
    assert 1 <= len(statuses(store)) <= 3
    assert Ledger(store).under_way(1 << 60) == {}


def test_a_hanging_provider_delays_no_other(store, reader):
    with ProviderServer(slow=30.0) as server:
        asking = writer(store, server)
        asking.clients["openai gpt-5.6-terra technician"]._http.timeout = 1.0
        server.plan("openai", *[Fault.SLOW] * 50)
        thread = threading.Thread(target=ask, args=(asking, reader, 0), daemon=True)
        thread.start()
        for _ in range(200):
            if statuses(store).count(ANSWERED) == 8:
                break
            thread.join(0.05)
        told = Ledger(store).rows()
        assert {r.provider for r in told if r.status == ANSWERED} == {"anthropic", "gemini"}
        assert sum(r.status == ANSWERED for r in told) == 8
        asking.stopping.set()
        server._stopping.set()
        thread.join(20)


def test_the_live_writer_asks_about_the_bots_newest_candle_only(store, server, reader, monkeypatch):
    facts, row = FactStore(store), row_of(4)
    for r in (row - 4, row):
        facts.put(reader.at(r))
    assert facts.at(int(MARKET.close_time[row]))[0] == reader.at(row)
    now = [int(MARKET.close_time[row]) + 61 * 60_000]
    monkeypatch.setattr("quorum.advisors.schedule.now_ms", lambda: now[0])
    follow(writer(store, server), facts, HOUR_MS, once=True)
    assert statuses(store) == [], "an hour later it is no live question any more"
    now[0] = int(MARKET.close_time[row]) + 60_000
    follow(writer(store, server), facts, HOUR_MS, once=True)
    rows = Ledger(store).rows()
    assert {int(r.candle) for r in rows} == {int(MARKET.close_time[row])}
    assert len(rows) == 3


# The past ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("cut_offs", "message"),
    [
        ({}, "nobody says what gpt-5.6-terra has read"),
        ({"gpt-5.6-terra": "2024-01", "gemini-3.8-flash": "2024-01"}, "2026-04-02"),
    ],
)
def test_the_past_a_model_may_remember_is_refused_with_the_first_day(cut_offs, message):
    settings = AdvisorSettings(cut_offs=cut_offs)
    with pytest.raises(SettingsError, match=message):
        refuse_remembered(settings, 1_760_000_000_000)
    months = dict.fromkeys(("gpt-5.6-terra", "gemini-3.8-flash", "claude-sonnet-5"), "2025-01")
    refuse_remembered(AdvisorSettings(cut_offs=months), 1_760_000_000_000)


def test_simulated_answers_are_live_by_the_markets_clock_and_settled_daily(store, server, reader):
    end = int(MARKET.close_time[row_of(0)])
    asking = writer(store, server)
    past(asking, [reader], end - 2 * DAY, end, anonymous=False)
    book = AnswerBook(Ledger(store), asking.settings, "1h")
    book.refresh()
    assert set(book.coverage) == {"live"}
    answers = book.answers(MARKET.pair)
    assert len(answers.tables["timeframes"]) == 3 * 13
    skill = answers.tables["skill"]
    assert TOGETHER in answers.advisors
    assert len(skill) >= 3 * 2
    result = evaluate(replace(MARKET, answers=answers), Settings())
    assert result.apart["advisors"].available.sum() > 40


def test_real_answers_about_the_past_are_retrospective(store, server, reader):
    end = int(MARKET.close_time[row_of(0)])
    months = {"cut_offs": {f"{SIMULATED}gpt-5.6-terra": "2023-01"}}
    asking = writer(store, server, clock=Clock(), **months)
    past(asking, [reader], end - DAY, end, anonymous=True, daily=False)
    for admitted, known in ((False, 0), (True, 7)):
        settings = AdvisorSettings(retrospective=admitted, **months)
        book = AnswerBook(Ledger(store), settings, "1h")
        book.refresh()
        tables = book.answers(MARKET.pair).tables
        assert len(tables.get("timeframes", ())) == known
        assert book.coverage["contaminated"] > 10, "of models whose cut-off is not told"


# Skill ------------------------------------------------------------------------------------


@pytest.mark.parametrize(("skill", "weight"), [(1.0, 1.0), (0.0, 0.0)])
def test_an_advisor_worse_than_the_base_rate_loses_its_weight(store, skill, weight):
    from advice import record

    rng = np.random.default_rng(7)
    closes = {MARKET.pair: {}}
    price, ledger = 100.0, Ledger(store)
    for i in range(1, 340):
        candle = i * DAY
        rises = rng.random() < 0.5
        closes[MARKET.pair][candle] = price
        price *= 1.02 if rises else 0.98
        told = rises if rng.random() < (0.7 if skill else 0.35) else not rises
        side = 1.0 if told else -1.0
        for role in ("technician", "strategist"):
            numbers = {MARKET.pair: [side] * 4 + [0.4] * 4}
            ledger.append(record(candle=candle, role=role, numbers=numbers))
    assert settle(ledger, closes, 339 * DAY) == 3
    told = {r.model: r for r in ledger.rows() if r.kind == "skill"}
    import json

    settled, given, intercept, slope = json.loads(told[TOGETHER].numbers)[""]
    assert settled == 338
    assert given == weight
    hit = 1 / (1 + np.exp(-(intercept + slope * 0.4)))
    assert hit == pytest.approx(0.7 if skill else 0.35, abs=0.06)
    opinion = opinions(ledger.rows(), closes)[TOGETHER]
    measured = measure(opinion, 24)
    assert measured.hits == pytest.approx(hit, abs=0.05)
    assert (measured.brier < measured.base) == bool(skill)


# Keys and commands ------------------------------------------------------------------------


def test_keys_come_from_the_environment_a_file_or_the_secret_configuration(tmp_path, monkeypatch):
    config = {"quorum_keys": {"openai": "from-config"}}
    assert key_of("OPENAI_API_KEY", "openai", {}) == ""
    assert key_of("OPENAI_API_KEY", "openai", config) == "from-config"
    (tmp_path / "key").write_text("from-file\n", encoding="utf-8")
    monkeypatch.setenv("OPENAI_API_KEY_FILE", str(tmp_path / "key"))
    assert key_of("OPENAI_API_KEY", "openai", config) == "from-file"
    monkeypatch.setenv("OPENAI_API_KEY", "from-environment")
    assert key_of("OPENAI_API_KEY", "openai", config) == "from-environment"


def test_the_estimate_says_what_a_week_costs_and_asks_nothing():
    result = CliRunner().invoke(app, ["advise", "--estimate"])
    assert result.exit_code == 0, result.output
    assert "a week for 10 pairs" in result.output
    assert "not told" in result.output
