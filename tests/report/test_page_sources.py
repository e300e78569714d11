"""``quorum report``: from a real backtest, a bot's database, and what cannot be used."""

from __future__ import annotations

import json
import shutil
import sqlite3
import zipfile
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from exported import Exported, exported
from freqtrade.persistence import Order, Trade, init_db
from page_runs import PAIRS, made_run, signal_template
from typer.testing import CliRunner

from quorum.bot.desk import SIGNAL_KEY
from quorum.bot.journal import journal_path
from quorum.bot.results import load_backtest, load_database
from quorum.cli import app
from quorum.cli.report import _without_missing_records, host_config
from quorum.cli.trades import DEFAULT_USER_DATA
from quorum.errors import DataError
from quorum.report.page.backtest_file import backtest_run
from quorum.report.page.collected import tuning_walk
from quorum.report.page.database import SIGNAL_KEY as READ_KEY
from quorum.report.page.database import database_run

OPENED = datetime(2024, 1, 20, 3, tzinfo=UTC)


@pytest.fixture(scope="module")
def backtest(tmp_path_factory) -> Exported:
    return exported(tmp_path_factory.getbasetemp())


def call(*arguments: str | Path, command: str = "report"):
    return CliRunner().invoke(app, [command, *map(str, arguments)])


def succeed(*arguments: str | Path, command: str = "report") -> str:
    result = call(*arguments, command=command)
    assert result.exit_code == 0, result.output
    return result.output


def fail(*arguments: str | Path) -> str:
    result = call(*arguments)
    assert result.exit_code == 1, result.output
    assert "Traceback" not in result.output
    return " ".join(result.output.split())


def altered(result: Path, folder: Path, change: Callable[[dict[str, Any]], None]) -> Path:
    """Return a copy of a result whose content is changed, without its journal."""
    copy = folder / result.name
    with zipfile.ZipFile(result) as old, zipfile.ZipFile(copy, "w") as new:
        for name in old.namelist():
            content = old.read(name)
            if name == f"{copy.stem}.json":
                held = json.loads(content)
                change(held["strategy"])
                content = json.dumps(held).encode()
            new.writestr(name, content)
    return copy


# Backtests ------------------------------------------------------------------------------------


def test_a_real_backtest_becomes_a_page_with_every_section(backtest, tmp_path):
    page = tmp_path / "run.html"
    out = succeed(
        backtest.result, "-o", page, "--datadir", backtest.user_data / "market",
        "--user-data", backtest.user_data,
    )  # fmt: skip
    html = page.read_text(encoding="utf-8")
    for anchor in ("random", "account", "confidence", "heads", "funnel", "sources", "trades"):
        assert f'<section id="{anchor}">' in html
    assert all(sentence in html for sentence in backtest.funnel.silent)
    assert f"{len(backtest.trades):,} closed trades" in out
    assert "random runs" in out
    assert str(page) in out.replace("\n", "")


def test_its_numbers_are_the_hosts(backtest):
    from quorum.report.page.measures import measure
    from quorum.report.page.run import PageSettings

    run = backtest_run(backtest.result, load_backtest(backtest.result))
    found = measure(run, PageSettings(runs=100))
    with zipfile.ZipFile(backtest.result) as archive:
        host = json.loads(archive.read(f"{backtest.result.stem}.json"))["strategy"]["Quorum"]
    assert found.profit == pytest.approx(host["profit_total_abs"])
    assert found.run.total == pytest.approx(host["profit_total"])
    assert found.intervals["profit_factor"].estimate == pytest.approx(host["profit_factor"])
    assert found.intervals["win_rate"].estimate == pytest.approx(host["winrate"])
    paid = sum(
        (t["fee_open"] if o["ft_is_entry"] else t["fee_close"]) * o["safe_price"] * o["amount"]
        for t in backtest.trades
        for o in t["orders"]
    )
    assert found.fees == pytest.approx(paid, rel=1e-6)
    assert (run.first, run.last) == (host["backtest_start_ts"], host["backtest_end_ts"])


