"""Journal and results: a real backtest and a bot's database, read back."""

from __future__ import annotations

import json
import os
import zipfile
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from exported import Exported, exported
from freqtrade.enums import RunMode
from freqtrade.persistence import Order, Trade, init_db

from quorum.bot import journal
from quorum.bot.desk import SIGNAL_KEY, Desk
from quorum.bot.journal import journal_path, keep_journal, write_journal
from quorum.bot.results import latest_result, load_backtest, load_database
from quorum.entry import Signal
from quorum.errors import DataError
from quorum.report.page.backtest_file import backtest_run
from quorum.report.trades import TradeRecord
from quorum.settings import Settings


@pytest.fixture(scope="module")
def backtest(tmp_path_factory) -> Exported:
    return exported(tmp_path_factory.getbasetemp())


@pytest.fixture(scope="module")
def records(backtest) -> tuple[TradeRecord, ...]:
    return load_backtest(backtest.result).trades


def altered(
    backtest: Exported, folder: Path, change: Callable[[dict[str, Any]], None], *, keep: bool = True
) -> Path:
    """Return a copy of the result whose content is changed, with its journal unless not kept."""
    copy = folder / backtest.result.name
    with zipfile.ZipFile(backtest.result) as old, zipfile.ZipFile(copy, "w") as new:
        for name in old.namelist():
            content = old.read(name)
            if name == f"{copy.stem}.json":
                result = json.loads(content)
                change(result["strategy"])
                content = json.dumps(result).encode()
            new.writestr(name, content)
    if keep:
        journal_path(copy).write_bytes(journal_path(backtest.result).read_bytes())
    return copy


# The journal ----------------------------------------------------------------------------------


def test_the_journal_lies_beside_its_result():
    result = Path("results/backtest-result-2026-01-01_00-00-00.zip")
    assert journal_path(result) == Path("results/backtest-result-2026-01-01_00-00-00.quorum.json")


def test_the_journal_holds_every_trades_signal_and_every_refusal(backtest):
    content = json.loads(journal_path(backtest.result).read_text(encoding="utf-8"))
    desk = backtest.desk
    assert content["accepted"] == desk.accepted.total() >= len(backtest.trades)
    assert content["refused"] == dict(desk.refused)
    assert sum(content["refused"].values()) > 0
    opened = {(s["pair"], s["opened"]) for s in content["signals"]}
    assert opened >= {(t["pair"], t["open_date"].isoformat()) for t in backtest.trades}


def test_writing_a_journal_leaves_no_half_of_one(backtest, tmp_path):
    path = tmp_path / "a.quorum.json"
    path.write_text("old", encoding="utf-8")
    write_journal(backtest.desk, path, backtest.funnel)
    assert json.loads(path.read_text(encoding="utf-8"))["accepted"] > 0
    assert os.listdir(tmp_path) == [path.name]


@pytest.fixture
def at_exit(monkeypatch) -> list[Callable[[], None]]:
    """Collect what would run when the process ends."""
    kept: list[Callable[[], None]] = []
    monkeypatch.setattr(journal.atexit, "register", lambda f, *a: kept.append(lambda: f(*a)))
    return kept


def folder_with_result(user_data: Path) -> Path:
    folder = user_data / "backtest_results"
    folder.mkdir()
    (folder / ".last_result.json").write_text('{"latest_backtest": "b.zip"}', encoding="utf-8")
    result = folder / "b.zip"
    result.write_bytes(b"")
    return result


def ended(user_data: Path, **changes: Any) -> dict[str, Any]:
    """Return the configuration of a backtest as the host leaves it."""
    return {
        "runmode": RunMode.BACKTEST,
        "user_data_dir": user_data,
        "trading_mode": "futures",
        "startup_candle_count": 1400,
        **changes,
    }


def test_a_backtest_writes_its_journal_when_it_ends(backtest, tmp_path, at_exit):
    keep_journal(backtest.desk, ended(tmp_path))
    result = folder_with_result(tmp_path)
    at_exit[0]()
    written = json.loads(journal_path(result).read_text(encoding="utf-8"))
    assert written == json.loads(journal_path(backtest.result).read_text(encoding="utf-8"))


