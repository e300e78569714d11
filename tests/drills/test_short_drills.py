"""The drills of ``make drill`` on two pairs and few hours, and that their checks find faults."""

from __future__ import annotations

import copy
import json
import sys
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).parents[2]))

from rich.console import Console

from drills import advisors, faults, kills, same_trades
from drills.checks import account_problems, asked_again, book_problems, forgotten, loosened
from drills.ground import BUSY, Report, market, reported
from drills.run import show, table
from quorum.advisors.simulated import Fault
from quorum.guards import Ledger, State

PAIRS = ("ETH/USDT:USDT", "SOL/USDT:USDT")


@pytest.fixture(scope="module")
def datadir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return market(tmp_path_factory.mktemp("drills"))


def test_a_dry_run_takes_the_trades_of_a_backtest(datadir: Path, tmp_path: Path):
    report = Report("same-trades")
    same_trades.run(
        tmp_path,
        datadir,
        begin="2023-06-22",
        end="2023-06-22 19:00",
        pairs=PAIRS,
        changes=BUSY,
        report=report,
    )
    assert report.losses == []
    assert report.trades >= 3


def test_nothing_is_lost_when_the_bot_is_killed(datadir: Path, tmp_path: Path, monkeypatch):
    monkeypatch.setattr(kills, "PAIRS", PAIRS)
    moments = {"order placed, not answered": 1, "right after a fill": 1}
    monkeypatch.setattr(kills, "LIVE_MOMENTS", moments)
    report = Report("kills")
    kills.run(
        tmp_path,
        datadir,
        orders=True,
        stops=True,
        count=2,
        seed=1,
        report=report,
        begin="2023-06-22 05:30",
    )
    assert report.losses == []
    assert report.kills == 2
    assert report.trades >= 1


def test_faults_of_the_exchange_are_survived(datadir: Path, tmp_path: Path):
    ordeals = [o for o in faults.ORDEALS if o.name in ("timeout, order carried out", "spike")]
    report = Report("faults")
    faults.run(
        tmp_path,
        datadir,
        stops=True,
        report=report,
        ordeals=ordeals,
        begin="2023-06-22 05:30",
        pairs=PAIRS,
    )
    assert report.losses == []
    assert set(report.faults) == {"timeout", "spike"}


# The checks themselves ----------------------------------------------------------------------


def trade(**changes: Any) -> dict[str, Any]:
    """Return an open trade of ten coins with a resting stop, as the database has it."""
    base = {
        "ft_is_open": 0,
        "status": "closed",
        "amount": 10.0,
        "filled": 10.0,
        "ft_order_tag": None,
    }
    return {
        "id": 1,
        "pair": "SOL/USDT:USDT",
        "is_open": 1,
        "is_short": 0,
        "amount": 10.0,
        "stop_loss": 95.0,
        "open_date": "2023-06-22 05:00:01",
        "custom": {"quorum_signal": {"stop_loss": 95.0}},
        "orders": [
            {**base, "order_id": "1", "ft_order_side": "buy"},
            {
                **base,
                "order_id": "2",
                "ft_order_side": "stoploss",
                "ft_is_open": 1,
                "status": "open",
                "filled": 0.0,
            },
        ],
        **changes,
    }


def account() -> dict[str, Any]:
    """Return what the exchange has of it."""
    order = {"symbol": "SOLUSDT", "kind": "LIMIT", "side": "BUY", "placed": 0, "algo": False}
    stop = {**order, "kind": "STOP_MARKET", "side": "SELL", "algo": True}
    return {
        "positions": {"SOLUSDT": {"amount": 10.0}},
        "orders": [{**order, "id": 1, "status": "FILLED"}, {**stop, "id": 2, "status": "NEW"}],
        "executions": [{"order_id": 1, "quantity": 10.0}],
    }


def test_right_books_have_no_problems():
    assert book_problems([trade()]) == []
    assert account_problems([trade()], account(), stops=True) == []


def test_what_is_lost_or_doubled_or_unprotected_is_found():
    lost = account_problems([], account(), stops=True)
    assert "SOLUSDT: position 10, the bot believes 0" in lost
    assert "fill of 10 of order 1, which the bot does not know" in lost
    assert "SOLUSDT: order 2 (STOP_MARKET SELL) rests unknown" in lost
    bare = account()
    bare["orders"] = bare["orders"][:1]
    assert "SOLUSDT: 0 stops on the exchange, not 1" in account_problems(
        [trade()], bare, stops=True
    )
    assert "order 1 stands 2 times" in book_problems([trade(), trade(id=2)])
    assert "SOL/USDT:USDT: 2 open trades" in book_problems([trade(), trade(id=2)])
    assert book_problems([trade(custom={})]) == ["trade 1 SOL/USDT:USDT: no signal"]
    assert "stop at 80.0" in book_problems([trade(stop_loss=80.0)])[0]


def test_a_rung_taken_twice_is_found():
    doubled = trade(amount=6.0)
    for number in ("3", "4"):
        rung = {**doubled["orders"][0], "order_id": number, "ft_order_side": "sell"}
        doubled["orders"].append({**rung, "filled": 2.0, "ft_order_tag": "ladder_1"})
    assert book_problems([doubled]) == ["trade 1 SOL/USDT:USDT: ladder_1 filled 2 times"]


def test_a_looser_stop_and_a_vanished_trade_are_found():
    assert loosened([trade()], [trade(stop_loss=96.0)]) == []
    assert "stop 95.0 -> 94.0" in loosened([trade()], [trade(stop_loss=94.0)])[0]
    assert loosened([trade()], []) == ["trade 1 SOL/USDT:USDT is gone"]


def test_guards_that_forget_are_found():
    before = Ledger(state=State.HALTED, peak=100.0, day_start=1.0, day_stopped=True)
    assert forgotten(before, copy.copy(before)) == []
    found = forgotten(before, Ledger(peak=90.0, day_start=1.0))
    assert found[0] == "the guards are no longer halted"
    assert len(found) == 3
    assert forgotten(before, None) == ["the guards' state is gone"]


def test_an_entry_that_had_been_refused_is_found():
    log = "2023-06-22 05:00:00,500 - x - INFO - Entry of SOL/USDT:USDT refused (max_stake): y\n"
    assert len(asked_again([log], [trade()])) == 1
    assert asked_again([log], [trade(open_date="2023-06-22 06:00:01")]) == []


def test_a_drill_that_breaks_off_has_lost_and_the_summary_says_so():
    with reported("faults") as report:
        raise AssertionError("the bot keeps ending")
    assert report.losses == ["broke off: AssertionError: the bot keeps ending"]
    json.dumps(report.record())
    console = Console(record=True, width=100)
    show(console, [report], 1.0)
    assert "LOSS faults: broke off" in console.export_text()
    assert table([report], 1.0).row_count == 2


def test_advisors_that_fail_delay_no_bot_and_lose_no_question(datadir: Path, tmp_path: Path):
    report = Report("advisors")
    ordeals = (Fault.RATE_LIMITED, Fault.DROPPED)
    advisors.run(tmp_path, datadir, report=report, pairs=PAIRS, ordeals=ordeals)
    assert report.losses == []
    assert sum(report.faults.values()) == 6