def test_by_default_it_is_the_latest_result_and_its_candles_are_found(backtest, tmp_path):
    home = tmp_path / "home"
    shutil.copytree(backtest.user_data / "backtest_results", home / "backtest_results")
    (home / "data").mkdir()
    (home / "data" / "empty").mkdir()
    (home / "data" / "market").symlink_to(backtest.user_data / "market")
    out = succeed("--user-data", home, "--quick")
    assert (home / "backtest_results" / backtest.result.name).with_suffix(".html").is_file()
    assert "No candles" not in out
    assert "buy and hold" in out


def test_without_candles_and_journal_it_says_what_is_not_known(backtest, tmp_path):
    bare = altered(backtest.result, tmp_path, lambda _: None)
    out = " ".join(succeed(bare, "--user-data", tmp_path).split())
    assert "No candles of this run were found" in out
    assert "No journal lies beside the result" in out
    assert bare.with_suffix(".html").is_file()


def test_candles_of_another_market_are_refused(backtest, tmp_path):
    other = tmp_path / "other"
    shutil.copytree(backtest.user_data / "market", other)
    for path in (other / "futures").glob("*-1h-futures.feather"):
        frame = pd.read_feather(path)
        frame[["open", "high", "low", "close"]] *= 1.5
        frame.to_feather(path)
    said = fail(backtest.result, "--datadir", other, "-o", tmp_path / "x.html")
    assert "not the candles of this run" in said
    assert not (tmp_path / "x.html").exists()


def test_missing_candles_are_named_and_do_not_stop_the_page(backtest, tmp_path):
    holed = tmp_path / "holed"
    shutil.copytree(backtest.user_data / "market", holed)
    files = sorted((holed / "futures").glob("*-1h-futures.feather"))
    frame = pd.read_feather(files[0])
    frame.drop(index=range(len(frame) - 900, len(frame) - 300)).reset_index(drop=True).to_feather(
        files[0]
    )
    files[1].unlink()
    page = tmp_path / "x.html"
    out = " ".join(succeed(backtest.result, "--datadir", holed, "-o", page, "--quick").split())
    assert "600 of" in out
    assert "missing or without volume" in out
    assert "No candles of" in out
    assert page.is_file()


@pytest.mark.parametrize("left", [0, 1])
def test_no_trade_and_one_trade_are_pages_too(backtest, tmp_path, left):
    def cut(strategies: dict[str, Any]) -> None:
        strategies["Quorum"]["trades"] = strategies["Quorum"]["trades"][:left]

    few = altered(backtest.result, tmp_path, cut)
    out = succeed(few, "--datadir", backtest.user_data / "market", "--quick")
    assert ("nothing to judge" if left == 0 else "1 closed trade: too few") in out


def test_another_strategy_and_another_version_are_refused(backtest, tmp_path):
    def rename(strategies: dict[str, Any]) -> None:
        strategies["Other"] = strategies.pop("Quorum")

    def older(strategies: dict[str, Any]) -> None:
        del strategies["Quorum"]["starting_balance"]

    assert "no backtest result of Quorum" in fail(altered(backtest.result, tmp_path, rename))
    said = fail(altered(backtest.result, tmp_path, older))
    assert "starting_balance" in said
    assert "version" in said
    assert "no such result file" in fail(tmp_path / "none.zip")
    (tmp_path / "text.zip").write_text("no archive", encoding="utf-8")
    assert "text.zip" in fail(tmp_path / "text.zip")


def test_models_of_the_user_directory_are_used_and_a_damaged_store_is_named(backtest, tmp_path):
    folder = tmp_path / "models" / "quorum"
    folder.mkdir(parents=True)
    (folder / "CURRENT").write_text("20240101T000000-gone\n", encoding="utf-8")
    page = tmp_path / "x.html"
    said = fail(
        backtest.result, "-o", page, "--datadir", backtest.user_data / "market",
        "--user-data", tmp_path,
    )  # fmt: skip
    assert "20240101T000000-gone.json" in said
    assert "no such chain" in said
    assert not page.exists()