def test_a_backtest_says_at_its_end_what_came_how_far(backtest, tmp_path, at_exit, caplog):
    keep_journal(backtest.desk, ended(tmp_path, export="none"))
    with caplog.at_level("INFO"):
        at_exit[0]()
    f = backtest.funnel
    assert (
        f.candles >= f.tradable > f.either.valid > f.either.quorum >= f.either.signals > f.asked > 0
    )
    assert f.line() in caplog.text
    assert all(sentence in caplog.text for sentence in f.silent)
    assert not list(tmp_path.rglob("*.quorum.json"))


def test_a_backtest_that_asks_for_nothing_says_so_and_writes_its_journal(
    backtest, tmp_path, at_exit, caplog
):
    desk = Desk(Settings(), "1h")
    for pair, table in backtest.desk.tables.items():
        desk.tables[pair] = replace(table, entry=np.zeros_like(table.entry))
    keep_journal(desk, ended(tmp_path))
    result = folder_with_result(tmp_path)
    with caplog.at_level("WARNING"):
        at_exit[0]()
    assert "none over the gate" in caplog.text
    kept = json.loads(journal_path(result).read_text(encoding="utf-8"))["funnel"]
    assert kept["either"]["signals"] == 0 < kept["either"]["quorum"]


def test_an_older_result_is_given_no_journal(backtest, tmp_path, at_exit):
    result = folder_with_result(tmp_path)
    os.utime(result, (1e9, 1e9))
    keep_journal(backtest.desk, ended(tmp_path))
    at_exit[0]()
    assert not journal_path(result).exists()


@pytest.mark.parametrize("result", ["none", "folder"])
def test_a_backtest_without_a_result_or_without_candles_writes_nothing(
    backtest, result, tmp_path, at_exit
):
    desk = backtest.desk if result == "none" else Desk(Settings(), "1h")
    keep_journal(desk, ended(tmp_path))
    if result == "folder":
        folder_with_result(tmp_path)
    else:
        (tmp_path / "backtest_results").mkdir()
    at_exit[0]()
    assert not list(tmp_path.rglob("*.quorum.json"))


@pytest.mark.parametrize(
    "change",
    [
        {"runmode": RunMode.DRY_RUN},
        {"runmode": RunMode.HYPEROPT},
        {"runmode": RunMode.UTIL_NO_EXCHANGE},
    ],
)
def test_no_journal_is_kept_of_what_is_no_backtest(backtest, change, tmp_path, at_exit):
    keep_journal(backtest.desk, ended(tmp_path, **change))
    assert at_exit == []


# Results of backtests -------------------------------------------------------------------------


def test_the_latest_result_is_found(backtest, tmp_path):
    assert latest_result(backtest.user_data) == backtest.result
    with pytest.raises(DataError, match="no backtest result"):
        latest_result(tmp_path)


def test_a_record_says_what_the_host_said(backtest, records):
    said = {(t["pair"], t["open_date"]): t for t in backtest.trades}
    assert len(records) == len(said) > 20
    for record in records:
        trade = said[record.pair, record.opened]
        assert record.direction == (-1 if trade["is_short"] else 1)
        assert record.closed == trade["close_date"]
        assert record.profit == pytest.approx(trade["profit_abs"])
        assert record.profit_ratio == pytest.approx(trade["profit_ratio"])
        assert record.funding == pytest.approx(trade["funding_fees"])
        assert record.exit_reason == trade["exit_reason"]
        assert (record.best - record.worst) * record.direction > 0
        assert {record.best, record.worst} == {trade["min_rate"], trade["max_rate"]}
        assert [f.tag for f in record.fills] == [o["ft_order_tag"] for o in trade["orders"]]
        assert [f.price for f in record.fills] == [o["safe_price"] for o in trade["orders"]]


def test_what_goes_in_comes_out_again(records):
    for record in records:
        entered = sum(fill.amount for fill in record.fills if fill.entry)
        left = sum(fill.amount for fill in record.fills if not fill.entry)
        assert entered == pytest.approx(left)
        assert record.fills[0].entry
        assert record.fills[-1].tag == record.exit_reason


