"""``quorum demo``: models, a backtest and the report, offline, in one command."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

import pandas as pd
import typer
from rich.table import Table

from quorum.bot.host import load_files, whitelist
from quorum.bot.results import latest_result, load_backtest
from quorum.cli.app import (
    DEFAULT_CONFIG,
    ConfigOption,
    DatadirOption,
    command,
    console,
    error_console,
)
from quorum.cli.report import report_command
from quorum.cli.run import RECORDED, SYNTHETIC, USER_DATA, run_freqtrade, write_market
from quorum.cli.train import train_once
from quorum.errors import DataError
from quorum.replay.datadir import DataDirectory
from quorum.replay.exchange import ExchangeServer
from quorum.replay.link import link_datadir
from quorum.report.trades import Results, TradeRecord

#: Spans that leave the start-up history before them.
SYNTHETIC_TIMERANGE = "20230301-20250101"
RECORDED_TIMERANGE = "20230101-20250430"
#: Folds of the embedded market's models: few, so that a demo stays short.
SMALL_FOLDS = {"refit_days": 120}
SMALL_AGE = 130


@dataclass(frozen=True)
class DemoData:
    """The candles of a demo: a data directory, the pairs and the span that can be tested."""

    datadir: Path
    pairs: tuple[str, ...]
    timerange: str

    @property
    def name(self) -> str:
        """What the demo keeps is filed under this name."""
        return self.datadir.name


def demo_data(datadir: Path | None, timerange: str | None, config: dict[str, Any]) -> DemoData:
    """Make the embedded market, or a working copy of recorded candles, and choose pairs.

    Recorded candles are linked, and the series beside them converted, into the user directory;
    pairs are those of the whitelist that have every series over the span.
    """
    first, last = read_days(timerange)
    if datadir is None:
        write_market(SYNTHETIC)
        data = DataDirectory(SYNTHETIC)
        return DemoData(SYNTHETIC, data.pairs("futures"), timerange or SYNTHETIC_TIMERANGE)
    with console.status(f"linking {datadir}"):
        link_datadir(datadir, RECORDED)
    if timerange is None:
        timerange = RECORDED_TIMERANGE
        first, last = read_days(timerange)
    selection = DataDirectory(RECORDED).select(start=first, end=last)
    listed = whitelist(config)
    pairs = tuple(pair for pair in listed if pair in selection.pairs)
    for pair in listed:
        if pair not in pairs:
            reason = selection.rejected.get(pair, "no candles")
            error_console.print(f"[yellow]{pair} is left out[/]: {reason}")
    if not pairs:
        raise DataError(f"{datadir}: no pair of the whitelist covers {timerange}")
    return DemoData(RECORDED, pairs, timerange)


def read_days(timerange: str | None) -> tuple[pd.Timestamp | None, pd.Timestamp | None]:
    """Read a time range of two days, either of which may be left open."""
    start, dash, end = (timerange or "-").partition("-")
    try:
        days = [
            pd.Timestamp(datetime.strptime(text, "%Y%m%d").replace(tzinfo=UTC)) if text else None
            for text in (start, end)
        ]
    except ValueError:
        days = []
    if not dash or not days:
        raise DataError(f"--timerange {timerange!r}: give two days like 20230101-20250430")
    return days[0], days[1]


def _failure(status: int, log: Path) -> str | None:
    """Return what a host's log says of its failure, None if it succeeded.

    The host ends with status 0 on some errors of the configuration.
    """
    lines = log.read_text(encoding="utf-8").splitlines()
    refused = any(" - ERROR - Configuration error" in line for line in lines)
    return "\n".join(lines[-15:]) if status or refused else None


@command("demo")
def demo_command(
    config: ConfigOption = DEFAULT_CONFIG,
    datadir: DatadirOption = None,
    timerange: Annotated[str | None, typer.Option(help="for example 20230101-20250430")] = None,
    only_data: Annotated[
        bool, typer.Option("--only-data", help="prepare the candles and stop")
    ] = False,
    print_datadir: Annotated[
        bool, typer.Option("--print-datadir", help="with --only-data: print just the folder")
    ] = False,
    models: Annotated[
        bool, typer.Option("--models/--no-models", help="train models, and compare with none")
    ] = True,
    report: Annotated[bool, typer.Option("--report/--no-report", help="write the page")] = True,
) -> None:
    """Train, backtest and report Quorum offline: on the embedded market, or recorded candles."""
    loaded = load_files(config)
    data = demo_data(datadir, timerange, loaded)
    if only_data:
        # Alone on the line, unwrapped: a script reads it.
        print(data.datadir if print_datadir else f"candles in {data.datadir}")
        return
    layered = [*config, write_layer(data, models=models)]
    if models:
        console.rule("models")
        train_once(layered, data.datadir)
    console.rule("backtest")
    result = backtest(data, layered, USER_DATA / "logs" / "demo.log")
    if models:
        console.rule("with and without models")
        without = [*config, write_layer(data, models=False)]
        plain = backtest(data, without, USER_DATA / "logs" / "demo-without.log", shown=False)
        console.print(comparison({"with models": result, "without": plain}))
    if report:
        console.rule("report")
        report_command(result=result, config=layered, datadir=data.datadir, user_data=USER_DATA)


def write_layer(data: DemoData, *, models: bool) -> Path:
    """Write the configuration that keeps a demo's models to itself."""
    learning: dict[str, Any] = {"folder": f"models/demo-{data.name}", "enabled": models}
    if data.datadir == SYNTHETIC:
        learning |= {"folds": SMALL_FOLDS, "max_age_days": SMALL_AGE}
    path = USER_DATA / f"demo-{data.name}{'' if models else '-without'}.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps({"quorum": {"learning": learning}}, indent=1), encoding="utf-8")
    return path


