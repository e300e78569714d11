"""The simulation beside real freqtrade backtests of the same settings."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest
from backtests import TIMERANGE, configuration, run, small_market

from quorum.bot.host import read_settings
from quorum.cli.ablation import load_materials
from quorum.cli.spans import Span
from quorum.replay.exchange import ExchangeServer
from quorum.simulation import (
    HostTrade,
    PortfolioSettings,
    books_of,
    compare_runs,
    run_portfolio,
)
from quorum.sizing.confluence import ConfluenceSettings, Profile

HOUR = 3_600_000
STATED = {"consensus": {"confidence": "stated"}}
OFF = {"guards": {"preset": "off"}, **STATED}
EVERY_SCORE = Profile(long_entry=50, long_scaling=60, short_entry=50, short_scaling=40)
#: Every kind of entry, and everything that moves a stop or takes a part out.
CASES = {
    "guards off": OFF,
    "guards on": STATED,
    "measured confidence": {"guards": {"preset": "off"}},
    "limits at the edge of equilibrium, trailing from the first candle": {
        **OFF,
        "context": {"zones": {"entry": "limit_order"}},
        "sizing": {"method": "confluence"},
    },
}


@pytest.fixture(scope="module")
def datadir(tmp_path_factory):
    return small_market(tmp_path_factory.mktemp("data") / "market")


def host_trades(result) -> list[HostTrade]:
    trades = result["trades"]
    return [
        HostTrade(
            t.pair,
            -1 if t.is_short else 1,
            int(t.open_date.timestamp() * 1000),
            int(t.close_date.timestamp() * 1000),
            t.profit_abs,
            t.profit_ratio,
            t.exit_reason,
        )
        for t in trades.itertuples()
    ]


def simulated(datadir: Path, folder: Path, quorum):
    with ExchangeServer(datadir) as exchange:
        config = configuration(datadir, folder, exchange, quorum=quorum)
    settings = read_settings(config, "1h")
    start, end = (
        int(pd.Timestamp(day, tz="UTC").timestamp() * 1000) for day in TIMERANGE.split("-")
    )
    pairs = config["exchange"]["pair_whitelist"]
    materials = load_materials(config, settings, pairs, Span(start, end))
    account = PortfolioSettings(guards=settings.guards.preset != "off")
    return run_portfolio(books_of(materials, settings), settings, account)


@pytest.mark.parametrize("case", CASES)
def test_trades_are_those_of_the_host(case, datadir, tmp_path, monkeypatch):
    monkeypatch.setattr(ConfluenceSettings, "executor", EVERY_SCORE)
    quorum = CASES[case]
    ours = simulated(datadir, tmp_path, quorum)
    found = compare_runs(ours, host_trades(run(datadir, tmp_path, quorum=quorum)), HOUR)
    assert found.host >= 15, "enough to be told apart from chance"
    assert found.agrees(guards="guards" not in quorum), found
    assert found.same_reason >= 0.95 * found.matched
    assert found.ratio_difference < 2e-4
    turnover = sum(t.notional for t in ours.trades)
    assert abs(found.host_profit - found.simulated_profit) < 2e-3 * turnover