def test_every_record_has_the_signal_it_was_opened_on(backtest, records):
    for record in records:
        signal = record.signal
        assert signal is not None
        assert signal == backtest.desk.signals[record.pair, record.opened]
        assert (signal.symbol, signal.direction) == (record.pair, record.direction)
        assert record.r_multiple == pytest.approx(record.profit / signal.risk_amount)


def test_the_fills_of_a_trade_add_up_to_its_profit(backtest, records):
    fee = backtest.trades[0]["fee_open"]
    for record in records:
        bought = sum(f.price * f.amount * (1 if f.entry else -1) for f in record.fills)
        fees = fee * sum(f.price * f.amount for f in record.fills)
        profit = -record.direction * bought - fees + record.funding
        assert record.profit == pytest.approx(profit, abs=0.01)


def test_a_stop_costs_what_was_risked_and_the_fees(records):
    stopped = [r for r in records if r.exit_reason == "stop_loss" and len(r.fills) == 2]
    assert stopped
    for record in stopped:
        assert -1.7 < record.r_multiple < -0.85


def test_without_a_journal_signals_and_refusals_are_unknown(backtest, tmp_path):
    results = load_backtest(altered(backtest, tmp_path, lambda s: None, keep=False))
    assert results.refused is None
    assert len(results.trades) == len(backtest.trades)
    assert all(t.signal is None and t.r_multiple is None for t in results.trades)


def test_a_result_with_one_trade_and_one_with_none_are_results(backtest, tmp_path):
    def first_only(strategies: dict[str, Any]) -> None:
        del strategies["Quorum"]["trades"][1:]

    one = load_backtest(altered(backtest, tmp_path, first_only))
    assert [t.pair for t in one.trades] == [backtest.trades[0]["pair"]]
    assert one.trades[0].signal is not None

    def without(strategies: dict[str, Any]) -> None:
        strategies["Quorum"]["trades"].clear()

    none = load_backtest(altered(backtest, tmp_path, without))
    assert none.trades == ()
    assert none.refused == dict(backtest.desk.refused)


def test_the_result_of_another_strategy_is_refused(backtest, tmp_path):
    def rename(strategies: dict[str, Any]) -> None:
        strategies["Other"] = strategies.pop("Quorum")

    with pytest.raises(DataError, match=r"no backtest result of Quorum .*Other"):
        load_backtest(altered(backtest, tmp_path, rename))


def test_the_result_of_a_derived_strategy_is_read(backtest, tmp_path):
    def rename(strategies: dict[str, Any]) -> None:
        strategies["Derived"] = strategies.pop("Quorum")
        strategies["Other"] = {**strategies["Derived"], "trades": []}

    copy = altered(backtest, tmp_path, rename)
    write_journal(backtest.desk, journal_path(copy), backtest.funnel, "Derived")
    read = load_backtest(copy)
    assert read.strategy == "Derived"
    assert len(read.trades) == len(backtest.trades)
    assert read.trades[0].signal is not None
    assert backtest_run(copy, read).trades


def test_of_two_strategies_in_one_result_only_ours_is_read(backtest, tmp_path):
    def add(strategies: dict[str, Any]) -> None:
        strategies["Other"] = {**strategies["Quorum"], "trades": []}

    assert len(load_backtest(altered(backtest, tmp_path, add)).trades) == len(backtest.trades)


def test_files_that_cannot_be_read_are_named(backtest, tmp_path):
    with pytest.raises(DataError, match=r"missing\.zip: there is no such result file"):
        load_backtest(tmp_path / "missing.zip")
    broken = tmp_path / "broken.zip"
    broken.write_bytes(b"PK")
    with pytest.raises(DataError, match=r"broken\.zip: no backtest result"):
        load_backtest(broken)
    copy = altered(backtest, tmp_path, lambda s: None)
    journal_path(copy).write_text("{", encoding="utf-8")
    with pytest.raises(DataError, match=r"quorum\.json: is no journal"):
        load_backtest(copy)
    content = {"signals": [{"pair": t["pair"], "opened": str(t["open_date"])} for t in
                           backtest.trades]}  # fmt: skip
    journal_path(copy).write_text(json.dumps(content), encoding="utf-8")
    with pytest.raises(DataError, match="a stored signal cannot be read"):
        load_backtest(copy)