def backtest(data: DemoData, configs: Sequence[Path], log: Path, *, shown: bool = True) -> Path:
    """Backtest the pairs of a demo and return the result file.

    Raises
    ------
    DataError
        With the end of the host's log if the backtest failed.
    """
    console.print(
        f"backtesting {len(data.pairs)} pairs, {data.timerange}, candles in {data.datadir} "
        f"(log: {log})"
    )
    with ExchangeServer(data.datadir) as exchange:
        status = run_freqtrade(
            ["backtesting", "--timerange", data.timerange, "--cache", "none"],
            configs,
            data.datadir,
            exchange,
            "futures",
            pairs=data.pairs,
            log=log,
            shown=shown,
        )
    failure = _failure(status, log)
    if failure is not None:
        raise DataError(f"the backtest failed (log: {log}):\n{failure}")
    return latest_result(USER_DATA)


def comparison(runs: Mapping[str, Path]) -> Table:
    """Return one row per backtest of the same candles."""
    table = Table()
    headings = ("", "trades", "profit", "win rate", "profit factor", "votes of models", "refused")
    for heading in headings:
        table.add_column(heading, justify="left" if not heading else "right")
    for name, path in runs.items():
        table.add_row(name, *_figures(load_backtest(path)))
    return table


def _figures(results: Results) -> tuple[str, ...]:
    """Return a run's row: the vote of a model counts where it agreed with a trade."""
    trades = results.trades
    won = [t.profit for t in trades if t.profit > 0]
    lost = -sum(t.profit for t in trades if t.profit <= 0)
    voted = sum(_model_agreed(t) for t in trades)
    refused = sum((results.refused or {}).values())
    return (
        f"{len(trades):,}",
        f"{sum(t.profit for t in trades):+,.2f}",
        f"{len(won) / len(trades):.1%}" if trades else "",
        f"{sum(won) / lost:.2f}" if lost else "",
        f"{voted:,}",
        f"{refused:,}",
    )


def _model_agreed(trade: TradeRecord) -> bool:
    votes = trade.signal.votes if trade.signal is not None else {}
    return any(
        votes[name].direction == trade.direction for name in ("signal", "ensemble") if name in votes
    )
