"""``quorum demo``: models, a backtest and the report, offline, in one command."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer
from rich.table import Table

from quorum.bot.host import load_config, load_files, read_settings, whitelist
from quorum.bot.results import latest_result, load_backtest
from quorum.candles import DAY_MS
from quorum.cli.ablation import load_materials
from quorum.cli.advise import ask_past
from quorum.cli.app import (
    DEFAULT_CONFIG,
    ConfigOption,
    DatadirOption,
    command,
    console,
    error_console,
)
from quorum.cli.hybrid import show_evidence
from quorum.cli.report import report_command
from quorum.cli.run import RECORDED, SYNTHETIC, USER_DATA, run_freqtrade, write_market
from quorum.cli.spans import Span, read_days
from quorum.cli.train import train_once
from quorum.errors import DataError
from quorum.replay.datadir import DataDirectory
from quorum.replay.exchange import ExchangeServer
from quorum.replay.link import link_datadir
from quorum.report.trades import Results, TradeRecord
from quorum.simulation import Material
from quorum.simulation.hybrid_evidence import hybrid_evidence

#: Spans that leave the start-up history before them.
SYNTHETIC_TIMERANGE = "20230301-20250101"
RECORDED_TIMERANGE = "20230101-20250430"
#: Folds of the embedded market's models: few, so that a demo stays short.
SMALL_FOLDS = {"refit_days": 120}
SMALL_AGE = 130
#: Days at the end of the demo that advisors are asked about, and how often they follow the facts.
ADVISED_DAYS = 14
ADVISED_SKILL = 0.8


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
    advisors: Annotated[
        bool,
        typer.Option("--advisors/--no-advisors", help="ask simulated advisors, with the models"),
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
        runs = {"with models": result}
        if advisors and data.datadir == SYNTHETIC:
            console.rule("advisors")
            runs["with simulated advisors too"] = advised(data, config)
        console.rule("with and without")
        without = [*config, write_layer(data, models=False)]
        plain = backtest(data, without, USER_DATA / "logs" / "demo-without.log", shown=False)
        console.print(comparison({**runs, "without models": plain}))
    if report:
        console.rule("report")
        report_command(result=result, config=layered, datadir=data.datadir, user_data=USER_DATA)
    served = f"{Path(sys.executable).with_name('quorum')} serve --demo"
    console.print(f"see it in a browser: {served}   moving: {served} --live", soft_wrap=True)


def advised(data: DemoData, config: Sequence[Path]) -> Path:
    """Ask a scripted analyst about the last days, backtest with its answers, show what they add.

    The answers are labelled as simulated and were asked, by the market's clock, as the candles
    closed; nothing leaves the machine. Returns the result file.
    """
    layered = [*config, write_layer(data, models=True, advisors=True)]
    loaded = load_config(layered, datadir=data.datadir)
    loaded["exchange"]["pair_whitelist"] = list(data.pairs)
    settings = read_settings(loaded, loaded["timeframe"])
    first, last = read_days(data.timerange)
    span, pairs = Span.of(first, last), list(data.pairs)
    end = last_prediction(load_materials(loaded, settings, pairs, span))
    if end is None:
        console.print("no model was live: advisors have nothing to be joined with")
    else:
        start = end - ADVISED_DAYS * DAY_MS
        ask_past(loaded, settings, start, end, simulated=True, skill=ADVISED_SKILL)
    result = backtest(data, layered, USER_DATA / "logs" / "demo-advised.log", shown=False)
    if end is not None:
        show_evidence(hybrid_evidence(load_materials(loaded, settings, pairs, span)))
    return result


def last_prediction(materials: Sequence[Material]) -> int | None:
    """Return the close of the last candle at which the trained ensemble spoke, None for none."""
    spoke = [
        int(m.candles.close_time[np.flatnonzero(known)[-1]])
        for m in materials
        if (known := np.isfinite(m.table.columns["hybrid_models"])).any()
    ]
    return max(spoke, default=None)


def write_layer(data: DemoData, *, models: bool, advisors: bool = False) -> Path:
    """Write the configuration that keeps a demo's models, and its ledger, to itself."""
    learning: dict[str, Any] = {"folder": f"models/demo-{data.name}", "enabled": models}
    if data.datadir == SYNTHETIC:
        learning |= {"folds": SMALL_FOLDS, "max_age_days": SMALL_AGE}
    kind = "-advised" if advisors else "" if models else "-without"
    path = USER_DATA / f"demo-{data.name}{kind}.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    quorum: dict[str, Any] = {"learning": learning}
    if advisors:
        ledger = (USER_DATA / f"demo-{data.name}.advisors.sqlite").absolute()
        quorum["state"] = {"url": f"sqlite:///{ledger}"}
        quorum["advisors"] = {"enabled": True, "questions": ["timeframes", "regime"]}
    path.write_text(json.dumps({"quorum": quorum}, indent=1), encoding="utf-8")
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
