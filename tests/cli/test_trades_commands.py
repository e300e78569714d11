"""``quorum trades`` and ``quorum card``: on a real backtest, on a database, on nothing."""

from __future__ import annotations

import json
import re
from collections import Counter
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest
from exported import Exported, exported
from freqtrade.persistence import Order, Trade, init_db
from typer.testing import CliRunner

from quorum.bot.desk import SIGNAL_KEY
from quorum.bot.journal import journal_path
from quorum.bot.results import load_backtest
from quorum.cli import app
from quorum.report.trades import TradeRecord


@pytest.fixture(scope="module")
def backtest(tmp_path_factory) -> Exported:
    return exported(tmp_path_factory.getbasetemp())


@pytest.fixture(scope="module")
def records(backtest) -> tuple[TradeRecord, ...]:
    return load_backtest(backtest.result).trades


def call(*arguments: str | Path):
    return CliRunner().invoke(app, [str(a) for a in arguments])


def succeed(*arguments: str | Path) -> str:
    result = call(*arguments)
    assert result.exit_code == 0, result.output
    return result.output


def fail(*arguments: str | Path) -> str:
    result = call(*arguments)
    assert result.exit_code == 1, result.output
    assert "Traceback" not in result.output
    return result.output


def rows(out: str, title: str) -> dict[str, list[str]]:
    """Return the cells of one printed table by the first of each row."""
    lines = out[out.index(title) :].splitlines()[1:]
    end = next(i for i, line in enumerate(lines) if line.startswith("└"))
    cells = [[c.strip() for c in line.split("│")[1:-1]] for line in lines[:end]]
    return {row[0]: row[1:] for row in cells if row}


def test_trades_prints_refusals_stops_and_exits_of_the_latest_result(backtest, records):
    out = succeed("trades", "--user-data", backtest.user_data)
    assert f"{backtest.result.name}: {len(records)} trades" in out
    refused = backtest.desk.refused
    asked = refused.total() + len(records)
    printed = rows(out, f"entries refused, of {asked} asked for")
    assert {k: int(v[0]) for k, v in printed.items()} == dict(refused)
    for reason, count in refused.items():
        assert printed[reason][1] == f"{100 * count / asked:.1f} %"


def test_trades_prints_what_came_how_far_and_what_never_did(backtest, records):
    out = succeed("trades", "-r", backtest.result)
    printed, f = rows(out, "what came how far"), backtest.funnel
    assert printed["candles"][0] == f"{f.candles:,}"
    signals = [f"{n:,}" for n in (f.either.signals, f.long.signals, f.short.signals)]
    assert printed["over the gate"] == signals
    assert printed["asked for"][0] == f"{f.asked:,}"
    assert printed["accepted"][0] == f"{backtest.desk.accepted.total():,}"
    assert printed["trades"][0] == f"{len(records):,}"
    for sentence in f.silent:
        assert sentence in out.replace("\n", " ")


def test_trades_prints_how_far_stops_stand_and_what_is_to_be_won(backtest, records):
    printed = rows(succeed("trades", "-r", backtest.result), "stop distance")
    signals = [r.signal for r in records if r.signal is not None]
    for kind, cells in printed.items():
        chosen = [s for s in signals if s.stop_kind == kind]
        distance = [100 * abs(1 - s.stop_loss / s.entry_price) for s in chosen]
        assert int(cells[0]) == len(chosen) > 0
        assert float(cells[2]) == pytest.approx(np.median(distance), abs=0.006)
        assert float(cells[3]) <= 5.0
        ratio = np.median([s.risk_reward_ratio for s in chosen])
        assert float(cells[5]) == pytest.approx(ratio, abs=0.006)
    assert sum(int(cells[0]) for cells in printed.values()) == len(records)


def test_trades_prints_exits_by_kind_with_their_profit(backtest, records):
    printed = rows(succeed("trades", "-r", backtest.result), "fills that reduced")
    ended = Counter(r.exit_reason for r in records)
    partial = Counter(f.tag for r in records for f in r.fills[1:-1])
    assert {k: int(v[1]) for k, v in printed.items() if v[1]} == dict(ended)
    assert {k: int(v[0]) for k, v in printed.items() if v[0]} == dict(partial)
    assert partial["ladder_1"] > 0
    total = sum(float(cells[2]) for cells in printed.values() if cells[2])
    assert total == pytest.approx(sum(r.profit for r in records), abs=0.05)
    assert float(printed["stop_loss"][3]) < -0.5


