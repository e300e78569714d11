"""``quorum tune``: real hyperopt and backtests on a small market, and input that is refused."""

from __future__ import annotations

import json
from pathlib import Path

import pandas as pd
import pytest
from backtests import ROOT, configuration, small_market
from freqtrade.resolvers.hyperopt_resolver import HyperOptLossResolver
from typer.testing import CliRunner

from quorum.bot.epochs import loss_of_trades
from quorum.cli import app
from quorum.replay.exchange import ExchangeServer

SPAN = "20230710-20230910"


@pytest.fixture(scope="module")
def datadir(tmp_path_factory) -> Path:
    return small_market(tmp_path_factory.mktemp("tune") / "market")


@pytest.fixture
def folder(tmp_path, monkeypatch) -> Path:
    """A folder to run commands in, with a configuration that finds the strategy."""
    (tmp_path / "user_data").mkdir()
    content = {
        "add_config_files": [str(ROOT / "config.json")],
        "strategy_path": str(ROOT / "strategies"),
        "user_data_dir": str(tmp_path / "user_data"),
    }
    (tmp_path / "config.json").write_text(json.dumps(content))
    monkeypatch.chdir(tmp_path)
    return tmp_path


def tune(datadir: Path, *options: str, status: int = 0) -> str:
    small = ["--timerange", SPAN, "--train-months", "1", "--judge-months", "1", "--epochs", "3"]
    call = ["tune", *small, "--pair", "BTC/USDT:USDT", "--jobs", "1", "-d", str(datadir), *options]
    result = CliRunner().invoke(app, call)
    assert result.exit_code == status, result.output
    assert "Traceback" not in result.output
    return " ".join(result.output.split())


def test_a_window_is_tuned_once_judged_and_written_where_asked(datadir, folder):
    beside = sorted((ROOT / "strategies").iterdir())
    out = tune(datadir, "--name", "small")
    run = folder / "user_data" / "tuning" / "small"
    kept = json.loads((run / "result.json").read_text())
    assert kept["verdict"]["sentence"] in out
    assert "nothing written" in out
    (window,) = kept["windows"]
    assert (window["train"], window["judge"]) == ("20230710-20230810", "20230810-20230910")
    assert window["trials"]["count"] == kept["verdict"]["trials"] == 3
    assert len(window["tuned"]["daily"]) == len(window["configured"]["daily"]) == 31
    assert not list(run.glob("process-*"))

    assert kept["verdict"]["configured"]["trades"] > 0
    # The first trial is what is configured: in sample it is judged like every other.
    losses = window["trials"]
    assert losses["best_loss"] < 10
    assert losses["best_loss"] <= losses["configured_loss"]

    logs = {path.name: path.stat().st_mtime_ns for path in (run / "logs").iterdir()}
    assert set(logs) == {"tune-00.log", "tuned-00.log", "configured-00.log"}
    again = tune(datadir, "--name", "small", "--export", "chosen.json")
    assert "20230710-20230810 is finished" in again
    assert {path.name: path.stat().st_mtime_ns for path in (run / "logs").iterdir()} == logs
    exported = json.loads((folder / "chosen.json").read_text())
    assert exported["strategy_name"] == "Quorum"
    assert exported["params"] == window["parameters"]
    assert sorted((ROOT / "strategies").iterdir()) == beside

    refused = tune(datadir, "--name", "small", "--epochs", "4", status=1)
    assert "epochs was 3, is 4" in refused


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        (["--timerange", "20230420-20230501"], "too short to tune on 1 months"),
        (["--timerange", "soon"], "give two days"),
        (["--space", "magic"], "--space magic: the strategy has"),
        (["--pair", "DOGE/USDT:USDT", "--timerange", "20200101-20200401"], "no pair covers"),
        (["--storage", "nowhere"], "not a database address"),
    ],
)
def test_input_that_cannot_be_used_is_refused_before_any_work(datadir, folder, options, problem):
    assert problem in tune(datadir, *options, status=1)
    assert not list((folder / "user_data").rglob("*.log"))


def test_the_host_finds_the_loss_and_it_says_what_the_arithmetic_says(datadir, tmp_path):
    with ExchangeServer(datadir) as exchange:
        config = configuration(datadir, tmp_path, exchange, hyperopt_loss="QuorumLoss")
    config["hyperopt_path"] = str(ROOT / "hyperopts")
    loss = HyperOptLossResolver.load_hyperoptloss(config)
    start, end = pd.Timestamp("2023-01-01", tz="UTC"), pd.Timestamp("2023-07-01", tz="UTC")
    trades = pd.DataFrame(
        {
            "close_date": pd.date_range(start, periods=40, freq="3D"),
            "profit_abs": [300.0, -100.0] * 20,
            "enter_tag": ["5/9 high"] * 20 + ["4/9 medium"] * 20,
        }
    )

    def lost(frame: pd.DataFrame, **changes) -> float:
        return loss.hyperopt_loss_function(
            results=frame,
            trade_count=len(frame),
            min_date=start,
            max_date=end,
            config={**config, **changes},
            processed={},
            backtest_stats={},
            starting_balance=10_000.0,
        )

    assert lost(trades) == loss_of_trades(trades, start, end, config, 10_000.0).total
    # Half of the trades win: more than a modest promise, less than the one that is configured.
    modest = {"quorum": {"sizing": {"win_rate": [0.8, 0.7, 0.5]}}}
    assert lost(trades, **modest) < lost(trades)
    assert lost(trades.iloc[:0]) > lost(trades)
