"""``fills``: the same backtest on plain and on shorter candles, and how their fills differ."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Annotated, Any

import pandas as pd
import typer
from rich.table import Table

from quorum.bot.host import load_files, whitelist
from quorum.bot.results import latest_result, load_backtest
from quorum.candles import timeframe_ms
from quorum.cli.app import DEFAULT_CONFIG, ConfigOption, DatadirOption, command, console
from quorum.cli.run import RECORDED, write_overlay
from quorum.errors import DataError
from quorum.replay.datadir import DataDirectory
from quorum.replay.exchange import ExchangeServer
from quorum.report.fills import EXPLANATIONS, FillComparison, compare
from quorum.report.trades import Results

#: Candles of history the strategy starts with.
STARTUP = 1400
DAY = timedelta(days=1)


@dataclass(frozen=True)
class Backtest:
    """What is run twice."""

    configs: Sequence[Path]
    datadir: Path
    pairs: tuple[str, ...]
    timerange: str


@command("fills")
def fills_command(
    config: ConfigOption = DEFAULT_CONFIG,
    datadir: DatadirOption = None,
    detail: Annotated[str, typer.Option(help="timeframe of the shorter candles")] = "5m",
    pair: Annotated[
        list[str] | None,
        typer.Option("--pair", "-p", help="default: the whitelist's pairs with shorter candles"),
    ] = None,
    timerange: Annotated[
        str | None, typer.Option(help="default: the span the pairs' candles share")
    ] = None,
) -> None:
    """Compare the fills of a backtest with those of the same backtest on shorter candles."""
    loaded = load_files(config)
    timeframe = str(loaded.get("timeframe", "1h"))
    folder = datadir or RECORDED
    pairs, shared = shared_span(DataDirectory(folder), pair or _listed(loaded), timeframe, detail)
    backtest = Backtest(config, folder, pairs, timerange or shared)
    console.print(f"{', '.join(pairs)}   {backtest.timerange}   {timeframe} against {detail}")
    with ExchangeServer(folder) as exchange, tempfile.TemporaryDirectory() as temporary:
        runs = []
        for name, options in (("plain", ()), ("detailed", ("--timeframe-detail", detail))):
            with console.status(f"backtesting, {name}"):
                runs.append(_run(backtest, exchange, Path(temporary) / name, options))
    step = timedelta(milliseconds=timeframe_ms(timeframe))
    _print(compare(runs[0].trades, runs[1].trades, step), timeframe, detail)


def _listed(config: dict[str, Any]) -> list[str]:
    return list(whitelist(config))


def shared_span(
    data: DataDirectory, pairs: Sequence[str], timeframe: str, detail: str
) -> tuple[tuple[str, ...], str]:
    """Return the pairs that have both timeframes and the whole days all of them cover.

    Raises
    ------
    DataError
        If no pair has both, or they share no day.
    """
    if timeframe_ms(detail) >= timeframe_ms(timeframe):
        raise DataError(f"--detail {detail}: must be shorter than {timeframe}")
    startup = STARTUP * timedelta(milliseconds=timeframe_ms(timeframe))
    chosen, starts, ends = [], [], []
    for name in pairs:
        spans = [
            series.span
            for series in (data.find(name, tf, "futures") for tf in (detail, timeframe))
            if series is not None and series.span is not None
        ]
        if len(spans) == 2:
            (fine, fine_end), (base, base_end) = spans
            chosen.append(name)
            starts.append(max(fine, base + startup))
            ends.append(min(fine_end, base_end))
    if not chosen:
        raise DataError(f"{data.path}: no pair has both {timeframe} and {detail} futures candles")
    first, last = pd.Timestamp(max(starts)).ceil(DAY), pd.Timestamp(min(ends)).floor(DAY)
    if first >= last:
        raise DataError(
            f"{data.path}: {', '.join(chosen)} share no day of {timeframe} and {detail} candles"
        )
    return tuple(chosen), f"{first:%Y%m%d}-{last:%Y%m%d}"


def _run(
    backtest: Backtest, exchange: ExchangeServer, folder: Path, options: Sequence[str]
) -> Results:
    """Run one backtest whose result is kept in ``folder`` only, and read it back."""
    results = folder / "backtest_results"
    results.mkdir(parents=True)
    overlay = write_overlay(folder, exchange, backtest.datadir, "futures", backtest.pairs)
    call = [sys.executable, "-m", "freqtrade", "backtesting", "--timerange", backtest.timerange]
    call += ["--cache", "none", "--export", "trades", "--backtest-directory", str(results)]
    call += [*options, "--datadir", str(backtest.datadir)]
    for layer in (*backtest.configs, overlay):
        call += ["--config", str(layer)]
    done = subprocess.run(
        call, check=False, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, encoding="utf-8"
    )
    try:
        return load_backtest(latest_result(folder))
    except DataError as error:
        # The host ends with status 0 on some errors of the configuration.
        said = "\n".join(done.stderr.splitlines()[-15:])
        raise DataError(f"the backtest left no result ({error}):\n{said}") from error


def _print(found: FillComparison, timeframe: str, detail: str) -> None:
    console.print(
        f"trades matched {len(found.matched)}, only on {timeframe} {len(found.only_plain)}, "
        f"only on {detail} {len(found.only_detailed)}"
    )
    console.print(_kinds(found, timeframe, detail))
    console.print(_causes(found, timeframe, detail))
    plain, detailed = found.profit
    console.print(
        f"total profit {plain:.2f} on {timeframe}, {detailed:.2f} on {detail}: "
        f"difference {plain - detailed:+.2f}"
    )
    mean, error = found.optimism
    better, worse = found.signs
    verdict = {1: f"{timeframe} candles flatter", -1: f"{timeframe} candles are too harsh"}
    console.print(
        f"matched trades: {mean:+.3f} ± {error:.3f} % of the stake better on {timeframe}, "
        f"{better} better and {worse} worse: {verdict.get(found.bias, 'no bias beyond chance')}"
    )
    for cause in found.causes:
        if cause.cause in EXPLANATIONS:
            console.print(f"- {cause.cause}: {EXPLANATIONS[cause.cause]}", highlight=False)


def _kinds(found: FillComparison, timeframe: str, detail: str) -> Table:
    table = Table(title=f"exits by kind; price: {timeframe} better than {detail} by, basis points")
    for heading in ("exit", timeframe, detail, "in both", "price"):
        table.add_column(heading, justify="left" if heading == "exit" else "right")
    for kind in found.kinds:
        price = f"{round(kind.price, 2) + 0.0:+.2f}" if kind.both else ""
        table.add_row(kind.kind, str(kind.plain), str(kind.detailed), str(kind.both), price)
    return table


def _causes(found: FillComparison, timeframe: str, detail: str) -> Table:
    table = Table(title=f"matched trades by what differs; result: {timeframe} minus {detail}")
    for heading in ("what differs", "trades", "better", "worse", "mean, % of stake", "profit"):
        table.add_column(heading, justify="left" if heading == "what differs" else "right")
    for c in found.causes:
        table.add_row(
            c.cause, str(c.trades), str(c.better), str(c.worse), f"{c.points:+.3f}",
            f"{c.profit:+.2f}",
        )  # fmt: skip
    return table