def test_card_prints_the_trade_of_that_number_in_order_of_opening(backtest, records):
    ordered = sorted(records, key=lambda r: (r.opened, r.pair))
    for number in (1, len(ordered)):
        trade = ordered[number - 1]
        out = succeed("card", str(number), "--user-data", backtest.user_data)
        assert out.startswith(f"{trade.pair} {'long' if trade.direction > 0 else 'short'}")
        assert f"opened {trade.opened:%Y-%m-%d %H:%M} UTC" in out
        assert f"{trade.signal.agreeing_heads} of {trade.signal.total_heads} agree" in out
        assert f"{trade.profit:+.2f}" in out


@pytest.mark.parametrize("number", ["0", "100000"])
def test_card_names_the_numbers_there_are(backtest, records, number):
    out = fail("card", number, "-r", backtest.result)
    assert f"{backtest.result.name} has trades 1 to {len(records)}" in " ".join(out.split())


def test_without_a_journal_both_say_so(backtest, tmp_path):
    copy = tmp_path / backtest.result.name
    copy.write_bytes(backtest.result.read_bytes())
    out = succeed("trades", "-r", copy)
    assert "no journal was kept: refusals and signals are not known" in out
    assert "stop distance" not in out
    # Profits are known, multiples of the risk are not.
    assert re.search(r"│ stop_loss +│ +│ +\d+ │ +-[\d.]+ │ +│", out)
    assert "no signal is stored with this trade" in succeed("card", "1", "-r", copy)


def test_a_journal_of_refusals_alone_is_printed(backtest, tmp_path):
    copy = tmp_path / backtest.result.name
    copy.write_bytes(backtest.result.read_bytes())
    content = {"refused": {"liquidation_cluster": 7}, "signals": []}
    journal_path(copy).write_text(json.dumps(content), encoding="utf-8")
    out = succeed("trades", "-r", copy)
    assert "liquidation_cluster" in out
    assert "no journal" not in out


def test_where_there_is_no_result_both_say_so(tmp_path):
    for command in (["trades"], ["card", "1"]):
        assert "no backtest result" in fail(*command, "--user-data", tmp_path)
        assert "there is no such result file" in fail(*command, "-r", tmp_path / "x.zip")


@pytest.fixture
def database(tmp_path):
    """Yield the URL of an empty database of a dry run."""
    url = f"sqlite:///{tmp_path / 'dry.sqlite'}"
    init_db(url)
    yield url
    init_db("sqlite://")


def test_an_open_trade_of_a_dry_run_has_a_card_and_no_end(database, records):
    signal = next(r.signal for r in records if r.direction > 0)
    opened = datetime(2024, 1, 2, 3, tzinfo=UTC)
    trade = Trade(
        pair=signal.symbol, stake_amount=1000.0, amount=10.0, open_rate=100.0, open_date=opened,
        fee_open=0.0, fee_close=0.0, exchange="binance", is_open=True, leverage=1.0,
    )  # fmt: skip
    trade.orders.append(
        Order(
            order_id="entry", ft_pair=signal.symbol, symbol=signal.symbol, ft_order_side="buy",
            side="buy", ft_is_open=False, ft_amount=10.0, ft_price=100.0, price=100.0,
            average=100.0, filled=10.0, remaining=0.0, status="closed", order_date=opened,
            order_filled_date=opened, ft_order_tag=signal.tag,
        )
    )  # fmt: skip
    Trade.session.add(trade)
    Trade.commit()
    trade.set_custom_data(SIGNAL_KEY, signal.model_dump(mode="json"))
    out = succeed("card", "1", "--db", database)
    assert out.startswith(f"{signal.symbol} long  opened 2024-01-02 03:00 UTC")
    assert out.rstrip().endswith("still open")
    listed = succeed("trades", "--db", database)
    assert "dry.sqlite: 1 trades" in listed
    assert rows(listed, "stop distance")[signal.stop_kind][0] == "1"
    assert rows(listed, "fills that reduced").keys() == set()


def test_an_empty_database_is_printed_and_has_no_card(database):
    assert "dry.sqlite: 0 trades" in succeed("trades", "--db", database)
    assert "dry.sqlite: has no trades" in " ".join(fail("card", "1", "--db", database).split())


def test_a_database_that_cannot_be_opened_is_named():
    assert "nothing://: no usable database URL" in fail("trades", "--db", "nothing://")