def test_records_of_the_run_that_are_gone_are_named_and_do_not_stop_the_page(backtest, tmp_path):
    records = {"sentiment": str(tmp_path / "gone.feather")}
    section = {"market": {"records": records, "min_history": 300}}
    own, gone = _without_missing_records(section)
    assert gone == records
    assert own == {"market": {"records": {}, "min_history": 300}}
    assert "sentiment" in section["market"]["records"], "the run keeps what it was told"
    there = tmp_path / "there.feather"
    there.write_bytes(b"")
    whole = {"market": {"records": {"derivatives": str(there)}}}
    assert _without_missing_records(whole) == (whole, {})
    assert _without_missing_records({"market": "no group"}) == ({"market": "no group"}, {})


def test_the_user_directory_given_is_the_one_that_is_read(tmp_path):
    config = tmp_path / "config.json"
    config.write_text('{"user_data_dir": "elsewhere", "quorum": {}}', encoding="utf-8")
    assert host_config([config], tmp_path)["user_data_dir"] == tmp_path
    assert str(host_config([config], DEFAULT_USER_DATA)["user_data_dir"]) == "elsewhere"


def test_a_page_that_cannot_be_written_leaves_nothing_half(backtest, tmp_path):
    bare = altered(backtest.result, tmp_path, lambda _: None)
    (tmp_path / "file").write_text("", encoding="utf-8")
    fail(bare, "--user-data", tmp_path, "-o", tmp_path / "file" / "x.html")
    assert not list(tmp_path.rglob("*.html*"))


# Databases ------------------------------------------------------------------------------------


@pytest.fixture
def database(tmp_path):
    """Yield the file of a database as a dry run leaves it; the process has none afterwards."""
    path = tmp_path / "dry.sqlite"
    init_db(f"sqlite:///{path}")
    yield path
    init_db("sqlite://")


def order(trade: Trade, side: str, price: float, amount: float, hours: int, tag: str) -> Order:
    at = trade.open_date_utc + timedelta(hours=hours)
    return Order(
        order_id=f"dry_run_{side}_{at:%d%H}", ft_pair=trade.pair, symbol=trade.pair,
        ft_order_side=side, side=side, ft_is_open=False, ft_amount=amount, ft_price=price,
        price=price, average=price, amount=amount, filled=amount, remaining=0.0, status="closed",
        order_date=at, order_filled_date=at, ft_order_tag=tag,
    )  # fmt: skip


def store(*, closed: bool, hours: int = 0, strategy: str = "Quorum", signal: bool = True) -> None:
    """Store a long of 10 at 100, half out at 106, the rest at 100 where closed."""
    opened = OPENED + timedelta(hours=hours)
    trade = Trade(
        pair=PAIRS[0], stake_amount=1000.0, amount=5.0, amount_requested=10.0, open_rate=100.0,
        open_date=opened, fee_open=0.0005, fee_close=0.0005, exchange="binance", is_open=True,
        is_short=False, leverage=1.0, min_rate=98.0, max_rate=107.0, stop_loss=97.0,
        initial_stop_loss=97.0, strategy=strategy, timeframe=60, stake_currency="USDT",
    )  # fmt: skip
    trade.orders.append(order(trade, "buy", 100.0, 10.0, 0, "4/9 high"))
    trade.orders.append(order(trade, "sell", 106.0, 5.0, 2, "ladder_1"))
    if closed:
        trade.orders.append(order(trade, "sell", 100.0, 5.0, 3, "trailing_stop_loss"))
        trade.exit_reason = "trailing_stop_loss"
    Trade.session.add(trade)
    trade.recalc_trade_from_orders()
    Trade.commit()
    if closed:
        trade.close_date = opened + timedelta(hours=3)
        trade.close(100.0, show_msg=False)
        Trade.commit()
    if signal:
        trade.set_custom_data(SIGNAL_KEY, signal_template().model_dump(mode="json"))


def test_the_signal_is_looked_for_where_the_strategy_stores_it():
    assert READ_KEY == SIGNAL_KEY