# The database of a bot ------------------------------------------------------------------------

OPENED = datetime(2024, 1, 2, 3, tzinfo=UTC)


@pytest.fixture
def database(tmp_path):
    """Yield the URL of a database as a dry run leaves it; the process has none afterwards."""
    url = f"sqlite:///{tmp_path / 'dry.sqlite'}"
    init_db(url)
    yield url
    init_db("sqlite://")


def order(trade: Trade, side: str, price: float, amount: float, hours: int, tag: str) -> Order:
    at = OPENED + timedelta(hours=hours)
    return Order(
        order_id=f"{side}{hours}", ft_pair=trade.pair, symbol=trade.pair, ft_order_side=side,
        side=side, ft_is_open=False, ft_amount=amount, ft_price=price, price=price, average=price,
        amount=amount, filled=amount, remaining=0.0, status="closed", order_date=at,
        order_filled_date=at, ft_order_tag=tag,
    )  # fmt: skip


def store(signal: Signal | None, *, short: bool = False, closed: bool = False) -> None:
    """Store a trade of which half is out at a rung."""
    enter, leave = ("sell", "buy") if short else ("buy", "sell")
    trade = Trade(
        pair="BTC/USDT:USDT", stake_amount=500.0, amount=5.0, amount_requested=10.0,
        open_rate=100.0, open_date=OPENED, fee_open=0.0, fee_close=0.0, exchange="binance",
        is_open=True, is_short=short, leverage=1.0, min_rate=98.0, max_rate=107.0,
        stop_loss=97.0, initial_stop_loss=97.0,
    )  # fmt: skip
    rung = 94.0 if short else 106.0
    trade.orders.append(order(trade, enter, 100.0, 10.0, 0, "4/9 high"))
    trade.orders.append(order(trade, leave, rung, 5.0, 2, "ladder_1"))
    if closed:
        trade.orders.append(order(trade, leave, 100.0, 5.0, 3, "trailing_stop_loss"))
        trade.exit_reason = "trailing_stop_loss"
    Trade.session.add(trade)
    # The host sums up what is out: half of the position at a gain of 6.
    trade.recalc_trade_from_orders()
    Trade.commit()
    if closed:
        trade.close_date = OPENED + timedelta(hours=3)
        trade.close(100.0, show_msg=False)
        Trade.commit()
    if signal is not None:
        trade.set_custom_data(SIGNAL_KEY, signal.model_dump(mode="json"))


@pytest.mark.parametrize("short", [False, True])
def test_an_open_trade_of_a_dry_run_is_read(database, records, short):
    stored = records[0].signal
    store(stored, short=short)
    results = load_database(database)
    assert results.name == "dry.sqlite"
    assert results.refused is None
    (trade,) = results.trades
    assert (trade.closed, trade.close_rate, trade.exit_reason) == (None, None, "")
    assert trade.opened == OPENED
    assert trade.direction == (-1 if short else 1)
    assert (trade.best, trade.worst) == ((98.0, 107.0) if short else (107.0, 98.0))
    assert trade.profit == pytest.approx(30.0)
    assert [(f.entry, f.tag, f.amount) for f in trade.fills] == [
        (True, "4/9 high", 10.0),
        (False, "ladder_1", 5.0),
    ]
    assert trade.fills[1].at == OPENED + timedelta(hours=2)
    assert trade.signal == stored


def test_a_closed_trade_has_all_its_profit_and_a_foreign_one_no_signal(database):
    store(None, closed=True)
    (trade,) = load_database(database).trades
    assert trade.closed == OPENED + timedelta(hours=3)
    assert trade.profit == pytest.approx(30.0)
    assert trade.exit_reason == "trailing_stop_loss"
    assert (trade.signal, trade.r_multiple) == (None, None)


def test_an_empty_database_has_no_trades_and_a_bad_address_is_named(database):
    assert load_database(database).trades == ()
    with pytest.raises(DataError, match="nothing://: no usable database URL"):
        load_database("nothing://")
    with pytest.raises(DataError, match=r"no/such/folder.*no such database"):
        load_database("sqlite:////no/such/folder/t.sqlite")
