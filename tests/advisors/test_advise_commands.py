"""The commands from end to end: asked of a local server, read by a real backtest."""

from __future__ import annotations

import json
import socket

import pytest
from backtests import ROOT, backtesting, small_market
from freqtrade.exceptions import FreqtradeException
from sqlalchemy import text
from typer.testing import CliRunner

from quorum.cli import app
from quorum.state import Store

SPAN = ["--from", "20231001", "--to", "20231006"]
PAIRS = ["BTC/USDT:USDT", "ETH/USDT:USDT"]


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    folder = tmp_path_factory.mktemp("advised")
    small_market(folder / "market")
    (folder / "user_data").mkdir()
    own = {
        "user_data_dir": str(folder / "user_data"),
        "datadir": str(folder / "market"),
        "exchange": {"pair_whitelist": PAIRS},
        "quorum": {
            "state": {"url": f"sqlite:///{folder / 'state.sqlite'}"},
            "advisors": {"enabled": True, "questions": ["timeframes", "regime"]},
        },
    }
    (folder / "own.json").write_text(json.dumps(own), encoding="utf-8")
    return folder


def quorum(place, *arguments: str) -> str:
    layers = ["--config", str(ROOT / "config.json"), "--config", str(place / "own.json")]
    result = CliRunner().invoke(app, [*arguments, *layers], env={"COLUMNS": "200"})
    assert result.exit_code == 0, result.output
    return " ".join(result.output.split())


@pytest.fixture(scope="module")
def advised(place):
    told = quorum(place, "advise", "--simulated", *SPAN)
    assert "simulated" in told
    return told


def changes(place):
    own = json.loads((place / "own.json").read_text(encoding="utf-8"))
    return {"quorum": own["quorum"], "pairs": PAIRS, "timerange": "20230925-20231010"}


def test_a_span_of_the_past_is_asked_once(place, advised):
    # Five days and both ends: 31 closes of four hours, six of them midnights.
    assert "asked 222 questions" in advised
    assert "asked 0 questions" in quorum(place, "advise", "--simulated", *SPAN)
    assert quorum(place, "advisors", "--check").startswith("2")


def test_the_page_of_the_advisors_says_what_they_are_worth(place, advised):
    told = quorum(place, "advisors")
    for expected in ("62 timeframes", "skill of live answers", "Brier",
                     "same side", "independent ones", "scripted analyst"):  # fmt: skip
        assert expected in told, expected


def test_a_ledger_can_be_shared(place, advised, tmp_path):
    told = quorum(place, "advisors", "--export", str(tmp_path / "ledger.jsonl"))
    count = int(told.split()[0])
    lines = (tmp_path / "ledger.jsonl").read_text(encoding="utf-8").splitlines()
    assert len(lines) == count >= 222
    assert "0 records added" in quorum(
        place, "advisors", "--import", str(tmp_path / "ledger.jsonl")
    )


def test_a_backtest_reads_the_ledger_and_calls_nobody(place, advised, monkeypatch):
    called = []
    connect = socket.socket.connect

    def noted(self, address):
        called.append(address)
        return connect(self, address)

    monkeypatch.setattr(socket.socket, "connect", noted)
    for variable in ("OPENAI_API_KEY", "ANTHROPIC_API_KEY", "GEMINI_API_KEY"):
        monkeypatch.setenv(variable, "sk-not-to-be-used")
    with backtesting(place / "market", place / "user_data", export="none", **changes(place)) as bt:
        exchange = bt.exchange._api.urls["api"]["fapiPublic"]
        bt.start()
        frame = bt.dataprovider.get_analyzed_dataframe(PAIRS[0], "1h")[0]
        votes = frame["vote_advisors"]
    port = int(exchange.split(":")[2].split("/")[0])
    assert {address[1] for address in called} <= {port}, "the local exchange alone"
    spoken = frame["date"][votes.notna()]
    assert str(spoken.iloc[0])[:13] == "2023-10-01 00"
    assert 120 <= len(spoken) <= 130


def test_a_ledger_that_was_edited_is_refused_before_a_backtest_starts(place, advised):
    store = Store(f"sqlite:///{place / 'state.sqlite'}")
    change = "UPDATE quorum_advice SET known_at = known_at {0} 1 WHERE id = 7"
    with store.write() as connection:
        connection.execute(text(change.format("-")))
    try:
        at = (place / "market", place / "user_data")
        with (
            pytest.raises(FreqtradeException, match=r"record 7 of the advisors' ledger"),
            backtesting(*at, export="none", **changes(place)) as bt,
        ):
            bt.start()
    finally:
        with store.write() as connection:
            connection.execute(text(change.format("+")))
        store.close()


def test_a_candle_is_explained_with_what_the_advisors_said(place, advised):
    told = quorum(place, "explain", PAIRS[0], "--at", "2023-10-03T09:00")
    assert "advisors" in told
    assert "openai simulated:gpt-5.6-terra technician on timeframes: 1h" in told
    assert "simulated: 1d facts score" in told


def test_asking_real_models_about_their_own_past_is_refused(place):
    layers = ["--config", str(ROOT / "config.json"), "--config", str(place / "own.json")]
    result = CliRunner().invoke(app, ["advise", *SPAN, *layers])
    assert result.exit_code == 1
    assert "nobody says what gpt-5.6-terra has read" in " ".join(result.output.split())