def test_a_bots_trades_are_read_as_the_host_knows_them(database):
    store(closed=True)
    store(closed=False, hours=30)
    run = database_run(f"sqlite:///{database}", 5000.0)
    closed, still_open = run.trades
    assert run.kind == "dry run"
    assert run.capital == 5000.0
    hosts = sorted(Trade.get_trades([]).all(), key=lambda trade: trade.id)
    assert closed.profit == pytest.approx(hosts[0].close_profit_abs)
    assert closed.closed == hosts[0].close_date_utc
    assert closed.signal == signal_template()
    assert still_open.closed is None
    assert still_open.profit == pytest.approx(hosts[1].realized_profit)
    assert [f.tag for f in still_open.fills] == ["4/9 high", "ladder_1"]


def test_the_database_of_a_running_bot_is_read_and_not_written(database, tmp_path):
    store(closed=True)
    before = {p.name: p.read_bytes() for p in tmp_path.iterdir() if p.suffix == ".sqlite"}
    # The bot holds a transaction open while the page is made.
    with sqlite3.connect(database) as bot:
        bot.execute("BEGIN IMMEDIATE")
        bot.execute("UPDATE trades SET exit_reason = 'not yet'")
        out = succeed("--db", f"sqlite:///{database}", "--capital", "5000", "--user-data", tmp_path)
        bot.rollback()
    assert "1 closed trade: too few to judge" in out
    assert {p.name: p.read_bytes() for p in tmp_path.iterdir() if p.suffix == ".sqlite"} == before
    assert (tmp_path / "backtest_results" / "dry.html").is_file()


@pytest.mark.parametrize(("command", "more"), [("trades", ()), ("card", (1,))])
def test_a_running_bots_trades_are_printed_without_writing(database, command, more):
    store(closed=True)
    before = database.read_bytes()
    with sqlite3.connect(database) as bot:
        bot.execute("BEGIN IMMEDIATE")
        bot.execute("UPDATE trades SET exit_reason = 'not yet'")
        out = succeed(*more, "--db", f"sqlite:///{database}", command=command)
        bot.rollback()
    assert "trailing_stop_loss" in out
    assert database.read_bytes() == before


def test_reading_a_database_does_not_make_it_the_processs_own(database, tmp_path):
    store(closed=True)
    other = tmp_path / "other.sqlite"
    with sqlite3.connect(database) as source, sqlite3.connect(other) as copy:
        source.backup(copy)
    store(closed=False, hours=30)
    assert len(load_database(f"sqlite:///{other}").trades) == 1
    assert len(Trade.get_trades([]).all()) == 2


def test_a_database_that_cannot_be_used_is_named(database, tmp_path):
    assert "no such database file" in fail("--db", f"sqlite:///{tmp_path / 'none.sqlite'}")
    assert "no usable database URL" in fail("--db", "nothing://")
    foreign = tmp_path / "foreign.sqlite"
    with sqlite3.connect(foreign) as connection:
        connection.execute("CREATE TABLE trades (id INTEGER, pair TEXT)")
    assert "this version of freqtrade" in fail("--db", f"sqlite:///{foreign}")
    store(closed=True, strategy="Other", signal=False)
    assert "only of Other" in fail("--db", f"sqlite:///{database}")
    (tmp_path / "text.sqlite").write_text("no database at all, but long enough", encoding="utf-8")
    assert "cannot be read" in fail("--db", f"sqlite:///{tmp_path / 'text.sqlite'}")


def test_trades_of_a_derived_strategy_are_read_beside_anothers(database):
    store(closed=True, strategy="Derived")
    store(closed=True, hours=30, strategy="Other", signal=False)
    assert len(load_database(f"sqlite:///{database}").trades) == 1


def test_an_empty_database_is_a_page_that_says_so(database, tmp_path):
    out = succeed("--db", f"sqlite:///{database}", "--user-data", tmp_path)
    assert "No trade was closed" in out


def test_a_result_and_a_database_at_once_are_refused(backtest, database):
    assert "not both" in fail(backtest.result, "--db", f"sqlite:///{database}")


# Tuning ---------------------------------------------------------------------------------------


def test_a_tuning_folder_without_windows_is_refused(tmp_path):
    with pytest.raises(DataError, match="no finished window"):
        tuning_walk(tmp_path)


def test_a_note_is_kept_with_the_run():
    run = made_run(1)
    assert replace(run, notes=("a",)).noting("b").notes == ("a", "b")
    assert journal_path(Path("a/b.zip")).name == "b.quorum.json"
